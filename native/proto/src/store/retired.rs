// SPDX-License-Identifier: Apache-2.0
//! What becomes of tombstones with time.
//!
//! Keeps: a tombstone that has had its time is no part of comparisons any more, so stores that still have it and stores
//! that have forgotten it are equal. While a member is away that could bring back what it buries it is kept all the same,
//! out of sight, and is told again as soon as a peer shows such a value. Every call does a bounded amount of work.
//! Leaves to others: who is away.

use barrel_p2p_base::NodeName;

use super::entry::Entry;
use super::prefix::Prefix;
use super::staging::Verdict;
use super::state::{Cursor, Rule, Store};
use super::tombstones::Tombstones;
use super::trie::{Slot, Trie};

/// Tombstones (count) that one call of [`Store::collect`] deals with at most: about a millisecond's work.
const COLLECT_AT_ONCE: usize = 1_024;

/// The least time that a tombstone is told to others, in milliseconds: it has to be sent first.
const SHORTEST_TTL_MS: u64 = 1_000;

/// The least time that a tombstone is told when a peer has told it, when a peer has shown what it buries, or when it comes
/// from pruning, in milliseconds: a few rounds of comparisons, or the time to live if that is less.
const TOLD_AGAIN_MS: u64 = 300_000;

/// What one call of [`Store::collect`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Tombstones (count) that are not there any more.
    pub forgotten: usize,
    /// Is there more to do at once?
    pub more: bool,
}

/// Tombstones that have had their time.
#[derive(Debug, Default)]
pub(super) struct Retired {
    pub(super) entries: Trie,
    tombstones: Tombstones,
}

impl Retired {
    pub(super) fn len(&self) -> usize {
        self.tombstones.len()
    }

    pub(super) fn get(&self, position: u64, key: &[u8]) -> Option<&Slot> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get(position, key)
    }

    fn add(&mut self, slot: &Slot, since_ms: u64) {
        self.tombstones.add(slot, since_ms);
        self.entries.replace(slot.position, slot.entry.key(), |_| Some(slot.entry.clone()));
    }

    fn take(&mut self, position: u64, fingerprint: u64) -> Option<Slot> {
        let slot = self.entries.remove(position, fingerprint)?;
        self.tombstones.remove(&slot);
        Some(slot)
    }
}

impl Store {
    /// Replaces the values of an origin that were written before a time by tombstones, which are the same on every node
    /// and are thus not sent. Looks at no more entries than told; gives the tombstones, and where to go on.
    pub fn prune(
        &mut self,
        origin: &NodeName,
        before_ms: u64,
        after: Option<&Cursor>,
        max_looked_at: usize,
    ) -> (Vec<Entry>, Option<Cursor>) {
        if !self.origins.contains(origin) {
            return (Vec::new(), None);
        }
        let (mut pruned, mut last, mut looked_at, mut more) = (Vec::new(), None, 0, false);
        self.entries.walk(Prefix::ALL, after.map(Cursor::place), &mut |slot| {
            more = looked_at >= max_looked_at.max(1);
            if !more {
                looked_at += 1;
                last = Some(slot.entry.key());
                if slot.entry.origin() == Some(origin) && slot.entry.stamp().wall_ms < before_ms {
                    pruned.push((slot.position, slot.entry.buried()));
                }
            }
            !more
        });
        let cursor = last.filter(|_| more).map(Cursor::new);
        let since_ms = self.told_since_ms();
        for (position, tombstone) in &pruned {
            self.settle(tombstone, *position, Rule::Win, since_ms);
        }
        (pruned.into_iter().map(|(_, tombstone)| tombstone).collect(), cursor)
    }

    /// How long tombstones are told from the next [`Store::collect`] on. What is retired by then stays so.
    pub fn set_tombstone_ttl(&mut self, milliseconds: u64) {
        self.config.tombstone_ttl_ms = milliseconds;
    }

