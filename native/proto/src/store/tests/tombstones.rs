// SPDX-License-Identifier: Apache-2.0
//! Tombstones go when nobody needs them any more, and what they bury does not come back.

use super::*;

const TTL: u64 = 1_000;
const DAY: u64 = 86_400_000;

#[test]
fn a_tombstone_goes_after_its_time() {
    let mut store = store();
    store.put(b"a", b"1", &node(1), at(0)).unwrap();
    store.remove(b"a", at(1)).unwrap();
    store.remove(b"b", at(2)).unwrap();
    assert_eq!(store.collect(NOW + TTL, true, DAY), 0);
    assert_eq!(store.collect(NOW + TTL + 1, true, DAY), 1);
    assert_eq!((content(&store, "a"), content(&store, "b"), store.tombstones()), (None, Some(None), 1));
    check(&store);
    assert_eq!(store.collect(NOW + 2 * TTL, true, DAY), 1);
    assert_eq!((store.tombstones(), store.root()), (0, Summary::default()));
    check(&store);
}

#[test]
fn while_somebody_is_away_it_stays_up_to_the_largest_age() {
    let mut store = store();
    store.remove(b"a", at(0)).unwrap();
    assert_eq!(store.collect(NOW + DAY - 1, false, DAY), 0);
    assert_eq!(store.collect(NOW + DAY, false, DAY), 1);
}

#[test]
fn a_key_that_lives_again_is_not_collected() {
    let mut store = store();
    store.remove(b"a", at(0)).unwrap();
    store.put(b"a", b"1", &node(1), at(1)).unwrap();
    assert_eq!(store.collect(NOW + DAY, true, DAY), 0);
    assert_eq!(content(&store, "a"), Some(Some("1")));
    store.remove(b"a", at(5_000)).unwrap();
    assert_eq!(store.collect(NOW + 5_000, true, DAY), 0);
    check(&store);
}

#[test]
fn one_call_takes_out_a_bounded_number() {
    let mut store = store();
    for key in 0..COLLECT_AT_ONCE + 10 {
        store.remove(&key.to_be_bytes(), at(0)).unwrap();
    }
    assert_eq!(store.collect(NOW + TTL, true, DAY), COLLECT_AT_ONCE);
    assert_eq!(store.collect(NOW + TTL, true, DAY), 10);
    check(&store);
}

#[test]
fn beyond_the_limit_the_oldest_go() {
    let mut store = Store::new(Config { tombstone_limit: 3, ..Config::default() });
    for (key, offset_ms) in [("a", 4), ("b", 1), ("c", 3), ("d", 2)] {
        deliver(&mut store, vec![tombstone(key, offset_ms)]);
    }
    assert_eq!((store.tombstones(), content(&store, "b")), (3, None));
    store.put(b"e", b"1", &node(1), at(5)).unwrap();
    store.remove(b"e", at(6)).unwrap();
    assert_eq!((content(&store, "d"), content(&store, "c"), content(&store, "e")), (None, Some(None), Some(None)));
    check(&store);
}

#[test]
fn a_collected_tombstone_does_not_come_back_from_who_collects_later() {
    let mut store = store();
    store.remove(b"a", at(0)).unwrap();
    store.collect(NOW + TTL, true, DAY);
    assert_eq!(store.stage(vec![tombstone("a", 0), tombstone("b", 0)]), Staged { taken: 0, known: 2, dropped: 0 });
    // While somebody is away it is kept everywhere.
    store.collect(NOW + TTL, false, DAY);
    assert_eq!(store.stage(vec![tombstone("a", 0)]).taken, 1);
}

#[test]
fn an_old_tombstone_still_buries_what_is_here_or_waits_here() {
    let mut store = loaded(&[value("a", "1", 1, 0)]);
    store.collect(NOW + DAY, true, DAY);
    store.stage(vec![value("b", "1", 1, 0), value("c", "1", 1, 0)]);
    assert_eq!(store.stage(vec![tombstone("a", 1), tombstone("b", 1)]).taken, 2);
    deliver(&mut store, vec![]);
    assert_eq!(
        (content(&store, "a"), content(&store, "b"), content(&store, "c")),
        (Some(None), Some(None), Some(Some("1")))
    );
}

#[test]
fn pruning_is_the_same_everywhere() {
    let entries = [value("a", "1", 1, 0), value("b", "1", 2, 0), value("c", "1", 1, 9), tombstone("d", 3)];
    let (mut one, mut other) = (loaded(&entries), loaded(&entries));
    other.collect(NOW + 77, false, DAY);
    let (pruned, None) = one.prune(&node(1), NOW + 9, None, 100) else { panic!() };
    assert_eq!(pruned, vec![Entry::tombstone(b"a", at(0).successor()).unwrap()]);
    assert_eq!(other.prune(&node(1), NOW + 9, None, 100).0, pruned);
    assert_eq!(one.root(), other.root());
    assert_eq!((content(&one, "a"), content(&one, "c"), one.len()), (Some(None), Some(Some("1")), 2));
    // It is no news for who has pruned as well.
    assert_eq!(other.stage(pruned).known, 1);
    check(&one);
}

#[test]
fn pruning_looks_at_so_many_at_a_time() {
    let mut store = store();
    for key in 0..100_u8 {
        store.put(&[key], b"1", &node(usize::from(key % 2)), at(0)).unwrap();
    }
    let (mut after, mut pruned, mut rounds) = (None, 0, 0);
    loop {
        let (entries, next) = store.prune(&node(1), u64::MAX, after.as_ref(), 10);
        assert!(entries.len() <= 10);
        (pruned, rounds) = (pruned + entries.len(), rounds + 1);
        let Some(next) = next else { break };
        after = Some(next);
    }
    assert_eq!((pruned, store.len(), rounds), (50, 50, 10));
    check(&store);
}

#[test]
fn the_tombstone_of_an_old_value_stays_its_time_after_the_pruning() {
    let mut store = loaded(&[value("a", "1", 1, 0)]);
    store.collect(NOW + DAY, true, 2 * DAY);
    store.prune(&node(1), u64::MAX, None, 100);
    assert_eq!(store.collect(NOW + DAY + TTL - 1, true, 2 * DAY), 0);
    assert_eq!(store.collect(NOW + DAY + TTL, true, 2 * DAY), 1);
    check(&store);
    // Also when something else took its place meanwhile.
    store.put(b"b", b"1", &node(1), at(0)).unwrap();
    store.prune(&node(1), u64::MAX, None, 100);
    store.put(b"b", b"2", &node(2), at(DAY)).unwrap();
    assert_eq!(store.collect(NOW + 9 * DAY, true, DAY), 0);
    check(&store);
}
