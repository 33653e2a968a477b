// SPDX-License-Identifier: Apache-2.0
//! How much may be in flight: as much as the path carries, and now and then a little more to see whether it carries more.
//!
//! What fills the path without a queue is the product of the two numbers of the [`Estimate`]. It is taken a quarter higher for two rounds
//! (probe), a tenth lower for one (drain), then as it is (cruise). While small messages pass, cruise goes on, with a mean rate ([`Calm`]).
//! Every few seconds a drain is deep: it shows the path without our own queue. A queue that stands even then is somebody else's, and whoever
//! keeps off it starves; so we take part as others do (rival).
//!
//! Pure: time comes in with every event. The decisions fall at the end of a round, except that startup ends at once.

use super::calm::Calm;
use super::estimate::Estimate;
use super::losses::Losses;
use super::round::Round;
use std::time::{Duration, Instant};

/// What differs between kinds of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes in flight at the start.
    pub(crate) initial: u64,
    /// Bytes that may be in flight however small the product is, unless the network loses them.
    pub(crate) floor: u64,
    /// A queue worth having: it covers the time in which a machine does not react.
    pub(crate) slack: Duration,
    /// The same while small messages pass by large ones.
    pub(crate) calm_slack: Duration,
}

/// Window of a link that loses everything, in packets: the receiver acknowledges every second one at once.
const LEAST_PACKETS: u64 = 4;

/// Startup: so many rounds without a quarter more, and there is no more.
const FLAT_ROUNDS: u8 = 3;
/// Startup: share of lost bytes, and packets, that end it.
const STARTUP_LOSS: f64 = 0.10;
const STARTUP_LOST_PACKETS: u64 = 8;

const PROBE_GAIN: f64 = 1.25;
/// For a probe that follows one that paid.
const NEXT_PROBE_GAIN: f64 = 1.5;
const DRAIN_GAIN: f64 = 0.9;
/// So low that the queue is gone even if others have as much in it as we.
const DEEP_DRAIN_GAIN: f64 = 0.5;

/// Rounds between probes, and the most that chance adds, so that two flows do not always probe together.
const CRUISE_ROUNDS: u64 = 5;
const CRUISE_ROUNDS_BY_CHANCE: u64 = 6;
/// How long a long queue may stand before we look whose it is. Kernels fill a queue for seconds, two of our flows that meet need less to part.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look at the path without our queue.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// So many rounds with a long queue and less than half of the rate that was known, and the path has become slower.
const SLOW_ROUNDS: u8 = 3;

/// How long to take part before looking whether there is still a rival.
const RIVAL_TIME: Duration = Duration::from_secs(10);
/// What remains of the window after a loss. Cubic, which is what most rivals are, keeps 0.7.
const RIVAL_CUT: f64 = 0.75;
/// The window grows by one part in so many each round. In the model we get 38 to 73 % beside Cubic, on paths of five kinds, whoever comes first; a
/// part in 64 gave us down to 18 %, one in 32 up to 75 %.
const RIVAL_GROWTH: u64 = 40;
/// The same until the first loss.
const RIVAL_FREE_GROWTH: u64 = 16;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Doubles the window each round until the path gives way.
    Startup {
        best: u64,
        flat: u8,
    },
    /// Holds a window that filled the path until its rate is known.
    Settle {
        rounds: u8,
        lossy: bool,
    },
    Drain {
        rounds: u8,
        why: Why,
    },
    Cruise {
        rounds: u64,
    },
    Probe {
        rounds: u8,
        gain: f64,
        rate_before: u64,
    },
    Rival {
        since: Instant,
        /// Holds still for a round.
        pause: bool,
        /// Nothing was lost so far: how much the rival leaves to us is not known.
        free: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A probe left a queue.
    Probe,
    /// To see the path without our queue.
    Look,
    /// A queue stood long: to see whose it is.
    Suspicion,
}

