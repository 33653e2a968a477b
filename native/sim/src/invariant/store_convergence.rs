// SPDX-License-Identifier: Apache-2.0
//! All stores are equal, in what they compare and in what they contain: at the moments that a scenario names.

use barrel_p2p_base::time::Time;
use barrel_p2p_proto::store::{Entry, Prefix, Store};

use super::Violation;

/// What a store amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    fingerprint: u64,
    entries: Vec<Entry>,
}

impl Content {
    /// Reads a store. Where tombstones are collected each node does it by its own clock, so they need not be equal.
    pub fn of(store: &Store, with_tombstones: bool) -> Self {
        let (mut entries, _) = store.scan(Prefix::ALL, None, usize::MAX, usize::MAX);
        entries.retain(|entry| with_tombstones || entry.origin().is_some());
        let fingerprint = if with_tombstones { store.root().fingerprint } else { 0 };
        Self { fingerprint, entries }
    }

    /// Says how another store differs; nothing if it does not.
    pub fn fault(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let lacks =
            |one: &Self, other: &Self| one.entries.iter().filter(|entry| !other.entries.contains(entry)).count();
        let (missing, surplus) = (lacks(self, other), lacks(other, self));
        Some(format!("lacks {missing} and has {surplus} entries that the first one has not"))
    }
}

/// Turns a fault into a violation.
pub fn check(now: Time, fault: Option<(u32, String)>, violations: &mut Vec<Violation>) {
    if let Some((node, what)) = fault {
        violations.push(Violation::new("store_convergence", now, node, what));
    }
}

#[cfg(test)]
mod tests {
    use barrel_p2p_proto::store::Config;

    use super::*;
    use crate::ledger::tests::entry;

    fn content(entries: &[Entry], with_tombstones: bool) -> Content {
        let mut store = Store::new(Config::default());
        entries.iter().for_each(|entry| store.load(entry.clone()));
        Content::of(&store, with_tombstones)
    }

    #[test]
    fn another_value_and_a_tombstone_too_many_are_seen() {
        let value = content(&[entry(1, Some(1))], true);
        assert_eq!(value.fault(&content(&[entry(1, Some(1))], true)), None);
        assert!(value.fault(&content(&[entry(2, Some(1))], true)).is_some());
        assert!(value.fault(&content(&[], true)).is_some());
        let tombstone = [entry(1, None)];
        assert!(content(&tombstone, true).fault(&content(&[], true)).is_some());
        assert_eq!(content(&tombstone, false).fault(&content(&[], false)), None);
    }
}
