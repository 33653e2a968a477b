// SPDX-License-Identifier: Apache-2.0
//! The rival: what kernels do by default (RFC 9438, with the end of slow start by delay).

use super::flow::{Control, MTU};
use std::time::{Duration, Instant};

/// RFC 9438: constant of the curve, and what remains after a loss.
const C: f64 = 0.4;
const BETA: f64 = 0.7;

/// Windows are counted in packets.
pub(crate) struct Cubic {
    window: f64,
    threshold: f64,
    most: f64,
    epoch: Option<Instant>,
    recovery: Option<Instant>,
    least_rtt: Duration,
}

impl Cubic {
    pub(crate) fn new() -> Self {
        Self { window: 10.0, threshold: f64::MAX, most: 0.0, epoch: None, recovery: None, least_rtt: Duration::MAX }
    }

    /// Where the curve is at `now`.
    fn target(&mut self, now: Instant) -> f64 {
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.most = self.most.max(self.window);
            now
        });
        let plateau = ((self.most - self.window).max(self.most * (1.0 - BETA)) / C).cbrt();
        let time = (now - epoch + self.least_rtt).as_secs_f64();
        C * (time - plateau).powi(3) + self.most
    }
}

impl Control for Cubic {
    fn on_sent(&mut self, _now: Instant) {}

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64) {
        let rtt = now - sent;
        let packets = bytes as f64 / MTU as f64;
        self.least_rtt = self.least_rtt.min(rtt);
        if self.recovery.is_some_and(|at| sent <= at) {
            return;
        }
        if self.window < self.threshold {
            self.window += packets;
            let limit = (self.least_rtt / 8).clamp(Duration::from_millis(4), Duration::from_millis(16));
            if rtt > self.least_rtt + limit {
                self.threshold = self.window;
            }
            return;
        }
        let missing = (self.target(now) - self.window) / self.window;
        self.window += missing.clamp(0.01 / self.window, 0.5) * packets;
    }

    fn on_end_acks(&mut self, _now: Instant, _in_flight: u64) {}

    fn on_lost(&mut self, now: Instant, sent: Instant, _bytes: u64) {
        if self.recovery.is_some_and(|at| sent <= at) {
            return;
        }
        self.recovery = Some(now);
        // Fast convergence.
        self.most = if self.window < self.most { self.window * (1.0 + BETA) / 2.0 } else { self.window };
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
        self.epoch = None;
    }

    fn window(&self) -> u64 {
        (self.window * MTU as f64) as u64
    }

    fn paces(&self) -> bool {
        false
    }
}