/// The congestion controller.
#[derive(Clone, Debug)]
pub(super) struct Governor {
    limits: Limits,
    mtu: u64,
    window: u64,
    phase: Phase,
    estimate: Estimate,
    losses: Losses,
    round: Round,
    /// Of the acknowledgements that are being handled: the latest time of sending, and the bytes.
    newest: Option<Instant>,
    batch: u64,
    idle: bool,
    slow_rounds: u8,
    /// Since when the queue is long, and the window when that began: what we had before a rival came.
    queued_since: Option<Instant>,
    window_before_queue: u64,
    queue_before_drain: Duration,
    looked: Instant,
    calm: Calm,
    /// Where to start when a rival comes back.
    rival_window: u64,
}

impl Governor {
    pub(super) fn new(now: Instant, mtu: u64, limits: Limits) -> Self {
        Self {
            limits,
            mtu,
            window: limits.initial,
            phase: Phase::Startup { best: 0, flat: 0 },
            estimate: Estimate::new(now),
            losses: Losses::default(),
            round: Round::new(now),
            newest: None,
            batch: 0,
            idle: true,
            slow_rounds: 0,
            queued_since: None,
            window_before_queue: 0,
            queue_before_drain: Duration::ZERO,
            looked: now,
            calm: Calm::new(now),
            rival_window: 0,
        }
    }

    pub(super) fn on_sent(&mut self, now: Instant) {
        // Silence says nothing about the path.
        if self.idle {
            self.idle = false;
            self.round = Round::new(now);
        }
    }

    /// A packet of `bytes` sent at `sent` arrived. Acknowledgements that come together end with [`Self::on_end_acks`].
    pub(super) fn on_ack(&mut self, sent: Instant, bytes: u64, app_limited: bool) {
        self.newest = self.newest.max(Some(sent));
        self.batch += bytes;
        self.round.delivered += bytes;
        self.round.app_limited |= app_limited;
        if matches!(self.phase, Phase::Startup { .. }) && !app_limited {
            self.window += bytes;
        }
    }

    pub(super) fn on_end_acks(&mut self, now: Instant, in_flight: u64) {
        self.idle = in_flight == 0;
        let batch = std::mem::take(&mut self.batch);
        let Some(sent) = self.newest.take() else { return };
        // The others of the batch waited for this one.
        let rtt = now.saturating_duration_since(sent);
        self.estimate.on_rtt(rtt);
        self.round.on_rtt(rtt);
        if rtt > self.estimate.rtt() + self.estimate.short_queue() && !self.round.app_limited {
            self.round.delayed += batch;
            self.on_delay();
        }
        if self.round.ends_with(sent) {
            let round = std::mem::replace(&mut self.round, Round::new(now));
            self.on_round(now, &round);
        }
    }

    /// `bytes` are lost; none when the network only said that its queue grows.
    pub(super) fn on_lost(&mut self, bytes: u64) {
        self.round.lost += bytes;
        self.round.marked |= bytes == 0;
        if matches!(self.phase, Phase::Startup { .. })
            && self.round.lost_more_than(STARTUP_LOST_PACKETS * self.mtu, STARTUP_LOSS)
        {
            self.phase = Phase::Settle { rounds: 2, lossy: true };
            self.set_window(self.window * 3 / 4);
        }
    }

    /// Everything is lost, for long. What was known about the path is not true any more.
    pub(super) fn on_collapse(&mut self, now: Instant) {
        let limits = Limits { initial: LEAST_PACKETS * self.mtu, ..self.limits };
        *self = Self { limits: self.limits, ..Self::new(now, self.mtu, limits) };
    }

    /// A small message has passed by large ones.
    pub(super) fn on_small(&mut self, now: Instant) {
        self.calm.on_small(now);
    }

    pub(super) fn on_mtu(&mut self, mtu: u64) {
        self.mtu = mtu;
        self.set_window(self.window);
    }

    /// Bytes that may be in flight.
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// What the path carries, in bytes in flight: where that is known it is neither what a probe adds nor what a drain leaves.
    pub(super) fn carried(&self) -> u64 {
        match self.phase {
            Phase::Startup { .. } | Phase::Settle { .. } | Phase::Rival { .. } => self.window,
            Phase::Drain { .. } | Phase::Cruise { .. } | Phase::Probe { .. } => self.losses.capped(self.filled(1.0)),
        }
    }

