// SPDX-License-Identifier: Apache-2.0
//! What the host has written goes out once, as it is then.

use barrel_p2p_base::limits::MAX_OUTGOING_KEYS;

use super::*;
use crate::store::outgoing::Outgoing;

#[test]
fn a_key_goes_out_once_as_it_is_now() {
    let mut store = store();
    assert!(!store.has_outgoing());
    store.put(b"a", b"1", &node(1), at(0)).unwrap();
    store.remove(b"b", at(1)).unwrap();
    let last = store.put(b"a", b"2", &node(1), at(2)).unwrap();
    assert!(store.has_outgoing());
    let taken = store.take_outgoing(usize::MAX);
    assert!(taken.len() == 2 && taken.contains(&last) && taken.contains(&tombstone("b", 1)));
    assert!(!store.has_outgoing() && store.take_outgoing(usize::MAX).is_empty());
}

#[test]
fn only_what_the_host_writes_goes_out() {
    let mut store = loaded(&[value("a", "1", 1, 0)]);
    deliver(&mut store, vec![value("b", "1", 2, 0)]);
    store.prune(&node(1), u64::MAX, None, 10);
    assert!(!store.has_outgoing() && !store.take_overflow());
}

#[test]
fn a_batch_keeps_its_bound_and_everything_gets_its_turn() {
    let mut store = store();
    let keys: Vec<String> = (0..100).map(|key| format!("{key:02}")).collect();
    let mut size = 0;
    for key in &keys {
        size = store.put(key.as_bytes(), b"1", &node(1), at(0)).unwrap().size();
    }
    let mut seen = vec![];
    for round in 1..=20 {
        let taken = store.take_outgoing(5 * size);
        assert_eq!(taken.len(), 5);
        for entry in &taken {
            seen.push(entry.key().to_vec());
            // Keys that are written all the time do not hold up the others.
            store.put(entry.key(), b"2", &node(1), at(round)).unwrap();
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100);
    assert_eq!(store.take_outgoing(1).len(), 1);
}

#[test]
fn keys_in_one_position_are_looked_up() {
    let mut outgoing = Outgoing::default();
    let entries = [value("a", "1", 1, 0), value("b", "1", 1, 0), value("b", "2", 1, 1)];
    outgoing.add(7, &entries[0]);
    assert_eq!(outgoing.next(), Some((7, Some(&entries[0]))));
    for entry in &entries[1..] {
        outgoing.add(7, entry);
        assert_eq!(outgoing.next(), Some((7, None)));
    }
    assert_eq!((outgoing.take(7), outgoing.is_empty()), (None, true));
    outgoing.add(7, &entries[2]);
    assert_eq!(outgoing.take(7), Some(entries[2].clone()));
}

#[test]
fn too_much_is_forgotten_and_told_once() {
    let mut store = store();
    for key in 0..=MAX_OUTGOING_KEYS {
        store.put(&key.to_be_bytes(), b"", &node(1), at(0)).unwrap();
    }
    assert!(!store.has_outgoing());
    assert!(store.take_overflow() && !store.take_overflow());
    store.put(b"a", b"1", &node(1), at(0)).unwrap();
    assert_eq!(store.take_outgoing(usize::MAX).len(), 1);
}
