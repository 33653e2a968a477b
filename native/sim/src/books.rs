// SPDX-License-Identifier: Apache-2.0
//! What the host of a simulated node keeps: one store, its clock, and a disk.
//!
//! Keeps: what the host has written is on the disk at once, as an acknowledged write of a persistent store is; what came
//! from peers is there once the host has taken it. Leaves to others: when the host does what ([`crate::world`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barrel_p2p_base::NodeName;
use barrel_p2p_proto::hlc::{Clock, DEFAULT_MAX_SKEW_MS};
use barrel_p2p_proto::replication::Shelf;
use barrel_p2p_proto::store::{Config, Entry, Store, StoreName};

/// The store of one node, which its host and its machine share.
#[derive(Debug)]
pub struct Book {
    name: Option<StoreName>,
    store: Mutex<Store>,
    clock: Arc<Clock>,
}

impl Book {
    /// An empty store.
    pub fn new(tombstone_ttl_ms: u64) -> Self {
        let store = Store::new(Config { tombstone_ttl_ms, ..Config::default() });
        let clock = Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS));
        Self { name: StoreName::parse(b"sim").ok(), store: Mutex::new(store), clock }
    }

    /// The clock of the node.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// What is called in this world.
    pub fn name(&self) -> Option<&StoreName> {
        self.name.as_ref()
    }

    /// The store.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a value, or removes the key; gives what was written.
    pub fn write(&self, key: u32, value: Option<u64>, origin: &NodeName, wall_ms: u64) -> Option<Entry> {
        let (key, stamp) = (key.to_be_bytes(), self.clock.now(wall_ms));
        let mut store = self.store();
        match value {
            Some(value) => store.put(&key, &value.to_be_bytes(), origin, stamp).ok(),
            None => store.remove(&key, stamp).ok(),
        }
    }

    /// Takes everything that came from peers.
    pub fn take_staged(&self) {
        let mut store = self.store();
        while !store.pull(CHUNK, usize::MAX).is_empty() {
            store.commit(&[[]; 0]);
        }
    }

    /// What a node finds that starts again with its disk: a store without what was under way.
    pub fn reopened(&self, tombstone_ttl_ms: u64) -> Self {
        let book = Self::new(tombstone_ttl_ms);
        for entry in self.entries() {
            book.store().load(entry);
        }
        book
    }

    /// Everything, tombstones included, in the order of positions.
    pub fn entries(&self) -> Vec<Entry> {
        self.store().scan_all(None, usize::MAX, usize::MAX).0
    }
}

impl Shelf for Book {
    fn visit(&self, name: &StoreName, act: &mut dyn FnMut(&mut Store)) -> bool {
        let is_open = Some(name) == self.name.as_ref();
        if is_open {
            act(&mut self.store());
        }
        is_open
    }

    fn names(&self) -> Vec<StoreName> {
        self.name.iter().cloned().collect()
    }
}

/// Entries (count) that a host judges at once.
const CHUNK: usize = 256;
