// SPDX-License-Identifier: Apache-2.0
//! Nodes, links and virtual time: drives the machines as the gossip actor of a real node does.
//!
//! * `node`: one node
//! * `wire`: sending, dialling, losing links
//! * `fault`: starting, crashing, partitions, stalls
//! * `host`: writing into stores, and taking what came from peers
//! * here: the loop, the machines' outputs, and the invariants that are asked as it runs
//!
//! Keeps: everything follows from the seed and the calls made from outside. No machine is treated specially.
//! Leaves to others: what happens when ([`crate::scenario`]).

mod fault;
mod host;
mod node;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::random::Random;
use barrel_p2p_base::time::Time;
use barrel_p2p_proto::{Contact, Event, Input, MemberState, Message, MessageId, Output, Outputs, Why};
use bytes::Bytes;

use crate::invariant::directory_convergence::{self, Claim};
use crate::invariant::transitions::{Transition, Transitions};
use crate::invariant::view_bounds::ViewBounds;
use crate::invariant::view_symmetry::ViewSymmetry;
use crate::invariant::{bounded_memory, no_false_down, View, Views, Violation};
use crate::ledger::Ledger;
use crate::links::{Links, Pair, DIAL_TIMEOUT};
use crate::measure::{self, Broadcasts, Traffic};
use crate::network::{mix, Network};
use crate::scenario::{Check, Form, Wire};
use crate::subject::{named, Subject};

pub use host::Workload;
pub(crate) use node::{Node, Work};

/// See the module.
#[derive(Debug)]
pub struct World<S> {
    /// Now.
    pub now: Time,
    /// What was sent so far.
    pub traffic: Traffic,
    /// The broadcasts under way.
    pub broadcasts: Broadcasts,
    /// What must not have been; at most [`MAX_VIOLATIONS`].
    pub violations: Vec<Violation>,
    nodes: Vec<Node<S>>,
    queue: crate::queue::Queue<Moment>,
    links: Links,
    network: Network,
    dice: Random,
    wire: Wire,
    outputs: Outputs,
    digest: u64,
    check: Check,
    checked: Time,
    views: Views,
    bounds: ViewBounds,
    symmetry: ViewSymmetry,
    transitions: Transitions,
    tombstone_ttl_ms: u64,
    workload: Workload,
    /// How many workloads there were: what waits of a former one is void.
    workloads: u32,
    ledger: Ledger,
}

/// Something that happens at a time.
#[derive(Debug)]
enum Moment {
    /// A message reaches the place where this life of its receiver was.
    Arrive { from: Arc<Contact>, to: u32, life: u32, message: Message },
    /// A busy node is free again.
    Awake { node: u32, life: u32 },
    /// Nobody has answered a dial.
    DialFails { from: u32, life: u32, to: u32 },
    /// A timer.
    Due { node: u32 },
    /// A joiner's link to its contact stands, or should be tried again.
    Join { node: u32, life: u32, through: u32 },
    /// A host takes what was staged.
    Judge { node: u32, life: u32 },
    /// Those who were stalled go on.
    Recover,
    /// A broken link has been silent for long enough.
    Silence { pair: Pair },
    /// News of a link.
    Tell { node: u32, life: u32, about: u32, why: Why },
    /// Some host writes.
    Write { workload: u32 },
}

/// Violations that are kept; one would do, the others help to see a pattern.
pub const MAX_VIOLATIONS: usize = 20;

impl<S: Subject> World<S> {
    /// Empty space.
    pub fn new(form: &Form, seed: u64, bounds: ViewBounds) -> Self {
        let mut dice = Random::new(seed);
        Self {
            now: Time::ZERO,
            traffic: Traffic::default(),
            broadcasts: Broadcasts::default(),
            violations: Vec::new(),
            nodes: Vec::new(),
            queue: crate::queue::Queue::default(),
            links: Links::default(),
            network: Network::new(form.weather.clone(), dice.u64()),
            dice,
            wire: form.wire,
            outputs: Outputs::new(),
            digest: seed,
            check: form.check,
            checked: Time::ZERO,
            views: Views::default(),
            bounds,
            symmetry: ViewSymmetry::default(),
            transitions: Transitions::default(),
            tombstone_ttl_ms: form.tombstone_ttl_ms,
            workload: Workload { per_second: 0.0, keys: 0, removes: 0.0 },
            workloads: 0,
            ledger: Ledger::default(),
        }
    }

    /// From now on chance is another one.
    pub fn reseed(&mut self, seed: u64) {
        self.dice = Random::new(seed);
        self.digest = mix(self.digest ^ seed);
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// Lets time pass up to and including this moment.
    pub fn run_until(&mut self, until: Time) {
        while let Some((at, moment)) = self.queue.pop(until) {
            if let Check::EveryMs(period) = self.check {
                if at - self.checked >= Duration::from_millis(period) {
                    self.checked = at;
                    self.check_all();
                }
            }
            self.now = at;
            self.happen(moment);
            self.violations.truncate(MAX_VIOLATIONS);
        }
        self.now = self.now.max(until);
    }

    /// Has everything held so far?
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }

