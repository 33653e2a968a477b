// SPDX-License-Identifier: Apache-2.0
//! The tree beside a plain map, with positions that share as much as they like.

use std::cell::Cell;
use std::collections::BTreeMap;

use barrel_p2p_base::NodeName;
use proptest::prelude::*;

use super::*;
use crate::hlc::Timestamp;

thread_local! {
    static VISITS: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn count_visit() {
    VISITS.set(VISITS.get() + 1);
}

/// How many nodes are gone through to write.
pub(in super::super) fn visits_of(act: impl FnOnce()) -> usize {
    VISITS.set(0);
    act();
    VISITS.get()
}

type Model = BTreeMap<(u64, Vec<u8>), Entry>;

fn entry(key: u8, wall_ms: u64) -> Entry {
    Entry::value(&[key], b"", &NodeName::parse(b"a@b").unwrap(), Timestamp { wall_ms, logical: 0 }).unwrap()
}

/// Positions that differ in some bits only, or not at all.
fn position() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => any::<u64>(),
        2 => (0..64_u32, 0..4_u64).prop_map(|(shift, bits)| 0x5555_5555_5555_5555 ^ (bits << shift)),
        1 => prop::sample::select(vec![0, 1, 15, 16, u64::MAX, u64::MAX - 1, u64::MAX - 16]),
    ]
}

fn prefix(position: u64, levels: u8) -> Prefix {
    (0..levels).fold(Prefix::ALL, |prefix, level| prefix.child(nibble(position, level) as u8).unwrap())
}

fn forks(tree: &Tree) -> usize {
    match tree {
        Tree::Fork(branches) => 1 + branches.iter().map(|branch| forks(&branch.tree)).max().unwrap(),
        Tree::Leaf(_) => 0,
    }
}

fn insert(trie: &mut Trie, model: &mut Model, position: u64, entry: Entry) {
    let replaced = trie.replace(position, entry.key(), |_| Some(entry.clone())).unwrap();
    let old = model.insert((position, entry.key().to_vec()), entry);
    assert_eq!(replaced.old.map(|slot| slot.entry), old);
}

/// The model's entries of a prefix.
fn within(model: &Model, prefix: Prefix) -> Vec<(u64, Entry)> {
    let range = prefix.positions();
    let there = model.iter().filter(|((position, _), _)| range.contains(position));
    there.map(|((position, _), entry)| (*position, entry.clone())).collect()
}

fn summary(entries: &[(u64, Entry)]) -> Summary {
    let mut summary = Summary::default();
    entries.iter().for_each(|(_, entry)| summary.add(entry.fingerprint()));
    summary
}

fn walked(trie: &Trie, prefix: Prefix, after: Option<(u64, &[u8])>) -> Vec<(u64, Entry)> {
    let mut seen = vec![];
    trie.walk(prefix, after, &mut |slot| {
        seen.push((slot.position, slot.entry.clone()));
        true
    });
    seen
}

proptest! {
    #[test]
    fn the_tree_is_a_map_with_sums(
        steps in prop::collection::vec((position(), 0..4_u8, 0..3_u64, any::<prop::sample::Index>()), 0..400),
        removals in 0..400_usize,
        levels in 0..=16_u8,
        probe in position(),
    ) {
        let (mut trie, mut model) = (Trie::default(), Model::new());
        for (position, key, wall_ms, _) in &steps {
            insert(&mut trie, &mut model, *position, entry(*key, *wall_ms));
        }
        for (_, _, _, index) in steps.iter().take(removals) {
            let Some(((position, key), gone)) = model.iter().nth(index.index(model.len().max(1))) else { break };
            let (position, key, gone) = (*position, key.clone(), gone.clone());
            prop_assert!(trie.remove(position, gone.fingerprint() ^ 1).is_none());
            prop_assert_eq!(trie.remove(position, gone.fingerprint()).map(|slot| slot.entry), Some(gone));
            model.remove(&(position, key));
        }
        prop_assert_eq!(trie.summary(), summary(&within(&model, Prefix::ALL)));
        prop_assert!(forks(&trie.root) <= 16);
        for ((position, key), entry) in &model {
            prop_assert_eq!(trie.get(*position, key).map(|slot| &slot.entry), Some(entry));
        }
        // A part, its parts, and a walk through it from anywhere.
        let place = model.keys().nth(model.len() / 2).cloned().unwrap_or((probe, vec![]));
        for (position, after) in [(probe, None), (place.0, None), (place.0, Some(&place)), (probe, Some(&place))] {
            let part = prefix(position, levels);
            let mut expected = within(&model, part);
            prop_assert_eq!(trie.summary_of(part), summary(&expected));
            for (child, nibble) in trie.children_of(part).iter().zip(0..) {
                match part.child(nibble) {
                    Some(smaller) => prop_assert_eq!(*child, summary(&within(&model, smaller))),
                    None => prop_assert!(*child == Summary::default() || *child == summary(&expected)),
                }
            }
            let after = after.map(|(position, key)| (*position, &key[..]));
            expected.retain(|(position, entry)| after.is_none_or(|after| (*position, entry.key()) > after));
            prop_assert_eq!(walked(&trie, part, after), expected);
            prop_assert_eq!(trie.at(position).len(), within(&model, prefix(position, 16)).len());
        }
    }

    #[test]
    fn one_position_holds_any_number_of_keys(count in 0..600_u32, levels in 0..=16_u8) {
        let mut trie = Trie::default();
        for number in 0..count {
            let key = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
            let entry = Entry::tombstone(&key, Timestamp::default()).unwrap();
            trie.replace(u64::MAX, &key, |_| Some(entry)).unwrap();
        }
        prop_assert!(forks(&trie.root) <= 16);
        prop_assert_eq!(trie.at(u64::MAX).len(), count as usize);
        prop_assert_eq!(trie.summary_of(prefix(u64::MAX, levels)).count, count);
        for slot in walked(&trie, Prefix::ALL, None) {
            prop_assert_eq!(trie.get(u64::MAX, slot.1.key()).map(|found| &found.entry), Some(&slot.1));
        }
    }
}

#[test]
fn what_was_taken_out_leaves_no_forks_behind() {
    let (mut trie, mut model) = (Trie::default(), Model::new());
    for number in 0..10_000_u64 {
        insert(&mut trie, &mut model, number.wrapping_mul(0x9e37_79b9_7f4a_7c15), entry(0, number));
    }
    assert!(forks(&trie.root) >= 2);
    for ((position, _), entry) in model.iter().skip(10) {
        trie.remove(*position, entry.fingerprint()).unwrap();
    }
    assert_eq!((forks(&trie.root), trie.summary().count), (0, 10));
}
