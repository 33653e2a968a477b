// SPDX-License-Identifier: Apache-2.0
//! What can be set about the views.

use std::time::Duration;

/// Sizes and times of HyParView.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Neighbours wanted. The paper's fanout + 1; five keep a cluster of 10,000 connected (section 5).
    pub active_size: usize,
    /// Contacts kept for later.
    pub passive_size: usize,
    /// Steps of a joiner's walk until somebody takes it (ARWL).
    pub active_walk: u8,
    /// Steps left at which the joiner enters a passive view on its way (PRWL); also the steps of a shuffle.
    pub passive_walk: u8,
    /// Contacts in a shuffle.
    pub shuffle_length: usize,
    /// Time between two shuffles.
    pub shuffle_period: Duration,
    /// Failures in a row after which a contact is forgotten.
    pub max_failures: u32,
    /// Wait after the first failure; it doubles with each one.
    pub base_backoff: Duration,
    /// Age at which a contact that nobody has mentioned is forgotten.
    pub passive_max_age: Duration,
    /// How long a request may stay unanswered: a dial, and a round trip.
    pub request_timeout: Duration,
    /// Time between two messages that tell a neighbour that it is one.
    pub keep_alive_period: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            active_size: 5,
            passive_size: 30,
            active_walk: 6,
            passive_walk: 3,
            shuffle_length: 8,
            shuffle_period: Duration::from_secs(10),
            max_failures: 5,
            base_backoff: Duration::from_secs(1),
            passive_max_age: Duration::from_secs(300),
            request_timeout: Duration::from_secs(5),
            keep_alive_period: Duration::from_secs(5),
        }
    }
}
