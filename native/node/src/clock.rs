// SPDX-License-Identifier: Apache-2.0
//! The only reads of clocks outside the transport.

use barrel_p2p_base::Time;
use barrel_p2p_proto::Now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of day, in milliseconds since the Unix epoch.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Counts for a machine from the moment it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let mono = Time::ZERO + self.start.elapsed();
        Now { mono, wall_ms: unix_ms() }
    }

    /// The moment that the machine means.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        // A century is never.
        self.start + Duration::from_micros(time.0).min(Duration::from_secs(3_000_000_000))
    }
}
