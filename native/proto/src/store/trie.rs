// SPDX-License-Identifier: Apache-2.0
//! Entries in the order of their positions, as a tree that forks sixteenfold where there are many.
//!
//! Keeps: every fork knows the sum of fingerprints and the count of each of its parts, and one more or less entry
//! changes these on one path only; a path has at most as many forks as a position has groups of four bits, whatever the
//! keys; the sums depend on the entries alone, not on how they came. Leaves to others: which of two entries wins.

use std::hint::black_box;
use std::ops::Range;

use super::entry::Entry;
use super::prefix::{nibble, Prefix, FANOUT};
use crate::search::search_near;

/// Entries of a leaf that does not fork: so many that forks cost little, so few that a leaf is searched and moved in no
/// time. A full one takes two kilobytes.
const LEAF_LIMIT: usize = 32;

/// Entries under a fork that becomes a leaf again: less than a leaf's limit, so that one entry that comes and goes does
/// not fork and join.
const JOIN_LIMIT: u32 = 16;

/// Entries that a leaf grows by. Doubling would leave a third of the memory empty.
const LEAF_STEP: usize = 4;

/// How many entries a part has and what they are, in sixteen bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The sum of their fingerprints. Sums of different entries are equal by accident once in 2^64.
    pub fingerprint: u64,
    /// How many there are.
    pub count: u32,
}

impl Summary {
    pub(super) fn add(&mut self, fingerprint: u64) {
        self.fingerprint = self.fingerprint.wrapping_add(fingerprint);
        self.count = self.count.saturating_add(1);
    }

    pub(super) fn remove(&mut self, fingerprint: u64) {
        self.fingerprint = self.fingerprint.wrapping_sub(fingerprint);
        self.count = self.count.saturating_sub(1);
    }

    fn of<'a>(slots: impl Iterator<Item = &'a Slot>) -> Self {
        let mut summary = Self::default();
        slots.for_each(|slot| summary.add(slot.fingerprint));
        summary
    }

    fn note(&mut self, replaced: &Replaced) {
        if let Some(old) = &replaced.old {
            self.remove(old.fingerprint);
        }
        self.add(replaced.fingerprint);
    }
}

/// An entry in its place, with what is expensive to compute again: one cache line.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) position: u64,
    pub(super) fingerprint: u64,
    pub(super) entry: Entry,
}

impl Slot {
    pub(super) fn new(position: u64, entry: Entry) -> Self {
        Self { position, fingerprint: entry.fingerprint(), entry }
    }

    pub(super) fn place(&self) -> (u64, &[u8]) {
        (self.position, self.entry.key())
    }
}

#[derive(Debug, Default)]
pub(super) struct Trie {
    root: Tree,
    summary: Summary,
}

#[derive(Debug)]
enum Tree {
    /// Sorted by place.
    Leaf(Vec<Slot>),
    Fork(Box<[Branch; FANOUT]>),
}

#[derive(Debug, Default)]
struct Branch {
    summary: Summary,
    tree: Tree,
}

impl Default for Tree {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

/// What [`Trie::replace`] did.
pub(super) struct Replaced {
    pub(super) old: Option<Slot>,
    /// Of the new entry.
    pub(super) fingerprint: u64,
}

/// What a walk is to see.
struct Walk<'a> {
    /// Only what comes after this place, or after all before position `first`.
    after: Option<(u64, &'a [u8])>,
    first: u64,
    last: u64,
}

impl Trie {
    pub(super) fn summary(&self) -> Summary {
        self.summary
    }

    pub(super) fn is_empty(&self) -> bool {
        self.summary.count == 0
    }

    pub(super) fn get(&self, position: u64, key: &[u8]) -> Option<&Slot> {
        let (slots, level) = self.leaf(position);
        search(slots, level, (position, key)).ok().map(|index| &slots[index])
    }

    /// Lets `choose` see the entry in this place and put another one there, or leave it by answering `None`.
    pub(super) fn replace(
        &mut self,
        position: u64,
        key: &[u8],
        choose: impl FnOnce(Option<&Entry>) -> Option<Entry>,
    ) -> Option<Replaced> {
        let replaced = self.root.replace(0, (position, key), choose)?;
        self.summary.note(&replaced);
        Some(replaced)
    }

