// SPDX-License-Identifier: Apache-2.0
//! Keeps stores equal: what the host writes travels as broadcasts, and what those missed is found by comparison.
//!
//! ```text
//!   A -- Compare ---> B      a link came up, a store was opened, a delta was lost, or it was time again
//!   A <-- Equal ----- B      mostly; otherwise what sixteen parts of B's store amount to
//!   A -- Describe --> B      the parts that differ, and so on
//!   A <- Contents --- B      ... until only a few entries are left: the fingerprint of each
//!   A -- Offer -----> B      what B lacks
//!   A -- Fetch -----> B      what A lacks
//!   A <- Entries ---- B
//!   A -- Load ------> B      or, where A has nothing: all of it, one chunk after the other, at A's pace
//!   A <-- Chunk ----- B
//! ```
//!
//! Keeps: who asks remembers, who answers does not; one question of a comparison is under way at a time, and the next one
//! leaves when the host has taken what the last one brought; every message, every answer and every queue is bounded; what
//! a comparison brings is spread by further comparisons, until all have it. Who sends what cannot be is disconnected;
//! who lies within the rules costs as much as it sends.
//! Leaves to others: which entry wins and what a store is made of ([`crate::store`]), what the host makes of new entries.
//!
//! * [`message`]: what is said
//! * `answers`: what a store says when asked
//! * `session`: one comparison, as the one who asks sees it
//! * `replica`: what is to be compared when, of one store
//! * `state`: all stores of a node
//! * `intake`: entries that peers send
//! * `deltas`: broadcasts of new entries
//! * `rounds`: what happens by the clock

mod answers;
mod config;
mod deltas;
mod intake;
pub mod message;
mod replica;
mod rounds;
mod session;
mod state;
mod stats;
#[cfg(test)]
mod tests;

use std::fmt;

pub use config::Config;
pub use message::{Delta, Message};
pub use state::Replication;
pub use stats::Stats;

use crate::store::{Store, StoreName};

/// The stores of a node, which its host and the stack share.
pub trait Shelf: Send + Sync + fmt::Debug {
    /// Calls `act` once with the store of this name, if it is open; says whether it was.
    fn visit(&self, store: &StoreName, act: &mut dyn FnMut(&mut Store)) -> bool;

    /// Which stores are open.
    fn names(&self) -> Vec<StoreName>;
}

/// No stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoStores;

impl Shelf for NoStores {
    fn visit(&self, _store: &StoreName, _act: &mut dyn FnMut(&mut Store)) -> bool {
        false
    }

    fn names(&self) -> Vec<StoreName> {
        Vec::new()
    }
}
