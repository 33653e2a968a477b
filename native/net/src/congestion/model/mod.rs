// SPDX-License-Identifier: Apache-2.0
//! A narrow place in virtual time, and flows that share it. The same seed gives the same run.

mod cubic;
mod flow;

pub(super) use cubic::Cubic;
pub(super) use flow::{Control, MTU};

use super::governor::{Governor, Limits};
use barrel_p2p_impair::{Path, Settings};
use flow::{Ack, Flow, Packet};
use std::time::{Duration, Instant};

/// What one flow got in a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Of the rate of the narrow place.
    pub(super) rate: f64,
    /// Of the packets sent.
    pub(super) lost: f64,
}

pub(super) struct World {
    now: Duration,
    base: Instant,
    rate: f64,
    forward: Path<Packet>,
    back: Path<Ack>,
    flows: Vec<Flow>,
    queues: Vec<Duration>,
}

impl World {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        let back = Settings { delay: settings.delay, ..Settings::default() };
        Self {
            now: Duration::ZERO,
            base: Instant::now(),
            rate: settings.rate.unwrap() as f64,
            forward: Path::new(settings, seed),
            back: Path::new(back, seed),
            flows: Vec::new(),
            queues: Vec::new(),
        }
    }

    /// Adds one of our flows.
    pub(super) fn ours(&mut self, starts: Duration) {
        let (slack, calm_slack) = (Duration::from_millis(2), Duration::from_millis(1));
        let limits = Limits { initial: 32 * MTU, floor: 32 * MTU, slack, calm_slack };
        self.add(Governor::new(self.base + starts, MTU, limits), starts);
    }

    /// From now on small messages pass by what the first flow sends.
    pub(super) fn pass_small(&mut self) {
        self.flows[0].has_small = true;
    }

    pub(super) fn add(&mut self, control: impl Control + 'static, starts: Duration) {
        self.flows.push(Flow::new(self.flows.len(), self.base, Box::new(control), starts));
    }

    /// From now on the path is another one.
    pub(super) fn change(&mut self, settings: Settings) {
        self.rate = settings.rate.unwrap() as f64;
        self.forward.change(settings);
        self.back.change(Settings { delay: settings.delay, ..Settings::default() });
    }

    /// Goes on for `time`. Answers what each flow got meanwhile.
    pub(super) fn run(&mut self, time: Duration) -> Vec<Share> {
        let until = self.now + time;
        self.queues.clear();
        let before: Vec<_> = self.flows.iter().map(|flow| (flow.received, flow.lost, flow.sent)).collect();
        while self.now < until {
            self.step(until);
        }
        let capacity = self.rate * time.as_secs_f64();
        let share = |(flow, (received, lost, sent)): (&Flow, (u64, u64, u64))| Share {
            rate: (flow.received - received) as f64 / capacity,
            lost: (flow.lost - lost) as f64 / (flow.sent - sent).max(1) as f64,
        };
        self.flows.iter().zip(before).map(share).collect()
    }

    /// The queue that so many percent of the packets of the last run did not exceed.
    pub(super) fn queue(&mut self, percent: usize) -> Duration {
        self.queues.sort_unstable();
        self.queues[(self.queues.len() - 1) * percent / 100]
    }

    fn step(&mut self, until: Duration) {
        let mut next = until;
        for flow in &mut self.flows {
            next = next.min(flow.send(self.now, &mut self.forward).unwrap_or(until)).min(flow.next_timer());
        }
        let arrivals = [self.forward.next_arrival(), self.back.next_arrival()];
        next = arrivals.into_iter().flatten().fold(next, Duration::min);
        self.now = self.now.max(next);
        let now = self.now;
        while let Some(packet) = self.forward.arrived(now) {
            self.queues.push(Duration::from_secs_f64(self.forward.backlog(now) as f64 / self.rate));
            self.flows[packet.flow].receive(now, packet, &mut self.back);
        }
        while let Some(ack) = self.back.arrived(now) {
            self.flows[ack.flow].on_ack(now, &ack);
        }
        for flow in &mut self.flows {
            flow.on_timer(now, &mut self.back);
        }
    }
}
