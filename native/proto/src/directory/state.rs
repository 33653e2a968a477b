// SPDX-License-Identifier: Apache-2.0
//! The directory as one node has it, and what happens to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Random, Time};

use super::deadlines::Deadlines;
use super::health::Health;
use super::learn::Source;
use super::lease::Lease;
use super::probe::Probes;
use super::reconcile::{Reconcile, PATIENCE};
use super::record::{is_live, Record};
use super::rumours::{free_bit, Rumours};
use super::table::{Entry, Table};
use super::{Config, Message, Stats};
use crate::contact::Contact;
use crate::hlc::Clock;
use crate::machine::{MemberState, Now, Output, Outputs};
use crate::message;
use crate::timers::Timers;

/// Every member and its state.
#[derive(Debug)]
pub struct Directory {
    pub(super) config: Config,
    /// What this node says about itself; the table has it too.
    pub(super) own: Record,
    pub(super) clock: Arc<Clock>,
    pub(super) random: Random,
    pub(super) table: Table,
    pub(super) neighbours: BTreeMap<NodeName, Neighbour>,
    pub(super) rumours: Rumours,
    pub(super) reconcile: Reconcile,
    /// Suspects, by the end of their time.
    pub(super) suspects: Deadlines,
    /// Members that are down or have left, by the moment they are forgotten.
    pub(super) departed: Deadlines,
    pub(super) probes: Probes,
    pub(super) lease: Lease,
    pub(super) health: Health,
    pub(super) timers: Timers<3>,
    pub(super) stats: Stats,
}

/// A peer with whom digests are compared.
#[derive(Debug)]
pub(super) struct Neighbour {
    pub(super) contact: Arc<Contact>,
    /// The bit that stands for it in the sets of neighbours who have some news already.
    pub(super) bit: u64,
    /// Digests in a row that differed. A new neighbour is asked after its first one, unless news comes in, which would
    /// make them equal soon; one that was held to be gone may bring half a cluster along, and is asked whatever comes in.
    pub(super) differed: u8,
}

impl Directory {
    /// A directory that knows this node and nobody else.
    pub fn new(config: Config, me: Arc<Contact>, clock: Arc<Clock>, seed: u64, now: Now) -> Self {
        let mut table = Table::new();
        let own = Record { contact: me, version: 1, state: MemberState::Alive };
        table.set(&own, now.mono);
        let mut random = Random::new(seed);
        let mut directory = Self {
            config,
            own,
            clock,
            lease: Lease::new(&mut random),
            random,
            table,
            neighbours: BTreeMap::new(),
            rumours: Rumours::default(),
            reconcile: Reconcile::default(),
            suspects: Deadlines::default(),
            departed: Deadlines::default(),
            probes: Probes::default(),
            health: Health::default(),
            timers: Timers::new(),
            stats: Stats::default(),
        };
        directory.start_rounds(now);
        directory
    }

    /// The overlay has a new neighbour.
    pub fn neighbour_up(&mut self, now: Now, contact: &Arc<Contact>, out: &mut Outputs) {
        let was_gone = self.table.get(&contact.name).is_some_and(|known| !is_live(known.state));
        self.heard(now, contact, out);
        let bit = free_bit(self.neighbours.values().map(|neighbour| neighbour.bit));
        let differed = if was_gone { PATIENCE } else { 1 };
        self.neighbours.insert(contact.name.clone(), Neighbour { contact: Arc::clone(contact), bit, differed });
        self.tell_own_record(contact, out);
        let digest = self.digest(now);
        send(contact, digest, out);
    }

    /// The overlay has a neighbour less.
    pub fn neighbour_down(&mut self, name: &NodeName) {
        if let Some(neighbour) = self.neighbours.remove(name) {
            self.rumours.left(neighbour.bit);
        }
        self.reconcile.end(name);
    }

    /// A message came in on a link whose hello has proved the sender.
    pub fn on_message(&mut self, now: Now, from: &Arc<Contact>, message: Message, out: &mut Outputs) {
        self.heard(now, from, out);
        match message {
            Message::Digest { fingerprint, live, stamp } => {
                if self.clock.update(stamp, now.wall_ms).is_err() {
                    self.stats.refused_stamps += 1;
                }
                self.on_digest(now, from, (fingerprint, live), out);
                self.correct(from, out);
            }
            Message::Probe(record) => {
                self.on_probe(now, from, record, out);
                self.correct(from, out);
            }
            Message::Records { records, last } => self.on_records(now, from, records, last, out),
            Message::Rumours { records, beats } => {
                self.learn_all(now, from, records, Source::Rumour(from), out);
                self.on_beats(now, from, beats);
            }
            Message::Summary(buckets) => self.on_summary(now, from, &buckets, out),
            Message::Want(buckets) => self.on_want(from, buckets, out),
        }
    }

    /// Joins again after [`Directory::leave`]; nothing otherwise.
    pub fn join(&mut self, now: Now) {
        if self.has_left() {
            self.speak(now, 0, MemberState::Alive);
            self.start_rounds(now);
        }
    }

    /// Tells the neighbours that this node leaves, and forgets everybody else.
    pub fn leave(&mut self, now: Now, out: &mut Outputs) {
        self.speak(now, 0, MemberState::Left);
        for neighbour in self.neighbours.values() {
            self.tell_own_record(&neighbour.contact, out);
        }
        self.table.clear();
        self.table.set(&self.own, NEVER);
        self.neighbours.clear();
        self.rumours = Rumours::default();
        self.reconcile = Reconcile::default();
        self.suspects.clear();
        self.departed.clear();
        self.probes = Probes::default();
        self.lease = Lease::new(&mut self.random);
        self.timers = Timers::new();
    }

