// SPDX-License-Identifier: Apache-2.0
//! One store of this node: content, log, owner.
//!
//! Keeps: the lock is held for bounded steps only, since gossip and the owner's scheduler wait for each other there; what is in the store is
//! in the log as well, or waits for it.

use super::owner::{Owner, Refused};
use super::record;
use barrel_p2p_proto::store::{Cursor, Entry, Store, StoreName};
use barrel_p2p_store::log::{Event, Log};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Entries (count) that one step looks at or hands out.
pub(crate) const STEP_ENTRIES: usize = 256;

/// Bytes of entries that one step hands out, and one entry more.
pub(crate) const STEP_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) name: StoreName,
    /// The directory of the log.
    pub(crate) place: Option<PathBuf>,
    log: OnceLock<Log>,
    inside: Mutex<Inside>,
}

/// What the lock protects.
pub(crate) struct Inside {
    pub(crate) store: Store,
    pub(crate) owner: Option<Arc<dyn Owner>>,
    /// Which owner it is, counted; 0 when the store is closed.
    pub(crate) tenure: u64,
    /// Bytes of what the owner has pulled and not committed.
    pub(crate) in_hand_bytes: usize,
    /// Writes of the host.
    pub(crate) writes: u64,
    /// Changes of others that were merged, and that were rejected.
    pub(crate) merged: u64,
    pub(crate) rejected: u64,
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside").field("store", &self.store).field("tenure", &self.tenure).finish_non_exhaustive()
    }
}

impl Cell {
    pub(crate) fn new(name: StoreName, place: Option<PathBuf>, store: Store) -> Self {
        let inside = Inside { store, owner: None, tenure: 0, in_hand_bytes: 0, writes: 0, merged: 0, rejected: 0 };
        Self { name, place, log: OnceLock::new(), inside: Mutex::new(inside) }
    }

    /// From now on it is logged. To be called once, before anybody writes.
    pub(crate) fn set_log(&self, log: Log) {
        let _ = self.log.set(log);
    }

    pub(crate) fn log(&self) -> Option<&Log> {
        self.log.get()
    }

    // A store is whole between its own calls, so it is good even if somebody has panicked in here.
    pub(crate) fn enter(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock()
    }

    /// Which owner it is, and whether it is there still.
    pub(crate) fn tenure(&self) -> (u64, bool) {
        let inside = self.enter();
        (inside.tenure, inside.owner.is_some())
    }

    /// Will the log take so many bytes? Then it still does when they come: only who holds the lock appends.
    pub(crate) fn ready(&self, bytes: usize) -> Result<(), Refused> {
        self.log().map_or(Ok(()), |log| Ok(log.ready(bytes)?))
    }

    /// Logs what was merged while the lock is held. 0 when there is nothing to wait for.
    pub(crate) fn append(&self, entries: &[Entry]) -> Result<u64, Refused> {
        let Some(log) = self.log() else { return Ok(0) };
        let mut last = 0;
        for record in record::write(entries, STEP_BYTES) {
            last = log.append(record)?;
        }
        Ok(last)
    }

    /// The log has news. Called on its thread.
    pub(crate) fn logged(self: &Arc<Self>, event: &Event) {
        let owner = self.enter().owner.clone();
        match (event, owner) {
            (Event::Synced(up_to), Some(owner)) => owner.synced(*up_to),
            (Event::Failed(error), Some(owner)) => owner.failed(error),
            (Event::SnapshotDue, _) => self.snapshot(),
            // A snapshot that failed costs space only, and the next one comes.
            (Event::Synced(_) | Event::Failed(_) | Event::SnapshotDone { .. } | Event::SnapshotFailed(_), _) => {}
        }
    }

    /// Has the log replaced by what the store holds, in the background.
    pub(crate) fn snapshot(self: &Arc<Self>) {
        if let Some(log) = self.log() {
            // Refused when one is running or the store is being closed.
            let _ = log.snapshot(Box::new(Snapshot { cell: self.clone(), after: None, is_done: false }));
        }
    }
}

/// All entries, a step at a time. Holds the cell: a store that went away would look like an empty one.
struct Snapshot {
    cell: Arc<Cell>,
    after: Option<Cursor>,
    is_done: bool,
}

impl Iterator for Snapshot {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while !self.is_done {
            let (entries, next) = self.cell.enter().store.scan_all(self.after.as_ref(), STEP_ENTRIES, STEP_BYTES);
            self.is_done = next.is_none();
            self.after = next;
            // A step is no larger than a record.
            let record = record::write(&entries, usize::MAX).next();
            if record.is_some() {
                return record;
            }
        }
        None
    }
}
