// SPDX-License-Identifier: Apache-2.0
//! Everything that is believed, by name.
//!
//! Keeps: the fingerprint and the count of live members always fit the entries. An entry takes 24 bytes and shares its
//! contact, so that a simulation can hold a directory per node. Leaves to others: whom to believe.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use barrel_p2p_base::{NodeName, Time};

use super::fingerprint::Fingerprint;
use super::record::{is_live, Record};
use crate::contact::Contact;
use crate::machine::MemberState;

#[derive(Debug)]
pub(super) struct Table {
    entries: BTreeMap<ByName, Entry>,
    fingerprint: Fingerprint,
    live: usize,
    generation: u64,
}

/// What is believed about a member, beside its contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: u32,
    /// The last beat of its lease that came here.
    pub(super) beat: u32,
    /// When it came, in whole seconds.
    heard: u32,
    pub(super) state: MemberState,
}

impl Entry {
    pub(super) fn heard(&self) -> Time {
        Time(u64::from(self.heard) * 1_000_000)
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), fingerprint: Fingerprint::new(), live: 0, generation: 0 }
    }

    /// Believes a record from now on, instead of the one before.
    pub(super) fn set(&mut self, now: Time, record: &Record) {
        let before = self.take(&record.contact.name);
        let beat = before.filter(|(contact, _)| contact.incarnation == record.contact.incarnation);
        let beat = beat.map_or(0, |(_, entry)| entry.beat);
        let entry = Entry { version: record.version, beat, heard: seconds(now), state: record.state };
        if is_live(record.state) {
            self.live += 1;
            self.fingerprint.add(&record.contact, record.version);
        }
        self.entries.insert(ByName(Arc::clone(&record.contact)), entry);
        self.generation += 1;
    }

    /// Forgets a member.
    pub(super) fn take(&mut self, name: &NodeName) -> Option<(Arc<Contact>, Entry)> {
        let (ByName(contact), entry) = self.entries.remove_entry(name)?;
        if is_live(entry.state) {
            self.live -= 1;
            self.fingerprint.remove(&contact, entry.version);
        }
        self.generation += 1;
        Some((contact, entry))
    }

    /// Forgets everybody.
    pub(super) fn clear(&mut self) {
        *self = Self { generation: self.generation, ..Self::new() };
    }

    /// Grows with every change of a record.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Renews a lease: a beat came, or the member itself was heard.
    pub(super) fn renew(&mut self, now: Time, name: &NodeName, beat: u32) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.heard = seconds(now);
            entry.beat = entry.beat.max(beat);
        }
    }

    pub(super) fn get(&self, name: &NodeName) -> Option<(&Arc<Contact>, &Entry)> {
        self.entries.get_key_value(name).map(|(ByName(contact), entry)| (contact, entry))
    }

    pub(super) fn record(&self, name: &NodeName) -> Option<Record> {
        self.get(name).map(|(contact, entry)| record(contact, entry))
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.iter().map(|(contact, entry)| record(contact, entry))
    }

    /// All, in the order of names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<Contact>, &Entry)> {
        self.entries.iter().map(|(ByName(contact), entry)| (contact, entry))
    }

    /// Those after `name`, in the order of names.
    pub(super) fn after(&self, name: Option<&NodeName>) -> impl Iterator<Item = (&Arc<Contact>, &Entry)> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range::<NodeName, _>((from, Bound::Unbounded)).map(|(ByName(contact), entry)| (contact, entry))
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// How many are live.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn record(contact: &Arc<Contact>, entry: &Entry) -> Record {
    Record { contact: Arc::clone(contact), version: entry.version, state: entry.state }
}

fn seconds(time: Time) -> u32 {
    u32::try_from(time.0 / 1_000_000).unwrap_or(u32::MAX)
}

/// A contact that is found by its name.
#[derive(Debug)]
struct ByName(Arc<Contact>);

impl Borrow<NodeName> for ByName {
    fn borrow(&self) -> &NodeName {
        &self.0.name
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ByName {}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.name.cmp(&other.0.name)
    }
}
