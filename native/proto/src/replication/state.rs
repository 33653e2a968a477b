// SPDX-License-Identifier: Apache-2.0
//! All stores of a node, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{CloseCode, NodeName, Random, Time};
use bytes::Bytes;

use super::answers;
use super::message::{Answer, Body, Message, Question};
use super::replica::{Replica, SEEKS};
use super::session::{Outcome, Session, Step};
use super::{Config, Shelf, Stats};
use crate::contact::Contact;
use crate::hlc::Clock;
use crate::machine::{Now, Output, Outputs};
use crate::message;
use crate::store::{Store, StoreName};

/// Keeps the stores of this node equal to those of the others.
pub struct Replication {
    pub(super) config: Config,
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) clock: Arc<Clock>,
    pub(super) random: Random,
    pub(super) me: NodeName,
    pub(super) neighbours: BTreeMap<NodeName, Arc<Contact>>,
    pub(super) replicas: BTreeMap<StoreName, Replica>,
    /// When which store is to be looked at.
    pub(super) agenda: BTreeSet<(Time, StoreName)>,
    /// When tombstones are looked at.
    pub(super) next_collection: Time,
    /// Since when nobody is away, as far as is known; none while somebody is.
    pub(super) complete_since: Option<Time>,
    /// What is to be broadcast.
    pub(super) deltas: Vec<Bytes>,
    pub(super) stats: Stats,
}

impl Replication {
    /// Of the stores that are open, and of those that will be.
    pub fn new(config: Config, me: NodeName, clock: Arc<Clock>, shelf: Arc<dyn Shelf>, seed: u64, now: Now) -> Self {
        let names = shelf.names();
        let mut replication = Self {
            config,
            shelf,
            clock,
            random: Random::new(seed),
            me,
            neighbours: BTreeMap::new(),
            replicas: BTreeMap::new(),
            agenda: BTreeSet::new(),
            next_collection: now.mono,
            complete_since: Some(now.mono),
            deltas: Vec::new(),
            stats: Stats::default(),
        };
        names.into_iter().for_each(|name| replication.opened(now, &name));
        replication
    }

    /// The host has opened a store.
    pub fn opened(&mut self, now: Now, store: &StoreName) {
        let ticket = self.random.u64() as u32;
        let mut replica = Replica::new(ticket);
        if let Some(old) = self.replicas.remove(store) {
            // Opened anew: what was under way belongs to the store before.
            old.wake.into_iter().for_each(|at| {
                self.agenda.remove(&(at, store.clone()));
            });
        }
        for peer in self.neighbours.values() {
            replica.want(peer, now.mono);
        }
        replica.next_round = self.next_round(now);
        // It may have been written to, and peers may have said something, before it was opened here.
        replica.flush = Some(now.mono);
        self.shelf.visit(store, &mut |store| replica.is_undrained = store.has_unjudged());
        self.replicas.insert(store.clone(), replica);
        self.arm(store);
    }

