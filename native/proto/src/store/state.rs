// SPDX-License-Identifier: Apache-2.0
//! The store itself: what the host does with it.

use barrel_p2p_base::limits::{MAX_STAGED_BYTES, MAX_TOMBSTONES};
use barrel_p2p_base::NodeName;

use super::entry::{position, Entry, TooLarge};
use super::origins::Origins;
use super::outgoing::Outgoing;
use super::prefix::Prefix;
use super::rejections::Rejections;
use super::retired::Retired;
use super::staging::{Staged, Staging, Verdict};
use super::tombstones::Tombstones;
use super::trie::{Slot, Trie};
use crate::hlc::Timestamp;

/// What is set per store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a tombstone is told to others, in milliseconds. Until then all of them should have compared; a second at
    /// least.
    pub tombstone_ttl_ms: u64,
    /// How many tombstones stay; the oldest go first.
    pub tombstone_limit: usize,
    /// Bytes of entries that wait for the owner.
    pub staged_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { tombstone_ttl_ms: 300_000, tombstone_limit: MAX_TOMBSTONES, staged_bytes: MAX_STAGED_BYTES }
    }
}

/// Where a scan goes on: the key that it looked at last. It stays right whatever is written in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Box<[u8]>);

impl Cursor {
    /// Goes on after this key.
    pub fn new(key: &[u8]) -> Self {
        Self(key.into())
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn place(&self) -> (u64, &[u8]) {
        (position(&self.0), &self.0)
    }
}

/// Entries for one answer, up to its bounds.
struct Batch {
    entries: Vec<Entry>,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
    is_full: bool,
}

impl Batch {
    fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { entries: Vec::new(), bytes: 0, max_entries, max_bytes, is_full: false }
    }

    /// Answers whether there was room.
    fn take(&mut self, slot: &Slot) -> bool {
        self.bytes += slot.entry.size();
        let fits = self.entries.len() < self.max_entries && self.bytes <= self.max_bytes;
        self.is_full |= !fits && !self.entries.is_empty();
        if !self.is_full {
            self.entries.push(slot.entry.clone());
        }
        !self.is_full
    }

    fn finish(self) -> (Vec<Entry>, Option<Cursor>) {
        let cursor = self.entries.last().filter(|_| self.is_full).map(|last| Cursor::new(last.key()));
        (self.entries, cursor)
    }
}

/// A named last-writer-wins map, as one node has it.
#[derive(Debug)]
pub struct Store {
    pub(super) config: Config,
    pub(super) entries: Trie,
    pub(super) tombstones: Tombstones,
    pub(super) retired: Retired,
    pub(super) origins: Origins,
    staging: Staging,
    pub(super) rejections: Rejections,
    outgoing: Outgoing,
    pub(super) bytes: usize,
    /// The last time of day that the host told.
    pub(super) now_ms: u64,
    /// Tombstones from this time or earlier have had their time.
    pub(super) past_ms: Option<u64>,
}

/// When an entry takes its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Always: its stamp is raised above the one that is there.
    Follow,
    /// If it wins over what is there.
    Win,
}