    /// Takes out the entry with this fingerprint.
    pub(super) fn remove(&mut self, position: u64, fingerprint: u64) -> Option<Slot> {
        let slot = self.root.remove(0, position, fingerprint)?;
        self.summary.remove(slot.fingerprint);
        Some(slot)
    }

    /// Brings into the cache what a look at these positions will need. Nothing of one waits for another here, so the
    /// processor fetches several at a time, where look after look would wait for each: to stage and commit an entry
    /// beside a million others takes 1.0 us instead of 1.4.
    pub(super) fn warm(&self, positions: impl Iterator<Item = u64>) {
        for position in positions {
            let (slots, level) = self.leaf(position);
            black_box(slots.get(guess(slots, level, position)).map(|slot| slot.position));
        }
    }

    /// All entries in one position.
    pub(super) fn at(&self, position: u64) -> &[Slot] {
        let (slots, level) = self.leaf(position);
        &slots[all_at(slots, level, position)]
    }

    /// Shows the entries of a prefix in order, those after a place if there is one, until `visit` answers `false`.
    pub(super) fn walk<'a>(
        &'a self,
        range: Prefix,
        after: Option<(u64, &[u8])>,
        visit: &mut dyn FnMut(&'a Slot) -> bool,
    ) {
        let (first, last) = range.positions().into_inner();
        let first = after.map_or(first, |(position, _)| position.max(first));
        self.root.walk(0, true, &Walk { after, first, last }, visit);
    }

    /// The summary of a prefix.
    pub(super) fn summary_of(&self, prefix: Prefix) -> Summary {
        let (mut tree, mut summary) = (&self.root, self.summary);
        for nibble in prefix.path() {
            match tree {
                Tree::Fork(branches) => (tree, summary) = (&branches[nibble].tree, branches[nibble].summary),
                Tree::Leaf(slots) => {
                    let range = prefix.positions();
                    return Summary::of(slots.iter().filter(|slot| range.contains(&slot.position)));
                }
            }
        }
        summary
    }

    /// A summary of each part of a prefix.
    pub(super) fn children_of(&self, prefix: Prefix) -> [Summary; FANOUT] {
        let mut tree = &self.root;
        for nibble in prefix.path() {
            match tree {
                Tree::Fork(branches) => tree = &branches[nibble].tree,
                Tree::Leaf(_) => break,
            }
        }
        let mut children = [Summary::default(); FANOUT];
        match tree {
            Tree::Fork(branches) => {
                children.iter_mut().zip(branches.iter()).for_each(|(child, branch)| *child = branch.summary);
            }
            Tree::Leaf(slots) => {
                let range = prefix.positions();
                for slot in slots.iter().filter(|slot| range.contains(&slot.position)) {
                    children[prefix.nibble(slot.position)].add(slot.fingerprint);
                }
            }
        }
        children
    }

    fn leaf(&self, position: u64) -> (&[Slot], u8) {
        let mut tree = &self.root;
        let mut level = 0;
        loop {
            match tree {
                Tree::Fork(branches) => tree = &branches[nibble(position, level)].tree,
                Tree::Leaf(slots) => return (slots, level),
            }
            level += 1;
        }
    }
}

impl Tree {
    fn replace(
        &mut self,
        level: u8,
        place: (u64, &[u8]),
        choose: impl FnOnce(Option<&Entry>) -> Option<Entry>,
    ) -> Option<Replaced> {
        #[cfg(test)]
        tests::count_visit();
        let slots = match self {
            Self::Fork(branches) => {
                let branch = &mut branches[nibble(place.0, level)];
                let replaced = branch.tree.replace(level + 1, place, choose)?;
                branch.summary.note(&replaced);
                return Some(replaced);
            }
            Self::Leaf(slots) => slots,
        };
        let found = search(slots, level, place);
        let slot = Slot::new(place.0, choose(found.ok().map(|index| &slots[index].entry))?);
        let fingerprint = slot.fingerprint;
        let old = match found {
            Ok(index) => Some(std::mem::replace(&mut slots[index], slot)),
            Err(index) => {
                if slots.len() == slots.capacity() {
                    slots.reserve_exact(LEAF_STEP.max(slots.len() / 4));
                }
                slots.insert(index, slot);
                *self = Self::grown(std::mem::take(slots), level);
                None
            }
        };
        Some(Replaced { old, fingerprint })
    }

