// SPDX-License-Identifier: Apache-2.0
//! What has changed, on its way to the neighbours.
//!
//! Keeps: a change is passed on once, as what is believed when it leaves, and never to a neighbour it came from. The
//! first change leaves at once, those that follow it closely travel together.

use std::collections::BTreeMap;
use std::time::Duration;

use barrel_p2p_base::limits::MAX_RECORDS;
use barrel_p2p_base::{NodeName, Time};

use super::message::Beat;
use super::record::Record;
use super::state::{send, FLUSH};
use super::{Directory, Message};
use crate::machine::{Now, Outputs};

/// Names of those about whom there is news, each with the neighbours that have it already.
type Queue = BTreeMap<NodeName, Vec<NodeName>>;

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
    /// This neighbour has brought what waits here, too.
    pub(super) fn brought_again(&mut self, name: &NodeName, by: &NodeName) {
        for queue in [&mut self.urgent, &mut self.calm] {
            if let Some(sources) = queue.get_mut(name) {
                sources.push(by.clone());
            }
        }
    }

    /// This neighbour has brought the beat that waits here, too.
    pub(super) fn beat_again(&mut self, name: &NodeName, by: &NodeName) {
        if let Some(sources) = self.beats.get_mut(name) {
            sources.push(by.clone());
        }
    }
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
            let Some((name, source)) = self.rumours.urgent.pop_first() else { break };
            urgent.extend(self.table.record(&name).map(|record| (record, source)));
        }
        while urgent.len() + calm.len() < FLUSH_RECORDS {
            let Some((name, source)) = self.rumours.calm.pop_first() else { break };
            calm.extend(self.table.record(&name).map(|record| (record, source)));
        }
        while beats.len() < MAX_RECORDS {
            let Some((name, source)) = self.rumours.beats.pop_first() else { break };
            beats.extend(self.table.get(&name).map(|(contact, entry)| {
                let beat = Beat { name: name.clone(), incarnation: contact.incarnation, beat: entry.beat };
                (beat, source)
            }));
        }
        for (name, neighbour) in &self.neighbours {
            let eager = is_eager(name);
            let calm = if eager { calm.as_slice() } else { &[] };
            let records: Vec<Record> = others(urgent.iter().chain(calm), name).collect();
            let mut beats: Vec<Beat> = others(if eager { beats.iter() } else { [].iter() }, name).collect();
            let (first, rest) = records.split_at(records.len().min(MAX_RECORDS));
            if !first.is_empty() || !beats.is_empty() {
                let message = Message::Rumours { records: first.to_vec(), beats: std::mem::take(&mut beats) };
                send(&neighbour.contact, message, out);
            }
            for records in rest.chunks(MAX_RECORDS) {
                send(&neighbour.contact, Message::Rumours { records: records.to_vec(), beats: Vec::new() }, out);
            }
        }
        let rumours = &self.rumours;
        if !(rumours.urgent.is_empty() && rumours.calm.is_empty() && rumours.beats.is_empty()) {
            self.timers.set(FLUSH, now.mono + FLUSH_PERIOD);
        }
    }

    /// What is believed about this member goes to the neighbours, but not back to `source`.
    pub(super) fn spread(&mut self, now: Now, name: &NodeName, urgent: bool, source: Option<&NodeName>) {
        let rumours = &mut self.rumours;
        let upgraded = urgent && rumours.calm.remove(name).is_some();
        debug_assert!(!upgraded || !rumours.urgent.contains_key(name));
        let queue = if urgent || rumours.urgent.contains_key(name) { &mut rumours.urgent } else { &mut rumours.calm };
        queue.insert(name.clone(), source.cloned().into_iter().collect());
        self.wake_for_flush(now);
    }

    pub(super) fn spread_beat(&mut self, now: Now, name: &NodeName, source: Option<&NodeName>) {
        self.rumours.beats.insert(name.clone(), source.cloned().into_iter().collect());
        self.wake_for_flush(now);
    }

    fn wake_for_flush(&mut self, now: Now) {
        if self.timers.get(FLUSH).is_none() {
            self.timers.set(FLUSH, now.mono.max(self.rumours.last + FLUSH_PERIOD));
        }
    }
}

/// Those that `name` does not have.
fn others<'a, T: Clone + 'a>(
    news: impl Iterator<Item = &'a (T, Vec<NodeName>)> + 'a,
    name: &'a NodeName,
) -> impl Iterator<Item = T> + 'a {
    news.filter(|(_, sources)| !sources.contains(name)).map(|(item, _)| item.clone())
}

/// Time between two flushes. Ten hops of it take a second: half of the time that a suspect has.
const FLUSH_PERIOD: Duration = Duration::from_millis(100);

/// Records (count) in one flush: 400 kB to each neighbour, so that a merge of two halves of 5,000 members takes little
/// longer than its round trips, and does not fill the outboxes either.
const FLUSH_RECORDS: usize = 4096;
