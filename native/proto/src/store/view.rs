// SPDX-License-Identifier: Apache-2.0
//! How a store looks to somebody who compares.
//!
//! Keeps: two stores that know the same versions look the same, however they came to know them; what is shown depends
//! neither on the shape of the tree nor on what waits for the owner.

use std::collections::BTreeSet;

use super::entry::Entry;
use super::prefix::{Prefix, FANOUT};
use super::state::Store;
use super::trie::Summary;

/// Versions that are listed rather than summed up, in a part of a store. A list of so many takes twice the bytes of the
/// sums of its parts, and saves the round that would compare these.
pub const LIST_LIMIT: usize = 32;

/// Entries that are looked at on behalf of a peer to find one. Lists are short, so this is only reached when many keys
/// share a position, or when the peer asks for what it was never told.
const LOOK_LIMIT: usize = 4_096;

/// What there is in a part of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Much: a summary of each of its parts.
    Branch(Box<[Summary; FANOUT]>),
    /// Little: the fingerprint of each version, in no order that means anything.
    List(Vec<u64>),
}

impl Store {
    /// The whole store in sixteen bytes.
    pub fn root(&self) -> Summary {
        self.summary(Prefix::ALL)
    }

    /// A part of the store in sixteen bytes.
    pub fn summary(&self, prefix: Prefix) -> Summary {
        let mut summary = self.entries.summary_of(prefix);
        for (_, fingerprint, rejection) in self.rejections.within(prefix) {
            rejection.adjust(fingerprint, &mut summary);
        }
        summary
    }

    /// A summary of each part of this part. The smallest part has itself as the only one.
    pub fn children(&self, prefix: Prefix) -> [Summary; FANOUT] {
        let mut children = self.entries.children_of(prefix);
        for (position, fingerprint, rejection) in self.rejections.within(prefix) {
            rejection.adjust(fingerprint, &mut children[prefix.nibble(position)]);
        }
        children
    }

    /// The fingerprint of each version in this part, of a few thousand at most.
    pub fn versions(&self, prefix: Prefix) -> Vec<u64> {
        let mut versions = Vec::new();
        self.entries.walk(prefix, None, &mut |slot| {
            versions.push(slot.fingerprint);
            versions.len() < LOOK_LIMIT
        });
        for (_, fingerprint, rejection) in self.rejections.within(prefix) {
            match rejection.hidden.and_then(|hidden| versions.iter_mut().find(|version| **version == hidden)) {
                Some(version) => *version = fingerprint,
                None => versions.push(fingerprint),
            }
        }
        versions
    }

    /// What to show of this part: its versions if there are at most [`LIST_LIMIT`] or if it has no parts of its own.
    pub fn node(&self, prefix: Prefix) -> Node {
        let few = self.summary(prefix).count as usize <= LIST_LIMIT;
        if few || prefix.levels() == Prefix::MAX_LEVELS {
            Node::List(self.versions(prefix))
        } else {
            Node::Branch(Box::new(self.children(prefix)))
        }
    }

    /// Which of these versions this part does not have: neither in sight nor retired, nor rejected by the owner. Looks at
    /// a few thousand at most.
    pub fn lacked(&self, prefix: Prefix, theirs: &[u64]) -> Vec<u64> {
        let mut lacked: BTreeSet<u64> = theirs.iter().copied().collect();
        for (_, rejected, _) in self.rejections.within(prefix) {
            lacked.remove(&rejected);
        }
        for known in [&self.entries, &self.retired.entries] {
            let mut looked_at = 0;
            known.walk(prefix, None, &mut |slot| {
                lacked.remove(&slot.fingerprint);
                looked_at += 1;
                looked_at < LOOK_LIMIT && !lacked.is_empty()
            });
        }
        lacked.into_iter().collect()
    }

    /// The entry of this part that has this fingerprint. For a version that the owner has rejected: what the store has
    /// for its key instead, if anything. Counts what was looked at.
    pub fn find(&self, prefix: Prefix, fingerprint: u64, looked_at: &mut usize) -> Option<&Entry> {
        for (position, rejected, rejection) in self.rejections.within(prefix) {
            *looked_at += 1;
            if rejected == fingerprint {
                let there = self.entries.at(position).iter();
                let hidden = rejection.hidden?;
                return there.into_iter().find(|slot| slot.fingerprint == hidden).map(|slot| &slot.entry);
            }
        }
        let (mut found, end) = (None, *looked_at + LOOK_LIMIT);
        self.entries.walk(prefix, None, &mut |slot| {
            *looked_at += 1;
            if slot.fingerprint == fingerprint {
                found = Some(&slot.entry);
            }
            found.is_none() && *looked_at < end
        });
        found
    }
}