    /// This node is reached elsewhere from now on.
    pub fn moved(&mut self, now: Now, addresses: Box<[SocketAddr]>) {
        if self.own.contact.addresses == addresses {
            return;
        }
        self.own.contact = Arc::new(Contact { addresses, ..Contact::clone(&self.own.contact) });
        if !self.has_left() {
            self.speak(now, 0, MemberState::Alive);
        }
    }

    /// Does what is due, except for [`Directory::flush`].
    pub fn handle_timeout(&mut self, now: Now, out: &mut Outputs) {
        if let Some(due) = self.next_timeout() {
            if self.health.was_stalled(now.mono - due) {
                self.grant_time(now.mono);
            }
        }
        if self.timers.take_due(ROUND, now.mono) {
            self.timers.set(ROUND, now.mono + self.random.jitter(self.config.digest_period));
            self.round(now, out);
        }
        if self.timers.take_due(PROBE, now.mono) {
            self.timers.set(PROBE, now.mono + self.random.jitter(self.config.probe_period));
            self.health.recover();
            self.probe_round(now, out);
        }
        self.expire_probes(now, out);
        self.expire_suspects(now, out);
        self.forget_departed(now);
    }

    /// When to be woken next.
    pub fn next_timeout(&self) -> Option<Time> {
        let deadlines = [self.timers.next(), self.suspects.next(), self.departed.next(), self.probes.next()];
        deadlines.into_iter().flatten().min()
    }

    /// What is believed about a member, this node included.
    pub fn member(&self, name: &NodeName) -> Option<(&Arc<Contact>, MemberState)> {
        self.table.get(name).map(|entry| (&entry.contact, entry.state))
    }

    /// Everybody known, those that are gone and this node included, in an order that follows from their names.
    pub fn members(&self) -> impl Iterator<Item = (&Arc<Contact>, MemberState)> {
        self.table.iter().map(|entry| (&entry.contact, entry.state))
    }

    /// How many members are alive or suspect, this node included.
    pub fn live(&self) -> usize {
        self.table.live()
    }

    /// How many members are suspect.
    pub fn suspects(&self) -> usize {
        self.table.count(MemberState::Suspect)
    }

    /// How many other members are down or have left.
    pub fn departed(&self) -> usize {
        self.table.gone() - usize::from(self.has_left())
    }

    /// Grows with every change of what is believed about anybody.
    pub fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// Eight bytes that are equal where the same members are live.
    pub fn fingerprint(&self) -> u64 {
        self.table.fingerprint().whole()
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Some live members that are no neighbours, for an overlay that knows nobody to ask.
    pub fn suggest(&mut self, count: usize) -> Vec<Arc<Contact>> {
        self.some(count, |entry| is_live(entry.state))
    }

    /// Some of the members of a kind that are neither neighbours nor this node, at random.
    pub(super) fn some(&mut self, count: usize, is_wanted: impl Fn(&Entry) -> bool) -> Vec<Arc<Contact>> {
        let (neighbours, me) = (&self.neighbours, &self.own.contact.name);
        let is_wanted = |entry: &Entry| {
            let name = &entry.contact.name;
            is_wanted(entry) && name != me && !neighbours.contains_key(name)
        };
        let mut some: Vec<Arc<Contact>> = Vec::new();
        for _ in 0..TRIES * count {
            let Some(entry) = self.table.nth(self.random.below(self.table.len())) else { break };
            if is_wanted(entry) && some.iter().all(|known| known.name != entry.contact.name) {
                some.push(Arc::clone(&entry.contact));
            }
            if some.len() == count {
                return some;
            }
        }
        // There are few of them, or none: all are looked at.
        let mut all: Vec<_> = self.table.iter().filter(|entry| is_wanted(entry)).collect();
        self.random.sample(&mut all, count).iter().map(|entry| Arc::clone(&entry.contact)).collect()
    }

    /// Every [`Config::digest_period`]: compares with the neighbours and looks after the leases.
    fn round(&mut self, now: Now, out: &mut Outputs) {
        let digest = self.digest(now);
        for neighbour in self.neighbours.values() {
            send(&neighbour.contact, digest.clone(), out);
        }
        self.reconcile.round(self.table.generation());
        self.renew_lease(now);
        self.check_leases(now, out);
    }

    fn start_rounds(&mut self, now: Now) {
        for (timer, period) in [(ROUND, self.config.digest_period), (PROBE, self.config.probe_period)] {
            self.timers.set(timer, now.mono + self.random.between(Duration::ZERO, period));
        }
    }

    fn has_left(&self) -> bool {
        self.own.state == MemberState::Left
    }
}

pub(super) fn send(to: &Arc<Contact>, message: Message, out: &mut Outputs) {
    out.push(Output::Send { to: Arc::clone(to), message: message::Message::Directory(message) });
}

/// Random members (count) looked at for each one that is wanted, before all are: while most members are wanted this
/// spares a walk through thousands.
const TRIES: usize = 16;

/// The end of time.
pub(super) const NEVER: Time = Time(u64::MAX);

/// The next comparison of digests.
const ROUND: usize = 0;
/// The next probe.
const PROBE: usize = 1;
/// The next flush of rumours.
pub(super) const FLUSH: usize = 2;
