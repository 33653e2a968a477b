// SPDX-License-Identifier: Apache-2.0
//! Everything that is believed, by name.
//!
//! Keeps: the fingerprint and the counts always fit the entries, and their order follows from the names alone. An entry
//! takes 24 bytes and shares its contact, so that a simulation can hold a directory per node. The entries of one bucket
//! of the fingerprint lie together: finding one touches two or three places in memory, and comparing a bucket only that
//! bucket. Leaves to others: whom to believe.

use std::hint::black_box;
use std::sync::Arc;

use barrel_p2p_base::{Incarnation, NodeName, Time};

use super::fingerprint::{place, Fingerprint, Place, BUCKETS};
use super::record::{is_live, Record};
use crate::contact::Contact;
use crate::machine::MemberState;
use crate::search::search_near;

#[derive(Debug)]
pub(super) struct Table {
    /// Each in the order of places, then of names.
    buckets: Box<[Vec<Entry>]>,
    fingerprint: Fingerprint,
    /// How many are in each state.
    counts: [usize; 4],
    generation: u64,
}

/// What is believed about a member.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) contact: Arc<Contact>,
    /// Of a member that is alive: when a sign of life came, in whole seconds, and below that its last beat. Of all
    /// others: when that ends, in microseconds.
    moment: u64,
    pub(super) version: u32,
    tag: [u8; 3],
    pub(super) state: MemberState,
}

impl Entry {
    /// When a sign of life came. Only of a member that is alive.
    pub(super) fn heard(&self) -> Time {
        Time((self.moment >> 32) * 1_000_000)
    }

    /// The last beat of its lease that came here. Only of a member that is alive.
    pub(super) fn beat(&self) -> u32 {
        self.moment as u32
    }

    /// When it is down, if it is a suspect, or forgotten, if it is gone.
    pub(super) fn until(&self) -> Option<Time> {
        (self.state != MemberState::Alive).then_some(Time(self.moment))
    }

    /// A beat came, or the member itself was heard.
    pub(super) fn renew(&mut self, now: Time, beat: u32) {
        if self.state == MemberState::Alive {
            self.moment = alive(now, self.beat().max(beat));
        }
    }

    pub(super) fn postpone(&mut self, until: Time) {
        if self.state != MemberState::Alive {
            self.moment = until.0;
        }
    }

    pub(super) fn record(&self) -> Record {
        Record { contact: Arc::clone(&self.contact), version: self.version, state: self.state }
    }

    /// Is this what the record claims?
    pub(super) fn says(&self, record: &Record) -> bool {
        self.version == record.version && self.state == record.state && self.contact == record.contact
    }
}

