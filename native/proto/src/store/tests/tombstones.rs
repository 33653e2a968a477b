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
    assert_eq!(store.collect(NOW + TTL, true, DAY).forgotten, 0);
    assert_eq!(store.collect(NOW + TTL + 1, true, DAY).forgotten, 1);
    assert_eq!((content(&store, "a"), content(&store, "b"), store.tombstones()), (None, Some(None), 1));
    check(&store);
    assert_eq!(store.collect(NOW + 2 * TTL, true, DAY).forgotten, 1);
    assert_eq!((store.tombstones(), store.root()), (0, Summary::default()));
    check(&store);
}

#[test]
fn while_somebody_is_away_it_stays_up_to_the_largest_age() {
    let mut store = store();
    store.remove(b"a", at(0)).unwrap();
    store.collect(NOW + DAY - 1, false, DAY);
    assert_eq!((content(&store, "a"), store.tombstones()), (Some(None), 1));
    check(&store);
    store.collect(NOW + DAY, false, DAY);
    assert_eq!((content(&store, "a"), store.tombstones()), (None, 0));
    check(&store);
}

#[test]
fn a_key_that_lives_again_is_not_collected() {
    let mut store = store();
    store.remove(b"a", at(0)).unwrap();
    store.put(b"a", b"1", &node(1), at(1)).unwrap();
    assert_eq!(store.collect(NOW + DAY, true, DAY).forgotten, 0);
    assert_eq!(content(&store, "a"), Some(Some("1")));
    store.remove(b"a", at(5_000)).unwrap();
    assert_eq!(store.collect(NOW + 5_000, true, DAY).forgotten, 0);
    check(&store);
}

