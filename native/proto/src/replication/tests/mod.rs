// SPDX-License-Identifier: Apache-2.0
//! A few nodes that are all neighbours, or stand in a row, on a network without loss. Everything passes the codec.

mod comparison;
mod hosts;
mod liars;
mod loading;
mod peers;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use barrel_p2p_base::{Incarnation, NodeName, PublicKey, Reader, Time, Writer};
use bytes::Bytes;

use super::message::{Answer, Body, Content, Question};
use super::*;
use crate::contact::Contact;
use crate::directory::{self, Directory};
use crate::hlc::{Clock, Timestamp, DEFAULT_MAX_SKEW_MS};
use crate::machine::{Now, Output, Outputs};
use crate::message;
use crate::store;
use crate::store::{Entry, Prefix};

const WALL_MS: u64 = 1_700_000_000_000;
const LATENCY: Duration = Duration::from_millis(10);

/// Enough to fork a few levels deep, and quick without optimisation.
const MANY: usize = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };

/// Hundredths of a second that this thread has computed, where the system tells (Linux). Shown by tests, and not judged.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    // User and system time are the 14th and the 15th, the name in brackets is the second.
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// The stores of one node, and how often they were visited.
#[derive(Debug, Default)]
struct Books(RwLock<BTreeMap<StoreName, Store>>, AtomicUsize);

impl Shelf for Books {
    fn visit(&self, store: &StoreName, act: &mut dyn FnMut(&mut Store)) -> bool {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.write().unwrap().get_mut(store).map(act).is_some()
    }

    fn names(&self) -> Vec<StoreName> {
        self.0.read().unwrap().keys().cloned().collect()
    }
}

struct Peer {
    replication: Replication,
    directory: Directory,
    books: Arc<Books>,
    clock: Arc<Clock>,
    contact: Arc<Contact>,
    /// Does its host take what is staged at once?
    judges: bool,
    /// Does it answer?
    is_there: bool,
    /// How often its host was told of something.
    told: usize,
}

/// What is on its way.
enum Parcel {
    Message(usize, Message),
    Unreachable(NodeName),
}

struct Net {
    peers: Vec<Peer>,
    flying: BTreeMap<(Time, u64), (usize, Parcel)>,
    time: Time,
    sequence: u64,
    messages: usize,
    bytes: usize,
    /// The largest of all messages.
    largest: usize,
    /// Who has closed the link to whom.
    closed: BTreeSet<(usize, NodeName)>,
    log: Vec<String>,
}

impl Net {
    /// Nodes that know nobody, all with the same empty store, and no comparisons by the clock.
    fn new(count: usize) -> Self {
        Self::with(count, Config { anti_entropy: Duration::ZERO, ..Config::default() })
    }

