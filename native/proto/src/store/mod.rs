// SPDX-License-Identifier: Apache-2.0
//! What the cluster remembers under one name: a map from keys to values in which the last writer wins.
//!
//! ```text
//!   host: put, remove -----------------+            +--> take_outgoing: for the neighbours
//!                                      v            |
//!   peers: stage --> pull, commit --> entries: a tree of positions with the sums of fingerprints
//!                       |                           |
//!                    rejections                     +--> summary, children, versions: for comparison
//! ```
//!
//! Keeps: stores that have seen the same entries in any order, any number of times, are equal; only the host's calls
//! change what is in a store, entries of peers wait until the host has judged them; every entry has the same size
//! whatever its history; every queue is bounded; nothing depends on the order of hashes of a run.
//! Leaves to others: when to send what (replication), the disk, and who may judge.
//!
//! * [`Entry`]: a key, its value or its tombstone, and which of two wins
//! * [`Prefix`]: a part of the store, for comparison
//! * [`Store`]: all of it

mod entry;
mod hash;
mod name;
mod origins;
mod outgoing;
mod prefix;
mod rejections;
mod retired;
mod staging;
mod state;
mod tombstones;
mod trie;
mod view;

#[cfg(test)]
mod tests;

pub use entry::{Entry, TooLarge};
pub use name::{StoreName, StoreNameError};
pub use prefix::{Prefix, FANOUT};
pub use retired::Collected;
pub use staging::Staged;
pub use state::{Config, Cursor, Store};
pub use trie::Summary;
pub use view::{Node, LIST_LIMIT};
