// SPDX-License-Identifier: Apache-2.0
//! A few whole nodes on a network without loss: enough to see the parts work together. Faults are the simulator's.

mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;

use barrel_p2p_base::{Incarnation, PublicKey};

use super::*;
use crate::directory::{self, Record};
use crate::hlc::DEFAULT_MAX_SKEW_MS;
use crate::machine::Why;
use crate::store::{self, Store, StoreName};

const WALL_MS: u64 = 1_700_000_000_000;
const LATENCY: Duration = Duration::from_millis(5);
/// From a death to the moment when links notice.
const LINK_LOSS: Duration = Duration::from_millis(4500);

/// A host with one store.
#[derive(Debug)]
struct OneStore(RwLock<Store>);

impl Shelf for OneStore {
    fn visit(&self, name: &StoreName, act: &mut dyn FnMut(&mut Store)) -> bool {
        let is_it = *name == store_name();
        if is_it {
            act(&mut self.0.write().unwrap());
        }
        is_it
    }

    fn names(&self) -> Vec<StoreName> {
        vec![store_name()]
    }
}

fn store_name() -> StoreName {
    StoreName::parse(b"store").unwrap()
}

struct Network {
    nodes: Vec<Option<Stack>>,
    contacts: Vec<Arc<Contact>>,
    shelves: Vec<Arc<OneStore>>,
    indices: BTreeMap<NodeName, usize>,
    time: Time,
    /// What is on its way: to whom, and what happens there.
    flying: BTreeMap<(Time, u64), (usize, Input)>,
    timers: BTreeSet<(Time, usize)>,
    sequence: u64,
    events: Vec<(usize, Event)>,
    /// Who is in the other half of a partition.
    away: BTreeSet<usize>,
    /// Who has closed the link to whom.
    closed: Vec<(usize, usize)>,
}

impl Network {
    fn new(count: usize) -> Self {
        let contacts: Vec<_> = (0..count).map(|index| contact(index, 1)).collect();
        let indices = contacts.iter().enumerate().map(|(index, contact)| (contact.name.clone(), index)).collect();
        let shelf = || Arc::new(OneStore(RwLock::new(Store::new(store::Config::default()))));
        let mut network = Self {
            nodes: (0..count).map(|_| None).collect(),
            shelves: (0..count).map(|_| shelf()).collect(),
            closed: Vec::new(),
            contacts,
            indices,
            time: Time::ZERO,
            flying: BTreeMap::new(),
            timers: BTreeSet::new(),
            sequence: 0,
            events: Vec::new(),
            away: BTreeSet::new(),
        };
        for index in 0..count {
            network.start(index, 1);
        }
        network
    }

    /// All join the first one, a tenth of a second apart, and settle.
    fn joined(count: usize) -> Self {
        let mut network = Self::new(count);
        for index in 1..count {
            network.join(index);
            network.run(Duration::from_millis(100));
        }
        network.run(Duration::from_secs(10));
        network
    }

