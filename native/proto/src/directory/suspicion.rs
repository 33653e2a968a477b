// SPDX-License-Identifier: Apache-2.0
//! From a link that fell silent to a member that is down (SWIM section 4.2).
//!
//! Keeps: a suspect has its whole time to refute on every node that hears of the suspicion, and gets it again from a
//! node that was itself stalled.

use barrel_p2p_base::limits::MAX_DEPARTED;
use barrel_p2p_base::{NodeName, Time};

use super::learn::Source;
use super::probe::{Asked, Purpose};
use super::record::{is_live, Record};
use super::state::NEVER;
use super::Directory;
use crate::machine::{MemberState, Now, Outputs, Why};

impl Directory {
    /// A peer cannot be reached. Only members that are believed to live change by that.
    pub fn unreachable(&mut self, now: Now, name: &NodeName, why: Why, out: &mut Outputs) {
        let asked = self.probes.cancel(name);
        match why {
            Why::Closed => {}
            // The dial began while the member was down. If it has spoken since, this says nothing against it.
            Why::DialFailed if asked.is_some_and(Asked::heals) => {}
            Why::DialFailed | Why::Lost => {
                self.suspect(now, name, out);
                self.probe_failed(now, asked, out);
            }
            Why::Stopped => self.declare_down(now, name, Source::Own, out),
        }
    }

    /// This node could not reach the member: tells everybody, and tries once more.
    pub(super) fn suspect(&mut self, now: Now, name: &NodeName, out: &mut Outputs) {
        let Some(known) = self.other_record(name).filter(|known| known.state == MemberState::Alive) else { return };
        self.stats.suspected += 1;
        let record = Record { state: MemberState::Suspect, ..known.clone() };
        self.believe(now, &record, Some(&known), Source::Own, out);
        self.probe(now, name, Purpose::Suspicion, out);
    }

    /// The time of these suspects is over.
    pub(super) fn expire_suspects(&mut self, now: Now, out: &mut Outputs) {
        while let Some((at, suspect)) = self.suspects.take(now.mono) {
            if self.table.is_suspect(&suspect, at) {
                self.declare_down(now, &suspect.name, Source::Expiry, out);
            }
        }
    }

    /// This node did not run for a while, and may have missed what speaks for others.
    pub(super) fn grant_time(&mut self, now: Time) {
        let until = now + self.health.stretch(self.config.suspicion);
        let table = &mut self.table;
        self.suspects.postpone(until, |suspect, at| {
            let counts = table.is_suspect(suspect, at);
            if let Some(entry) = table.get_mut(&suspect.name).filter(|_| counts) {
                entry.postpone(until);
            }
            counts
        });
        self.probes.postpone(now + self.config.probe_timeout);
    }

    /// A suspect has some time to refute.
    pub(super) fn await_refutation(&mut self, now: Now, record: &Record) {
        let until = now.mono + self.health.stretch(self.config.suspicion);
        self.table.set(record, until);
        self.suspects.add(until, &record.contact);
    }

    /// Remembers for a while that a member is gone.
    pub(super) fn bury(&mut self, now: Now, record: &Record) {
        let until = now.mono + self.config.memory;
        self.table.set(record, until);
        self.departed.add(until, &record.contact);
        let table = &self.table;
        self.departed.tidy(table.gone(), |gone, at| table.is_gone(gone, at));
        self.forget_departed(now);
    }

    /// Forgets those that have been gone for too long, and the longest gone if there are too many.
    pub(super) fn forget_departed(&mut self, now: Now) {
        loop {
            let until = if self.table.gone() > MAX_DEPARTED { NEVER } else { now.mono };
            let Some((at, gone)) = self.departed.take(until) else { break };
            if self.table.is_gone(&gone, at) {
                self.table.take(&gone.name);
            }
        }
    }

    fn declare_down(&mut self, now: Now, name: &NodeName, source: Source<'_>, out: &mut Outputs) {
        let Some(known) = self.other_record(name).filter(|known| is_live(known.state)) else { return };
        self.stats.declared_down += 1;
        let record = Record { state: MemberState::Down, ..known.clone() };
        self.believe(now, &record, Some(&known), source, out);
    }

    /// What is believed about another member.
    fn other_record(&self, name: &NodeName) -> Option<Record> {
        self.table.record(name).filter(|_| *name != self.own.contact.name)
    }
}