    /// A number that is the same for the same run, and hardly for another one.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Nodes, running or not (count).
    pub fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Indices of the nodes that run.
    pub fn alive(&self) -> Vec<u32> {
        (0..).zip(&self.nodes).filter(|(_, node)| node.is_alive()).map(|(index, _)| index).collect()
    }

    /// Links that exist, and things that wait (counts).
    pub fn load(&self) -> (usize, usize) {
        (self.links.len(), self.queue.len())
    }

    /// What all nodes say now.
    pub fn look(&mut self) -> &Views {
        for index in 0..self.nodes.len() {
            self.refresh(index as u32);
        }
        &self.views
    }

    /// The views as last looked at, beside the place for violations.
    pub fn views_and_violations(&mut self) -> (&Views, &mut Vec<Violation>) {
        (&self.views, &mut self.violations)
    }

    /// The machine of a node that runs.
    pub fn machine(&self, node: u32) -> Option<&S> {
        self.nodes.get(node as usize)?.machine.as_ref()
    }

    /// How a node is reached in its present life.
    pub fn contact(&self, node: u32) -> Option<&Arc<Contact>> {
        self.nodes.get(node as usize).map(|node| &node.contact)
    }

    /// Gives a node something to do.
    pub fn command(&mut self, node: u32, input: Input) {
        self.work(node, Work::Input(input));
    }

    /// A node broadcasts.
    pub fn broadcast(&mut self, node: u32, payload: Bytes) -> MessageId {
        let id = self.broadcasts.start(node, self.now, self.nodes.len());
        self.work(node, Work::Input(Input::Broadcast { id, payload }));
        id
    }

    /// How one went, as the views were looked at last; afterwards it is forgotten, and who lacks it is a violation.
    pub fn finish_broadcast(&mut self, id: MessageId) -> Option<measure::Course> {
        self.look();
        let course = self.broadcasts.course(id, &self.views);
        self.broadcasts.finish(self.now, id, &self.views, &mut self.violations);
        course
    }

    /// A node whose directory is not the truth, and what is wrong.
    pub fn directory_fault(&mut self) -> Option<(u32, String)> {
        if !S::HAS_DIRECTORY {
            return None;
        }
        self.look();
        let mut claims = Vec::new();
        for (index, node) in (0..).zip(&self.nodes) {
            let Some(machine) = &node.machine else { continue };
            claims.clear();
            machine.members(&mut |contact, state| {
                if let Some(member) = named(&contact.name) {
                    let present_life = self.nodes.get(member as usize).is_some_and(|other| {
                        other.contact.incarnation == contact.incarnation && other.contact.key == contact.key
                    });
                    claims.push(Claim { member, present_life, state });
                }
            });
            if let Some(fault) = directory_convergence::fault(index, &claims, &self.views) {
                return Some((index, fault));
            }
        }
        None
    }

    fn happen(&mut self, moment: Moment) {
        match moment {
            Moment::Arrive { from, to, life, message } => self.arrive(from, to, life, message),
            Moment::Awake { node, life } => self.awake(node, life),
            Moment::DialFails { from, life, to } => self.dial_fails(from, life, to),
            Moment::Due { node } => self.due(node),
            Moment::Join { node, life, through } => self.try_join(node, life, through),
            Moment::Judge { node, life } => self.judge(node, life),
            Moment::Recover => self.recover(),
            Moment::Silence { pair } => self.silence(pair),
            Moment::Tell { node, life, about, why } => self.tell(node, life, about, why),
            Moment::Write { workload } => self.write(workload),
        }
    }

    fn due(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        if node.armed != Some(self.now) {
            return; // The timer was set to an earlier moment since, or belongs to a former life.
        }
        node.armed = None;
        let wanted = node.machine.as_ref().and_then(S::next_timeout);
        if wanted.is_some_and(|at| at <= self.now) {
            self.work(index, Work::Timeout);
        } else {
            self.arm(index);
        }
    }

    /// Hands work to a node, now or when it is free.
    fn work(&mut self, index: u32, work: Work) {
        let node = &mut self.nodes[index as usize];
        if node.busy_until <= self.now && node.backlog.is_empty() {
            return self.run(index, work);
        }
        if node.backlog.is_empty() {
            self.queue.push(node.busy_until, Moment::Awake { node: index, life: node.life });
        }
        node.backlog.push_back(work);
    }

    fn awake(&mut self, index: u32, life: u32) {
        let now = self.now;
        let node = &mut self.nodes[index as usize];
        if node.life != life || !node.is_alive() {
            return;
        }
        if node.busy_until <= now {
            if let Some(work) = node.backlog.pop_front() {
                self.run(index, work);
            }
        }
        let node = &self.nodes[index as usize];
        if !node.backlog.is_empty() {
            self.queue.push(node.busy_until.max(now), Moment::Awake { node: index, life });
        }
    }

