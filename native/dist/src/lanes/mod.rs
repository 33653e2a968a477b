// SPDX-License-Identifier: Apache-2.0
//! Several ordered streams, the *lanes*, for one conversation, so that a small message need not wait behind a large one.
//!
//! Lane 0 is the *light* lane: every sender begins there. Who sends much is *heavy* and gets one of the other lanes until all that it sent
//! there has been delivered. [`Sorter`] decides at the sending end, [`Release`] gives frames out at the receiving end.
//!
//! One mechanism keeps the order: in any lane a [`Mark`] may stand between two frames, and what follows waits until another lane has been
//! delivered up to that mark. A sender that turns heavy is told to wait for the light lane; a frame that must be behind everything waits
//! for all lanes. Positions are bytes of frames on a lane since its beginning, so a mark and a report of what was delivered mean the same.
//!
//! Keeps: frames of one sender are released in the order in which they were placed; a barrier is released behind all that was placed before it; a
//! fence moreover before all that is placed after it. A mark only ever names bytes placed earlier, so no two lanes wait for each other.

mod atoms;
mod release;
mod shares;
mod sorter;
#[cfg(test)]
mod tests;

pub use atoms::LaneAtoms;
pub use release::{Release, Released};
pub use sorter::{Lie, Placement, Sorter};

/// The lane where everybody begins.
pub const LIGHT: usize = 0;

/// Lanes of a channel in one direction, at the most. Each heavy sender wants one of its own; more than cores can feed gain nothing.
pub const MAX_LANES: usize = 32;

/// A place in a lane: so many bytes of frames from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which lane.
    pub lane: usize,
    /// Bytes of frames, their headers included.
    pub position: u64,
}