    /// Retires tombstones that are older than the time to live, and forgets those that are retired if `may_collect`, as no
    /// member is away that could bring back what they bury; those older than `max_age_ms` in any case.
    pub fn collect(&mut self, now_ms: u64, may_collect: bool, max_age_ms: u64) -> Collected {
        self.now_ms = now_ms;
        self.past_ms = now_ms.checked_sub(self.ttl_ms());
        self.rejections.forget_tombstones(self.past_ms);
        let forgotten_ms = if may_collect { self.past_ms } else { now_ms.checked_sub(max_age_ms) };
        let mut collected = Collected::default();
        for _ in 0..COLLECT_AT_ONCE {
            if let Some((since_ms, fingerprint, position)) = self.tombstones.until(self.past_ms.max(forgotten_ms)) {
                let Some(slot) = self.take_out(position, fingerprint) else { continue };
                if Some(since_ms) > forgotten_ms {
                    self.bytes += slot.entry.cost();
                    self.retired.add(&slot, since_ms);
                } else {
                    collected.forgotten += 1;
                }
            } else if let Some((_, fingerprint, position)) = self.retired.tombstones.until(forgotten_ms) {
                self.forget_retired(position, fingerprint);
                collected.forgotten += 1;
            } else {
                return collected;
            }
        }
        Collected { more: true, ..collected }
    }

    fn ttl_ms(&self) -> u64 {
        self.config.tombstone_ttl_ms.max(SHORTEST_TTL_MS)
    }

    /// How old a tombstone is at most that others have to hear of now, whatever its stamp says: all who learn of it late
    /// tell it about equally long, so they stay equal.
    pub(super) fn told_since_ms(&self) -> u64 {
        self.now_ms.saturating_sub(self.ttl_ms().saturating_sub(TOLD_AGAIN_MS))
    }

    /// Has this tombstone had its time?
    pub(super) fn is_past(&self, entry: &Entry) -> bool {
        entry.origin().is_none() && Some(entry.stamp().wall_ms) <= self.past_ms
    }

    /// Takes in a tombstone that had its time when it was on the disk.
    pub(super) fn load_retired(&mut self, position: u64, entry: Entry) {
        let slot = Slot::new(position, entry);
        self.bytes += slot.entry.cost();
        self.retired.add(&slot, 0);
        self.keep_limit();
    }

    /// A peer offers what a retired tombstone wins over.
    pub(super) fn refuse(&mut self, position: u64, entry: &Entry) -> Verdict {
        if entry.origin().is_none() {
            return Verdict::Known;
        }
        self.bring_back(position, entry.key());
        Verdict::Buried
    }

    /// Lets a retired tombstone be told again.
    pub(super) fn bring_back(&mut self, position: u64, key: &[u8]) {
        let Some(fingerprint) = self.retired.get(position, key).map(|slot| slot.fingerprint) else {
            return;
        };
        if let Some(slot) = self.retired.take(position, fingerprint) {
            self.entries.replace(position, key, |_| Some(slot.entry.clone()));
            self.tombstones.add(&slot, self.told_since_ms());
            self.rejections.changed(position, key, Some(&slot));
        }
    }

    /// Forgets the oldest tombstones beyond the limit.
    pub(super) fn keep_limit(&mut self) {
        while self.tombstones() > self.config.tombstone_limit {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, fingerprint, position)) = self.retired.tombstones.oldest() {
            self.forget_retired(position, fingerprint);
        } else if let Some((_, fingerprint, position)) = self.tombstones.oldest() {
            self.take_out(position, fingerprint);
        }
    }

    fn forget_retired(&mut self, position: u64, fingerprint: u64) {
        if let Some(slot) = self.retired.take(position, fingerprint) {
            self.bytes -= slot.entry.cost();
        }
    }

    /// Takes out a tombstone that can be seen.
    fn take_out(&mut self, position: u64, fingerprint: u64) -> Option<Slot> {
        let slot = self.entries.remove(position, fingerprint)?;
        self.leaves(&slot, None);
        self.rejections.changed(position, slot.entry.key(), None);
        Some(slot)
    }
}
