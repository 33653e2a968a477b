// SPDX-License-Identifier: Apache-2.0
//! What comes from peers changes nothing until the owner agrees.

use barrel_p2p_base::limits::MAX_REJECTIONS;

use super::*;

fn staged(taken: usize, known: usize, dropped: usize) -> Staged {
    Staged { taken, known, dropped, buried: 0 }
}

#[test]
fn nothing_is_there_before_the_commit() {
    let mut store = store();
    assert_eq!(store.stage(vec![value("a", "1", 1, 0), tombstone("b", 0)]), staged(2, 0, 0));
    assert!(store.has_staged() && content(&store, "a").is_none() && store.root() == Summary::default());
    assert_eq!(store.pull(10, usize::MAX).len(), 2);
    assert!(!store.has_staged() && content(&store, "a").is_none());
    assert_eq!(store.commit(ALL_GOOD).len(), 2);
    assert_eq!((content(&store, "a"), content(&store, "b")), (Some(Some("1")), Some(None)));
    assert_eq!(store.pull(10, usize::MAX), vec![]);
    assert_eq!(store.commit(ALL_GOOD), vec![]);
    check(&store);
}

#[test]
fn per_key_the_winner_waits() {
    let mut store = store();
    assert_eq!(store.stage(vec![value("a", "2", 1, 2), value("a", "1", 1, 1), value("a", "3", 1, 3)]), staged(2, 1, 0));
    assert_eq!(store.pull(10, usize::MAX), vec![value("a", "3", 1, 3)]);
    // In the hand it is known as well.
    assert_eq!(store.stage(vec![value("a", "3", 1, 3), value("a", "4", 1, 4)]), staged(1, 1, 0));
    assert_eq!(store.pull(10, usize::MAX), vec![value("a", "3", 1, 3)]);
    store.commit(ALL_GOOD);
    assert_eq!(store.pull(10, usize::MAX), vec![value("a", "4", 1, 4)]);
    store.commit(ALL_GOOD);
    assert_eq!(store.stage(vec![value("a", "4", 1, 4), value("a", "1", 1, 1)]), staged(0, 2, 0));
    assert!(!store.has_staged());
}

#[test]
fn what_a_local_write_has_beaten_is_not_offered() {
    let mut store = store();
    store.stage(vec![value("a", "1", 2, 1), value("b", "1", 2, 1), value("c", "1", 2, 9)]);
    store.put(b"a", b"2", &node(1), at(2)).unwrap();
    store.remove(b"b", at(2)).unwrap();
    store.put(b"c", b"2", &node(1), at(2)).unwrap();
    // The one that is later than the local write still wins.
    assert_eq!(store.pull(10, usize::MAX), vec![value("c", "1", 2, 9)]);
    // And if the local write comes while it lies in the hand, the commit tells.
    store.put(b"c", b"3", &node(1), at(10)).unwrap();
    assert_eq!(store.commit(ALL_GOOD), vec![]);
    assert_eq!(content(&store, "c"), Some(Some("3")));
    assert!(!store.has_staged());
    assert_eq!(store.room(), Config::default().staged_bytes);
}

#[test]
fn what_a_local_write_has_beaten_is_not_pulled_again() {
    let mut store = store();
    store.stage(vec![value("a", "1", 2, 1), value("b", "1", 2, 1), value("c", "1", 2, 9)]);
    assert_eq!(store.pull(10, usize::MAX).len(), 3);
    store.put(b"a", b"2", &node(1), at(2)).unwrap();
    store.remove(b"b", at(2)).unwrap();
    store.put(b"c", b"2", &node(1), at(2)).unwrap();
    // The owner could not commit and shows what it pulls.
    assert_eq!(store.pull(10, usize::MAX), vec![value("c", "1", 2, 9)]);
    assert_eq!(store.commit(ALL_GOOD).len(), 1);
    assert_eq!((content(&store, "a"), content(&store, "b")), (Some(Some("2")), Some(None)));
}

