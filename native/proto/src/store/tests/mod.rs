// SPDX-License-Identifier: Apache-2.0
//! What a host and its peers may rely on, whatever happened before.

mod comparison;
mod cost;
mod histories;
mod host;
mod laws;
mod outgoing;
mod staging;
mod tombstones;

use barrel_p2p_base::NodeName;

use super::*;
use crate::hlc::Timestamp;

/// A time of day, far from zero.
const NOW: u64 = 1_800_000_000_000;

/// No key is rejected.
const ALL_GOOD: &[&[u8]] = &[];

fn node(number: usize) -> NodeName {
    NodeName::parse(format!("n{number}@host").as_bytes()).unwrap()
}

fn at(offset_ms: u64) -> Timestamp {
    Timestamp { wall_ms: NOW + offset_ms, logical: 0 }
}

fn value(key: &str, value: &str, origin: usize, offset_ms: u64) -> Entry {
    Entry::value(key.as_bytes(), value.as_bytes(), &node(origin), at(offset_ms)).unwrap()
}

fn tombstone(key: &str, offset_ms: u64) -> Entry {
    Entry::tombstone(key.as_bytes(), at(offset_ms)).unwrap()
}

fn store() -> Store {
    Store::new(Config { tombstone_ttl_ms: 1_000, ..Config::default() })
}

fn loaded(entries: &[Entry]) -> Store {
    let mut store = store();
    entries.iter().for_each(|entry| store.load(entry.clone()));
    store
}

fn everything(store: &Store) -> Vec<Entry> {
    let (entries, None) = store.scan(Prefix::ALL, None, usize::MAX, usize::MAX) else {
        panic!("a scan without bounds ends")
    };
    entries
}

/// What a key has: its value or `None` for a tombstone, and `None` if it is unknown.
fn content<'a>(store: &'a Store, key: &str) -> Option<Option<&'a str>> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    store.get(key.as_bytes()).map(|entry| entry.bytes().map(text))
}

/// Stages and commits, as an owner does that likes everything.
fn deliver(store: &mut Store, entries: Vec<Entry>) -> Vec<Entry> {
    store.stage(entries);
    let mut merged = Vec::new();
    while store.has_staged() {
        store.pull(64, usize::MAX);
        merged.extend(store.commit(ALL_GOOD));
    }
    merged
}

/// Everything that a store remembers about its entries, counted again.
fn check(store: &Store) {
    let entries = everything(store);
    let sum = entries.iter().fold(0_u64, |sum, entry| sum.wrapping_add(entry.fingerprint()));
    if store.rejected() == 0 {
        assert_eq!(store.root(), Summary { fingerprint: sum, count: entries.len() as u32 });
    }
    let values = entries.iter().filter(|entry| entry.bytes().is_some()).count();
    let (all, None) = store.scan_all(None, usize::MAX, usize::MAX) else { panic!("a scan without bounds ends") };
    assert_eq!((store.len(), store.tombstones()), (values, all.len() - values));
    assert!(all.iter().filter(|entry| !entries.contains(entry)).all(|entry| entry.bytes().is_none()));
    assert!(all.iter().all(|entry| store.get(entry.key()) == Some(entry)));
    let (bytes, origins) = store.counted();
    assert_eq!(bytes, all.iter().map(Entry::cost).sum::<usize>());
    assert_eq!(origins, values);
    check_part(store, Prefix::ALL);
}

/// A part is the sum of its parts, on every level down to the lists.
fn check_part(store: &Store, prefix: Prefix) {
    let versions = store.versions(prefix);
    let sum = versions.iter().fold(0_u64, |sum, version| sum.wrapping_add(*version));
    let summary = store.summary(prefix);
    assert_eq!(summary, Summary { fingerprint: sum, count: versions.len() as u32 });
    if let Node::Branch(children) = store.node(prefix) {
        for (child, nibble) in children.iter().zip(0..) {
            let part = prefix.child(nibble).unwrap();
            assert_eq!(store.summary(part), *child);
            check_part(store, part);
        }
    } else {
        assert!(versions.len() <= LIST_LIMIT || prefix.levels() == Prefix::MAX_LEVELS);
    }
}
