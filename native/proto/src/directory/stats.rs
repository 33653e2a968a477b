// SPDX-License-Identifier: Apache-2.0
//! What the directory counts.

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Members that this node declared down after a suspicion of its own or of somebody else.
    pub declared_down: u64,
    /// Suspicions about this node that it refuted.
    pub refuted: u64,
    /// Exchanges of differing records that this node started.
    pub reconciled: u64,
    /// Requests for records that were not served, because too many were asked for or nobody had offered any.
    pub refused_requests: u64,
    /// Records of lives that have not begun yet.
    pub refused_future: u64,
    /// Records of members beyond the limit.
    pub refused_full: u64,
    /// Stamps from the far future.
    pub refused_stamps: u64,
    /// Claims about a later life of this node: two nodes run under one name, or somebody lies.
    pub impostors: u64,
    /// Suspicions that this node raised itself.
    pub suspected: u64,
}