impl Table {
    pub(super) fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| Vec::new()).collect();
        Self { buckets, fingerprint: Fingerprint::new(), counts: [0; 4], generation: 0 }
    }

    /// Brings into the cache what a look at these names will need, several at a time: look after look would wait for
    /// each. With the guess that it rests on, 3,000 whole stacks form and lose 80 % in 25.9 s of processor time, not 31.0.
    pub(super) fn warm<'a>(&self, names: impl Iterator<Item = &'a NodeName>) {
        for name in names {
            let place = place(name);
            let bucket = &self.buckets[place.bucket];
            black_box(bucket.get(guess(bucket, place)).map(|entry| entry.version));
        }
    }

    /// Believes a record from now on, instead of the one before. It is renewed at `moment` if it is alive, and ends at
    /// `moment` otherwise.
    pub(super) fn set(&mut self, record: &Record, moment: Time) {
        let place = place(&record.contact.name);
        let bucket = &mut self.buckets[place.bucket];
        let mut entry = Entry {
            contact: Arc::clone(&record.contact),
            moment: moment.0,
            version: record.version,
            tag: place.tag,
            state: record.state,
        };
        let found = find(bucket, place, &record.contact.name);
        if record.state == MemberState::Alive {
            let known = found.ok().and_then(|at| bucket.get(at));
            let beat = known.filter(|known| known.lives(record.contact.incarnation)).map_or(0, Entry::beat);
            entry.moment = alive(moment, beat);
        }
        self.counts[record.state as usize] += 1;
        if is_live(record.state) {
            self.fingerprint.add(place, &record.contact, record.version);
        }
        match found {
            Ok(at) => {
                let former = std::mem::replace(&mut bucket[at], entry);
                self.forget(place, &former);
            }
            Err(at) => {
                // Not the doubling of `Vec`: half of a directory would be empty.
                if bucket.len() == bucket.capacity() {
                    bucket.reserve_exact(bucket.len() / 8 + 2);
                }
                bucket.insert(at, entry);
            }
        }
        self.generation += 1;
    }

    /// Forgets a member.
    pub(super) fn take(&mut self, name: &NodeName) {
        let place = place(name);
        let bucket = &mut self.buckets[place.bucket];
        if let Ok(at) = find(bucket, place, name) {
            let former = bucket.remove(at);
            self.forget(place, &former);
            self.generation += 1;
        }
    }

    fn forget(&mut self, place: Place, former: &Entry) {
        self.counts[former.state as usize] -= 1;
        if is_live(former.state) {
            self.fingerprint.remove(place, &former.contact, former.version);
        }
    }

    /// Forgets everybody.
    pub(super) fn clear(&mut self) {
        *self = Self { generation: self.generation, ..Self::new() };
    }

    /// Grows with every change of a record.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn get(&self, name: &NodeName) -> Option<&Entry> {
        let place = place(name);
        let bucket = &self.buckets[place.bucket];
        find(bucket, place, name).ok().and_then(|at| bucket.get(at))
    }

    /// To renew or to postpone it.
    pub(super) fn get_mut(&mut self, name: &NodeName) -> Option<&mut Entry> {
        let place = place(name);
        let bucket = &mut self.buckets[place.bucket];
        find(bucket, place, name).ok().and_then(|at| bucket.get_mut(at))
    }

    pub(super) fn record(&self, name: &NodeName) -> Option<Record> {
        self.get(name).map(Entry::record)
    }

    /// All, in an order that follows from their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flatten()
    }

    /// Those after `name` in that order.
    pub(super) fn after(&self, name: Option<&NodeName>) -> impl Iterator<Item = &Entry> {
        let (bucket, from) = name.map_or((0, 0), |name| {
            let place = place(name);
            let found = find(&self.buckets[place.bucket], place, name);
            (place.bucket, found.map_or_else(|at| at, |at| at + 1))
        });
        self.buckets[bucket..].iter().flatten().skip(from)
    }

    /// The one with this number in that order.
    pub(super) fn nth(&self, number: usize) -> Option<&Entry> {
        let mut at = number;
        for bucket in &self.buckets {
            if let Some(entry) = bucket.get(at) {
                return Some(entry);
            }
            at -= bucket.len();
        }
        None
    }

    /// Is it a suspect until then?
    pub(super) fn is_suspect(&self, member: &Contact, until: Time) -> bool {
        let entry = self.get(&member.name).filter(|entry| entry.until() == Some(until));
        entry.is_some_and(|entry| entry.state == MemberState::Suspect)
    }

    /// Is it gone, and remembered until then?
    pub(super) fn is_gone(&self, member: &Contact, until: Time) -> bool {
        let entry = self.get(&member.name).filter(|entry| entry.until() == Some(until));
        entry.is_some_and(|entry| !is_live(entry.state))
    }

    /// Those in one bucket of the fingerprint.
    pub(super) fn bucket(&self, bucket: usize) -> &[Entry] {
        &self.buckets[bucket]
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// How many are in this state.
    pub(super) fn count(&self, state: MemberState) -> usize {
        self.counts[state as usize]
    }

    /// How many are live.
    pub(super) fn live(&self) -> usize {
        self.count(MemberState::Alive) + self.count(MemberState::Suspect)
    }

    /// How many are gone.
    pub(super) fn gone(&self) -> usize {
        self.count(MemberState::Down) + self.count(MemberState::Left)
    }

    pub(super) fn len(&self) -> usize {
        self.counts.iter().sum()
    }
}

