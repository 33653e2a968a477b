// SPDX-License-Identifier: Apache-2.0
//! What came from peers and waits for the owner's judgement.
//!
//! Keeps: per key the winner only; bounded in bytes; everything gets its turn. Leaves to others: comparing with what the
//! store has.

use super::entry::Entry;
use super::prefix::Prefix;
use super::trie::{Slot, Trie};

/// What became of staged entries, as counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// They wait for the owner now.
    pub taken: usize,
    /// They say nothing new.
    pub known: usize,
    /// There was no room for them. They have to be fetched again later.
    pub dropped: usize,
    /// They were removed, so long ago that the tombstones were not told any more. Now they are again, and one more
    /// comparison brings them to who did not know.
    pub buried: usize,
}

impl Staged {
    /// Counts those of another step, too.
    pub(crate) fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.known += other.known;
        self.dropped += other.dropped;
        self.buried += other.buried;
    }
}

#[derive(Debug)]
pub(super) struct Staging {
    waiting: Trie,
    bytes: usize,
    limit: usize,
    /// Pulled and not yet committed.
    hand: Vec<Slot>,
    /// The last place that was pulled.
    pulled: Option<(u64, Entry)>,
}

/// What staging did with an entry.
pub(super) enum Verdict {
    Buried,
    Dropped,
    Known,
    Taken,
}

impl Staging {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: Trie::default(), bytes: 0, limit, hand: Vec::new(), pulled: None }
    }

    /// Does something wait to be pulled?
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Bytes that still fit.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Does a version of this key wait or lie in the hand?
    pub(super) fn has(&self, position: u64, key: &[u8]) -> bool {
        self.waiting.get(position, key).is_some() || self.in_hand(position, key).is_some()
    }

    pub(super) fn offer(&mut self, position: u64, entry: Entry) -> Verdict {
        let waits = self.waiting.get(position, entry.key());
        let better = waits.or_else(|| self.in_hand(position, entry.key()));
        if better.is_some_and(|better| !entry.beats(&better.entry)) {
            return Verdict::Known;
        }
        let freed = waits.map_or(0, |slot| slot.entry.cost());
        let (bytes, fits_alone) = (self.bytes - freed + entry.cost(), self.bytes == freed);
        if bytes > self.limit && !fits_alone {
            return Verdict::Dropped;
        }
        self.bytes = bytes;
        let key = entry.clone();
        self.waiting.replace(position, key.key(), |_| Some(entry));
        Verdict::Taken
    }

    /// Does nothing wait to be pulled, and was all that was pulled committed?
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.hand.is_empty()
    }

    /// The store has this entry now: what it beats waits no longer, nor is it pulled again.
    pub(super) fn overtaken(&mut self, slot: &Slot) {
        self.hand.retain(|pulled| pulled.place() != slot.place() || pulled.entry.beats(&slot.entry));
        let Some(waits) = self.waiting.get(slot.position, slot.entry.key()) else {
            return;
        };
        if !waits.entry.beats(&slot.entry) {
            let fingerprint = waits.fingerprint;
            self.take(slot.position, fingerprint);
        }
    }

    /// The hand, filled if it is empty: at least one entry if there is one, and no more than these.
    pub(super) fn pull(&mut self, max_entries: usize, max_bytes: usize) -> &[Slot] {
        if self.hand.is_empty() {
            self.fill(max_entries, max_bytes);
            if let Some(last) = self.hand.last() {
                self.pulled = Some((last.position, last.entry.clone()));
            }
            for index in 0..self.hand.len() {
                let (position, fingerprint) = (self.hand[index].position, self.hand[index].fingerprint);
                self.take(position, fingerprint);
            }
        }
        &self.hand
    }

    pub(super) fn empty_hand(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.hand)
    }

    /// Goes on where the last pull ended, and from the beginning once there is nothing more.
    fn fill(&mut self, max_entries: usize, max_bytes: usize) {
        let after = self.pulled.take();
        let after = after.as_ref().map(|(position, entry)| (*position, entry.key()));
        let mut bytes = 0;
        for after in [after, None] {
            if self.hand.is_empty() {
                self.waiting.walk(Prefix::ALL, after, &mut |slot| {
                    bytes += slot.entry.size();
                    let fits = self.hand.is_empty() || (self.hand.len() < max_entries && bytes <= max_bytes);
                    if fits {
                        self.hand.push(slot.clone());
                    }
                    fits
                });
            }
        }
    }

    fn take(&mut self, position: u64, fingerprint: u64) {
        if let Some(slot) = self.waiting.remove(position, fingerprint) {
            self.bytes -= slot.entry.cost();
        }
    }

    fn in_hand(&self, position: u64, key: &[u8]) -> Option<&Slot> {
        // Pulled in the order of positions.
        let first = self.hand.partition_point(|slot| slot.position < position);
        let there = self.hand[first..].iter().take_while(|slot| slot.position == position);
        there.into_iter().find(|slot| slot.entry.key() == key)
    }
}
