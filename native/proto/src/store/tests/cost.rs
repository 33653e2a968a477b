// SPDX-License-Identifier: Apache-2.0
//! What a call costs follows the logarithm of what is there, and the memory follows its amount.

use super::trie::tests::visits_of;
use super::*;

/// The most nodes of the tree that one of some writes to a store with so many keys goes through.
fn nodes_per_put(keys: u32) -> usize {
    let mut store = store();
    for key in 0..keys {
        store.put(&key.to_be_bytes(), b"1", &node(1), at(0)).unwrap();
    }
    let put = |key: u32| visits_of(|| drop(store.put(&key.to_be_bytes(), b"2", &node(1), at(1))));
    (0..keys).step_by(1 + keys as usize / 500).chain(keys..keys + 100).map(put).max().unwrap()
}

#[test]
fn a_put_visits_a_logarithm_of_nodes() {
    assert_eq!(nodes_per_put(10), 1 + 1);
    assert!(nodes_per_put(1_000) <= 4);
    assert!(nodes_per_put(100_000) <= 6);
}

#[test]
fn a_slot_is_a_cache_line() {
    assert_eq!(size_of::<trie::Slot>(), 64);
}

#[test]
fn rewriting_a_key_costs_no_memory() {
    let mut store = store();
    store.put(b"a", b"1", &node(1), at(0)).unwrap();
    let bytes = store.bytes();
    for round in 1..1_000 {
        store.put(b"a", b"2", &node(1), at(round)).unwrap();
        store.put(b"b", b"2", &node(round as usize), at(round)).unwrap();
        store.remove(b"b", at(round)).unwrap();
    }
    store.collect(NOW + 100_000, true, u64::MAX);
    assert_eq!((store.bytes(), store.root().count), (bytes, 1));
    check(&store);
}
