// SPDX-License-Identifier: Apache-2.0
//! The merge is commutative, associative and idempotent, also on entries that only a liar makes.

use proptest::prelude::*;

use super::*;

/// Few keys, stamps, origins and values, so that everything meets everything.
fn entry() -> impl Strategy<Value = Entry> {
    (0..6_u8).prop_flat_map(entry_for)
}

fn entry_for(key: u8) -> impl Strategy<Value = Entry> {
    let content = prop::option::weighted(0.7, (0..3_usize, prop::sample::select(vec!["", "1", "2"])));
    (0..4_u64, content).prop_map(move |(offset_ms, content)| match content {
        Some((origin, text)) => value(&format!("k{key}"), text, origin, offset_ms),
        None => tombstone(&format!("k{key}"), offset_ms),
    })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(entry(), 0..40)
}

fn merged(into: &[Entry], from: &[Entry]) -> Vec<Entry> {
    let mut store = loaded(into);
    deliver(&mut store, everything(&loaded(from)));
    check(&store);
    everything(&store)
}

proptest! {
    #[test]
    fn merge_is_commutative(a in entries(), b in entries()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
    }

    #[test]
    fn merge_is_associative(a in entries(), b in entries(), c in entries()) {
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn merge_is_idempotent(a in entries()) {
        let once = everything(&loaded(&a));
        prop_assert_eq!(&merged(&a, &a), &once);
        prop_assert_eq!(deliver(&mut loaded(&a), once), vec![]);
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (a, b) in entries().prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle()))
    ) {
        let (a, b) = (loaded(&a), loaded(&b));
        prop_assert_eq!(everything(&a), everything(&b));
        prop_assert_eq!(a.root(), b.root());
    }

    #[test]
    fn of_two_entries_for_a_key_one_wins(a in entry_for(1), b in entry_for(1)) {
        prop_assert_eq!(a.beats(&b), a != b && !b.beats(&a));
        prop_assert_eq!(a == b, a.fingerprint() == b.fingerprint());
    }
}

#[test]
fn the_winner_is_the_documented_one() {
    let rising = [
        tombstone("k", 0),
        value("k", "2", 1, 0),
        value("k", "1", 2, 0),
        value("k", "2", 2, 0),
        tombstone("k", 1),
        value("k", "", 1, 1),
    ];
    for (index, winner) in rising.iter().enumerate() {
        assert!(rising[..index].iter().all(|loser| winner.beats(loser)), "{winner:?}");
        assert!(rising[index..].iter().all(|other| !winner.beats(other)), "{winner:?}");
    }
}
