// SPDX-License-Identifier: Apache-2.0
//! What an owner holds of its store. Every call answers at once, except the two that end it.
//!
//! Keeps: a write is in the log's queue before anybody hears of it, or nothing was written.

use super::cell::{Cell, Inside, STEP_BYTES, STEP_ENTRIES};
use super::owner::Refused;
use super::Stores;
use crate::clock::unix_ms;
use barrel_p2p_base::NodeName;
use barrel_p2p_proto::hlc::Timestamp;
use barrel_p2p_proto::store::{Cursor, Entry, Prefix, Store, TooLarge};
use barrel_p2p_store::log::LogError;
use parking_lot::MutexGuard;
use std::sync::Arc;

/// Bytes that a record takes besides keys and values: stamp, name of the origin, lengths.
const RECORD_OVERHEAD: usize = 512;

/// One owner's hold on a store.
#[derive(Debug)]
pub struct Handle {
    pub(crate) stores: Arc<Stores>,
    pub(crate) cell: Arc<Cell>,
    pub(crate) tenure: u64,
}

/// Entries of others that the owner has to judge.
#[derive(Debug)]
pub struct Pulled {
    /// Each key once.
    pub entries: Vec<Entry>,
    /// There are others behind them.
    pub has_more: bool,
}

/// Some entries were staged by the host.
#[derive(Clone, Copy, Debug)]
pub struct Staging {
    /// There was no room for all of them.
    pub is_full: bool,
    /// The owner has to be told: something waits, and nothing did.
    pub has_news: bool,
}

/// Removed entries of one node.
#[derive(Debug)]
pub struct Pruned {
    /// The number to wait for.
    pub seq: u64,
    /// The tombstones.
    pub entries: Vec<Entry>,
    /// Where to go on.
    pub next: Option<Cursor>,
}

/// Sizes.
#[derive(Clone, Debug)]
pub struct Info {
    /// What the store is called.
    pub name: String,
    /// Entries with a value.
    pub values: usize,
    /// Entries without.
    pub tombstones: usize,
    /// Bytes of all entries.
    pub bytes: usize,
    /// Changes of others wait.
    pub has_staged: bool,
    /// It has files.
    pub is_persistent: bool,
    /// It was not closed, nor taken over.
    pub is_open: bool,
    /// Writes of the host.
    pub writes: u64,
    /// Changes of others that were merged.
    pub merged: u64,
    /// Changes of others that the owner did not want.
    pub rejected: u64,
}

impl Handle {
    /// Writes a value. The number is what to wait for; 0: nothing.
    pub fn put(&self, key: &[u8], value: &[u8], origin: &NodeName) -> Result<u64, Refused> {
        self.write(key.len() + value.len(), |store, now| store.put(key, value, origin, now))
    }

    /// Puts a value back that others have removed since they took it for lost.
    pub fn restore(&self, key: &[u8], value: &[u8], origin: &NodeName) -> Result<u64, Refused> {
        self.write(key.len() + value.len(), |store, _| store.restore(key, value, origin))
    }

    /// Writes a tombstone.
    pub fn remove(&self, key: &[u8]) -> Result<u64, Refused> {
        self.write(key.len(), |store, now| store.remove(key, now))
    }

    fn write(
        &self,
        bytes: usize,
        act: impl FnOnce(&mut Store, Timestamp) -> Result<Entry, TooLarge>,
    ) -> Result<u64, Refused> {
        let now = unix_ms();
        let mut inside = self.enter()?;
        self.cell.ready(bytes + RECORD_OVERHEAD)?;
        let had_outgoing = inside.store.has_outgoing();
        let entry = act(&mut inside.store, self.stores.clock.now(now))?;
        inside.writes += 1;
        let seq = self.cell.append(std::slice::from_ref(&entry))?;
        self.stores.tidy(&mut inside.store, now);
        drop(inside);
        // Gossip takes all that waits, so it has to be told of the first only.
        if !had_outgoing {
            self.stores.bell.wrote(&self.cell.name);
        }
        Ok(seq)
    }

