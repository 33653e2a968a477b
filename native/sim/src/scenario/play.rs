// SPDX-License-Identifier: Apache-2.0
//! Plays a scenario: forms the cluster, takes the steps, notes the measures.
//!
//! Keeps: all choices come from the seed. Leaves to others: seeds, threads and judgement.

use std::collections::BTreeMap;
use std::time::Duration;

use barrel_p2p_base::random::Random;
use barrel_p2p_base::time::Time;
use barrel_p2p_proto::{hyparview, MessageId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Disk, Form, Senders, Step, Through, Wire};
use crate::invariant::view_bounds::ViewBounds;
use crate::invariant::{connectivity, directory_convergence, store_convergence, Violation};
use crate::measure::{Traffic, KINDS};
use crate::subject::Subject;
use crate::world::{Workload, World};

/// What came out of one scenario with one seed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Outcome {
    /// By name.
    pub measures: BTreeMap<String, f64>,
    /// What must not have been.
    pub violations: Vec<Violation>,
    /// The same for the same run.
    pub digest: u64,
    /// Inputs that machines have handled.
    pub handled: u64,
}

/// Forms a cluster and takes the steps.
pub fn play<S: Subject>(form: &Form, steps: &[Step], seed: u64) -> Outcome {
    go_on(&mut formed::<S>(form, seed), form, steps, seed)
}

/// Takes the steps with a cluster that has formed with another seed.
pub fn branch<S: Subject>(world: &mut World<S>, form: &Form, steps: &[Step], seed: u64) -> Outcome {
    world.reseed(seed);
    go_on(world, form, steps, seed)
}

fn go_on<S: Subject>(world: &mut World<S>, form: &Form, steps: &[Step], seed: u64) -> Outcome {
    let mut play =
        Play { world, form: form.clone(), dice: Random::new(seed ^ PLAYING), measures: BTreeMap::new(), sender: None };
    for step in steps {
        play.step(step);
    }
    let alive = play.world.alive().len();
    play.note("end", "alive", alive as f64);
    Outcome {
        measures: play.measures,
        digest: play.world.digest(),
        handled: play.world.traffic.handled,
        violations: std::mem::take(&mut play.world.violations),
    }
}

struct Play<'a, S> {
    world: &'a mut World<S>,
    form: Form,
    dice: Random,
    measures: BTreeMap<String, f64>,
    /// Who broadcasts when it is always the same.
    sender: Option<u32>,
}

