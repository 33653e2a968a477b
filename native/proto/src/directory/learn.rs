// SPDX-License-Identifier: Apache-2.0
//! Hearing claims: which are believed, and what follows.

use std::cmp::Ordering;
use std::sync::Arc;

use barrel_p2p_base::limits::MAX_MEMBERS;

use super::record::{is_live, Record};
use super::state::{send, NEVER};
use super::table::Entry;
use super::{Directory, Message};
use crate::contact::Contact;
use crate::machine::{Event, MemberState, Now, Output, Outputs};

/// How this node came to know.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// A suspicion has ended; it ends everywhere by itself.
    Expiry,
    /// The member itself is at the other end of a link. It tells the others itself.
    Link,
    /// This node found out, or decided.
    Own,
    /// As news, from this peer.
    Rumour(&'a Arc<Contact>),
    /// By comparison with this peer.
    Comparison(&'a Arc<Contact>),
}

impl Directory {
    /// A peer claims all this. It is told what it has missed.
    pub(super) fn learn_all(
        &mut self,
        now: Now,
        from: &Arc<Contact>,
        records: Vec<Record>,
        source: Source<'_>,
        out: &mut Outputs,
    ) {
        self.table.warm(records.iter().map(|record| &record.contact.name));
        let mut missed: Vec<_> =
            records.into_iter().filter_map(|record| self.learn(now, record, source, out)).collect();
        missed.dedup();
        if !missed.is_empty() {
            send(from, Message::Rumours { records: missed, beats: Vec::new() }, out);
        }
    }

    /// Somebody claims this. Returns what whoever says so has missed.
    pub(super) fn learn(
        &mut self,
        now: Now,
        mut record: Record,
        source: Source<'_>,
        out: &mut Outputs,
    ) -> Option<Record> {
        if record.contact.name == self.own.contact.name {
            return self.hear_of_self(now, &record);
        }
        let known = self.table.get(&record.contact.name);
        if let Some(known) = known.filter(|known| known.says(&record)) {
            if let Source::Rumour(from) = source {
                if !self.rumours.is_empty() {
                    let by = self.bit(Some(from));
                    self.rumours.brought_again(&known.contact.name, by);
                }
            }
            return None;
        }
        let known = known.map(Entry::record);
        // A life that a link has proved may speak, however wrong its clock is.
        let proved = known.as_ref().is_some_and(|known| known.contact.incarnation == record.contact.incarnation);
        if !proved && record.contact.incarnation.started_ms > now.wall_ms.saturating_add(MAX_AHEAD_MS) {
            self.stats.refused_future += 1;
            return None;
        }
        match known {
            Some(known) => {
                // Hearsay: the member gets its time to refute from here, too.
                if record.state == MemberState::Down && known.state != MemberState::Down {
                    record.state = MemberState::Suspect;
                }
                if record.supersedes(&known) {
                    self.believe(now, &record, Some(&known), source, out);
                } else if proved && record.state == MemberState::Suspect && matches!(source, Source::Rumour(_)) {
                    // The sender has missed the refutation, and would declare the member down.
                    return Some(known).filter(|known| known.state == MemberState::Alive);
                }
            }
            // Nobody needs to know a stranger that is gone.
            None if is_live(record.state) => {
                if self.table.len() >= MAX_MEMBERS {
                    self.stats.refused_full += 1;
                } else {
                    self.believe(now, &record, None, source, out);
                }
            }
            None => {}
        }
        None
    }

    /// Replaces what is known by a record that supersedes it.
    pub(super) fn believe(
        &mut self,
        now: Now,
        record: &Record,
        known: Option<&Record>,
        source: Source<'_>,
        out: &mut Outputs,
    ) {
        let name = &record.contact.name;
        let was_live = known.is_some_and(|known| is_live(known.state));
        let new_life = known.is_some_and(|known| known.contact.incarnation != record.contact.incarnation);
        let live = is_live(record.state);
        if was_live && (new_life || !live) {
            let state = if live { MemberState::Down } else { record.state };
            out.push(Output::Event(Event::MemberDown(name.clone(), state)));
        }
        if live && (new_life || !was_live) {
            out.push(Output::Event(Event::MemberUp(Arc::clone(&record.contact))));
        }
        match record.state {
            MemberState::Alive => self.table.set(record, now.mono),
            // Only a later version of a suspicion is a new one.
            MemberState::Suspect => {
                self.await_refutation(now, record);
                // Who has just joined hears by one link alone, and may miss the refutation.
                if self.neighbours.len() < 2 && matches!(source, Source::Rumour(_) | Source::Comparison(_)) {
                    self.probe_suspect(now, name, out);
                }
            }
            MemberState::Down | MemberState::Left => self.bury(now, record),
        }
        let trouble = |state| matches!(state, MemberState::Suspect | MemberState::Down);
        let urgent = record.state != MemberState::Alive || known.is_some_and(|known| trouble(known.state));
        match source {
            Source::Expiry | Source::Link => {}
            Source::Own => self.spread(now, name, urgent, None),
            Source::Rumour(from) => self.spread(now, name, urgent, Some(from)),
            Source::Comparison(from) => {
                if known.is_some() || self.reconcile.may_tell_news() {
                    self.spread(now, name, urgent, Some(from));
                }
            }
        }
    }

    /// The peer at the other end of a link has shown that it lives.
    pub(super) fn heard(&mut self, now: Now, from: &Arc<Contact>, out: &mut Outputs) {
        let is_full = self.table.len() >= MAX_MEMBERS;
        let known = self.table.get_mut(&from.name);
        match known.map(|known| (known.contact.incarnation.cmp(&from.incarnation), known)) {
            Some((Ordering::Equal, known)) => known.renew(now.mono, 0),
            Some((Ordering::Greater, _)) => {}
            None if is_full => self.stats.refused_full += 1,
            None | Some((Ordering::Less, _)) => {
                let former = self.table.record(&from.name);
                // Version zero: anything that the member says itself counts more.
                let record = Record { contact: Arc::clone(from), version: 0, state: MemberState::Alive };
                self.believe(now, &record, former.as_ref(), Source::Link, out);
            }
        }
        self.probe_answered(now, from);
    }

    /// Tells a peer that asks, and is not held to be alive, so that it can refute. Only who asks: were a refutation
    /// answered too, two that cannot agree would never stop talking.
    pub fn correct(&self, peer: &Arc<Contact>, out: &mut Outputs) {
        if let Some(record) = self.table.record(&peer.name) {
            if record.state != MemberState::Alive && record.contact.incarnation == peer.incarnation {
                send(peer, Message::Rumours { records: vec![record], beats: Vec::new() }, out);
            }
        }
    }

    pub(super) fn tell_own_record(&self, peer: &Arc<Contact>, out: &mut Outputs) {
        send(peer, Message::Rumours { records: vec![self.own.clone()], beats: Vec::new() }, out);
    }

    /// Speaks about this node: with the version after its own and after `refuted`, which somebody claimed.
    pub(super) fn speak(&mut self, now: Now, refuted: u32, state: MemberState) {
        self.own.version = self.own.version.max(refuted).saturating_add(1);
        self.own.state = state;
        self.table.set(&self.own, if state == MemberState::Alive { now.mono } else { NEVER });
        let me = self.own.contact.name.clone();
        self.spread(now, &me, true, None);
    }

    fn hear_of_self(&mut self, now: Now, claim: &Record) -> Option<Record> {
        let own = &self.own;
        match claim.contact.incarnation.cmp(&own.contact.incarnation) {
            Ordering::Greater => {
                self.stats.impostors += 1;
                return None;
            }
            Ordering::Less => return Some(own.clone()),
            Ordering::Equal => {}
        }
        match (claim.version, claim.state).cmp(&(own.version, own.state)) {
            Ordering::Less => Some(own.clone()),
            Ordering::Equal => None,
            Ordering::Greater => {
                if own.state == MemberState::Alive {
                    self.stats.refuted += 1;
                    self.health.worsen();
                    self.speak(now, claim.version, MemberState::Alive);
                }
                Some(self.own.clone())
            }
        }
    }
}

/// How far in the future a life may have begun, in milliseconds: a day, so that no member with a clock in the wrong time
/// zone is shut out. A later one could not be superseded by a restart for longer than that.
const MAX_AHEAD_MS: u64 = 24 * 3600 * 1000;
