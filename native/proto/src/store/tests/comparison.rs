// SPDX-License-Identifier: Apache-2.0
//! What two stores show each other says whether and where they differ.

use proptest::prelude::*;

use super::*;

fn filled(keys: usize) -> Store {
    let mut store = store();
    for key in 0..keys {
        store.put(format!("key {key}").as_bytes(), b"1", &node(key % 3), at(key as u64)).unwrap();
    }
    store
}

/// Descends where summaries differ, as peers do. Gives the parts where lists differ, and how many were compared.
fn compare(one: &Store, other: &Store, prefix: Prefix, differing: &mut Vec<Prefix>) -> usize {
    if one.summary(prefix) == other.summary(prefix) {
        return 1;
    }
    match one.node(prefix) {
        Node::List(_) => {
            differing.push(prefix);
            1
        }
        Node::Branch(_) => {
            (0..16).map(|nibble| compare(one, other, prefix.child(nibble).unwrap(), differing)).sum::<usize>() + 1
        }
    }
}

#[test]
fn differences_are_found_without_looking_at_the_rest() {
    let mut one = filled(20_000);
    let other = filled(20_000);
    assert_eq!(one.root(), other.root());
    for key in 0..5 {
        one.put(format!("key {}", key * 3_001).as_bytes(), b"2", &node(1), at(99_999)).unwrap();
    }
    let mut differing = vec![];
    let compared = compare(&one, &other, Prefix::ALL, &mut differing);
    assert_eq!(differing.len(), 5);
    // Five paths of four levels with sixteen parts each.
    assert!(compared <= 5 * 4 * 16, "{compared} parts");
    for prefix in differing {
        let theirs = other.versions(prefix);
        let missing: Vec<u64> = one.versions(prefix).into_iter().filter(|version| !theirs.contains(version)).collect();
        let [version] = missing[..] else { panic!("one difference in {prefix:?}") };
        let entry = one.find(prefix, version, &mut 0).unwrap();
        assert_eq!(entry.bytes(), Some(&b"2"[..]));
        assert!(other.find(prefix, version, &mut 0).is_none());
        assert_eq!((other.lacked(prefix, &[version]), one.lacked(prefix, &[version])), (vec![version], vec![]));
    }
}

#[test]
fn a_part_can_be_scanned() {
    let store = filled(2_000);
    let mut all = everything(&store).into_iter();
    for nibble in 0..16 {
        let part = Prefix::ALL.child(nibble).unwrap();
        let (mut after, mut count) = (None, 0);
        loop {
            let (entries, next) = store.scan(part, after.as_ref(), 10, usize::MAX);
            count += entries.len();
            assert!(entries.into_iter().all(|entry| all.next() == Some(entry)));
            let Some(next) = next else { break };
            after = Some(next);
        }
        assert_eq!(count, store.summary(part).count as usize);
        // A cursor from before the part begins it, one from behind finds nothing.
        let first = store.scan(part, None, 1, usize::MAX).0;
        let before = (nibble > 0).then(|| Cursor::new(store.scan(Prefix::ALL, None, 1, usize::MAX).0[0].key()));
        assert_eq!(store.scan(part, before.as_ref(), 1, usize::MAX).0, first);
        let behind = store.scan(Prefix::ALL.child(15).unwrap(), None, 1, usize::MAX).0[0].key().to_vec();
        assert_eq!(store.scan(part, Some(&Cursor::new(&behind)), 1, usize::MAX).0.is_empty(), nibble < 15);
    }
    assert_eq!(all.next(), None);
}

proptest! {
    #[test]
    fn what_is_shown_does_not_depend_on_what_was_there_before(
        kept in 0..200_usize,
        gone in 0..400_usize,
        nibbles in prop::collection::vec(0..16_u8, 0..4),
    ) {
        let plain = filled(kept);
        let mut grown = store();
        for key in 0..gone {
            grown.remove(format!("gone {key}").as_bytes(), at(0)).unwrap();
        }
        deliver(&mut grown, everything(&plain));
        grown.collect(NOW + 500_000, true, u64::MAX);
        check(&grown);
        let prefix = nibbles.iter().fold(Prefix::ALL, |prefix, nibble| prefix.child(*nibble).unwrap());
        prop_assert_eq!(grown.summary(prefix), plain.summary(prefix));
        prop_assert_eq!(grown.children(prefix), plain.children(prefix));
        prop_assert_eq!(grown.node(prefix), plain.node(prefix));
        prop_assert_eq!(everything(&grown), everything(&plain));
    }
}