    /// Removes what that node has written before that time, in a part of the store.
    pub fn prune(&self, origin: &NodeName, before_ms: u64, after: Option<&Cursor>) -> Result<Pruned, Refused> {
        let mut inside = self.enter()?;
        // Only as much as a step hands out is looked at: the tombstones are no larger than what they replace.
        let (values, _) = inside.store.scan(Prefix::ALL, after, STEP_ENTRIES, STEP_BYTES);
        let theirs = values.iter().filter(|entry| entry.origin() == Some(origin));
        self.cell.ready(theirs.map(Entry::size).sum())?;
        let (entries, next) = inside.store.prune(origin, before_ms, after, values.len());
        let seq = self.cell.append(&entries)?;
        Ok(Pruned { seq, entries, next })
    }

    /// The next changes of others; the same again until the next commit. Nothing when the store has another owner.
    pub fn pull(&self) -> Pulled {
        let Ok(mut inside) = self.enter() else { return Pulled { entries: Vec::new(), has_more: false } };
        let entries = inside.store.pull(STEP_ENTRIES, STEP_BYTES);
        inside.in_hand_bytes = entries.iter().map(Entry::size).sum();
        Pulled { entries, has_more: inside.store.has_staged() }
    }

    /// Merges what was pulled last, without the rejected keys.
    pub fn commit(&self, rejected: &[&[u8]]) -> Result<u64, Refused> {
        let mut inside = self.enter()?;
        self.cell.ready(inside.in_hand_bytes)?;
        let entries = inside.store.commit(rejected);
        inside.merged += entries.len() as u64;
        inside.rejected += rejected.len() as u64;
        inside.in_hand_bytes = 0;
        let seq = self.cell.append(&entries)?;
        self.stores.tidy(&mut inside.store, unix_ms());
        let is_drained = !inside.store.has_staged();
        drop(inside);
        if is_drained {
            self.stores.bell.ring(&self.cell.name, |notes| notes.drained = true);
        }
        Ok(seq)
    }

    /// Takes entries as if a peer had sent them. Those that are none, and stamps too far ahead, count as rejected.
    pub fn stage(&self, entries: Vec<Option<Entry>>) -> Result<Staging, Refused> {
        let now = unix_ms();
        let given = entries.len();
        let is_believable = |entry: &Entry| self.stores.clock.update(entry.stamp(), now).is_ok();
        let entries: Vec<Entry> = entries.into_iter().flatten().filter(is_believable).collect();
        let mut inside = self.enter()?;
        inside.rejected += (given - entries.len()) as u64;
        let had_staged = inside.store.has_staged();
        let staged = inside.store.stage(entries);
        Ok(Staging { is_full: staged.dropped > 0, has_news: !had_staged && inside.store.has_staged() })
    }

    /// What the store holds for a key.
    pub fn get(&self, key: &[u8]) -> Option<Entry> {
        self.cell.enter().store.get(key).cloned()
    }

    /// A part of what the store holds, and where to go on.
    pub fn scan(&self, after: Option<&Cursor>) -> (Vec<Entry>, Option<Cursor>) {
        self.cell.enter().store.scan(Prefix::ALL, after, STEP_ENTRIES, STEP_BYTES)
    }

    /// How large it is, and what was done.
    pub fn info(&self) -> Info {
        let inside = self.cell.enter();
        Info {
            name: self.cell.name.to_string(),
            values: inside.store.len(),
            tombstones: inside.store.tombstones(),
            bytes: inside.store.bytes(),
            has_staged: inside.store.has_staged(),
            is_persistent: self.cell.place.is_some(),
            is_open: inside.tenure == self.tenure,
            writes: inside.writes,
            merged: inside.merged,
            rejected: inside.rejected,
        }
    }

    /// Nobody is to be told any more: the owner is gone. The store stays for the next one.
    pub fn abandon(&self) {
        if let Ok(mut inside) = self.enter() {
            let owner = inside.owner.take();
            drop(inside);
            drop(owner);
        }
    }

    /// Takes the store off the shelf; waits for the disk. Does nothing when it has another owner.
    pub fn close(&self) {
        self.stores.close(&self.cell, self.tenure);
    }

    /// Closes it and deletes its files.
    pub fn delete(&self) -> Result<(), LogError> {
        self.stores.delete(&self.cell, self.tenure)
    }

    /// Only the owner of the time comes in.
    fn enter(&self) -> Result<MutexGuard<'_, Inside>, Refused> {
        let inside = self.cell.enter();
        if inside.tenure == self.tenure {
            Ok(inside)
        } else {
            Err(Refused::Closed)
        }
    }
}