    /// A leaf, or a fork if there is too much for one.
    fn grown(slots: Vec<Slot>, level: u8) -> Self {
        if slots.len() <= LEAF_LIMIT || level >= Prefix::MAX_LEVELS {
            return Self::Leaf(slots);
        }
        let mut parts: [Vec<Slot>; FANOUT] = Default::default();
        slots.into_iter().for_each(|slot| parts[nibble(slot.position, level)].push(slot));
        let branch = |part: Vec<Slot>| Branch { summary: Summary::of(part.iter()), tree: Self::grown(part, level + 1) };
        Self::Fork(Box::new(parts.map(branch)))
    }

    fn remove(&mut self, level: u8, position: u64, fingerprint: u64) -> Option<Slot> {
        match self {
            Self::Fork(branches) => {
                let branch = &mut branches[nibble(position, level)];
                let slot = branch.tree.remove(level + 1, position, fingerprint)?;
                branch.summary.remove(slot.fingerprint);
                let left: u32 = branches.iter().map(|branch| branch.summary.count).sum();
                if left <= JOIN_LIMIT {
                    let mut slots = Vec::with_capacity(left as usize);
                    self.drain_into(&mut slots);
                    *self = Self::Leaf(slots);
                }
                Some(slot)
            }
            Self::Leaf(slots) => {
                let index = all_at(slots, level, position).find(|index| slots[*index].fingerprint == fingerprint)?;
                let slot = slots.remove(index);
                if slots.len() + 4 * LEAF_STEP < slots.capacity() {
                    slots.shrink_to(slots.len() + LEAF_STEP);
                }
                Some(slot)
            }
        }
    }

    fn drain_into(&mut self, all: &mut Vec<Slot>) {
        match self {
            Self::Fork(branches) => branches.iter_mut().for_each(|branch| branch.tree.drain_into(all)),
            Self::Leaf(slots) => all.append(slots),
        }
    }

    /// `edge`: does this part also have positions before the first one? Answers whether to go on.
    fn walk<'a>(&'a self, level: u8, edge: bool, walk: &Walk<'_>, visit: &mut dyn FnMut(&'a Slot) -> bool) -> bool {
        match self {
            Self::Fork(branches) => {
                let first = if edge { nibble(walk.first, level) } else { 0 };
                let mut parts = branches.iter().enumerate().skip(first);
                parts.all(|(index, branch)| branch.tree.walk(level + 1, edge && index == first, walk, visit))
            }
            Self::Leaf(slots) => {
                let skipped = |slot: &&Slot| match walk.after {
                    Some(after) => slot.position < walk.first || slot.place() <= after,
                    None => slot.position < walk.first,
                };
                let mut slots = slots.iter().skip_while(|slot| edge && skipped(slot));
                slots.all(|slot| slot.position <= walk.last && visit(slot))
            }
        }
    }
}

/// Where a place is among the slots of a leaf, or where it belongs.
fn search(slots: &[Slot], level: u8, place: (u64, &[u8])) -> Result<usize, usize> {
    search_near(slots, guess(slots, level, place.0), |slot| slot.place().cmp(&place))
}

/// Where a position is in a leaf, about.
fn guess(slots: &[Slot], level: u8, position: u64) -> usize {
    let share = position.checked_shl(4 * u32::from(level)).unwrap_or(0);
    ((u128::from(share) * slots.len() as u128) >> 64) as usize
}

/// The slots of a leaf in one position.
fn all_at(slots: &[Slot], level: u8, position: u64) -> Range<usize> {
    // No place in this position is smaller.
    let first = search(slots, level, (position, &[])).unwrap_or_else(|index| index);
    let count = slots[first..].iter().take_while(|slot| slot.position == position).count();
    first..first + count
}

#[cfg(test)]
pub(super) mod tests;