impl Entry {
    fn lives(&self, incarnation: Incarnation) -> bool {
        self.state == MemberState::Alive && self.contact.incarnation == incarnation
    }
}

fn find(bucket: &[Entry], place: Place, name: &NodeName) -> Result<usize, usize> {
    search_near(bucket, guess(bucket, place), |entry| {
        entry.tag.cmp(&place.tag).then_with(|| entry.contact.name.cmp(name))
    })
}

/// Where a tag is in its bucket, about.
fn guess(bucket: &[Entry], place: Place) -> usize {
    let [a, b, c] = place.tag;
    (u32::from_be_bytes([0, a, b, c]) as usize * bucket.len()) >> 24
}

fn alive(heard: Time, beat: u32) -> u64 {
    let seconds = u32::try_from(heard.0 / 1_000_000).unwrap_or(u32::MAX);
    u64::from(seconds) << 32 | u64::from(beat)
}

#[cfg(test)]
mod tests {
    use barrel_p2p_base::PublicKey;

    use super::*;

    fn record(member: usize, state: MemberState) -> Record {
        let name = NodeName::parse(format!("n{member}@host").as_bytes()).unwrap();
        let incarnation = Incarnation { started_ms: 1, random: 1 };
        let contact = Contact { name, incarnation, addresses: Box::new([]), key: PublicKey([0; 32]) };
        Record { contact: Arc::new(contact), version: 1, state }
    }

    #[test]
    fn every_walk_meets_everybody_once_in_the_same_order() {
        let mut table = Table::new();
        for member in 0..1000 {
            table.set(&record(member, MemberState::Alive), Time::ZERO);
        }
        let names: Vec<_> = table.iter().map(|entry| entry.contact.name.clone()).collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!((names.len(), unique.len(), table.len()), (1000, 1000, 1000));
        for (number, name) in names.iter().enumerate() {
            assert_eq!(table.nth(number).map(|entry| &entry.contact.name), Some(name));
            let next = table.after(Some(name)).next().map(|entry| &entry.contact.name);
            assert_eq!(next, names.get(number + 1));
        }
        assert!(table.nth(1000).is_none());
        assert_eq!((0..BUCKETS).map(|bucket| table.bucket(bucket).len()).sum::<usize>(), 1000);
    }

    #[test]
    fn counts_and_fingerprint_follow_every_change() {
        let mut table = Table::new();
        let empty = table.fingerprint().whole();
        table.set(&record(1, MemberState::Alive), Time::ZERO);
        let one = table.fingerprint().whole();
        for state in [MemberState::Suspect, MemberState::Down, MemberState::Left, MemberState::Alive] {
            table.set(&record(1, state), Time(5));
            assert_eq!((table.len(), table.count(state)), (1, 1));
            assert_eq!(table.fingerprint().whole(), if is_live(state) { one } else { empty });
        }
        table.take(&record(1, MemberState::Alive).contact.name);
        assert_eq!((table.len(), table.fingerprint().whole()), (0, empty));
    }

    #[test]
    fn a_beat_is_kept_as_long_as_the_member_lives() {
        let mut table = Table::new();
        let alive = record(1, MemberState::Alive);
        let name = alive.contact.name.clone();
        table.set(&alive, Time(3_000_000));
        table.get_mut(&name).unwrap().renew(Time(7_500_000), 4);
        table.set(&Record { version: 2, ..alive.clone() }, Time(9_000_000));
        let entry = table.get(&name).unwrap();
        assert_eq!((entry.heard(), entry.beat(), entry.until()), (Time(9_000_000), 4, None));
        table.set(&Record { state: MemberState::Suspect, ..alive.clone() }, Time(11));
        table.get_mut(&name).unwrap().renew(Time(7_500_000), 9);
        assert!(table.is_suspect(&alive.contact, Time(11)) && !table.is_gone(&alive.contact, Time(11)));
        table.set(&Record { state: MemberState::Down, ..alive.clone() }, Time(12));
        assert!(table.is_gone(&alive.contact, Time(12)) && !table.is_gone(&alive.contact, Time(11)));
    }
}