#[test]
fn what_was_pulled_and_not_committed_is_unjudged() {
    let mut store = store();
    store.stage(vec![value("a", "1", 2, 1)]);
    assert!(store.has_staged() && store.has_unjudged());
    store.pull(10, usize::MAX);
    assert!(!store.has_staged() && store.has_unjudged());
    store.commit(ALL_GOOD);
    assert!(!store.has_unjudged());
}

#[test]
fn a_pull_keeps_its_bounds_and_everything_gets_its_turn() {
    let mut store = store();
    let entries: Vec<Entry> = (0..100).map(|key| value(&format!("{key}"), "1", 1, 0)).collect();
    let size = entries.iter().map(Entry::size).max().unwrap();
    store.stage(entries.clone());
    let mut turns = 0;
    for round in 1..=25 {
        let pulled = store.pull(10, 5 * size);
        assert!((5..=10).contains(&pulled.len()) && pulled.iter().map(Entry::size).sum::<usize>() <= 5 * size);
        turns += pulled.iter().filter(|entry| entry.stamp() == at(0)).count();
        store.commit(ALL_GOOD);
        // Newer versions of what was just pulled push in.
        let again = |entry: &Entry| value(std::str::from_utf8(entry.key()).unwrap(), "2", 1, round);
        store.stage(pulled.iter().map(again).collect());
    }
    assert_eq!(turns, 100);
    // A bound that nothing fits in still lets one through.
    assert_eq!(store.pull(10, 1).len(), 1);
}

#[test]
fn staging_is_bounded() {
    let entries: Vec<Entry> = (0..100).map(|key| value(&format!("{key}"), "1", 1, 0)).collect();
    let bytes: usize = entries[..50].iter().map(Entry::cost).sum();
    let mut store = Store::new(Config { staged_bytes: bytes, ..Config::default() });
    let told = store.stage(entries.clone());
    assert_eq!((told.taken + told.dropped, told.known), (100, 0));
    assert!((49..=51).contains(&told.taken) && store.room() < entries[0].cost());
    // A newer version of what waits takes its place.
    let pulled = store.pull(1, usize::MAX);
    store.commit(ALL_GOOD);
    let key = std::str::from_utf8(pulled[0].key()).unwrap();
    assert_eq!(store.stage(vec![value(key, "2", 1, 1)]), staged(1, 0, 0));
    assert_eq!(store.stage(vec![value(key, "3", 1, 2)]), staged(1, 0, 0));
    assert_eq!(deliver(&mut store, vec![]).len(), told.taken);
    assert_eq!(store.room(), bytes);
    // One that is too large by itself passes alone.
    let large = Entry::value(b"large", &vec![0; 2 * bytes], &node(1), at(0)).unwrap();
    assert_eq!(store.stage(vec![large.clone(), value("new", "1", 1, 0)]).dropped, 1);
    assert_eq!(deliver(&mut store, vec![]), vec![large]);
}

#[test]
fn what_was_rejected_is_not_offered_again_and_counts_as_known() {
    let (good, bad) = (value("a", "good", 1, 0), value("a", "bad", 1, 1));
    let only = value("b", "bad", 1, 1);
    let sender = loaded(&[bad.clone(), only.clone()]);
    let mut store = loaded(std::slice::from_ref(&good));
    store.stage(vec![bad.clone(), only.clone()]);
    store.pull(10, usize::MAX);
    assert_eq!(store.commit(&[b"a", b"b"]), vec![]);
    assert_eq!((content(&store, "a"), content(&store, "b"), store.rejected()), (Some(Some("good")), None, 2));
    assert_eq!(store.stage(vec![bad.clone(), only.clone()]), staged(0, 2, 0));
    // The two compare as equal, on every level.
    assert_eq!(store.root(), sender.root());
    assert_eq!(store.children(Prefix::ALL), sender.children(Prefix::ALL));
    assert_eq!(store.lacked(Prefix::ALL, &[bad.fingerprint(), 7, only.fingerprint()]), [7]);
    // Who asks for it gets what there is instead.
    assert_eq!(store.find(Prefix::ALL, bad.fingerprint(), &mut 0), Some(&good));
    assert_eq!(store.find(Prefix::ALL, only.fingerprint(), &mut 0), None);
    check(&store);
}