    /// The host has taken everything that was staged.
    pub fn drained(&mut self, now: Now, store: &StoreName, out: &mut Outputs) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        let mut is_undrained = true;
        self.shelf.visit(store, &mut |store| is_undrained = store.has_staged());
        replica.is_undrained = is_undrained;
        if is_undrained {
            return;
        }
        if std::mem::take(&mut replica.lacks) {
            let neighbours: Vec<_> = self.neighbours.values().collect();
            if let Some(peer) = self.random.pick(&neighbours) {
                replica.want(peer, now.mono);
            }
        }
        self.advance(now, store, out);
    }

    /// The overlay has a new neighbour.
    pub fn neighbour_up(&mut self, now: Now, contact: &Arc<Contact>) {
        self.neighbours.insert(contact.name.clone(), Arc::clone(contact));
        let mut begun = Vec::new();
        for (name, replica) in &mut self.replicas {
            replica.set_present(&contact.name);
            // One of the two begins; a store that was never compared does not rely on the other one.
            if self.me < contact.name {
                replica.want(contact, now.mono);
            } else if replica.is_fresh {
                replica.want(contact, now.mono + TURN_PATIENCE);
            } else {
                continue;
            }
            begun.push(name.clone());
        }
        begun.iter().for_each(|name| self.arm(name));
    }

    /// The overlay has a neighbour less.
    pub fn neighbour_down(&mut self, name: &NodeName) {
        self.neighbours.remove(name);
    }

    /// A peer cannot be reached: nothing more will come from it.
    pub fn unreachable(&mut self, name: &NodeName) {
        let mut ended = Vec::new();
        for (store, replica) in &mut self.replicas {
            let had_session = replica.session.is_some();
            replica.forget(name);
            if had_session && replica.session.is_none() {
                self.stats.given_up += 1;
                ended.push(store.clone());
            }
        }
        ended.iter().for_each(|store| self.arm(store));
    }

    /// Nobody is to be compared with any more.
    pub fn leave(&mut self) {
        self.neighbours.clear();
        let names: Vec<_> = self.replicas.keys().cloned().collect();
        for name in &names {
            self.replicas.get_mut(name).into_iter().for_each(Replica::stop);
            self.arm(name);
        }
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// A peer says something about a store.
    pub fn on_message(&mut self, now: Now, from: &Arc<Contact>, message: Message, out: &mut Outputs) {
        let Message { store, body } = message;
        match body {
            Body::Question { ticket, question } => {
                let mut answer = Answer::Absent;
                self.shelf.visit(&store, &mut |store| answer = answers::answer(store, &question));
                self.stats.answered += 1;
                if let Some(replica) = self.replicas.get_mut(&store) {
                    replica.set_present(&from.name);
                    if matches!(question, Question::Compare(_)) {
                        // Its comparison serves both.
                        replica.unwant(&from.name);
                    }
                }
                send(from, &store, Body::Answer { ticket, answer }, out);
                self.arm(&store);
            }
            Body::Answer { ticket, answer } => self.on_answer(now, from, &store, ticket, answer, out),
            Body::Offer(entries) => {
                let staged = self.take(now, &store, entries, out);
                self.follow_up(now, &store, from, staged);
            }
            Body::Behind => {
                if let Some(replica) = self.replicas.get_mut(&store) {
                    replica.hint(from, now.mono);
                    self.advance(now, &store, out);
                }
            }
        }
    }

    fn on_answer(
        &mut self,
        now: Now,
        from: &Arc<Contact>,
        store: &StoreName,
        ticket: u32,
        answer: Answer,
        out: &mut Outputs,
    ) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        let Some(session) = replica.session.as_mut().filter(|session| session.peer.name == from.name) else { return };
        let mut outcome = session.on_answer(ticket, answer);
        while outcome == Outcome::Told {
            outcome = Outcome::Stray;
            self.shelf.visit(store, &mut |store| outcome = session.compare(store));
        }
        match outcome {
            Outcome::Stray | Outcome::Told => return,
            Outcome::Absent => {
                replica.set_absent(&from.name);
                replica.session = None;
                self.stats.finished += 1;
                self.seek(now, store);
            }
            Outcome::Brought(entries) => {
                let staged = self.take(now, store, entries, out);
                self.follow_up(now, store, from, staged);
            }
            Outcome::Lacks(entries) => {
                if !entries.is_empty() {
                    send(from, store, Body::Offer(entries), out);
                }
            }
            Outcome::Violation => {
                self.stats.violations += 1;
                self.stats.given_up += 1;
                replica.session = None;
                out.push(Output::Close { name: from.name.clone(), code: CloseCode::ProtocolError });
            }
        }
        self.advance(now, store, out);
    }

    /// Goes on with the comparison of a store, or begins the next one.
    pub(super) fn advance(&mut self, now: Now, store: &StoreName, out: &mut Outputs) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        loop {
            if replica.begin(now.mono) {
                self.stats.begun += 1;
            }
            let has_room = !replica.is_undrained;
            let Some(session) = &mut replica.session else { break };
            let mut step = Step::Wait;
            let is_open =
                self.shelf.visit(store, &mut |store: &mut Store| step = session.step(now.mono, store, has_room));
            match step {
                Step::Wait if is_open => break,
                Step::Wait => replica.session = None,
                Step::Ask(ticket, question) => {
                    send(&session.peer, store, Body::Question { ticket, question }, out);
                    break;
                }
                Step::Finish => {
                    self.stats.finished += 1;
                    replica.is_fresh = false;
                    replica.seeks = SEEKS;
                    if let Some(Session { peer, hinted: false, peer_is_behind: true, .. }) = replica.session.take() {
                        send(&peer, store, Body::Behind, out);
                    }
                }
            }
        }
        self.arm(store);
    }

    /// Sees to it that a store is looked at when it wants to be.
    pub(super) fn arm(&mut self, store: &StoreName) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        let wake = replica.next();
        if wake == replica.wake {
            return;
        }
        if let Some(old) = std::mem::replace(&mut replica.wake, wake) {
            self.agenda.remove(&(old, store.clone()));
        }
        if let Some(at) = wake {
            self.agenda.insert((at, store.clone()));
        }
    }
}

impl fmt::Debug for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replication")
            .field("replicas", &self.replicas)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

pub(super) fn send(to: &Arc<Contact>, store: &StoreName, body: Body, out: &mut Outputs) {
    let message = message::Message::Store(Message { store: store.clone(), body });
    out.push(Output::Send { to: Arc::clone(to), message });
}

/// How long a store that was never compared waits for a new neighbour whose turn it is to begin.
const TURN_PATIENCE: Duration = Duration::from_secs(1);
