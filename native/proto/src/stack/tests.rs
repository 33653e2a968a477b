// SPDX-License-Identifier: Apache-2.0
//! A few whole nodes on a network without loss: enough to see the parts work together. Faults are the simulator's.

use std::collections::{BTreeMap, BTreeSet};

use barrel_p2p_base::{Incarnation, PublicKey};

use super::*;
use crate::hlc::DEFAULT_MAX_SKEW_MS;
use crate::machine::Why;
use crate::message::MessageId;

const WALL_MS: u64 = 1_700_000_000_000;
const LATENCY: Duration = Duration::from_millis(5);
/// From a death to the moment when links notice.
const LINK_LOSS: Duration = Duration::from_millis(4500);

struct Network {
    nodes: BTreeMap<NodeName, Stack>,
    contacts: Vec<Arc<Contact>>,
    time: Time,
    /// What is on its way: to whom, and what happens there.
    flying: BTreeMap<(Time, u64), (NodeName, Input)>,
    sequence: u64,
    events: Vec<(Time, NodeName, Event)>,
    /// Which half of a partition a node is in.
    away: BTreeSet<NodeName>,
    bytes: u64,
}

impl Network {
    fn new(count: usize) -> Self {
        let mut network = Self {
            nodes: BTreeMap::new(),
            contacts: (0..count).map(|index| contact(index, 1)).collect(),
            time: Time::ZERO,
            flying: BTreeMap::new(),
            sequence: 0,
            events: Vec::new(),
            away: BTreeSet::new(),
            bytes: 0,
        };
        for (index, contact) in network.contacts.clone().into_iter().enumerate() {
            network.start(contact, index as u64);
        }
        network
    }

    fn start(&mut self, contact: Arc<Contact>, seed: u64) {
        let clock = Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS));
        let stack = Stack::new(Config::default(), Arc::clone(&contact), clock, seed, self.now());
        self.nodes.insert(contact.name.clone(), stack);
    }

    /// All join the first one, a tenth of a second apart, and settle.
    fn joined(count: usize) -> Self {
        let mut network = Self::new(count);
        for index in 1..count {
            network.input(index, Input::Join(network.contacts[0].clone()));
            network.run(Duration::from_millis(100));
        }
        network.run(Duration::from_secs(10));
        network
    }

    fn now(&self) -> Now {
        Now { mono: self.time, wall_ms: WALL_MS + self.time.0 / 1000 }
    }

    fn stack(&self, index: usize) -> &Stack {
        &self.nodes[&self.contacts[index].name]
    }

    fn input(&mut self, index: usize, input: Input) {
        let name = self.contacts[index].name.clone();
        self.feed(&name, input);
    }

    fn feed(&mut self, name: &NodeName, input: Input) {
        let now = self.now();
        let mut out = Outputs::new();
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.handle(now, input, &mut out);
        self.carry(name, out);
    }

    fn carry(&mut self, name: &NodeName, out: Outputs) {
        let from = Arc::clone(self.nodes[name].overlay().me());
        for output in out {
            match output {
                Output::Event(event) => self.events.push((self.time, name.clone(), event)),
                Output::Send { to, message } => {
                    let bytes = message.encode();
                    assert_eq!(Message::decode(&Bytes::from(bytes.clone())).as_ref(), Ok(&message));
                    self.bytes += bytes.len() as u64;
                    if self.reaches(name, &to.name) {
                        let input = Input::Received { from: from.clone(), message };
                        self.fly(LATENCY, &to.name, input);
                    } else {
                        let input = Input::Unreachable { name: to.name.clone(), why: Why::DialFailed };
                        self.fly(LINK_LOSS, name, input);
                    }
                }
                Output::Close { .. } | Output::Hold(_) | Output::Release(_) => {}
            }
        }
    }

    fn reaches(&self, a: &NodeName, b: &NodeName) -> bool {
        self.nodes.contains_key(b) && self.away.contains(a) == self.away.contains(b)
    }

    fn fly(&mut self, span: Duration, to: &NodeName, input: Input) {
        self.sequence += 1;
        self.flying.insert((self.time + span, self.sequence), (to.clone(), input));
    }

    /// Whoever has a neighbour that cannot be reached any more notices.
    fn lose_links(&mut self) {
        let mut lost = Vec::new();
        for (name, stack) in &self.nodes {
            for neighbour in stack.overlay().neighbours() {
                if !self.reaches(name, &neighbour.name) {
                    lost.push((name.clone(), neighbour.name.clone()));
                }
            }
        }
        for (name, gone) in lost {
            self.fly(LINK_LOSS, &name, Input::Unreachable { name: gone, why: Why::Lost });
        }
    }

    fn kill(&mut self, index: usize) {
        let name = self.contacts[index].name.clone();
        self.nodes.remove(&name);
        self.lose_links();
    }

    fn run(&mut self, span: Duration) {
        let end = self.time + span;
        loop {
            let flying = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timer = self.nodes.iter().filter_map(|(name, node)| Some((node.next_timeout()?, name))).min();
            match (flying, timer) {
                (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                    self.time = self.time.max(at);
                    let Some((_, (name, input))) = self.flying.pop_first() else { return };
                    self.feed(&name, input);
                }
                (_, Some((due, name))) if due <= end => {
                    self.time = self.time.max(due);
                    let (now, name) = (self.now(), name.clone());
                    let mut out = Outputs::new();
                    self.nodes.get_mut(&name).unwrap().handle_timeout(now, &mut out);
                    self.carry(&name, out);
                }
                _ => break,
            }
        }
        self.time = end;
    }

    /// Runs until it is so, and says how long it took.
    fn run_until(&mut self, limit: Duration, fulfilled: impl Fn(&Self) -> bool) -> Duration {
        let start = self.time;
        while !fulfilled(self) {
            assert!(self.time - start < limit, "not fulfilled within {limit:?}");
            self.run(Duration::from_millis(100));
        }
        self.time - start
    }

    fn all_know(&self, count: usize) -> bool {
        self.nodes.values().all(|node| node.directory().live() == count)
    }

    fn downs(&self) -> Vec<&NodeName> {
        let down = |(_, _, event): &'_ (Time, NodeName, Event)| match event {
            Event::MemberDown(name, _) => Some(name.clone()),
            _ => None,
        };
        let _ = down;
        self.events
            .iter()
            .filter_map(|(_, _, event)| if let Event::MemberDown(name, _) = event { Some(name) } else { None })
            .collect()
    }
}

