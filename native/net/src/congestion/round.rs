// SPDX-License-Identifier: Apache-2.0
//! What one round trip has shown.
//!
//! A round starts with an acknowledgement and ends with the first one for a packet that was sent after it. Both its ends being
//! acknowledgements, what was delivered in it divided by its length is the delivery rate, however the network bunches acknowledgements.

use std::time::{Duration, Instant};

/// Shorter than what clocks and kernels tell apart.
const LEAST_LENGTH: Duration = Duration::from_micros(1);

#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) began: Instant,
    /// Bytes acknowledged.
    pub(super) delivered: u64,
    /// Bytes found lost.
    pub(super) lost: u64,
    /// Bytes acknowledged that had met a queue.
    pub(super) delayed: u64,
    /// The network said that its queue grows.
    pub(super) marked: bool,
    /// At some moment there was nothing to send.
    pub(super) app_limited: bool,
    pub(super) least_rtt: Option<Duration>,
}

impl Round {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, delivered: 0, lost: 0, delayed: 0, marked: false, app_limited: false, least_rtt: None }
    }

    pub(super) fn on_rtt(&mut self, rtt: Duration) {
        self.least_rtt = Some(self.least_rtt.map_or(rtt, |least| least.min(rtt)));
    }

    /// Whether the acknowledgement of a packet sent at `sent` ends the round.
    pub(super) fn ends_with(&self, sent: Instant) -> bool {
        sent >= self.began
    }

    /// Bytes per second delivered until `now`.
    pub(super) fn rate(&self, now: Instant) -> u64 {
        let length = now.saturating_duration_since(self.began).max(LEAST_LENGTH);
        (self.delivered as f64 / length.as_secs_f64()) as u64
    }

    /// Whether more than `share` of the bytes whose fate became known were lost, and more than `bytes`.
    pub(super) fn lost_more_than(&self, bytes: u64, share: f64) -> bool {
        self.lost > bytes && self.lost as f64 > share * (self.lost + self.delivered) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_ends_with_what_was_sent_in_it() {
        let began = Instant::now();
        let round = Round::new(began);
        assert!(!round.ends_with(began - LEAST_LENGTH));
        assert!(round.ends_with(began));
    }

    #[test]
    fn a_round_of_no_length_has_a_rate() {
        let began = Instant::now();
        assert_eq!(Round { delivered: 1, ..Round::new(began) }.rate(began), 1_000_000);
    }
}
