// SPDX-License-Identifier: Apache-2.0
//! How a broadcast travels: Plumtree (Leitão, Pereira, Rodrigues: "Epidemic broadcast trees", SRDS 2007). Sections below
//! are those of the paper.
//!
//! Each link between neighbours is eager or lazy. Payloads go along eager links at once; along lazy ones goes an
//! announcement. A payload that comes twice makes the second link lazy; a payload that does not come makes the link of
//! an announcement eager. So the eager links become one tree that all senders share, and it mends itself.
//!
//! Keeps: a broadcast is delivered at most once as long as its id is remembered; both ends make a link lazy or eager
//! together, up to messages in flight; payloads, ids and announcements remembered are bounded. Leaves to others: who is
//! a neighbour, and broadcasts older than the cache.
//!
//! Departures from the paper, each for a reason given at its line: announcements leave at once and run ahead of their
//! payloads, so that the tree turns to each sender (`on_ihave`), an announced payload is asked for several times
//! (`missing.rs`), a link on which a node relies is not given up because the other end says so (`on_prune`), and a new
//! neighbour hears of the last few seconds (`up`).

mod cache;
mod config;
mod message;
mod missing;
mod state;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use message::{Announcement, Message};
pub use state::{State, Stats};