    pub(super) fn initial_window(&self) -> u64 {
        self.limits.initial
    }

    /// Startup ends with the first queue. Twice as much is in flight as when the packets that met it were sent.
    fn on_delay(&mut self) {
        if matches!(self.phase, Phase::Startup { .. }) && self.round.delayed > self.window / 16 {
            self.phase = Phase::Settle { rounds: 2, lossy: false };
            self.set_window(self.window / 2);
        }
    }

    fn on_round(&mut self, now: Instant, round: &Round) {
        let calm = self.is_calm(now);
        // A window that is kept small shows nothing about the path, nor is chance to raise it round after round.
        self.estimate.on_round(now, round, !calm);
        if calm {
            self.calm.on_round(now, round.rate(now));
        } else if matches!(self.phase, Phase::Cruise { .. } | Phase::Probe { .. }) && !round.app_limited {
            self.calm.on_tried(now, round);
        }
        let queue = round.least_rtt.unwrap_or_default().saturating_sub(self.estimate.rtt());
        // With little to send, an acknowledgement waits for company: that is no queue.
        let queued = queue > self.estimate.long_queue() && !round.app_limited;
        if queued && self.queued_since.is_none() {
            self.window_before_queue = self.window;
        }
        self.queued_since = if queued { self.queued_since.or(Some(now)) } else { None };
        self.notice_slower_path(now, round.rate(now), queued);
        let plenty = 2 * self.filled(1.0);
        let full = self.losses.on_round(round, queued, self.mtu, self.window, plenty);
        self.phase = self.next_phase(now, round, queue, queued, full);
        let gain = match self.phase {
            Phase::Startup { .. } | Phase::Settle { .. } | Phase::Rival { .. } => return,
            Phase::Drain { why: Why::Probe, .. } => DRAIN_GAIN,
            Phase::Drain { .. } => DEEP_DRAIN_GAIN,
            Phase::Cruise { .. } => 1.0,
            Phase::Probe { gain, .. } => gain,
        };
        let filled = if self.is_calm(now) {
            self.estimate.product(self.calm.rate(), 1.0, self.limits.calm_slack).max(self.limits.floor)
        } else {
            self.filled(gain)
        };
        self.set_window(self.losses.capped(filled));
    }