impl Store {
    /// An empty store.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            entries: Trie::default(),
            origins: Origins::default(),
            tombstones: Tombstones::default(),
            retired: Retired::default(),
            staging: Staging::new(config.staged_bytes),
            rejections: Rejections::default(),
            outgoing: Outgoing::default(),
            bytes: 0,
            now_ms: 0,
            past_ms: None,
        }
    }

    /// Writes a value as the host. It wins over what is there even if that has a stamp after `now`. Gives the entry as
    /// written.
    ///
    /// # Errors
    /// [`TooLarge`], and nothing was done.
    pub fn put(&mut self, key: &[u8], value: &[u8], origin: &NodeName, now: Timestamp) -> Result<Entry, TooLarge> {
        Entry::value(key, value, origin, now).map(|entry| self.write(entry))
    }

    /// Puts a value of the host back that others have pruned: its stamp is the one after the removal's, so whatever was
    /// written later stands. Gives the entry as written.
    ///
    /// # Errors
    /// [`TooLarge`], and nothing was done.
    pub fn restore(&mut self, key: &[u8], value: &[u8], origin: &NodeName) -> Result<Entry, TooLarge> {
        Entry::value(key, value, origin, Timestamp::default()).map(|entry| self.write(entry))
    }

    /// Removes a key as the host, also one that is not there: it may be somewhere else. Gives the tombstone.
    ///
    /// # Errors
    /// [`TooLarge`], and nothing was done.
    pub fn remove(&mut self, key: &[u8], now: Timestamp) -> Result<Entry, TooLarge> {
        Entry::tombstone(key, now).map(|entry| self.write(entry))
    }

    /// Takes in what was on the disk. If [`Store::collect`] has told the time before, old tombstones stay retired.
    pub fn load(&mut self, entry: Entry) {
        let position = entry.position();
        if self.is_past(&entry) && self.get(entry.key()).is_none() {
            self.load_retired(position, entry);
        } else {
            self.settle(&entry, position, Rule::Win, 0);
        }
    }

    /// Takes in what came from a peer, until the owner pulls it. Whether the stamps can be believed was checked before.
    pub fn stage(&mut self, entries: Vec<Entry>) -> Staged {
        let mut staged = Staged::default();
        let positions: Vec<u64> = entries.iter().map(Entry::position).collect();
        self.entries.warm(positions.iter().copied());
        for (entry, position) in entries.into_iter().zip(positions) {
            match self.offer(entry, position) {
                Verdict::Buried => staged.buried += 1,
                Verdict::Dropped => staged.dropped += 1,
                Verdict::Known => staged.known += 1,
                Verdict::Taken => staged.taken += 1,
            }
        }
        staged
    }

    /// Does something wait to be pulled?
    pub fn has_staged(&self) -> bool {
        self.staging.has_waiting()
    }

    /// Does something wait for the owner's judgement, pulled or not?
    pub fn has_unjudged(&self) -> bool {
        !self.staging.is_empty()
    }

    /// Bytes that may still be staged.
    pub fn room(&self) -> usize {
        self.staging.room()
    }

    /// Gives the owner what it is to judge: what was staged and would win, as many as it wants, but at least one if there
    /// is one. The same again until it has committed them, but for what a write of its own has beaten since.
    pub fn pull(&mut self, max_entries: usize, max_bytes: usize) -> Vec<Entry> {
        self.staging.pull(max_entries, max_bytes).iter().map(|slot| slot.entry.clone()).collect()
    }

    /// Takes in what was pulled, except the keys that the owner has rejected. Gives what was new.
    pub fn commit(&mut self, rejected: &[impl AsRef<[u8]>]) -> Vec<Entry> {
        let mut rejected: Vec<&[u8]> = rejected.iter().map(AsRef::as_ref).collect();
        rejected.sort_unstable();
        let since_ms = self.told_since_ms();
        let mut merged = Vec::new();
        let hand = self.staging.empty_hand();
        self.entries.warm(hand.iter().map(|slot| slot.position));
        for slot in hand {
            if rejected.binary_search(&slot.entry.key()).is_ok() {
                self.rejections.remember(&slot, self.entries.get(slot.position, slot.entry.key()));
            } else {
                merged.extend(self.settle(&slot.entry, slot.position, Rule::Win, since_ms));
            }
        }
        merged
    }

    /// What is there for a key: a value or a tombstone.
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        let position = position(key);
        self.entries.get(position, key).or_else(|| self.retired.get(position, key)).map(|slot| &slot.entry)
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.entries.summary().count as usize - self.tombstones.len()
    }

    /// Is there no value?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tombstones there are, in sight and retired.
    pub fn tombstones(&self) -> usize {
        self.tombstones.len() + self.retired.len()
    }

    /// Bytes in memory, about: of entries and of what waits for the owner.
    pub fn bytes(&self) -> usize {
        self.bytes + self.staging.bytes()
    }

    /// How many rejected versions are remembered.
    pub fn rejected(&self) -> usize {
        self.rejections.len()
    }

    /// What peers may see of a part, in the order of positions: no more than these, but at least one entry if there is
    /// one; and where to go on, or `None` if that was all. Every key that is there from the first call to the last is seen
    /// once.
    pub fn scan(
        &self,
        range: Prefix,
        after: Option<&Cursor>,
        max_entries: usize,
        max_bytes: usize,
    ) -> (Vec<Entry>, Option<Cursor>) {
        let mut batch = Batch::new(max_entries, max_bytes);
        self.entries.walk(range, after.map(Cursor::place), &mut |slot| batch.take(slot));
        batch.finish()
    }

    /// The same of the whole store, with the tombstones that are retired.
    pub fn scan_all(
        &self,
        after: Option<&Cursor>,
        max_entries: usize,
        max_bytes: usize,
    ) -> (Vec<Entry>, Option<Cursor>) {
        let after = after.map(Cursor::place);
        let mut retired = Vec::new();
        self.retired.entries.walk(Prefix::ALL, after, &mut |slot| {
            retired.push(slot);
            retired.len() <= max_entries
        });
        let mut retired = retired.into_iter().peekable();
        let mut batch = Batch::new(max_entries, max_bytes);
        self.entries.walk(Prefix::ALL, after, &mut |slot| {
            while let Some(earlier) = retired.next_if(|retired| retired.place() < slot.place()) {
                if !batch.take(earlier) {
                    return false;
                }
            }
            batch.take(slot)
        });
        retired.all(|slot| batch.take(slot));
        batch.finish()
    }

    /// Does something that the host has written wait to be sent?
    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// What the host has written last to the keys that were not taken since: no more bytes than these, but at least one
    /// entry if there is one.
    pub fn take_outgoing(&mut self, max_bytes: usize) -> Vec<Entry> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some((position, entry)) = self.outgoing.next() {
            let all_there = || self.entries.at(position).iter().map(|slot| slot.entry.size()).sum();
            bytes += entry.map_or_else(all_there, Entry::size);
            if bytes > max_bytes && !taken.is_empty() {
                break;
            }
            match self.outgoing.take(position) {
                Some(entry) => taken.push(entry),
                None => taken.extend(self.entries.at(position).iter().map(|slot| slot.entry.clone())),
            }
        }
        taken
    }

    /// Have so many keys waited to be sent that they were forgotten? True once; only a comparison finds them.
    pub fn take_overflow(&mut self) -> bool {
        self.outgoing.take_overflow()
    }

    /// Bytes of the entries and values of all origins, as they were counted along the way.
    #[cfg(test)]
    pub(super) fn counted(&self) -> (usize, usize) {
        (self.bytes, self.origins.values())
    }

    fn offer(&mut self, entry: Entry, position: u64) -> Verdict {
        if let Some(current) = self.entries.get(position, entry.key()) {
            if !entry.beats(&current.entry) {
                return Verdict::Known;
            }
        } else if let Some(retired) = self.retired.get(position, entry.key()) {
            if !entry.beats(&retired.entry) {
                return self.refuse(position, &entry);
            }
        } else if self.is_past(&entry) && !self.staging.has(position, entry.key()) {
            // What it buries was here and is forgotten, or never was. To take it would keep it alive for ever, going
            // round between nodes that forget at different times.
            return Verdict::Known;
        }
        if self.rejections.len() > 0 && self.rejections.knows(position, entry.fingerprint()) {
            return Verdict::Known;
        }
        self.staging.offer(position, entry)
    }

    fn write(&mut self, entry: Entry) -> Entry {
        let position = entry.position();
        // What is put back has no time of its own.
        self.now_ms = self.now_ms.max(entry.stamp().wall_ms);
        let entry = match self.rejections.stamp(position, entry.key()) {
            Some(rejected) => entry.after(rejected),
            None => entry,
        };
        let written = self.settle(&entry, position, Rule::Follow, 0).unwrap_or(entry);
        self.outgoing.add(position, &written);
        written
    }

    /// Puts an entry in its place, by a rule. A tombstone is as old as its stamp says, or as young as `since_ms`. Gives
    /// the entry as it is now, or `None` if it did not win.
    pub(super) fn settle(&mut self, entry: &Entry, position: u64, rule: Rule, since_ms: u64) -> Option<Entry> {
        self.bring_back(position, entry.key());
        let mut settled = None;
        let origins = &mut self.origins;
        let replaced = self.entries.replace(position, entry.key(), |old| {
            let entry = match old {
                Some(old) if rule == Rule::Follow => entry.clone().after(old.packed_stamp()),
                Some(old) if !entry.beats(old) => return None,
                _ => entry.clone(),
            };
            let inherited = old.and_then(Entry::origin).filter(|origin| entry.origin() == Some(origin));
            let origin = inherited.cloned().or_else(|| entry.origin().map(|origin| origins.add(origin)));
            let entry = entry.with_origin(origin);
            settled = Some(entry.clone());
            Some(entry)
        })?;
        let slot = Slot { position, fingerprint: replaced.fingerprint, entry: settled? };
        self.bytes += slot.entry.cost();
        if let Some(old) = &replaced.old {
            self.leaves(old, slot.entry.origin());
        }
        if slot.entry.origin().is_none() {
            self.tombstones.add(&slot, since_ms);
        }
        if !self.staging.is_empty() {
            self.staging.overtaken(&slot);
        }
        self.rejections.changed(position, slot.entry.key(), Some(&slot));
        self.keep_limit();
        Some(slot.entry)
    }

    /// Notes that an entry is not there any more, and whose value is there instead.
    pub(super) fn leaves(&mut self, old: &Slot, heir: Option<&NodeName>) {
        self.bytes -= old.entry.cost();
        match old.entry.origin() {
            None => self.tombstones.remove(old),
            Some(origin) if Some(origin) != heir => self.origins.remove(origin),
            Some(_) => {}
        }
    }
}
