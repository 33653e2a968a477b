// SPDX-License-Identifier: Apache-2.0
//! Which tombstones there are, the oldest first.
//!
//! Keeps: one of them is found, added and taken out without looking at the others. Leaves to others: when one may go.

use std::collections::{BTreeMap, BTreeSet};

use super::trie::Slot;

#[derive(Debug, Default)]
pub(super) struct Tombstones {
    /// Since when, in milliseconds; fingerprint, position.
    by_age: BTreeSet<(u64, u64, u64)>,
    /// By fingerprint, those that are younger than their stamps say.
    younger: BTreeMap<u64, u64>,
}

impl Tombstones {
    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Adds one that is as old as its stamp, or as young as `since_ms`.
    pub(super) fn add(&mut self, slot: &Slot, since_ms: u64) {
        let stamp_ms = slot.entry.stamp().wall_ms;
        if since_ms > stamp_ms {
            self.younger.insert(slot.fingerprint, since_ms);
        }
        self.by_age.insert((stamp_ms.max(since_ms), slot.fingerprint, slot.position));
    }

    pub(super) fn remove(&mut self, slot: &Slot) {
        let since_ms = self.younger.remove(&slot.fingerprint).unwrap_or_else(|| slot.entry.stamp().wall_ms);
        self.by_age.remove(&(since_ms, slot.fingerprint, slot.position));
    }

    /// The oldest one: since when, its fingerprint and its position.
    pub(super) fn oldest(&self) -> Option<(u64, u64, u64)> {
        self.by_age.first().copied()
    }

    /// The oldest one, if it is from that time or earlier.
    pub(super) fn until(&self, ms: Option<u64>) -> Option<(u64, u64, u64)> {
        self.oldest().filter(|(since_ms, ..)| Some(*since_ms) <= ms)
    }
}