    /// Nothing is tried, for small messages pass.
    fn is_calm(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Cruise { .. }) && self.calm.holds(now)
    }

    /// Rates are forgotten after two cycles, which take long when the queue is.
    fn notice_slower_path(&mut self, now: Instant, rate: u64, queued: bool) {
        let slow = queued && rate < self.estimate.rate() / 2;
        self.slow_rounds = if slow { self.slow_rounds + 1 } else { 0 };
        if self.slow_rounds >= SLOW_ROUNDS {
            self.slow_rounds = 0;
            self.estimate.forget_faster_than(rate);
            // It may have been a moment of the machine.
            self.calm.end(now);
        }
    }

    fn next_phase(&mut self, now: Instant, round: &Round, queue: Duration, queued: bool, full: bool) -> Phase {
        let rate = round.rate(now);
        match self.phase {
            Phase::Startup { .. } if round.app_limited => self.phase,
            Phase::Startup { best, .. } if rate > best + best / 4 => Phase::Startup { best: rate, flat: 0 },
            Phase::Startup { best, flat } if flat + 1 < FLAT_ROUNDS => Phase::Startup { best, flat: flat + 1 },
            Phase::Startup { .. } => self.drain(queue, Why::Probe),

            Phase::Settle { rounds, lossy } if rounds > 1 => Phase::Settle { rounds: rounds - 1, lossy },
            // The queue was not ours.
            Phase::Settle { lossy: false, .. } if queue < self.estimate.short_queue() => {
                Phase::Probe { rounds: 2, gain: NEXT_PROBE_GAIN, rate_before: rate }
            }
            Phase::Settle { .. } => self.drain(queue, Why::Probe),

            Phase::Drain { rounds, why } if rounds > 1 => Phase::Drain { rounds: rounds - 1, why },
            Phase::Drain { why: Why::Suspicion, .. } if queued && queue > self.queue_before_drain / 2 => {
                self.set_window(self.filled(1.0).max(self.rival_window).max(self.window_before_queue));
                Phase::Rival { since: now, pause: false, free: true }
            }
            Phase::Drain { why, .. } => {
                if why != Why::Probe {
                    self.looked = now;
                }
                if why == Why::Look {
                    self.rival_window = 0;
                }
                self.cruise(now, round)
            }

            Phase::Cruise { .. }
                if self.queued_since.is_some_and(|since| now.saturating_duration_since(since) > PATIENCE) =>
            {
                self.drain(queue, Why::Suspicion)
            }
            Phase::Cruise { .. } if round.app_limited || self.is_calm(now) => self.phase,
            Phase::Cruise { rounds: 0 } => {
                Phase::Probe { rounds: 2, gain: PROBE_GAIN, rate_before: self.estimate.rate() }
            }
            Phase::Cruise { rounds } => Phase::Cruise { rounds: rounds - 1 },

            Phase::Probe { .. } if full => self.drain(queue, Why::Probe),
            // What the first round sent is acknowledged in the second.
            Phase::Probe { rounds, gain, rate_before } if rounds > 1 => {
                Phase::Probe { rounds: rounds - 1, gain, rate_before }
            }
            Phase::Probe { rate_before, .. } if rate > rate_before + rate_before / 8 => {
                Phase::Probe { rounds: 2, gain: NEXT_PROBE_GAIN, rate_before: rate }
            }
            Phase::Probe { .. } if now.saturating_duration_since(self.looked) > LOOK_EVERY => {
                self.drain(queue, Why::Look)
            }
            Phase::Probe { .. } => self.drain(queue, Why::Probe),

            Phase::Rival { since, .. } if now.saturating_duration_since(since) > RIVAL_TIME => {
                self.drain(queue, Why::Suspicion)
            }
            Phase::Rival { since, pause, free } => {
                let pause = self.compete(round, pause, free);
                Phase::Rival { since, pause, free: free && !pause }
            }
        }
    }

    /// One round against a rival, which like us takes a loss for a full buffer. Answers whether to hold still for a round, in which the
    /// rest of the same losses shows.
    fn compete(&mut self, round: &Round, pause: bool, free: bool) -> bool {
        let lossy = round.lost > 0 || round.marked;
        if pause {
            return false;
        }
        if lossy {
            self.set_window(((self.window as f64 * RIVAL_CUT) as u64).max(self.filled(1.0)));
        } else if !round.app_limited {
            let growth = if free { RIVAL_FREE_GROWTH } else { RIVAL_GROWTH };
            self.set_window(self.window + self.window / growth);
            self.rival_window = (self.window as f64 * RIVAL_CUT) as u64;
        }
        lossy
    }

    /// A round for the queue to go; and another one to see the path without it.
    fn drain(&mut self, queue: Duration, why: Why) -> Phase {
        self.queue_before_drain = queue;
        Phase::Drain { rounds: 1 + u8::from(why != Why::Probe), why }
    }

    fn cruise(&mut self, now: Instant, round: &Round) -> Phase {
        self.estimate.turn_rate();
        self.calm.on_cycle(now);
        // As random as the network, and the same for the same events.
        let chance = round.delivered / self.mtu;
        Phase::Cruise { rounds: CRUISE_ROUNDS + chance % CRUISE_ROUNDS_BY_CHANCE }
    }

    /// What fills the path `gain` times over.
    fn filled(&self, gain: f64) -> u64 {
        self.estimate.product(self.estimate.rate(), gain, self.limits.slack).max(self.limits.floor)
    }

    fn set_window(&mut self, window: u64) {
        self.window = window.max(LEAST_PACKETS * self.mtu);
    }
}

#[cfg(test)]
mod tests;
