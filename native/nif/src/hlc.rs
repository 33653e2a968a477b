// SPDX-License-Identifier: Apache-2.0
//! The one hybrid logical clock of this VM, which runs with or without gossip.

use barrel_p2p_node::clock::unix_ms;
use barrel_p2p_node::proto::hlc::{Clock, Timestamp, DEFAULT_MAX_SKEW_MS};
use std::sync::{Arc, LazyLock};

static CLOCK: LazyLock<Arc<Clock>> = LazyLock::new(|| Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS)));

pub(crate) fn clock() -> Arc<Clock> {
    CLOCK.clone()
}

pub(crate) fn now() -> (u64, u32) {
    parts(CLOCK.now(unix_ms()))
}

/// `None` when the remote stamp is too far ahead.
pub(crate) fn update(wall_ms: u64, logical: u32) -> Option<(u64, u32)> {
    CLOCK.update(Timestamp { wall_ms, logical }, unix_ms()).ok().map(parts)
}

fn parts(stamp: Timestamp) -> (u64, u32) {
    (stamp.wall_ms, stamp.logical)
}
