// SPDX-License-Identifier: Apache-2.0
//! What has changed, on its way to the neighbours.
//!
//! Keeps: a change is passed on once, as what is believed when it leaves, and never to a neighbour it came from. The
//! first change leaves at once, those that follow it closely travel together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::limits::MAX_RECORDS;
use barrel_p2p_base::{NodeName, Time};

use super::message::Beat;
use super::record::Record;
use super::state::{send, FLUSH};
use super::{Directory, Message};
use crate::contact::Contact;
use crate::machine::{MemberState, Now, Outputs};

/// Names of those about whom there is news, each with the set of neighbours that have it already.
type Queue = BTreeMap<NodeName, u64>;

#[derive(Debug, Default)]
pub(super) struct Rumours {
    /// About suspicion and its end, for every neighbour: the tree is least to be trusted when members die.
    urgent: Queue,
    /// About all else, for the edges of the tree.
    calm: Queue,
    beats: Queue,
    last: Time,
}

impl Rumours {
    /// Does nothing wait?
    pub(super) fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.calm.is_empty() && self.beats.is_empty()
    }

    /// This neighbour has brought what waits here, too.
    pub(super) fn brought_again(&mut self, name: &NodeName, by: u64) {
        for queue in [&mut self.urgent, &mut self.calm] {
            if let Some(had_by) = queue.get_mut(name) {
                *had_by |= by;
            }
        }
    }

    /// This neighbour has brought the beat that waits here, too.
    pub(super) fn beat_again(&mut self, name: &NodeName, by: u64) {
        if let Some(had_by) = self.beats.get_mut(name) {
            *had_by |= by;
        }
    }

    /// This neighbour is none any more; another one may get its bit.
    pub(super) fn left(&mut self, bit: u64) {
        for queue in [&mut self.urgent, &mut self.calm, &mut self.beats] {
            queue.values_mut().for_each(|had_by| *had_by &= !bit);
        }
    }
}

/// A bit for a new neighbour that none of the others has; none if there are too many. Who has none gets news twice.
pub(super) fn free_bit(taken: impl Iterator<Item = u64>) -> u64 {
    let free = !taken.fold(0, |all, bit| all | bit);
    free & free.wrapping_neg()
}

impl Directory {
    /// Are there rumours whose time has come?
    pub fn flush_due(&self, now: Now) -> bool {
        self.timers.get(FLUSH).is_some_and(|at| at <= now.mono)
    }

    /// Sends what is new to the neighbours; what is not urgent only to those in the broadcast tree.
    pub fn flush(&mut self, now: Now, is_eager: impl Fn(&NodeName) -> bool, out: &mut Outputs) {
        self.timers.cancel(FLUSH);
        self.rumours.last = now.mono;
        let mut urgent = Vec::new();
        let mut calm = Vec::new();
        let mut beats = Vec::new();
        while urgent.len() < FLUSH_RECORDS {
            let Some((name, had_by)) = self.rumours.urgent.pop_first() else { break };
            urgent.extend(self.table.record(&name).map(|record| (record, had_by)));
        }
        while urgent.len() + calm.len() < FLUSH_RECORDS {
            let Some((name, had_by)) = self.rumours.calm.pop_first() else { break };
            calm.extend(self.table.record(&name).map(|record| (record, had_by)));
        }
        while beats.len() < MAX_RECORDS {
            let Some((name, had_by)) = self.rumours.beats.pop_first() else { break };
            let entry = self.table.get(&name).filter(|entry| entry.state == MemberState::Alive);
            beats.extend(entry.map(|entry| {
                let (incarnation, beat) = (entry.contact.incarnation, entry.beat());
                (Beat { name: name.clone(), incarnation, beat }, had_by)
            }));
        }
        for (name, neighbour) in &self.neighbours {
            let eager = is_eager(name);
            let calm = if eager { calm.as_slice() } else { &[] };
            let bit = neighbour.bit;
            let mut beats: Vec<Beat> = lacked(if eager { beats.iter() } else { [].iter() }, bit).collect();
            let mut news = lacked(urgent.iter().chain(calm), bit).peekable();
            while news.peek().is_some() || !beats.is_empty() {
                let records: Vec<Record> = news.by_ref().take(MAX_RECORDS).collect();
                send(&neighbour.contact, Message::Rumours { records, beats: std::mem::take(&mut beats) }, out);
            }
        }
        if !self.rumours.is_empty() {
            self.timers.set(FLUSH, now.mono + FLUSH_PERIOD);
        }
    }

    /// What is believed about this member goes to the neighbours, but not back to `source`.
    pub(super) fn spread(&mut self, now: Now, name: &NodeName, urgent: bool, source: Option<&Arc<Contact>>) {
        let had_by = self.bit(source);
        let rumours = &mut self.rumours;
        let upgraded = urgent && rumours.calm.remove(name).is_some();
        debug_assert!(!upgraded || !rumours.urgent.contains_key(name));
        let queue = if urgent || rumours.urgent.contains_key(name) { &mut rumours.urgent } else { &mut rumours.calm };
        queue.insert(name.clone(), had_by);
        self.wake_for_flush(now);
    }

    pub(super) fn spread_beat(&mut self, now: Now, name: &NodeName, source: Option<&Arc<Contact>>) {
        let had_by = self.bit(source);
        self.rumours.beats.insert(name.clone(), had_by);
        self.wake_for_flush(now);
    }

    /// The bit of a neighbour; none of somebody else.
    pub(super) fn bit(&self, of: Option<&Arc<Contact>>) -> u64 {
        of.and_then(|of| self.neighbours.get(&of.name)).map_or(0, |neighbour| neighbour.bit)
    }

    fn wake_for_flush(&mut self, now: Now) {
        if self.timers.get(FLUSH).is_none() {
            self.timers.set(FLUSH, now.mono.max(self.rumours.last + FLUSH_PERIOD));
        }
    }
}

/// What the neighbour of this bit does not have.
fn lacked<'a, T: Clone + 'a>(news: impl Iterator<Item = &'a (T, u64)> + 'a, bit: u64) -> impl Iterator<Item = T> + 'a {
    news.filter(move |(_, had_by)| had_by & bit == 0).map(|(item, _)| item.clone())
}

/// Time between two flushes. Ten hops of it take a second: half of the time that a suspect has.
const FLUSH_PERIOD: Duration = Duration::from_millis(100);

/// Records (count) in one flush: 400 kB to each neighbour, so that a merge of two halves of 5,000 members takes little
/// longer than its round trips, and does not fill the outboxes either.
const FLUSH_RECORDS: usize = 4096;