    fn with(count: usize, config: Config) -> Self {
        let mut net = Self {
            peers: Vec::new(),
            flying: BTreeMap::new(),
            time: Time::ZERO,
            sequence: 0,
            messages: 0,
            bytes: 0,
            largest: 0,
            closed: BTreeSet::new(),
            log: Vec::new(),
        };
        for number in 0..count {
            let (contact, books) = (contact(number), Arc::new(Books::default()));
            let clock = Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS));
            let (seed, now) = (number as u64 + 1, net.now());
            let shelf = Arc::clone(&books) as Arc<dyn Shelf>;
            let replication =
                Replication::new(config.clone(), contact.name.clone(), Arc::clone(&clock), shelf, seed, now);
            let me = Arc::clone(&contact);
            let directory = Directory::new(directory::Config::default(), me, Arc::clone(&clock), seed, now);
            net.peers.push(Peer {
                replication,
                directory,
                books,
                clock,
                contact,
                judges: true,
                is_there: true,
                told: 0,
            });
            net.open(number);
        }
        net
    }

    /// Two nodes with equal stores of so many entries that are not linked yet.
    fn twins(count: usize) -> Self {
        let net = Self::new(2);
        let stamp = net.peers[0].clock.now(WALL_MS);
        for number in 0..count {
            let entry = Entry::value(&key(number), b"value", &contact(7).name, stamp).unwrap();
            (0..2).for_each(|peer| net.store(peer, |store| store.load(entry.clone())));
        }
        net
    }

    fn now(&self) -> Now {
        Now { mono: self.time, wall_ms: WALL_MS + self.time.0 / 1000 }
    }

    fn open(&mut self, peer: usize) {
        self.peers[peer].books.0.write().unwrap().insert(name(), Store::new(store::Config::default()));
        let now = self.now();
        self.peers[peer].replication.opened(now, &name());
        self.carry_out(peer, Outputs::new());
    }

    fn close(&self, peer: usize) {
        self.peers[peer].books.0.write().unwrap().clear();
    }

    fn store<T>(&self, peer: usize, act: impl FnOnce(&mut Store) -> T) -> T {
        act(self.peers[peer].books.0.write().unwrap().get_mut(&name()).unwrap())
    }

    /// The host writes, and the delta is lost.
    fn put(&self, peer: usize, number: usize) {
        let (stamp, origin) = (self.stamp(peer), self.peers[peer].contact.name.clone());
        self.store(peer, |store| {
            store.put(&key(number), format!("value of {peer}").as_bytes(), &origin, stamp).unwrap();
            store.take_outgoing(usize::MAX);
        });
    }

    fn remove(&self, peer: usize, number: usize) {
        let stamp = self.stamp(peer);
        self.store(peer, |store| {
            store.remove(&key(number), stamp).unwrap();
            store.take_outgoing(usize::MAX);
        });
    }

    fn stamp(&self, peer: usize) -> Timestamp {
        self.peers[peer].clock.now(self.now().wall_ms)
    }

    fn link(&mut self, one: usize, other: usize) {
        let now = self.now();
        for (peer, with) in [(one, other), (other, one)] {
            let contact = Arc::clone(&self.peers[with].contact);
            self.peers[peer].directory.neighbour_up(now, &contact, &mut Outputs::new());
            self.peers[peer].replication.neighbour_up(now, &contact);
        }
    }

    /// Lets time pass.
    fn run(&mut self, span: Duration) {
        let end = self.time + span;
        loop {
            let flying = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timeouts = (0..self.peers.len()).filter(|peer| self.peers[*peer].is_there);
            let timer = timeouts.filter_map(|peer| Some((self.peers[peer].replication.next_timeout()?, peer))).min();
            let next = flying.into_iter().chain(timer.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.time = self.time.max(next);
            if flying == Some(next) {
                let Some((_, (peer, parcel))) = self.flying.pop_first() else { return };
                self.receive(peer, parcel);
            } else if let Some((_, peer)) = timer {
                let (now, mut out) = (self.now(), Outputs::new());
                let node = &mut self.peers[peer];
                node.replication.handle_timeout(now, &mut node.directory, &mut out);
                self.carry_out(peer, out);
            }
        }
        self.time = end;
    }

    fn receive(&mut self, peer: usize, parcel: Parcel) {
        if !self.peers[peer].is_there {
            return;
        }
        let (now, mut out) = (self.now(), Outputs::new());
        match parcel {
            Parcel::Message(from, message) => {
                let from = Arc::clone(&self.peers[from].contact);
                self.peers[peer].replication.on_message(now, &from, message, &mut out);
            }
            Parcel::Unreachable(name) => self.peers[peer].replication.unreachable(&name),
        }
        self.carry_out(peer, out);
    }

    fn carry_out(&mut self, peer: usize, out: Outputs) {
        for output in out {
            match &output {
                Output::Send { to, message: message::Message::Store(message) } => self.send(peer, &to.name, message),
                Output::Staged(_) => {
                    self.peers[peer].told += 1;
                    if self.peers[peer].judges {
                        self.judge(peer, &[]);
                    }
                }
                Output::Close { name, .. } => {
                    self.closed.insert((peer, name.clone()));
                }
                Output::Event(_) | Output::Hold(_) | Output::Release(_) | Output::Send { .. } => panic!("{output:?}"),
            }
        }
    }

    fn send(&mut self, from: usize, to: &NodeName, message: &Message) {
        let mut writer = Writer::new();
        message.write(&mut writer);
        let bytes = writer.finish();
        let decoded = Message::read(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(decoded, *message);
        // One byte of kind and four of length lie around it.
        self.bytes += bytes.len() + 5;
        self.largest = self.largest.max(bytes.len());
        self.messages += 1;
        self.log.push(format!("{from} {}", word(&message.body)));
        let Some(index) = self.peers.iter().position(|peer| peer.contact.name == *to) else { return };
        self.fly(index, Parcel::Message(from, decoded));
    }

    fn fly(&mut self, to: usize, parcel: Parcel) {
        self.sequence += 1;
        self.flying.insert((self.time + LATENCY, self.sequence), (to, parcel));
    }

    /// The host takes everything that is staged, except some keys.
    fn judge(&mut self, peer: usize, rejected: &[Vec<u8>]) {
        self.store(peer, |store| {
            while !store.pull(256, 64 * 1024).is_empty() {
                store.commit(rejected);
            }
        });
        let (now, mut out) = (self.now(), Outputs::new());
        self.peers[peer].replication.drained(now, &name(), &mut out);
        self.carry_out(peer, out);
    }

    fn stats(&self, peer: usize) -> Stats {
        self.peers[peer].replication.stats()
    }

    fn are_equal(&self) -> bool {
        let content = |peer| self.store(peer, |store| (store.root(), all(store)));
        (1..self.peers.len()).all(|peer| content(peer) == content(0))
    }
}

fn all(store: &Store) -> Vec<Entry> {
    store.scan(Prefix::ALL, None, usize::MAX, usize::MAX).0
}

fn word(body: &Body) -> &'static str {
    match body {
        Body::Question { question: Question::Compare(_), .. } => "Compare",
        Body::Question { question: Question::Describe(_), .. } => "Describe",
        Body::Question { question: Question::Fetch(_), .. } => "Fetch",
        Body::Question { question: Question::Load(..), .. } => "Load",
        Body::Answer { answer: Answer::Absent, .. } => "Absent",
        Body::Answer { answer: Answer::Chunk { .. }, .. } => "Chunk",
        Body::Answer { answer: Answer::Contents(_), .. } => "Contents",
        Body::Answer { answer: Answer::Entries { .. }, .. } => "Entries",
        Body::Answer { answer: Answer::Equal, .. } => "Equal",
        Body::Behind => "Behind",
        Body::Offer(_) => "Offer",
    }
}

fn name() -> StoreName {
    StoreName::parse(b"barrel_p2p_map$shopping_carts").unwrap()
}

fn key(number: usize) -> Vec<u8> {
    format!("key {number}").into_bytes()
}

fn contact(number: usize) -> Arc<Contact> {
    Arc::new(Contact {
        name: NodeName::parse(format!("n{number}@host").as_bytes()).unwrap(),
        incarnation: Incarnation { started_ms: 1, random: 7 },
        addresses: [([127, 0, 0, 1], number as u16).into()].into(),
        key: PublicKey([number as u8; 32]),
    })
}
