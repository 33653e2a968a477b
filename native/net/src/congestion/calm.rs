// SPDX-License-Identifier: Apache-2.0
//! How long the window is left as it is for the sake of small messages that pass by large ones.
//!
//! Trying whether the path carries more builds queues, in which small messages wait. So while they pass nothing is tried, except for one cycle
//! now and then. What that has shown counts for long; therefore it has to be seen twice when it is bad, and calm ends when it proves wrong.

use std::time::{Duration, Instant};

/// How long small messages count as passing after the last one did: longer than the round trips in which they ask and answer.
const COMPANY: Duration = Duration::from_millis(250);

/// Time between two cycles. Estimate: at 1 ms one takes some 60 ms, a hundredth of it, and of the small messages.
const CALM_TIME: Duration = Duration::from_secs(5);

/// So many rounds that were faster than the path is known to be, and too little is known: the small window would keep it so.
const FAST_ROUNDS: u8 = 3;

#[derive(Clone, Debug)]
pub(super) struct Calm {
    small_until: Instant,
    until: Instant,
    /// Bytes per second: the best of the last cycle.
    cycle_rate: u64,
    fast_rounds: u8,
}

impl Calm {
    pub(super) fn new(now: Instant) -> Self {
        Self { small_until: now, until: now, cycle_rate: 0, fast_rounds: 0 }
    }

    pub(super) fn on_small(&mut self, now: Instant) {
        self.small_until = now + COMPANY;
    }

    /// Is nothing to be tried now?
    pub(super) fn holds(&self, now: Instant) -> bool {
        now < self.small_until.min(self.until)
    }

    /// A cycle has ended, of which this is the best rate.
    pub(super) fn on_cycle(&mut self, now: Instant, rate: u64) {
        let former = std::mem::replace(&mut self.cycle_rate, rate);
        self.until = if rate < former / 4 * 3 { now } else { now + CALM_TIME };
    }

    /// A round of calm has ended, with a rate that is clearly more than is known or not.
    pub(super) fn on_round(&mut self, now: Instant, is_fast: bool) {
        self.fast_rounds = if is_fast { self.fast_rounds + 1 } else { 0 };
        if self.fast_rounds >= FAST_ROUNDS {
            self.end(now);
        }
    }

    /// What is known has become doubtful.
    pub(super) fn end(&mut self, now: Instant) {
        self.until = now;
        self.fast_rounds = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn calm() -> (Calm, Instant) {
        let now = Instant::now();
        let mut calm = Calm::new(now);
        calm.on_cycle(now, 1_000);
        calm.on_small(now);
        (calm, now)
    }

    #[test]
    fn it_lasts_while_small_messages_pass_but_not_for_ever() {
        let (mut calm, now) = calm();
        assert!(calm.holds(now + COMPANY - MS) && !calm.holds(now + COMPANY));
        calm.on_small(now + CALM_TIME - MS);
        assert!(calm.holds(now + CALM_TIME - MS) && !calm.holds(now + CALM_TIME));
        calm.on_cycle(now + CALM_TIME, 1_000);
        assert!(calm.holds(now + CALM_TIME));
    }

    #[test]
    fn a_bad_cycle_is_followed_by_another_one() {
        let (mut calm, now) = calm();
        calm.on_cycle(now, 700);
        assert!(!calm.holds(now));
        calm.on_cycle(now, 700);
        assert!(calm.holds(now));
    }

    #[test]
    fn a_path_that_is_faster_than_known_ends_it() {
        let (mut calm, now) = calm();
        for is_fast in [true, true, false, true, true] {
            calm.on_round(now, is_fast);
        }
        assert!(calm.holds(now));
        calm.on_round(now, true);
        assert!(!calm.holds(now));
    }
}