impl<S: Subject> Play<'_, S> {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Agree { name, within_s, tombstones } => self.agree(name, secs(*within_s), *tombstones),
            Step::Broadcast { name, count, senders, every_ms, payload_bytes } => {
                let every = Duration::from_millis(*every_ms);
                let ids = (0..*count).map(|_| self.broadcast(*senders, *payload_bytes, every)).collect();
                self.world.run_for(LAST_DELIVERIES);
                self.courses(name, ids);
            }
            Step::Churn { seconds, per_second, away_s } => self.churn(*seconds, *per_second, secs(*away_s)),
            Step::Converge { name, within_s } => self.converge(name, secs(*within_s)),
            Step::Connect { name, within_s } => self.connect(name, secs(*within_s)),
            Step::Crash { share } => {
                let nodes = self.some_alive(*share);
                self.world.crash(&nodes);
            }
            Step::Leave { count } => self.leave(*count),
            Step::Measure { name, seconds } => self.measure(name, *seconds),
            Step::Partition { share, seconds } => {
                let far = (*share * f64::from(self.world.len())) as usize;
                let mut sides = vec![0; self.world.len() as usize];
                sides[..far].fill(1);
                let count = sides.len();
                self.dice.sample(&mut sides, count);
                self.world.split(sides);
                self.world.run_for(secs(*seconds));
                self.world.split(Vec::new());
            }
            Step::Restart { disk, over_s, through_first } => {
                let alive = self.world.alive();
                let down: Vec<u32> = (0..self.world.len()).filter(|node| alive.binary_search(node).is_err()).collect();
                let start = self.world.now;
                for (place, node) in down.iter().enumerate() {
                    self.world.run_until(start + secs(over_s * place as f64 / down.len() as f64));
                    self.world.restart(*node, *disk);
                    if *through_first && *node > 0 {
                        self.world.join(*node, 0);
                    }
                }
            }
            Step::Settle { seconds } => self.world.run_for(secs(*seconds)),
            Step::Slow { share, service_ms } => {
                let all = self.world.alive();
                self.world.slow(&all, Duration::ZERO);
                let some = self.some_alive(*share);
                self.world.slow(&some, Duration::from_millis(*service_ms));
            }
            Step::Stall { share, ms } => {
                let some = self.some_alive(*share);
                self.world.stall(&some, Duration::from_millis(*ms));
            }
            Step::Storm { count, over_s } => {
                let start = self.world.now;
                for place in 0..*count {
                    self.world.run_until(start + secs(over_s * f64::from(place) / f64::from(*count)));
                    admit(self.world, self.form.skew_ms, 0);
                }
            }
            Step::Weather { weather } => self.world.set_weather(weather.clone()),
            Step::Write { per_second, keys, removes } => {
                let workload = Workload { per_second: *per_second, keys: *keys, removes: *removes };
                self.world.set_workload(workload);
            }
        }
    }

    fn broadcast(&mut self, senders: Senders, payload_bytes: usize, every: Duration) -> Option<MessageId> {
        let alive = self.world.alive();
        let sender = match (senders, self.sender.filter(|sender| alive.binary_search(sender).is_ok())) {
            (Senders::One, Some(sender)) => sender,
            (Senders::One | Senders::Rotating, _) => *self.dice.pick(&alive)?,
        };
        if senders == Senders::One {
            self.sender = Some(sender);
        }
        let id = self.world.broadcast(sender, Bytes::from(vec![7; payload_bytes]));
        self.world.run_for(every);
        Some(id)
    }

    fn courses(&mut self, name: &str, ids: Vec<Option<MessageId>>) {
        let courses: Vec<_> = ids.into_iter().flatten().filter_map(|id| self.world.finish_broadcast(id)).collect();
        let count = courses.len().max(1) as f64;
        let mean = |value: &dyn Fn(usize) -> f64| (0..courses.len()).map(value).sum::<f64>() / count;
        let most = |value: &dyn Fn(usize) -> f64| (0..courses.len()).map(value).fold(0.0, f64::max);
        let hops = |course: usize| f64::from(courses[course].hops);
        let took = |course: usize| courses[course].took.as_secs_f64() * 1000.0;
        let redundancy = |course: usize| courses[course].redundancy;
        let reached = (0..courses.len()).map(|course| courses[course].reached).fold(1.0, f64::min);
        let noted = [
            ("hops_max", most(&hops)),
            ("hops_mean", mean(&hops)),
            ("ms_max", most(&took)),
            ("ms_mean", mean(&took)),
            ("reached_min", reached),
            ("rmr_max", most(&redundancy)),
            ("rmr_mean", mean(&redundancy)),
        ];
        for (measure, value) in noted {
            self.note(name, measure, value);
        }
    }

    fn churn(&mut self, seconds: f64, per_second: f64, away: Duration) {
        let (start, gap) = (self.world.now, secs(1.0 / per_second));
        let mut back: Vec<(Time, u32)> = Vec::new();
        let end = start + secs(seconds);
        while self.world.now < end || !back.is_empty() {
            if self.world.now < end {
                let alive = self.world.alive();
                // Node 0 stays, as the contact that is configured somewhere always does.
                if let Some(&node) = self.dice.pick(&alive[1..]) {
                    self.world.crash(&[node]);
                    back.push((self.world.now + away, node));
                }
            }
            self.world.run_for(gap);
            let now = self.world.now;
            let due = back.partition_point(|(at, _)| *at <= now);
            for (_, node) in back.drain(..due) {
                let disk = if self.dice.below(2) == 0 { Disk::Kept } else { Disk::Lost };
                self.world.restart(node, disk);
            }
        }
    }

    /// Waits for the overlay to be whole.
    fn connect(&mut self, name: &str, within: Duration) {
        let start = self.world.now;
        while !connectivity::is_whole(self.world.look()) {
            if self.world.now - start >= within {
                let now = self.world.now;
                let (views, violations) = self.world.views_and_violations();
                connectivity::check(now, views, violations);
                break;
            }
            self.world.run_for(CONNECT_STEP);
        }
        let took = self.world.now - start;
        self.note(name, "s", took.as_secs_f64());
    }

    /// Waits for the directories to tell the truth.
    fn converge(&mut self, name: &str, within: Duration) {
        let start = self.world.now;
        while let Some(fault) = self.world.directory_fault() {
            if self.world.now - start >= within {
                let now = self.world.now;
                directory_convergence::check(now, Some(fault), &mut self.world.violations);
                break;
            }
            self.world.run_for(CONVERGE_STEP);
        }
        let took = self.world.now - start;
        self.note(name, "s", took.as_secs_f64());
    }

    /// Waits for the stores to be equal, and to be right.
    fn agree(&mut self, name: &str, within: Duration, with_tombstones: bool) {
        let start = self.world.now;
        while let Some(fault) = self.world.store_fault(with_tombstones) {
            if self.world.now - start >= within {
                let now = self.world.now;
                store_convergence::check(now, Some(fault), &mut self.world.violations);
                break;
            }
            self.world.run_for(AGREE_STEP);
        }
        let took = self.world.now - start;
        self.world.check_stores();
        let writes = self.world.writes();
        self.note(name, "s", took.as_secs_f64());
        self.note(name, "writes", writes as f64);
    }

    fn leave(&mut self, count: u32) {
        let mut alive = self.world.alive();
        let leaving = self.dice.sample(&mut alive, count as usize).to_vec();
        for &node in &leaving {
            self.world.leave(node);
        }
        self.world.run_for(GOODBYE);
        for &node in &leaving {
            self.world.stop(node);
        }
    }

    fn measure(&mut self, name: &str, seconds: f64) {
        let before = self.world.traffic;
        self.world.run_for(secs(seconds));
        let traffic: Traffic = self.world.traffic.since(&before);
        let share = 1.0 / (seconds * self.world.alive().len().max(1) as f64);
        let per_node = |count: u64| count as f64 * share;
        self.note(name, "dials_per_node_s", per_node(traffic.dials));
        self.note(name, "messages_per_node_s", per_node(traffic.messages.iter().sum()));
        if self.form.wire == Wire::Free {
            return;
        }
        self.note(name, "bytes_per_node_s", per_node(traffic.bytes.iter().sum()));
        for (kind, bytes) in KINDS.iter().zip(traffic.bytes) {
            self.note(name, &format!("{kind}_bytes_per_node_s"), per_node(bytes));
        }
    }

    fn some_alive(&mut self, share: f64) -> Vec<u32> {
        let mut alive = self.world.alive();
        let count = (share * alive.len() as f64).round() as usize;
        self.dice.sample(&mut alive, count).to_vec()
    }

    fn note(&mut self, name: &str, measure: &str, value: f64) {
        self.measures.insert(format!("{name}.{measure}"), value);
    }
}

