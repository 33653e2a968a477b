// SPDX-License-Identifier: Apache-2.0
//! What can be set about broadcasts.

use std::time::Duration;

use barrel_p2p_base::limits::MAX_BROADCAST_BYTES;

/// Times and bounds of Plumtree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long an announced payload may take until it is asked for.
    pub graft_timeout: Duration,
    /// How long the answer may take until the next announcer is asked.
    pub graft_retry: Duration,
    /// Payloads remembered for those who ask, in bytes.
    pub cache_bytes: usize,
    /// Ids remembered, in number.
    pub cache_count: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            graft_timeout: Duration::from_millis(10),
            graft_retry: Duration::from_millis(250),
            cache_bytes: 8 * MAX_BROADCAST_BYTES,
            cache_count: 65_536,
        }
    }
}