#[test]
fn another_version_of_a_rejected_key_is_offered() {
    let mut store = store();
    store.stage(vec![value("a", "bad", 1, 5)]);
    store.pull(10, usize::MAX);
    store.commit(&[b"a"]);
    // An older one that may be good, and a newer one.
    assert_eq!(deliver(&mut store, vec![value("a", "old", 1, 4)]).len(), 1);
    assert_eq!((content(&store, "a"), store.rejected()), (Some(Some("old")), 1));
    check(&store);
    assert_eq!(deliver(&mut store, vec![value("a", "new", 1, 6)]).len(), 1);
    assert_eq!((content(&store, "a"), store.rejected()), (Some(Some("new")), 0));
    check(&store);
}

#[test]
fn a_local_write_wins_over_a_rejected_version() {
    let bad = value("a", "bad", 2, 50);
    let mut store = store();
    store.stage(vec![bad.clone()]);
    store.pull(10, usize::MAX);
    store.commit(&[b"a"]);
    let written = store.put(b"a", b"1", &node(1), at(0)).unwrap();
    assert!(written.beats(&bad));
    assert_eq!(store.rejected(), 0);
    check(&store);
}

#[test]
fn a_rejected_version_that_has_lost_meanwhile_is_not_remembered() {
    let mut store = store();
    store.stage(vec![value("a", "bad", 2, 0)]);
    store.pull(10, usize::MAX);
    let written = store.put(b"a", b"1", &node(1), at(1)).unwrap();
    store.commit(&[b"a"]);
    assert_eq!((store.rejected(), store.root()), (0, loaded(&[written]).root()));
}

#[test]
fn of_several_rejected_versions_the_strongest_is_remembered() {
    let mut store = store();
    for offset_ms in [3, 5, 4] {
        store.stage(vec![value("a", "bad", 1, offset_ms)]);
        store.pull(10, usize::MAX);
        store.commit(&[b"a"]);
    }
    assert_eq!(store.rejected(), 1);
    assert_eq!(store.root(), loaded(&[value("a", "bad", 1, 5)]).root());
}

#[test]
fn rejections_are_bounded() {
    let mut store = store();
    for key in 0..MAX_REJECTIONS + 10 {
        let key = format!("{key}");
        store.stage(vec![value(&key, "bad", 1, 0)]);
        store.pull(10, usize::MAX);
        store.commit(&[&key]);
    }
    assert_eq!((store.rejected(), store.root().count), (MAX_REJECTIONS, MAX_REJECTIONS as u32));
    // The oldest are forgotten and would be offered again.
    let last = MAX_REJECTIONS + 9;
    assert_eq!(store.stage(vec![value("9", "bad", 1, 0), value(&format!("{last}"), "bad", 1, 0)]), staged(1, 1, 0));
}

#[test]
fn a_rejected_version_hides_whatever_is_there() {
    let bad = value("a", "bad", 1, 5);
    let hidden = |store: &Store| store.root() == loaded(std::slice::from_ref(&bad)).root();
    let mut store = loaded(&[tombstone("a", 1)]);
    store.stage(vec![bad.clone()]);
    store.pull(10, usize::MAX);
    store.commit(&[b"a"]);
    assert!(hidden(&store));
    // The tombstone retires, comes back, and is forgotten.
    store.collect(NOW + 2_000, false, u64::MAX);
    assert!(hidden(&store) && store.tombstones() == 1);
    check(&store);
    assert_eq!(store.stage(vec![value("a", "stale", 1, 0)]).buried, 1);
    assert!(hidden(&store));
    check(&store);
    store.collect(NOW + 9_000, true, u64::MAX);
    assert!(hidden(&store) && store.tombstones() == 0);
    check(&store);
}
