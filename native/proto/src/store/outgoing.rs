// SPDX-License-Identifier: Apache-2.0
//! Which keys the host has written since the neighbours were told last.
//!
//! Keeps: a key that is written often waits once; bounded: when too many wait they are all forgotten, and that is told
//! once. Leaves to others: what is there now for these keys, which is what will be sent.

use std::collections::BTreeSet;
use std::ops::Bound;

use barrel_p2p_base::limits::MAX_OUTGOING_KEYS;

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    positions: BTreeSet<u64>,
    /// Where the last one was taken, so that each gets its turn.
    taken: u64,
    overflowed: bool,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub(super) fn add(&mut self, position: u64) {
        self.positions.insert(position);
        if self.positions.len() > MAX_OUTGOING_KEYS {
            self.positions.clear();
            self.overflowed = true;
        }
    }

    /// The position whose turn it is.
    pub(super) fn next(&self) -> Option<u64> {
        let beyond = (Bound::Excluded(self.taken), Bound::Unbounded);
        self.positions.range(beyond).next().or_else(|| self.positions.first()).copied()
    }

    pub(super) fn take(&mut self, position: u64) {
        self.positions.remove(&position);
        self.taken = position;
    }

    pub(super) fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }
}
