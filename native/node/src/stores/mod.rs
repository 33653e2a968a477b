// SPDX-License-Identifier: Apache-2.0
//! The stores of this process, and who may do what with them.
//!
//! ```text
//!   owner's calls             I/O thread                      threads of the logs
//!   Handle ---- cell <------- Stores as the stack's shelf
//!                |  \-------- bell: opened, wrote, drained
//!                +-- log (store crate) -------------------->  group commit, snapshot
//!   Owner <--------- staged (I/O thread), synced, failed (log's thread)
//! ```
//!
//! * [`handle`]: what an owner holds
//! * [`owner`]: what an owner hears, and why it is refused
//! * `shelf`: all of them, as gossip and numbers see them
//! * `cell`: one store with its log
//! * `bell`: what gossip has to know
//! * `record`: entries in the log
//!
//! Keeps: one store per name and process, whether gossip runs or not; one owner at a time, and a store outlives its owner; a lock is held for
//! bounded steps; no call of an owner waits for the disk, but those that open and end a store.
//! Leaves to others: merging (`proto::store`), when peers hear of what (`proto::replication`), files (`store`), processes (`nif`).

pub(crate) mod bell;
mod cell;
pub mod handle;
pub mod owner;
mod record;
mod shelf;
#[cfg(test)]
mod tests;

pub use handle::{Handle, Info, Pruned, Pulled, Staging};
pub use owner::{OpenError, Owner, Refused};
pub(crate) use shelf::Totals;

use crate::clock::unix_ms;
use barrel_p2p_proto::hlc::{Clock, Timestamp};
use barrel_p2p_proto::store::{Config, Store, StoreName};
use barrel_p2p_store::disk::RealDisk;
use barrel_p2p_store::log::{Event, Log, LogError};
use bell::Bell;
use cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// When what is removed may be forgotten.
    pub tombstone_ttl_ms: u64,
    /// The directory of its files; without one it lives in memory only.
    pub place: Option<PathBuf>,
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The new owner's.
    pub handle: Arc<Handle>,
    /// Changes of others wait since the last owner's time; this one is not told of them otherwise.
    pub has_staged: bool,
}

/// The stores of a process.
#[derive(Debug)]
pub struct Stores {
    clock: Arc<Clock>,
    cells: RwLock<BTreeMap<StoreName, Arc<Cell>>>,
    pub(crate) bell: Bell,
    /// Stores are opened and closed one after the other.
    doors: Mutex<()>,
    tenures: AtomicU64,
}

impl Stores {
    /// None yet. The clock stamps what hosts write.
    pub fn new(clock: Arc<Clock>) -> Self {
        Self {
            clock,
            cells: RwLock::default(),
            bell: Bell::default(),
            doors: Mutex::default(),
            tenures: AtomicU64::new(0),
        }
    }

    /// What stamps.
    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Opens a store, or hands an open one to another owner, with its options; one without an owner whose files are elsewhere is closed
    /// first. Waits for the disk. `owner` makes the one who hears of events.
    pub fn open(
        self: &Arc<Self>,
        name: &[u8],
        options: Options,
        owner: impl FnOnce(&Arc<Handle>) -> Arc<dyn Owner>,
    ) -> Result<Opened, OpenError> {
        let name = StoreName::parse(name)?;
        let tombstone_ttl_ms = options.tombstone_ttl_ms;
        let _door = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = match self.cell(&name) {
            Some(cell) if cell.place == options.place => cell,
            Some(cell) => {
                let (tenure, has_owner) = cell.tenure();
                if has_owner {
                    return Err(OpenError::OtherPlace);
                }
                self.take_down(&cell, tenure);
                self.put_up(name, options)?
            }
            None => self.put_up(name, options)?,
        };
        let tenure = self.tenures.fetch_add(1, Ordering::Relaxed) + 1;
        let handle = Arc::new(Handle { stores: self.clone(), cell: cell.clone(), tenure });
        let owner = owner(&handle);
        let mut inside = cell.enter();
        inside.tenure = tenure;
        inside.store.set_tombstone_ttl(tombstone_ttl_ms);
        let before = inside.owner.replace(owner);
        let has_staged = inside.store.has_unjudged();
        drop(inside);
        drop(before);
        self.bell.ring(&cell.name, |notes| notes.opened = true);
        Ok(Opened { handle, has_staged })
    }

    /// A new cell on the shelf, with what its log has.
    fn put_up(&self, name: StoreName, options: Options) -> Result<Arc<Cell>, LogError> {
        let mut store = Store::new(Config { tombstone_ttl_ms: options.tombstone_ttl_ms, ..Config::default() });
        let teller: Arc<OnceLock<Weak<Cell>>> = Arc::default();
        let log = match &options.place {
            Some(place) => Some(self.recover(place, &name, &mut store, teller.clone())?),
            None => None,
        };
        let cell = Arc::new(Cell::new(name.clone(), options.place, store));
        let _ = teller.set(Arc::downgrade(&cell));
        if let Some((log, is_snapshot_due)) = log {
            cell.set_log(log);
            if is_snapshot_due {
                cell.snapshot();
            }
        }
        self.cells.write().unwrap_or_else(PoisonError::into_inner).insert(name, cell.clone());
        Ok(cell)
    }

    fn recover(
        &self,
        place: &Path,
        name: &StoreName,
        store: &mut Store,
        teller: Arc<OnceLock<Weak<Cell>>>,
    ) -> Result<(Log, bool), LogError> {
        // Tells it the time: tombstones that have had theirs are not told to anybody again.
        store.collect(unix_ms(), false, u64::MAX);
        let mut latest = Timestamp::default();
        let mut load = |record: bytes::Bytes| {
            record::read(&record, |entry| {
                latest = latest.max(entry.stamp());
                store.load(entry);
            });
        };
        let tell = move |event: Event| {
            if let Some(cell) = teller.get().and_then(Weak::upgrade) {
                cell.logged(&event);
            }
        };
        let (log, recovery) = Log::open(Arc::new(RealDisk), place, name.as_str(), &mut load, tell)?;
        // The wall clock may have gone back by more than is allowed. A key's own stamp is passed in any case.
        let _ = self.clock.update(latest, unix_ms());
        Ok((log, recovery.snapshot_due))
    }

    fn close(&self, cell: &Arc<Cell>, tenure: u64) {
        let _door = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_down(cell, tenure);
    }

    fn delete(&self, cell: &Arc<Cell>, tenure: u64) -> Result<(), LogError> {
        let _door = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gone = self.take_down(cell, tenure);
        match &cell.place {
            Some(place) if is_gone => Log::delete(&RealDisk, place, cell.name.as_str()),
            Some(_) | None => Ok(()),
        }
    }

    /// Closes the store, unless somebody else has it; true when nobody has it now.
    fn take_down(&self, cell: &Arc<Cell>, tenure: u64) -> bool {
        let mut inside = cell.enter();
        if inside.tenure != tenure {
            return inside.tenure == 0;
        }
        inside.tenure = 0;
        let owner = inside.owner.take();
        drop(inside);
        drop(owner);
        self.cells.write().unwrap_or_else(PoisonError::into_inner).remove(&cell.name);
        if let Some(log) = cell.log() {
            // What could not be written was told to the owner while it was there.
            let _ = log.close();
        }
        // Handles may be kept for long. Only now: a snapshot must not see the store become empty.
        let content = std::mem::replace(&mut cell.enter().store, Store::new(Config::default()));
        drop(content);
        true
    }
}
