// SPDX-License-Identifier: Apache-2.0
//! Asking members that are no neighbours (SWIM section 3.1): whether they live, and whether those that are down came
//! back.
//!
//! Keeps: while nobody dies a node sends one probe per period, whatever the size of the cluster, and all nodes
//! together send a member that is down a few, whatever their number. A probe that is not answered makes a suspect.

use std::collections::BTreeMap;
use std::sync::Arc;

use barrel_p2p_base::{NodeName, Time};

use super::deadlines::Deadlines;
use super::learn::Source;
use super::record::Record;
use super::state::send;
use super::{Directory, Message};
use crate::contact::Contact;
use crate::machine::{MemberState, Now, Outputs};

/// Probes that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Probes {
    asked: BTreeMap<NodeName, Asked>,
    deadlines: Deadlines,
    /// A member of what seems to be another overlay.
    bridge: Option<Arc<Contact>>,
    /// Before that, no other one is offered.
    next_bridge: Time,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    purpose: Purpose,
    at: Time,
    until: Time,
}

/// Why a member is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is down. Its answer shows that there are two clusters where there was one.
    Heal,
    /// No beat of it came for long. Its answer shows that rumours do not find their way.
    Lease,
    /// It is its turn.
    Sample,
    /// So that it refutes.
    Suspicion,
}

impl Asked {
    /// Was it down when it was asked?
    pub(super) fn heals(self) -> bool {
        self.purpose == Purpose::Heal
    }
}

impl Probes {
    pub(super) fn cancel(&mut self, name: &NodeName) -> Option<Asked> {
        self.asked.remove(name)
    }

    /// How many are asked for this purpose.
    fn pending(&self, purpose: Purpose) -> usize {
        self.asked.values().filter(|asked| asked.purpose == purpose).count()
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.deadlines.next()
    }

    pub(super) fn postpone(&mut self, earliest: Time) {
        let asked = &mut self.asked;
        self.deadlines.postpone(earliest, |member, at| {
            let counting = asked.get_mut(&member.name).filter(|asked| asked.until == at);
            counting.map(|asked| asked.until = earliest).is_some()
        });
    }
}

impl Directory {
    /// A member that answers, although everything looks as if it were in another overlay: to be joined.
    pub fn take_bridge(&mut self) -> Option<Arc<Contact>> {
        self.probes.bridge.take()
    }

    /// Every [`Config::probe_period`](super::Config::probe_period).
    pub(super) fn probe_round(&mut self, now: Now, out: &mut Outputs) {
        self.sample(now, 1, out);
        // If all do so, each member that is down is tried about HEALERS times in a period.
        let down = self.table.count(MemberState::Down);
        if self.random.below(self.table.live()) < down * HEALERS {
            for lost in self.some(1, |entry| entry.state == MemberState::Down) {
                self.probe(now, &lost.name, Purpose::Heal, out);
            }
        }
    }

    /// A probe found nobody. Where one has died unseen more may have, if all their neighbours died with them: two others
    /// are asked at once, so that the search widens as long as it finds the dead.
    pub(super) fn probe_failed(&mut self, now: Now, asked: Option<Asked>, out: &mut Outputs) {
        if asked.is_some_and(|asked| asked.purpose == Purpose::Sample)
            && self.probes.pending(Purpose::Sample) < MOST_PENDING
        {
            self.sample(now, 2, out);
        }
    }

    /// Another node could not reach this one. Where many are suspected only some are asked.
    pub(super) fn probe_suspect(&mut self, now: Now, name: &NodeName, out: &mut Outputs) {
        if self.probes.pending(Purpose::Suspicion) < MOST_PENDING {
            self.probe(now, name, Purpose::Suspicion, out);
        }
    }

    /// Asks some of those who are no neighbours.
    fn sample(&mut self, now: Now, count: usize, out: &mut Outputs) {
        for member in self.some(count, |entry| entry.state == MemberState::Alive) {
            self.probe(now, &member.name, Purpose::Sample, out);
        }
    }

    /// Asks a member, by telling it what is believed about it. Who has been asked already keeps the time that it has, or
    /// silence would never come to light; only a suspicion is news to it.
    pub(super) fn probe(&mut self, now: Now, name: &NodeName, purpose: Purpose, out: &mut Outputs) {
        if purpose != Purpose::Suspicion && self.probes.asked.contains_key(name) {
            return;
        }
        let Some(record) = self.table.record(name) else { return };
        let until = now.mono + self.health.stretch(self.config.probe_timeout);
        self.probes.asked.insert(name.clone(), Asked { purpose, at: now.mono, until });
        let to = Arc::clone(&record.contact);
        self.probes.deadlines.add(until, &to);
        send(&to, Message::Probe(record), out);
    }

    pub(super) fn on_probe(&mut self, now: Now, from: &Arc<Contact>, record: Record, out: &mut Outputs) {
        self.learn(now, record, Source::Rumour(from), out);
        self.tell_own_record(from, out);
    }

    pub(super) fn probe_answered(&mut self, now: Now, from: &Arc<Contact>) {
        let Some(asked) = self.probes.cancel(&from.name) else { return };
        self.health.was_answered(now.mono - asked.at);
        let bridges = match asked.purpose {
            Purpose::Heal => true,
            Purpose::Lease => !self.neighbours.is_empty() && !self.neighbours.contains_key(&from.name),
            Purpose::Sample | Purpose::Suspicion => false,
        };
        if bridges && now.mono >= self.probes.next_bridge {
            self.probes.next_bridge = now.mono + self.config.probe_period / 2;
            self.probes.bridge = Some(Arc::clone(from));
        }
    }

    pub(super) fn expire_probes(&mut self, now: Now, out: &mut Outputs) {
        while let Some((at, member)) = self.probes.deadlines.take(now.mono) {
            let name = &member.name;
            if self.probes.asked.get(name).is_none_or(|asked| asked.until != at) {
                continue;
            }
            let asked = self.probes.cancel(name);
            if asked.is_some_and(|asked| matches!(asked.purpose, Purpose::Lease | Purpose::Sample)) {
                self.suspect(now, name, out);
                self.probe_failed(now, asked, out);
            }
        }
    }
}

/// Samples, and suspects of others (count of each), that may be unanswered at once. With eight samples, each taking a dial
/// of five seconds, fifty survivors of a thousand know all the dead within half a minute; more would crowd the network of a
/// node that is itself cut off.
const MOST_PENDING: usize = 8;

/// Attempts per period at each member that is down, by all others together. Three of them find a half that came back
/// within a period even if two fail.
const HEALERS: usize = 3;
