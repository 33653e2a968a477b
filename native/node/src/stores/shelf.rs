// SPDX-License-Identifier: Apache-2.0
//! All stores together: as the stack visits them, and as numbers.

use super::cell::Cell;
use super::Stores;
use barrel_p2p_proto::replication::{Config, Shelf};
use barrel_p2p_proto::store::{Store, StoreName};
use parking_lot::MutexGuard;
use std::sync::{Arc, PoisonError};

/// All stores, summed up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) stores: u64,
    pub(crate) values: u64,
    pub(crate) tombstones: u64,
    pub(crate) bytes: u64,
    /// Stores whose owner has something to judge.
    pub(crate) staged: u64,
    pub(crate) writes: u64,
    pub(crate) merged: u64,
    pub(crate) rejected: u64,
}

impl Shelf for Stores {
    fn visit(&self, store: &StoreName, act: &mut dyn FnMut(&mut Store)) -> bool {
        let Some(cell) = self.cell(store) else { return false };
        let mut inside = cell.enter();
        let is_open = inside.tenure > 0;
        if is_open {
            act(&mut inside.store);
        }
        // Gossip comes back at once when it has more to do. Its owner would find the door shut again before it woke.
        MutexGuard::unlock_fair(inside);
        is_open
    }

    fn names(&self) -> Vec<StoreName> {
        self.cells.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

impl Stores {
    pub(super) fn cell(&self, name: &StoreName) -> Option<Arc<Cell>> {
        self.cells.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The stack says that the owner has something to judge.
    pub(crate) fn staged(&self, name: &StoreName) {
        let owner = self.cell(name).and_then(|cell| cell.enter().owner.clone());
        if let Some(owner) = owner {
            owner.staged();
        }
    }

    /// Without gossip nobody else forgets old tombstones. Nor does anybody know who is away, perhaps with what they bury.
    pub(super) fn tidy(&self, store: &mut Store, now_ms: u64) {
        if !self.bell.is_heard() {
            let max_age = Config::default().tombstone_max_age;
            store.collect(now_ms, false, u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX));
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let cells: Vec<Arc<Cell>> =
            self.cells.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut totals = Totals::default();
        for cell in cells {
            let inside = cell.enter();
            totals.stores += 1;
            totals.values += inside.store.len() as u64;
            totals.tombstones += inside.store.tombstones() as u64;
            totals.bytes += inside.store.bytes() as u64;
            totals.staged += u64::from(inside.store.has_staged());
            totals.writes += inside.writes;
            totals.merged += inside.merged;
            totals.rejected += inside.rejected;
        }
        totals
    }
}
