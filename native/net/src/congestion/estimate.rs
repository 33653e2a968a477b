// SPDX-License-Identifier: Apache-2.0
//! The two numbers by which a path is known: the best delivery rate and the least round-trip time seen lately.

use super::filter::Best;
use super::round::Round;
use std::time::{Duration, Instant};

/// How long a least round-trip time is believed, once or twice. Shorter, and a rival that keeps the queue full for ten seconds makes
/// a long queue look like a long path.
const RTT_EPOCH: Duration = Duration::from_secs(15);

/// A machine that does something else for so long has not built a queue.
const HICCUP: Duration = Duration::from_millis(4);

#[derive(Clone, Debug)]
pub(super) struct Estimate {
    rate: Best<u64>,
    rtt: Best<Duration>,
    rtt_epoch: Instant,
}

impl Estimate {
    pub(super) fn new(now: Instant) -> Self {
        Self { rate: Best::new(u64::max), rtt: Best::new(Duration::min), rtt_epoch: now }
    }

    pub(super) fn on_rtt(&mut self, rtt: Duration) {
        self.rtt.offer(rtt);
    }

    /// `tells`: its rate says something about the path.
    pub(super) fn on_round(&mut self, now: Instant, round: &Round, tells: bool) {
        let rate = round.rate(now);
        // With nothing to send the path shows less than it can.
        if tells && (!round.app_limited || rate > self.rate()) {
            self.rate.offer(rate);
        }
        if now.saturating_duration_since(self.rtt_epoch) > RTT_EPOCH {
            self.rtt.turn();
            self.rtt_epoch = now;
        }
    }

    /// Rates older than the last call are forgotten.
    pub(super) fn turn_rate(&mut self) {
        self.rate.turn();
    }

    pub(super) fn forget_faster_than(&mut self, rate: u64) {
        self.rate = Best::new(u64::max);
        self.rate.offer(rate);
    }

    /// Bytes per second.
    pub(super) fn rate(&self) -> u64 {
        self.rate.get().unwrap_or(0)
    }

    /// Without a queue.
    pub(super) fn rtt(&self) -> Duration {
        self.rtt.get().unwrap_or(Duration::ZERO)
    }

    /// Bytes that fill the path at `rate`, `gain` times over, and a queue of `slack`.
    pub(super) fn product(&self, rate: u64, gain: f64, slack: Duration) -> u64 {
        (rate as f64 * (gain * self.rtt().as_secs_f64() + slack.as_secs_f64())) as u64
    }

    /// A queue that begins to show.
    pub(super) fn short_queue(&self) -> Duration {
        (self.rtt() / 8).max(HICCUP)
    }

    /// A queue that should not stand. More than two of our own flows leave together.
    pub(super) fn long_queue(&self) -> Duration {
        2 * self.short_queue()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn delivered(began: Instant, delivered: u64, app_limited: bool) -> Round {
        Round { delivered, app_limited, ..Round::new(began) }
    }

    #[test]
    fn with_nothing_to_send_a_rate_can_only_rise() {
        let start = Instant::now();
        let mut estimate = Estimate::new(start);
        for (bytes, app_limited, expected) in [(10, true, 10), (5, true, 10), (20, true, 20), (15, false, 20)] {
            estimate.on_round(start + SECOND, &delivered(start, bytes, app_limited), true);
            assert_eq!(estimate.rate(), expected);
        }
    }

    #[test]
    fn a_rate_lasts_for_two_cycles() {
        let start = Instant::now();
        let mut estimate = Estimate::new(start);
        for (bytes, expected) in [(30, 30), (20, 30), (10, 20)] {
            estimate.on_round(start + SECOND, &delivered(start, bytes, false), true);
            assert_eq!(estimate.rate(), expected);
            estimate.turn_rate();
        }
    }

    #[test]
    fn a_least_round_trip_is_believed_for_two_epochs_at_most() {
        let start = Instant::now();
        let mut estimate = Estimate::new(start);
        let mut seconds = 0;
        let mut pass = |estimate: &mut Estimate, rtt: u64| {
            seconds += 16;
            estimate.on_rtt(Duration::from_millis(rtt));
            let least = estimate.rtt().as_millis();
            estimate.on_round(start + seconds * SECOND, &delivered(start, 1, false), true);
            least
        };
        assert_eq!([20, 50, 50].map(|rtt| pass(&mut estimate, rtt)), [20, 20, 50]);
    }

    #[test]
    fn the_product_fills_the_path() {
        let start = Instant::now();
        let mut estimate = Estimate::new(start);
        estimate.on_rtt(Duration::from_millis(50));
        estimate.on_round(start + SECOND, &delivered(start, 1_000_000, false), true);
        assert_eq!(estimate.product(estimate.rate(), 1.0, Duration::ZERO), 50_000);
        assert_eq!(estimate.product(estimate.rate(), 1.25, Duration::from_millis(2)), 64_500);
    }
}