fn contact(index: usize, life: u64) -> Arc<Contact> {
    Arc::new(Contact {
        name: NodeName::parse(format!("n{index:03}@host").as_bytes()).unwrap(),
        incarnation: Incarnation { started_ms: WALL_MS - 1000 + life, random: 7 },
        addresses: [([127, 0, 0, 1], 4000 + index as u16).into()].into(),
        key: PublicKey([index as u8; 32]),
    })
}

#[test]
fn fifty_nodes_know_each_other() {
    let mut network = Network::joined(50);
    assert!(network.all_know(50));
    assert_eq!(network.downs(), Vec::<&NodeName>::new());
    let before = network.bytes;
    network.run(Duration::from_secs(60));
    println!("{} bytes per node and second", (network.bytes - before) / 60 / 50);
    let stats: Vec<_> = network.nodes.values().map(|node| node.directory().stats()).collect();
    println!("{:?} {:?}", stats[0], stats[25]);
}

#[test]
fn the_dead_are_down_everywhere_within_eight_seconds() {
    let mut network = Network::joined(50);
    for index in [3, 14, 15, 26, 35] {
        network.kill(index);
    }
    let took = network.run_until(Duration::from_secs(8), |network| network.all_know(45));
    println!("{took:?}");
    let mut downs = network.downs();
    downs.sort_unstable();
    downs.dedup();
    assert_eq!(downs.len(), 5, "{downs:?}");
}

#[test]
fn two_halves_find_each_other() {
    let mut network = Network::joined(40);
    network.away = (20..40).map(|index| network.contacts[index].name.clone()).collect();
    network.lose_links();
    network.run(Duration::from_secs(600));
    assert!(network.all_know(20));
    network.away.clear();
    let took = network.run_until(Duration::from_secs(30), |network| network.all_know(40));
    println!("{took:?}");
}

#[test]
fn who_leaves_is_gone_at_once_and_may_come_back() {
    let mut network = Network::joined(20);
    network.input(7, Input::Leave);
    let took = network.run_until(Duration::from_secs(1), |network| {
        network.nodes.values().filter(|node| node.directory().live() == 19).count() == 19
    });
    println!("{took:?}");
    network.run(Duration::from_secs(30));
    network.input(7, Input::Join(network.contacts[0].clone()));
    network.run_until(Duration::from_secs(5), |network| network.all_know(20));
}

#[test]
fn a_broadcast_and_a_direct_message_arrive() {
    let mut network = Network::joined(20);
    network.events.clear();
    let id = MessageId([1; 16]);
    network.input(3, Input::Broadcast { id, payload: Bytes::from_static(b"all") });
    let to = network.contacts[9].name.clone();
    network.input(4, Input::Direct { to: to.clone(), payload: Bytes::from_static(b"one") });
    network.run(Duration::from_secs(3));
    let delivered = network.events.iter().filter(|(_, _, event)| matches!(event, Event::Delivered { .. })).count();
    assert_eq!(delivered, 19);
    let from = network.contacts[4].name.clone();
    let direct = Event::Direct { from, payload: Bytes::from_static(b"one") };
    assert!(network.events.iter().any(|(_, name, event)| *name == to && *event == direct));
}

#[test]
fn a_restarted_node_supersedes_its_former_life() {
    let mut network = Network::joined(20);
    network.kill(5);
    network.contacts[5] = contact(5, 2);
    network.start(network.contacts[5].clone(), 99);
    network.input(5, Input::Join(network.contacts[0].clone()));
    network.run(Duration::from_secs(20));
    assert!(network.all_know(20));
    let name = &network.contacts[5].name;
    assert!(network.nodes.values().all(|node| node.directory().member(name).unwrap().0 == &network.contacts[5]));
}

#[test]
fn halves_made_by_blocking_are_one_again_when_unblocked() {
    let mut network = Network::joined(20);
    let names =
        |range: std::ops::Range<usize>| -> BTreeSet<_> { (range).map(|i| contact(i, 1).name.clone()).collect() };
    for index in 0..20 {
        network.input(index, Input::Block(if index < 10 { names(10..20) } else { names(0..10) }));
    }
    network.run(Duration::from_secs(20));
    for index in 0..20 {
        network.input(index, Input::Unblock);
    }
    network.run_until(Duration::from_secs(30), |network| network.all_know(20));
    network.events.clear();
    network.input(3, Input::Broadcast { id: MessageId([2; 16]), payload: Bytes::from_static(b"all") });
    network.run(Duration::from_secs(5));
    let delivered = network.events.iter().filter(|(_, _, event)| matches!(event, Event::Delivered { .. })).count();
    assert_eq!(delivered, 19);
    let _ = network.stack(0);
}