    fn start(&mut self, index: usize, life: u64) {
        self.contacts[index] = contact(index, life);
        let clock = Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS));
        let seed = index as u64 + 1000 * life;
        let me = Arc::clone(&self.contacts[index]);
        let shelf = Arc::clone(&self.shelves[index]) as Arc<dyn Shelf>;
        let stack = Stack::new(Config::default(), me, clock, shelf, seed, self.now());
        self.timers.extend(stack.next_timeout().map(|at| (at, index)));
        self.nodes[index] = Some(stack);
    }

    fn join(&mut self, index: usize) {
        self.step(index, Some(Input::Join(Arc::clone(&self.contacts[0]))));
    }

    fn kill(&mut self, index: usize) {
        self.nodes[index] = None;
        self.lose_links();
    }

    /// Whoever has a neighbour that cannot be reached any more notices.
    fn lose_links(&mut self) {
        let links = self.nodes.iter().enumerate().flat_map(|(index, node)| {
            let neighbours = node.iter().flat_map(|node| node.overlay().neighbours());
            neighbours.map(move |neighbour| (index, neighbour.name.clone()))
        });
        let lost: Vec<_> = links.filter(|(index, name)| !self.reaches(*index, self.indices[name])).collect();
        for (index, name) in lost {
            self.fly(LINK_LOSS, index, Input::Unreachable { name, why: Why::Lost });
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.time, wall_ms: WALL_MS + self.time.0 / 1000 }
    }

    fn live(&self) -> impl Iterator<Item = &Stack> {
        self.nodes.iter().flatten()
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        self.nodes[to].is_some() && self.away.contains(&from) == self.away.contains(&to)
    }

    fn fly(&mut self, span: Duration, to: usize, input: Input) {
        self.sequence += 1;
        self.flying.insert((self.time + span, self.sequence), (to, input));
    }

    /// Feeds an input, or lets a timer fire, and carries out what the node wants.
    fn step(&mut self, index: usize, input: Option<Input>) {
        let now = self.now();
        let Some(node) = &mut self.nodes[index] else { return };
        self.timers.remove(&(node.next_timeout().unwrap_or_default(), index));
        let mut out = Outputs::new();
        match input {
            Some(input) => node.handle(now, input, &mut out),
            None => node.handle_timeout(now, &mut out),
        }
        self.timers.extend(node.next_timeout().map(|at| (at, index)));
        for output in out {
            match output {
                Output::Event(event) => self.events.push((index, event)),
                Output::Send { to, message } => self.send(index, &to, message),
                Output::Close { name, .. } => self.closed.push((index, self.indices[&name])),
                Output::Staged(name) => {
                    let shelf = Arc::clone(&self.shelves[index]);
                    let mut store = shelf.0.write().unwrap();
                    while !store.pull(100, 10_000).is_empty() {
                        store.commit(&[[]; 0]);
                    }
                    self.fly(Duration::ZERO, index, Input::Drained(name));
                }
                Output::Hold(_) | Output::Release(_) => {}
            }
        }
    }

    fn send(&mut self, from: usize, to: &Contact, message: Message) {
        let bytes = Bytes::from(message.encode());
        assert_eq!(Message::decode(&bytes).as_ref(), Ok(&message));
        let index = self.indices[&to.name];
        if self.reaches(from, index) {
            let from = Arc::clone(&self.contacts[from]);
            self.fly(LATENCY, index, Input::Received { from, message });
        } else {
            self.fly(LINK_LOSS, from, Input::Unreachable { name: to.name.clone(), why: Why::DialFailed });
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.time + span;
        loop {
            let flying = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timer = self.timers.first().copied();
            match (flying, timer) {
                (Some(at), _) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                    self.time = self.time.max(at);
                    let Some((_, (index, input))) = self.flying.pop_first() else { return };
                    self.step(index, Some(input));
                }
                (_, Some((due, index))) if due <= end => {
                    self.time = self.time.max(due);
                    self.timers.remove(&(due, index));
                    self.step(index, None);
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
            assert!(self.time - start < limit, "not so within {limit:?}");
            self.run(Duration::from_millis(100));
        }
        self.time - start
    }

    fn all_know(&self, count: usize) -> bool {
        self.live().all(|node| node.directory().live() == count)
    }

    /// Who was reported down, each once.
    fn downs(&self) -> BTreeSet<usize> {
        let down = |event: &Event| if let Event::MemberDown(name, _) = event { Some(self.indices[name]) } else { None };
        self.events.iter().filter_map(|(_, event)| down(event)).collect()
    }

    fn delivered(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Delivered { .. })).count()
    }
}

fn contact(index: usize, life: u64) -> Arc<Contact> {
    Arc::new(Contact {
        name: NodeName::parse(format!("n{index:05}@host").as_bytes()).unwrap(),
        incarnation: Incarnation { started_ms: WALL_MS - 1000 + life, random: 7 },
        addresses: [([127, 0, 0, 1], index as u16).into()].into(),
        key: PublicKey([index as u8; 32]),
    })
}

#[test]
fn fifty_nodes_know_each_other() {
    let network = Network::joined(50);
    assert!(network.all_know(50));
    assert_eq!(network.downs(), [].into());
}

