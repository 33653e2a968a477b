// SPDX-License-Identifier: Apache-2.0
//! How long the window is left as it is for the sake of small messages that pass by large ones.
//!
//! Trying whether the path carries more builds queues, in which small messages wait. So while they pass nothing is tried, except for one cycle
//! now and then. What that has shown counts for long; therefore it has to be seen twice when it is bad, and calm ends when it proves wrong.

use super::round::Round;
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
    /// Bytes per second, in the mean of the last cycle. The best of its rounds is luck where rounds are short: at 1 ms it was once
    /// 499 MB/s where 207 were carried, and a window for so much is a queue.
    rate: u64,
    cycle: Sum,
    fast_rounds: u8,
}

/// Of the rounds of a cycle.
#[derive(Clone, Debug, Default)]
struct Sum {
    bytes: u64,
    time: Duration,
}

impl Calm {
    pub(super) fn new(now: Instant) -> Self {
        Self { small_until: now, until: now, rate: 0, cycle: Sum::default(), fast_rounds: 0 }
    }

    pub(super) fn on_small(&mut self, now: Instant) {
        self.small_until = now + COMPANY;
    }

    /// Is nothing to be tried now?
    pub(super) fn holds(&self, now: Instant) -> bool {
        now < self.small_until.min(self.until)
    }

    /// What the path carries, in bytes per second.
    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    /// A round of cruise or probe outside of calm, which had enough to send.
    pub(super) fn on_tried(&mut self, now: Instant, round: &Round) {
        self.cycle.bytes += round.delivered;
        self.cycle.time += now.saturating_duration_since(round.began);
    }

    /// A cycle has ended. One that has tried nothing tells nothing.
    pub(super) fn on_cycle(&mut self, now: Instant) {
        let Sum { bytes, time } = std::mem::take(&mut self.cycle);
        if time.is_zero() {
            return;
        }
        let former = std::mem::replace(&mut self.rate, (bytes as f64 / time.as_secs_f64()) as u64);
        self.until = if self.rate < former / 4 * 3 { now } else { now + CALM_TIME };
    }

    /// A round of calm has ended, with this rate.
    pub(super) fn on_round(&mut self, now: Instant, rate: u64) {
        self.fast_rounds = if rate > self.rate + self.rate / 8 { self.fast_rounds + 1 } else { 0 };
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

    /// A cycle of one round, of `bytes` in a millisecond.
    fn cycle(calm: &mut Calm, now: Instant, bytes: u64) {
        calm.on_tried(now, &Round { delivered: bytes, ..Round::new(now - MS) });
        calm.on_cycle(now);
    }

    fn calm() -> (Calm, Instant) {
        let now = Instant::now();
        let mut calm = Calm::new(now);
        cycle(&mut calm, now, 1_000);
        calm.on_small(now);
        (calm, now)
    }

    #[test]
    fn it_lasts_while_small_messages_pass_but_not_for_ever() {
        let (mut calm, now) = calm();
        assert!(calm.holds(now + COMPANY - MS) && !calm.holds(now + COMPANY));
        calm.on_small(now + CALM_TIME - MS);
        assert!(calm.holds(now + CALM_TIME - MS) && !calm.holds(now + CALM_TIME));
        cycle(&mut calm, now + CALM_TIME, 1_000);
        assert!(calm.holds(now + CALM_TIME));
    }

    #[test]
    fn its_rate_is_the_mean_of_the_rounds_of_a_cycle() {
        let (mut calm, now) = calm();
        for (bytes, length) in [(3_000, MS), (1_000, 3 * MS)] {
            calm.on_tried(now, &Round { delivered: bytes, ..Round::new(now - length) });
        }
        assert_eq!(calm.rate(), 1_000_000);
        calm.on_cycle(now);
        assert_eq!(calm.rate(), 1_000_000);
        cycle(&mut calm, now, 2_000);
        assert_eq!(calm.rate(), 2_000_000);
    }

    #[test]
    fn a_cycle_that_has_tried_nothing_tells_nothing() {
        let now = Instant::now();
        let mut fresh = Calm::new(now);
        fresh.on_small(now);
        fresh.on_cycle(now);
        assert!(!fresh.holds(now));
        let (mut calm, now) = calm();
        calm.end(now);
        calm.on_cycle(now);
        assert!(!calm.holds(now));
        assert_eq!(calm.rate(), 1_000_000);
    }

    #[test]
    fn a_bad_cycle_is_followed_by_another_one() {
        let (mut calm, now) = calm();
        cycle(&mut calm, now, 700);
        assert!(!calm.holds(now));
        cycle(&mut calm, now, 700);
        assert!(calm.holds(now));
    }

    #[test]
    fn a_path_that_is_faster_than_known_ends_it() {
        let (mut calm, now) = calm();
        for rate in [1_200_000, 1_200_000, 1_100_000, 1_200_000, 1_200_000] {
            calm.on_round(now, rate);
        }
        assert!(calm.holds(now));
        calm.on_round(now, 1_200_000);
        assert!(!calm.holds(now));
    }
}