/// Forms a cluster.
pub fn formed<S: Subject>(form: &Form, seed: u64) -> World<S> {
    let config = hyparview::Config::default();
    let bounds = ViewBounds { active_size: config.active_size, passive_size: config.passive_size };
    let mut world = World::new(form, seed, bounds);
    let mut dice = Random::new(seed ^ FORMING);
    let start = world.now;
    for count in 0..form.nodes {
        world.run_until(start + Duration::from_secs_f64(f64::from(count) / form.joins_per_second));
        let through = match form.through {
            Through::Any => dice.below(count as usize) as u32,
            Through::First => 0,
        };
        admit(&mut world, form.skew_ms, through);
    }
    world.run_for(Duration::from_secs_f64(form.settle_s));
    world
}

/// Adds a node, starts it and lets it join.
fn admit<S: Subject>(world: &mut World<S>, skew_ms: u64, through: u32) {
    if let Some(node) = world.add(skew_ms) {
        world.start(node);
        if node != through {
            world.join(node, through);
        }
    }
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Keeps the choices of the forming apart from those of the world, which has the same seed.
const FORMING: u64 = 0x666f_726d;
/// Keeps the choices of the steps apart likewise.
const PLAYING: u64 = 0x706c_6179;
/// After the last broadcast, until who still lacks one is a fault: grafts take their time under loss.
const LAST_DELIVERIES: Duration = Duration::from_secs(10);
/// How finely the time to be whole is measured.
const CONNECT_STEP: Duration = Duration::from_millis(250);
/// How finely the time to converge is measured; a look costs members squared.
const CONVERGE_STEP: Duration = Duration::from_millis(500);
/// How finely the time to agree is measured.
const AGREE_STEP: Duration = Duration::from_millis(250);
/// From saying goodbye to closing the links, as a node that leaves does.
const GOODBYE: Duration = Duration::from_secs(1);
