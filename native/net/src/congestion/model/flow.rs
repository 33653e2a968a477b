// SPDX-License-Identifier: Apache-2.0
//! One flow with both its ends: sends all that its controller allows, acknowledges and finds losses as quinn does.

use super::super::governor::Governor;
use barrel_p2p_impair::Path;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Bytes of every packet.
pub(crate) const MTU: u64 = 1_452;
const ACK_BYTES: u64 = 50;
/// A receiver acknowledges every second packet at once, and a single one after so long.
const MAX_ACK_DELAY: Duration = Duration::from_millis(25);
/// A packet is lost when one sent so many later has arrived.
const REORDERING: u64 = 3;
/// quinn paces faster than a window for each round trip, and lets this much time's worth through at once.
const PACE: f64 = 1.25;
const BURST: f64 = 0.002;
const BURST_PACKETS: std::ops::RangeInclusive<f64> = 10.0..=256.0;

/// A congestion controller as the flow sees it.
pub(crate) trait Control {
    fn on_sent(&mut self, now: Instant);
    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64);
    fn on_end_acks(&mut self, now: Instant, in_flight: u64);
    fn on_lost(&mut self, now: Instant, sent: Instant, bytes: u64);
    fn on_small(&mut self, _now: Instant) {}
    fn window(&self) -> u64;
    fn paces(&self) -> bool;
}

impl Control for Governor {
    fn on_sent(&mut self, now: Instant) {
        Self::on_sent(self, now);
    }

    fn on_ack(&mut self, _now: Instant, sent: Instant, bytes: u64) {
        Self::on_ack(self, sent, bytes, false);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64) {
        Self::on_end_acks(self, now, in_flight);
    }

    fn on_lost(&mut self, _now: Instant, _sent: Instant, bytes: u64) {
        Self::on_lost(self, bytes);
    }

    fn on_small(&mut self, now: Instant) {
        Self::on_small(self, now);
    }

    fn window(&self) -> u64 {
        Self::window(self)
    }

    fn paces(&self) -> bool {
        true
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) flow: usize,
    number: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Ack {
    pub(super) flow: usize,
    numbers: Vec<u64>,
}

pub(super) struct Flow {
    index: usize,
    base: Instant,
    control: Box<dyn Control>,
    starts: Duration,
    /// Small messages pass all the time.
    pub(super) has_small: bool,
    next_number: u64,
    flying: BTreeMap<u64, Duration>,
    largest_acked: u64,
    srtt: Duration,
    last_progress: Duration,
    tokens: f64,
    tokens_at: Duration,
    unacked: Vec<u64>,
    unacked_since: Duration,
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) received: u64,
}

impl Flow {
    pub(super) fn new(index: usize, base: Instant, control: Box<dyn Control>, starts: Duration) -> Self {
        Self {
            index,
            base,
            control,
            starts,
            has_small: false,
            next_number: 1,
            flying: BTreeMap::new(),
            largest_acked: 0,
            srtt: Duration::from_millis(100),
            last_progress: starts,
            tokens: 0.0,
            tokens_at: starts,
            unacked: Vec::new(),
            unacked_since: Duration::ZERO,
            sent: 0,
            lost: 0,
            received: 0,
        }
    }

    /// Sends what window and pacer allow. Answers when the pacer allows more.
    pub(super) fn send(&mut self, now: Duration, path: &mut Path<Packet>) -> Option<Duration> {
        if now < self.starts {
            return Some(self.starts);
        }
        let window = self.control.window();
        let rate = window as f64 / self.srtt.as_secs_f64();
        let packet = MTU as f64;
        let burst = (rate * BURST / packet).clamp(*BURST_PACKETS.start(), *BURST_PACKETS.end()) * packet;
        self.tokens = (self.tokens + PACE * rate * (now - self.tokens_at).as_secs_f64()).min(burst);
        self.tokens_at = now;
        while self.in_flight() + MTU < window {
            if self.control.paces() && self.tokens < packet {
                let wait = Duration::from_secs_f64((burst - self.tokens) / (PACE * rate));
                return Some(now + wait.max(Duration::from_micros(100)));
            }
            self.tokens -= packet;
            if self.flying.is_empty() {
                self.last_progress = now;
            }
            self.sent += MTU;
            self.flying.insert(self.next_number, now);
            path.offer(now, MTU, Packet { flow: self.index, number: self.next_number });
            self.next_number += 1;
            self.control.on_sent(self.base + now);
        }
        None
    }

    /// The receiver's end: a packet has come.
    pub(super) fn receive(&mut self, now: Duration, packet: Packet, back: &mut Path<Ack>) {
        self.received += MTU;
        if self.unacked.is_empty() {
            self.unacked_since = now;
        }
        self.unacked.push(packet.number);
        if self.unacked.len() >= 2 {
            self.acknowledge(now, back);
        }
    }

    pub(super) fn on_ack(&mut self, now: Duration, ack: &Ack) {
        let mut newest = None;
        for number in &ack.numbers {
            let Some(sent) = self.flying.remove(number) else { continue };
            newest = newest.max(Some(sent));
            self.largest_acked = self.largest_acked.max(*number);
            self.control.on_ack(self.base + now, self.base + sent, MTU);
        }
        let Some(sent) = newest else { return };
        self.last_progress = now;
        self.srtt = (7 * self.srtt + (now - sent)) / 8;
        if self.has_small {
            self.control.on_small(self.base + now);
        }
        self.control.on_end_acks(self.base + now, self.in_flight());
        self.lose_before(now, (self.largest_acked + 1).saturating_sub(REORDERING));
    }

    pub(super) fn next_timer(&self) -> Duration {
        let ack = if self.unacked.is_empty() { Duration::MAX } else { self.unacked_since + MAX_ACK_DELAY };
        let loss = if self.flying.is_empty() { Duration::MAX } else { self.last_progress + self.loss_time() };
        ack.min(loss)
    }

    pub(super) fn on_timer(&mut self, now: Duration, back: &mut Path<Ack>) {
        if !self.unacked.is_empty() && now >= self.unacked_since + MAX_ACK_DELAY {
            self.acknowledge(now, back);
        }
        if !self.flying.is_empty() && now >= self.last_progress + self.loss_time() {
            self.last_progress = now;
            self.lose_before(now, u64::MAX);
        }
    }

    fn acknowledge(&mut self, now: Duration, back: &mut Path<Ack>) {
        let numbers = std::mem::take(&mut self.unacked);
        back.offer(now, ACK_BYTES, Ack { flow: self.index, numbers });
    }

    fn lose_before(&mut self, now: Duration, number: u64) {
        let kept = self.flying.split_off(&number);
        let lost = std::mem::replace(&mut self.flying, kept);
        if let Some(sent) = lost.values().last() {
            let bytes = lost.len() as u64 * MTU;
            self.lost += bytes;
            self.control.on_lost(self.base + now, self.base + *sent, bytes);
        }
    }

    fn in_flight(&self) -> u64 {
        self.flying.len() as u64 * MTU
    }

    fn loss_time(&self) -> Duration {
        2 * self.srtt + MAX_ACK_DELAY
    }
}