#[test]
fn one_call_takes_out_a_bounded_number() {
    let mut store = store();
    for key in 0..1_034_u64 {
        store.remove(&key.to_be_bytes(), at(0)).unwrap();
    }
    let done = |forgotten, more| Collected { forgotten, more };
    assert_eq!(store.collect(NOW + TTL, true, DAY), done(1_024, true));
    assert_eq!(store.collect(NOW + TTL, true, DAY), done(10, false));
    for key in 0..1_034_u64 {
        store.remove(&key.to_be_bytes(), at(0)).unwrap();
    }
    // Retiring is work, too.
    assert_eq!(store.collect(NOW + TTL, false, DAY), done(0, true));
    assert_eq!((store.root().count, store.tombstones()), (10, 1_034));
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
fn a_forgotten_tombstone_does_not_come_back_from_who_forgets_later() {
    let mut store = store();
    store.remove(b"a", at(0)).unwrap();
    store.collect(NOW + TTL, true, DAY);
    assert_eq!(store.stage(vec![tombstone("a", 0), tombstone("b", 0)]).known, 2);
    assert_eq!(store.stage(vec![tombstone("b", 1)]).taken, 1);
}

#[test]
fn who_has_forgotten_and_who_has_retired_are_equal() {
    let entries = [value("a", "1", 1, 0), tombstone("b", 0), tombstone("c", 2)];
    let (mut one, mut other) = (loaded(&entries), loaded(&entries));
    one.collect(NOW + TTL + 1, true, DAY);
    other.collect(NOW + TTL + 1, false, DAY);
    assert_eq!((one.tombstones(), other.tombstones()), (1, 2));
    assert_eq!((one.root(), everything(&one)), (other.root(), everything(&other)));
    assert_eq!(one.versions(Prefix::ALL), other.versions(Prefix::ALL));
    assert!(other.find(Prefix::ALL, entries[1].fingerprint(), &mut 0).is_none());
    // Only the host, for its disk, sees all of them.
    assert_eq!(other.scan_all(None, 9, usize::MAX).0.len(), 3);
    // What others tell still is no news.
    assert_eq!(other.stage(vec![entries[1].clone()]).known, 1);
    assert_eq!(one.root(), other.root());
}

#[test]
fn a_value_that_was_buried_long_ago_does_not_come_back() {
    let stale = value("a", "1", 2, 0);
    let mut store = loaded(std::slice::from_ref(&stale));
    let tombstone = store.remove(b"a", at(1)).unwrap();
    store.collect(NOW + DAY / 2, false, DAY);
    assert_eq!(store.root(), Summary::default());
    let mut returned = loaded(std::slice::from_ref(&stale));
    assert_eq!(store.stage(vec![stale]), Staged { taken: 0, known: 0, dropped: 0, buried: 1 });
    // It is in sight again, and the one who has the value takes it.
    assert_eq!(everything(&store), vec![tombstone.clone()]);
    check(&store);
    assert_eq!(deliver(&mut returned, everything(&store)), vec![tombstone]);
    assert_eq!(store.root(), returned.root());
    // For its time, from now on.
    store.collect(NOW + DAY / 2 + TTL - 1, false, DAY);
    assert_eq!(store.root().count, 1);
    store.collect(NOW + DAY / 2 + TTL, false, DAY);
    assert_eq!((store.root().count, store.tombstones()), (0, 1));
    check(&store);
}

#[test]
fn a_write_over_a_retired_tombstone_wins() {
    let mut store = loaded(&[tombstone("a", 5_000), tombstone("b", 0)]);
    store.collect(NOW + DAY / 2, false, DAY);
    assert_eq!((store.root().count, store.tombstones()), (0, 2));
    let written = store.put(b"a", b"1", &node(1), at(0)).unwrap();
    assert_eq!((written.stamp(), store.tombstones()), (at(5_000).successor(), 1));
    assert_eq!(deliver(&mut store, vec![value("b", "1", 1, DAY)]).len(), 1);
    assert_eq!((store.len(), store.tombstones()), (2, 0));
    check(&store);
}

#[test]
fn retired_tombstones_count_and_go_first() {
    let mut store = Store::new(Config { tombstone_limit: 3, tombstone_ttl_ms: TTL, ..Config::default() });
    ["a", "b"].into_iter().for_each(|key| drop(store.remove(key.as_bytes(), at(0)).unwrap()));
    store.collect(NOW + TTL, false, DAY);
    ["c", "d"].into_iter().for_each(|key| drop(store.remove(key.as_bytes(), at(TTL)).unwrap()));
    assert_eq!((store.tombstones(), store.root().count), (3, 2));
    check(&store);
    // The same when they come from the disk.
    ["e", "f"].into_iter().for_each(|key| store.load(tombstone(key, 0)));
    assert_eq!((store.tombstones(), store.root().count), (3, 2));
    check(&store);
}

#[test]
fn what_was_retired_before_a_restart_is_retired_after_it() {
    let mut store = store();
    store.collect(NOW + TTL, false, DAY);
    [tombstone("a", 0), tombstone("b", 1), value("c", "1", 1, 0)].into_iter().for_each(|entry| store.load(entry));
    assert_eq!((store.root().count, store.tombstones()), (2, 2));
    check(&store);
    // The disk may have an older value behind it.
    store.load(value("a", "1", 1, 0).with_origin(Some(node(1))));
    store.load(tombstone("c", 0));
    assert_eq!((store.len(), content(&store, "c")), (2, Some(Some("1"))));
    check(&store);
}

#[test]
fn a_scan_of_everything_mixes_in_what_is_retired() {
    let mut store = store();
    for key in 0..300_u64 {
        store.put(&key.to_be_bytes(), b"1", &node(1), at(0)).unwrap();
    }
    for key in (0..300_u64).filter(|key| key % 3 > 0) {
        store.remove(&key.to_be_bytes(), at(key % 3)).unwrap();
    }
    store.collect(NOW + TTL + 1, false, DAY);
    assert_eq!((store.len(), store.tombstones(), store.root().count), (100, 200, 200));
    for batch in [1, 7, 64, 1_000] {
        let (mut seen, mut after) = (vec![], None);
        loop {
            let (entries, next) = store.scan_all(after.as_ref(), batch, usize::MAX);
            assert!(entries.len() <= batch);
            seen.extend(entries);
            let Some(next) = next else { break };
            after = Some(next);
        }
        assert_eq!(seen, store.scan_all(None, usize::MAX, usize::MAX).0);
        assert_eq!(seen.len(), 300);
        assert!(seen.is_sorted_by_key(Entry::position));
    }
}

#[test]
fn a_removal_is_sent_before_it_is_forgotten() {
    let mut store = Store::new(Config { tombstone_ttl_ms: 0, ..Config::default() });
    store.remove(b"a", at(0)).unwrap();
    store.collect(NOW, true, 0);
    assert_eq!(store.take_outgoing(usize::MAX).len(), 1);
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
fn what_is_put_back_gives_way_to_all_that_was_written_later() {
    let entries = [value("a", "1", 1, 0), value("b", "1", 1, 0)];
    let (mut host, mut other) = (loaded(&entries), loaded(&entries));
    let later = other.put(b"b", b"2", &node(2), at(1)).unwrap();
    host.collect(NOW + DAY, false, DAY);
    host.prune(&node(1), NOW + 9, None, 100);
    let put_back: Vec<Entry> = ["a", "b"].map(|key| host.restore(key.as_bytes(), b"1", &node(1)).unwrap()).into();
    let stamp = at(0).successor().successor();
    assert_eq!(put_back[0], Entry::value(b"a", b"1", &node(1), stamp).unwrap());
    assert_eq!(host.take_outgoing(usize::MAX).len(), 2);
    deliver(&mut other, put_back);
    deliver(&mut host, vec![later]);
    assert_eq!((content(&host, "a"), content(&host, "b")), (Some(Some("1")), Some(Some("2"))));
    assert_eq!(host.root(), other.root());
    check(&host);
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
    assert_eq!(store.collect(NOW + DAY + TTL - 1, true, 2 * DAY).forgotten, 0);
    assert_eq!(store.collect(NOW + DAY + TTL, true, 2 * DAY).forgotten, 1);
    check(&store);
    // Also when something else took its place meanwhile.
    store.put(b"b", b"1", &node(1), at(0)).unwrap();
    store.prune(&node(1), u64::MAX, None, 100);
    store.put(b"b", b"2", &node(2), at(DAY)).unwrap();
    assert_eq!(store.collect(NOW + 9 * DAY, true, DAY).forgotten, 0);
    check(&store);
}

#[test]
fn who_is_told_of_an_old_removal_tells_it_as_long_as_who_told() {
    let mut one = loaded(&[tombstone("a", 1), value("b", "1", 1, 0)]);
    let mut other = loaded(&[value("a", "1", 1, 0), value("b", "1", 1, 0)]);
    for store in [&mut one, &mut other] {
        store.collect(NOW + DAY, false, 2 * DAY);
    }
    assert_eq!(one.stage(vec![value("a", "1", 1, 0)]).buried, 1);
    deliver(&mut other, everything(&one));
    // The same after pruning, which one does first.
    deliver(&mut other, one.prune(&node(1), u64::MAX, None, 100).0);
    for (after_ms, in_sight) in [(0, 2), (TTL - 1, 2), (TTL, 0)] {
        for store in [&mut one, &mut other] {
            store.collect(NOW + DAY + after_ms, false, 2 * DAY);
            assert_eq!((store.root().count, store.tombstones()), (in_sight, 2));
            check(store);
        }
        assert_eq!(one.root(), other.root());
    }
}

#[test]
fn an_old_removal_is_not_forgotten_before_it_is_told_on() {
    let mut store = loaded(&[value("a", "1", 1, 0)]);
    store.collect(NOW + DAY, true, 2 * DAY);
    deliver(&mut store, vec![tombstone("a", 1)]);
    assert_eq!(store.collect(NOW + DAY + TTL - 1, true, 2 * DAY).forgotten, 0);
    // Somebody returns late.
    deliver(&mut store, vec![value("a", "1", 1, 0)]);
    assert_eq!(content(&store, "a"), Some(None));
}

#[test]
fn a_removal_that_is_told_again_is_told_for_minutes() {
    const HOUR: u64 = 3_600_000;
    let mut store = Store::new(Config { tombstone_ttl_ms: HOUR, ..Config::default() });
    store.load(tombstone("a", 1));
    store.load(value("b", "1", 1, 0));
    store.collect(NOW + DAY, false, 2 * DAY);
    store.stage(vec![value("a", "1", 1, 0)]);
    store.prune(&node(1), u64::MAX, None, 100);
    for (after_ms, in_sight) in [(299_999, 2), (300_000, 0)] {
        store.collect(NOW + DAY + after_ms, false, 2 * DAY);
        assert_eq!((store.root().count, store.tombstones()), (in_sight, 2));
    }
    // One that has more time left keeps it.
    deliver(&mut store, vec![tombstone("c", DAY)]);
    store.collect(NOW + DAY + HOUR - 1, false, 2 * DAY);
    assert_eq!(store.root().count, 1);
}

#[test]
fn who_has_retired_a_removal_does_not_fetch_it_from_who_has_not() {
    let removed = tombstone("a", 0);
    let mut store = loaded(std::slice::from_ref(&removed));
    store.collect(NOW + TTL, false, DAY);
    assert_eq!(store.lacked(Prefix::ALL, &[removed.fingerprint(), 7]), [7]);
}

#[test]
fn a_removal_that_the_owner_has_rejected_does_not_stay_in_sight_for_ever() {
    let mut other = loaded(&[tombstone("a", 0), value("b", "bad", 1, 0)]);
    let mut store = store();
    store.stage(everything(&other));
    store.pull(10, usize::MAX);
    store.commit(&[b"a", b"b"]);
    assert_eq!((store.rejected(), store.root()), (2, other.root()));
    store.collect(NOW + TTL, false, DAY);
    other.collect(NOW + TTL, false, DAY);
    // Rejected values still count: peers show these.
    assert_eq!((store.rejected(), store.root()), (1, other.root()));
    assert_eq!(store.stage(vec![tombstone("a", 0)]).known, 1);
}
