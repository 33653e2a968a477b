// SPDX-License-Identifier: Apache-2.0
//! What can be set about replication.

use std::time::Duration;

/// Times of replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time between two comparisons of a store with another member, a quarter more or less; zero: none but those that
    /// new links, opened stores and lost deltas bring.
    pub anti_entropy: Duration,
    /// After this time tombstones are collected even if a member is away that may not have seen them.
    pub tombstone_max_age: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { anti_entropy: Duration::from_secs(30), tombstone_max_age: Duration::from_secs(24 * 3600) }
    }
}
