// SPDX-License-Identifier: Apache-2.0
//! What replication counts.

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Comparisons begun.
    pub begun: u64,
    /// Comparisons that came to their end.
    pub finished: u64,
    /// Comparisons given up: the peer vanished or was too slow, or the host did not take what came.
    pub given_up: u64,
    /// Questions answered.
    pub answered: u64,
    /// Broadcasts of entries sent.
    pub deltas_sent: u64,
    /// Broadcasts of entries received for a store that is open.
    pub deltas_received: u64,
    /// Entries of peers handed to the host's judgement.
    pub taken: u64,
    /// Entries of peers for which there was no room; they come again.
    pub dropped: u64,
    /// Entries of peers that were refused because their stamps are too far ahead.
    pub refused_stamps: u64,
    /// Messages that cannot follow from what was said before.
    pub violations: u64,
    /// Tombstones collected.
    pub collected: u64,
}