    fn run(&mut self, index: u32, work: Work) {
        let node = &mut self.nodes[index as usize];
        let Some(machine) = &mut node.machine else { return };
        self.traffic.handled += 1;
        self.digest = mix(self.digest ^ self.now.0 ^ u64::from(index) << 40);
        let clocks = node::clocks(node.skew_ms, self.now);
        let mut outputs = std::mem::take(&mut self.outputs);
        match work {
            Work::Input(input) => machine.handle(clocks, input, &mut outputs),
            Work::Timeout => machine.handle_timeout(clocks, &mut outputs),
        }
        if !node.service.is_zero() {
            node.busy_until = self.now + node.service;
        }
        for output in outputs.drain(..) {
            self.carry_out(index, output);
        }
        self.outputs = outputs;
        self.arm(index);
        if self.check == Check::EveryEvent {
            self.refresh(index);
            self.check_node(index);
            self.symmetry.check(self.now, &self.views, &mut self.violations);
        }
    }

    /// Sees to it that the node is woken when its machine wants it.
    fn arm(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        let Some(at) = node.machine.as_ref().and_then(S::next_timeout) else { return };
        let mut at = at.max(self.now);
        if node.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        if at == self.now {
            node.fired = (at, if node.fired.0 == at { node.fired.1 + 1 } else { 1 });
            if node.fired.1 > MAX_TIMERS_AT_ONCE {
                self.violations.push(Violation::new("bounded_memory", at, index, "fires timers without end".into()));
                at = at + Duration::from_millis(100);
            }
        }
        node.armed = Some(at);
        self.queue.push(at, Moment::Due { node: index });
    }

    fn carry_out(&mut self, index: u32, output: Output) {
        match output {
            Output::Close { name, .. } => {
                self.digest = mix(self.digest ^ 1);
                if let Some(peer) = named(&name) {
                    self.close(index, peer);
                }
            }
            Output::Event(event) => self.on_event(index, event),
            Output::Hold(contact) => self.set_held(index, named(&contact.name), true),
            Output::Release(name) => self.set_held(index, named(&name), false),
            Output::Send { to, message } => {
                self.digest = mix(self.digest ^ 2 ^ (measure::kind(&message) as u64) << 8);
                self.send(index, &to, message);
            }
            Output::Staged(_) => self.staged(index),
        }
    }

    fn on_event(&mut self, index: u32, event: Event) {
        let (now, violations) = (self.now, &mut self.violations);
        let transition = match event {
            Event::Delivered { id, hops, .. } => {
                self.digest = mix(self.digest ^ 3 ^ u64::from(hops) << 8);
                return self.broadcasts.on_delivered(now, index, id, hops, violations);
            }
            Event::Direct { .. } => None,
            Event::Joined => {
                self.nodes[index as usize].joined = true;
                Some(Transition::Joined)
            }
            Event::Left => Some(Transition::Left),
            Event::MemberDown(name, state) => named(&name).map(|member| {
                if state == MemberState::Down {
                    let since = answered_since(&self.nodes, &self.network, index, member, now);
                    no_false_down::check(now, index, member, since, violations);
                }
                Transition::MemberDown(member)
            }),
            Event::MemberUp(contact) => named(&contact.name).map(Transition::MemberUp),
            Event::PeerDown(name, _) => named(&name).map(Transition::PeerDown),
            Event::PeerUp(name) => named(&name).map(Transition::PeerUp),
        };
        if let Some(transition) = transition {
            self.digest = mix(self.digest ^ 4);
            self.transitions.on_event(now, index, transition, violations);
        }
    }

    /// Brings the view of one node up to date.
    fn refresh(&mut self, index: u32) {
        let slot = index as usize;
        if self.views.nodes.len() <= slot {
            self.views.nodes.resize_with(self.nodes.len(), View::default);
        }
        let (node, view) = (&self.nodes[slot], &mut self.views.nodes[slot]);
        view.active.clear();
        view.passive.clear();
        view.alive = node.is_alive();
        if let Some(machine) = &node.machine {
            machine.active(&mut |contact| view.active.extend(named(&contact.name)));
            machine.passive(&mut |contact| view.passive.extend(named(&contact.name)));
        }
    }

    fn check_node(&mut self, index: u32) {
        let (now, violations) = (self.now, &mut self.violations);
        if let Some(machine) = &self.nodes[index as usize].machine {
            self.bounds.check(now, index, &self.views, violations);
            self.transitions.check(now, index, &self.views, violations);
            bounded_memory::check(now, index, &machine.held(), violations);
        }
    }

    fn check_all(&mut self) {
        self.links.sweep(self.now);
        for index in 0..self.nodes.len() as u32 {
            self.refresh(index);
            self.check_node(index);
        }
        self.symmetry.check(self.now, &self.views, &mut self.violations);
    }
}

/// Since when `member` answers `observer`; none if it does not.
fn answered_since<S>(nodes: &[Node<S>], network: &Network, observer: u32, member: u32, now: Time) -> Option<Time> {
    let node = nodes.get(member as usize)?;
    let since = node.answers_since.max(network.whole_since());
    (node.answers(now) && network.connects(observer, member)).then_some(since)
}

/// Timers of one node at one moment beyond which it will not stop by itself.
const MAX_TIMERS_AT_ONCE: u32 = 1000;
