// SPDX-License-Identifier: Apache-2.0
//! What the owner did not want, so that it is not offered again in every round.
//!
//! Keeps: per key one rejected version, the strongest, and only while it would win over what the store has; a tombstone
//! only until it has had its time; bounded, the oldest is forgotten first. In comparisons such a version counts as known
//! and hides the one that the store has.
//! Leaves to others: its value, which is not kept.

use std::collections::BTreeMap;

use barrel_p2p_base::limits::MAX_REJECTIONS;

use super::entry::Entry;
use super::prefix::Prefix;
use super::trie::{Slot, Summary};

#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// By position and fingerprint.
    rejected: BTreeMap<(u64, u64), Rejection>,
    /// How many were remembered so far.
    count: u64,
}

#[derive(Debug)]
pub(super) struct Rejection {
    /// The entry without its value.
    head: Entry,
    /// The fingerprint of what the store has for the key.
    pub(super) hidden: Option<u64>,
    /// The how manieth it is.
    number: u64,
}

impl Rejections {
    pub(super) fn len(&self) -> usize {
        self.rejected.len()
    }

    /// Was exactly this version rejected?
    pub(super) fn knows(&self, position: u64, fingerprint: u64) -> bool {
        self.rejected.contains_key(&(position, fingerprint))
    }

    /// The stamp of the rejected version of a key.
    pub(super) fn stamp(&self, position: u64, key: &[u8]) -> Option<u64> {
        Some(self.of(position, key)?.1.head.packed_stamp())
    }

    /// Remembers a version, unless it would lose anyway.
    pub(super) fn remember(&mut self, slot: &Slot, current: Option<&Slot>) {
        let outranked = |by: &Entry| !slot.entry.outranks(by);
        if current.is_some_and(|current| outranked(&current.entry)) {
            return;
        }
        match self.of(slot.position, slot.entry.key()) {
            Some((_, stronger)) if outranked(&stronger.head) => return,
            Some((fingerprint, _)) => {
                self.rejected.remove(&(slot.position, fingerprint));
            }
            None => {}
        }
        self.count += 1;
        let hidden = current.map(|current| current.fingerprint);
        let rejection = Rejection { head: slot.entry.head(), hidden, number: self.count };
        self.rejected.insert((slot.position, slot.fingerprint), rejection);
        if self.rejected.len() > MAX_REJECTIONS {
            let oldest = self.rejected.iter().min_by_key(|(_, rejection)| rejection.number).map(|(place, _)| *place);
            oldest.and_then(|place| self.rejected.remove(&place));
        }
    }

    /// What the store has for this key is another one now.
    pub(super) fn changed(&mut self, position: u64, key: &[u8], current: Option<&Slot>) {
        let Some((fingerprint, _)) = self.of(position, key) else {
            return;
        };
        let place = (position, fingerprint);
        if let Some(rejection) = self.rejected.get_mut(&place) {
            rejection.hidden = current.map(|current| current.fingerprint);
            if current.is_some_and(|current| !rejection.head.outranks(&current.entry)) {
                self.rejected.remove(&place);
            }
        }
    }

    /// Forgets tombstones up to this time: nobody shows them any more.
    pub(super) fn forget_tombstones(&mut self, until_ms: Option<u64>) {
        let stays = |head: &Entry| head.origin().is_some() || Some(head.stamp().wall_ms) > until_ms;
        self.rejected.retain(|_, rejection| stays(&rejection.head));
    }

    /// The rejections in a part of the store: position, fingerprint, and the rest.
    pub(super) fn within(&self, prefix: Prefix) -> impl Iterator<Item = (u64, u64, &Rejection)> {
        let (first, last) = prefix.positions().into_inner();
        let range = self.rejected.range((first, 0)..=(last, u64::MAX));
        range.map(|((position, fingerprint), rejection)| (*position, *fingerprint, rejection))
    }

    fn of(&self, position: u64, key: &[u8]) -> Option<(u64, &Rejection)> {
        let mut there = self.rejected.range((position, 0)..=(position, u64::MAX));
        there.find(|(_, rejection)| rejection.head.key() == key).map(|((_, fingerprint), found)| (*fingerprint, found))
    }
}

impl Rejection {
    /// Makes a summary of what the store has one of what it knows.
    pub(super) fn adjust(&self, fingerprint: u64, summary: &mut Summary) {
        if let Some(hidden) = self.hidden {
            summary.remove(hidden);
        }
        summary.add(fingerprint);
    }
}
