// SPDX-License-Identifier: Apache-2.0
//! A token bucket: so many at once, and one more per period.

use std::time::{Duration, Instant};

/// What a bucket holds when full, and how long one token takes to come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) burst: u32,
    pub(crate) refill_every: Duration,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    left: u32,
    refilled_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, left: rate.burst, refilled_at: now }
    }

    /// Takes a token if there is one.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let periods = now.duration_since(self.refilled_at).as_millis() / self.rate.refill_every.as_millis();
        if periods > 0 {
            let refill = u32::try_from(periods).unwrap_or(self.rate.burst);
            self.left = self.left.saturating_add(refill).min(self.rate.burst);
            self.refilled_at = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    pub(crate) fn left(&self) -> u32 {
        self.left
    }
}
