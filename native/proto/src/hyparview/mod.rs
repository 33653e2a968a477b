// SPDX-License-Identifier: Apache-2.0
//! Who talks to whom: HyParView (Leitão, Pereira, Rodrigues: "HyParView: a membership protocol for reliable gossip-based
//! broadcast", DSN 2007). Sections below are those of the paper.
//!
//! ```text
//! joiner -- Join --> contact        contact -- Accept --> joiner      contact -- ForwardJoin --> its neighbours ...
//! end of the walk -- Neighbour --> joiner                             joiner -- Accept --> end of the walk
//! one with a free place -- Neighbour --> passive contact              passive contact -- Accept | Reject --> asker
//! a full view -- Disconnect(Replaced(newcomer)) --> one neighbour     that one -- Neighbour --> newcomer
//! ```
//!
//! Keeps: once no message is in flight, the active views are symmetric: who accepts counts the asker, who is accepted
//! counts the accepter, and keep-alives find out whoever is left in between. The views stay within their sizes. Every
//! entry and exit of the active view is told, once. Leaves to others: dialling, broadcast, and who is a member at all.
//!
//! Departures from the paper, each for a reason given at its line:
//! * A link proves nothing about views: neighbours are made by request and answer, for joins too (`request.rs`).
//! * A newcomer to a full view is put into one of its links, at a bounded rate; crowds walk on (`request.rs`).
//! * Keep-alives end views that a lost message has left one-sided (`state.rs`).
//! * A lost neighbour becomes a passive contact that has failed once (`state.rs`).
//! * Long links are exchanged for shorter ones (`exchange.rs`).
//! * Several contacts are asked at once, back off after failures, and age (`promotion.rs`, `shuffle.rs`).

mod config;
mod exchange;
mod message;
mod promotion;
mod request;
mod shuffle;
mod state;
#[cfg(test)]
mod tests;
mod view;

pub use config::Config;
pub use message::{Goodbye, Message, Priority};
pub use state::{State, Stats};
