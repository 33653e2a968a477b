// SPDX-License-Identifier: Apache-2.0
//! What the host has written since the neighbours were told last.
//!
//! Keeps: a key that is written often waits once, with what was written last; bounded: when too many wait they are all
//! forgotten, and that is told once. Leaves to others: what is there where several keys share a position.

use std::collections::BTreeMap;
use std::ops::Bound;

use barrel_p2p_base::limits::MAX_OUTGOING_KEYS;

use super::entry::Entry;

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// By position; none where several keys share it, which nobody meets by accident.
    waiting: BTreeMap<u64, Option<Entry>>,
    /// Where the last one was taken, so that each gets its turn.
    taken: u64,
    overflowed: bool,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The entry is kept, because it is in the cache now and will not be when its turn comes.
    pub(super) fn add(&mut self, position: u64, entry: &Entry) {
        let alone = |waits: &Option<Entry>| waits.as_ref().is_some_and(|waits| waits.key() == entry.key());
        let is_shared = self.waiting.get(&position).is_some_and(|waits| !alone(waits));
        self.waiting.insert(position, (!is_shared).then(|| entry.clone()));
        if self.waiting.len() > MAX_OUTGOING_KEYS {
            self.waiting.clear();
            self.overflowed = true;
        }
    }

    /// The position whose turn it is, and what waits there.
    pub(super) fn next(&self) -> Option<(u64, Option<&Entry>)> {
        let beyond = (Bound::Excluded(self.taken), Bound::Unbounded);
        let next = self.waiting.range(beyond).next().or_else(|| self.waiting.first_key_value());
        next.map(|(position, waits)| (*position, waits.as_ref()))
    }

    pub(super) fn take(&mut self, position: u64) -> Option<Entry> {
        self.taken = position;
        self.waiting.remove(&position).flatten()
    }

    pub(super) fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }
}
