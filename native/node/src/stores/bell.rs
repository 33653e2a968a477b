// SPDX-License-Identifier: Apache-2.0
//! What hosts have done to stores and gossip has to know: one note per store, however much was done.
//!
//! Keeps: bounded by the number of stores; costs nothing while nobody listens.

use barrel_p2p_proto::store::StoreName;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What was done to one store since gossip looked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) opened: bool,
    pub(crate) wrote: bool,
    pub(crate) drained: bool,
}

/// Between any thread of the host and the one of gossip.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    notes: Mutex<BTreeMap<StoreName, Notes>>,
    rung: Notify,
    /// Which gossip listens, counted; 0 for none.
    listener: AtomicU64,
    listeners: AtomicU64,
    has_audience: AtomicBool,
}

impl Bell {
    /// Something was done. Of all notes that wait only the first wakes anybody.
    pub(crate) fn ring(&self, name: &StoreName, note: impl FnOnce(&mut Notes)) {
        if !self.is_heard() {
            return;
        }
        let mut notes = self.notes();
        let is_first = notes.is_empty();
        note(notes.entry(name.clone()).or_default());
        drop(notes);
        if is_first {
            self.rung.notify_one();
        }
    }

    /// The host wrote. Without neighbours there is nobody to tell, and a new one is told everything.
    pub(crate) fn wrote(&self, name: &StoreName) {
        if self.has_audience.load(Ordering::Acquire) {
            self.ring(name, |notes| notes.wrote = true);
        }
    }

    /// Does gossip run?
    pub(crate) fn is_heard(&self) -> bool {
        self.listener.load(Ordering::Acquire) > 0
    }

    /// A gossip begins to listen, in place of the one before. What was noted is void: it asks for the stores that there are.
    pub(crate) fn listen(&self) -> u64 {
        let mut notes = self.notes();
        let listener = self.listeners.fetch_add(1, Ordering::Relaxed) + 1;
        self.listener.store(listener, Ordering::Release);
        self.has_audience.store(false, Ordering::Release);
        notes.clear();
        listener
    }

    /// This gossip ends. Another one may have begun already.
    pub(crate) fn leave(&self, listener: u64) {
        let mut notes = self.notes();
        if self.listener.load(Ordering::Acquire) == listener {
            self.listener.store(0, Ordering::Release);
            self.has_audience.store(false, Ordering::Release);
            notes.clear();
        }
    }

    /// Whether there are neighbours; true if there are and were none.
    pub(crate) fn set_audience(&self, has_audience: bool) -> bool {
        let had_audience = self.has_audience.swap(has_audience, Ordering::AcqRel);
        has_audience && !had_audience
    }

    /// Waits until there are notes.
    pub(crate) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// The notes since the last call.
    pub(crate) fn take(&self) -> BTreeMap<StoreName, Notes> {
        std::mem::take(&mut *self.notes())
    }

    // Each note is whole, so a poisoned lock is still good.
    fn notes(&self) -> MutexGuard<'_, BTreeMap<StoreName, Notes>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