#[test]
fn a_suspect_that_asks_for_a_place_is_told_so() {
    let network = &mut Network::new(3);
    let [other, suspect] = [1, 2].map(|index| Arc::clone(&network.contacts[index]));
    let rumours = |state| {
        let record = Record { contact: Arc::clone(&suspect), version: 1, state };
        Message::Directory(directory::Message::Rumours { records: vec![record], beats: Vec::new() })
    };
    let (now, stack, out) = (network.now(), network.nodes[0].as_mut().unwrap(), &mut Outputs::new());
    for state in [MemberState::Alive, MemberState::Suspect] {
        stack.handle(now, Input::Received { from: Arc::clone(&other), message: rumours(state) }, out);
    }
    out.clear();
    let ask = Message::HyParView(hyparview::Message::Neighbour(hyparview::Priority::Low));
    stack.handle(now, Input::Received { from: Arc::clone(&suspect), message: ask }, out);
    let told = Output::Send { to: Arc::clone(&suspect), message: rumours(MemberState::Suspect) };
    assert!(out.contains(&told), "{out:?}");
}

#[test]
fn the_dead_are_down_everywhere_within_eight_seconds_and_nobody_else() {
    let mut network = Network::joined(50);
    let dead = [3, 14, 15, 26, 35];
    dead.iter().for_each(|index| network.kill(*index));
    network.run_until(Duration::from_secs(8), |network| network.all_know(45));
    network.run(Duration::from_secs(60));
    assert_eq!(network.downs(), dead.into());
}

#[test]
fn two_halves_find_each_other() {
    let mut network = Network::joined(40);
    network.away = (20..40).collect();
    network.lose_links();
    network.run(Duration::from_secs(600));
    assert!(network.all_know(20));
    network.away.clear();
    network.events.clear();
    network.run_until(Duration::from_secs(30), |network| network.all_know(40));
    // Each half still believed the other one to be down, and told it so.
    assert_eq!(network.downs(), [].into());
    broadcast_reaches_all(&mut network, 40);
}

#[test]
fn who_leaves_is_gone_at_once_and_may_come_back() {
    let mut network = Network::joined(20);
    network.step(7, Some(Input::Leave));
    network.run_until(Duration::from_secs(1), |network| {
        network.live().enumerate().all(|(index, node)| node.directory().live() == if index == 7 { 0 } else { 19 })
    });
    network.run(Duration::from_secs(30));
    network.join(7);
    network.run_until(Duration::from_secs(5), |network| network.all_know(20));
}

#[test]
fn a_broadcast_and_a_direct_message_arrive() {
    let mut network = Network::joined(20);
    broadcast_reaches_all(&mut network, 20);
    let (to, payload) = (network.contacts[9].name.clone(), Bytes::from_static(b"one"));
    network.step(4, Some(Input::Direct { to, payload: payload.clone() }));
    network.run(Duration::from_secs(1));
    let direct = Event::Direct { from: network.contacts[4].name.clone(), payload };
    assert!(network.events.contains(&(9, direct)));
}

#[test]
fn a_restarted_node_supersedes_its_former_life() {
    let mut network = Network::joined(20);
    network.kill(5);
    network.start(5, 2);
    network.join(5);
    network.run(Duration::from_secs(20));
    assert!(network.all_know(20));
    let life = &network.contacts[5];
    assert!(network.live().all(|node| node.directory().member(&life.name) == Some((life, MemberState::Alive))));
}

#[test]
fn halves_made_by_blocking_are_one_again_when_unblocked() {
    let mut network = Network::joined(20);
    let names = |range: std::ops::Range<usize>| range.map(|index| contact(index, 1).name.clone()).collect();
    for index in 0..20 {
        let others = if index < 10 { names(10..20) } else { names(0..10) };
        network.step(index, Some(Input::Block(others)));
    }
    network.run(Duration::from_secs(20));
    for index in 0..20 {
        network.step(index, Some(Input::Unblock));
    }
    network.run_until(Duration::from_secs(30), |network| network.all_know(20));
    broadcast_reaches_all(&mut network, 20);
}

fn broadcast_reaches_all(network: &mut Network, count: usize) {
    network.events.clear();
    let (id, payload) = (MessageId([count as u8; 16]), Bytes::from_static(b"all"));
    network.step(3, Some(Input::Broadcast { id, payload }));
    network.run(Duration::from_secs(5));
    assert_eq!(network.delivered(), count - 1);
}
