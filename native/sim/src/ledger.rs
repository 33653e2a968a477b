// SPDX-License-Identifier: Apache-2.0
//! What hosts have written, as an outsider notes it down: what the stores are held against.
//!
//! Keeps: every acknowledged write. A write is excused when the only disk that had it was lost within [`SPREAD`]: nobody
//! promises more. Leaves to others: what must hold ([`crate::invariant`]).

use std::collections::BTreeMap;
use std::time::Duration;

use barrel_p2p_base::Time;
use barrel_p2p_proto::store::Entry;

/// How long a write may be on one disk only: it may have missed its broadcast, as its node had no neighbour at that
/// moment, and then waits for a round (30 s and a quarter), for a comparison (8 s if a peer vanishes), and for a link.
pub const SPREAD: Duration = Duration::from_secs(50);

/// All writes.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    by_key: BTreeMap<u32, Vec<Write>>,
    count: u64,
    /// Disks that were lost: node, which disk of it, and when the node ended.
    lost: BTreeMap<(u32, u32), Time>,
}

/// One write that was acknowledged.
#[derive(Clone, Debug)]
struct Write {
    entry: Entry,
    at: Time,
    node: u32,
    disk: u32,
}

/// The writes of one key, judged.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// The strongest of those that must not be lost.
    pub last: Option<&'a Entry>,
    /// All of them, those that may be lost included.
    pub all: Vec<&'a Entry>,
}

impl Ledger {
    /// Notes a write.
    pub fn note(&mut self, now: Time, node: u32, disk: u32, key: u32, entry: Entry) {
        self.count += 1;
        self.by_key.entry(key).or_default().push(Write { entry, at: now, node, disk });
    }

    /// Notes that a disk is gone whose node ended at that time.
    pub fn lose(&mut self, node: u32, disk: u32, ended: Time) {
        self.lost.insert((node, disk), ended);
    }

    /// Notes that a disk is there again.
    pub fn find(&mut self, node: u32, disk: u32) {
        self.lost.remove(&(node, disk));
    }

    /// Writes (count).
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Was nothing written?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What there is to say of each key.
    pub fn verdicts(&self) -> impl Iterator<Item = (u32, Verdict<'_>)> {
        self.by_key.iter().map(|(key, writes)| {
            let mut last: Option<&Entry> = None;
            for write in writes.iter().filter(|write| !self.is_excused(write)) {
                if last.is_none_or(|last| is_later(&write.entry, last)) {
                    last = Some(&write.entry);
                }
            }
            (*key, Verdict { last, all: writes.iter().map(|write| &write.entry).collect() })
        })
    }

    fn is_excused(&self, write: &Write) -> bool {
        self.lost.get(&(write.node, write.disk)).is_some_and(|ended| *ended - write.at < SPREAD)
    }
}

/// Was one written after the other? The rule as it is documented, told a second time: the code that is judged is not asked.
pub(crate) fn is_later(one: &Entry, other: &Entry) -> bool {
    let rank = |entry: &Entry| (entry.stamp(), entry.origin().map(|origin| origin.as_str().to_owned()));
    rank(one) > rank(other)
}

#[cfg(test)]
pub(crate) mod tests {
    use barrel_p2p_base::NodeName;
    use barrel_p2p_proto::hlc::Timestamp;

    use super::*;

    /// A value, or a tombstone.
    pub(crate) fn entry(wall_ms: u64, value: Option<u8>) -> Entry {
        let stamp = Timestamp { wall_ms, logical: 0 };
        match value {
            Some(value) => Entry::value(&[0; 4], &[value], &NodeName::parse(b"n0@sim").unwrap(), stamp).unwrap(),
            None => Entry::tombstone(&[0; 4], stamp).unwrap(),
        }
    }

    #[test]
    fn a_write_is_excused_if_its_disk_was_lost_soon_after() {
        let mut ledger = Ledger::default();
        ledger.note(Time(0), 1, 1, 0, entry(1, Some(1)));
        ledger.note(Time(1_000_000), 2, 1, 0, entry(2, Some(2)));
        let last = |ledger: &Ledger| ledger.verdicts().next().unwrap().1.last.cloned();
        assert_eq!(last(&ledger), Some(entry(2, Some(2))));
        ledger.lose(2, 1, Time(2_000_000));
        assert_eq!(last(&ledger), Some(entry(1, Some(1))));
        ledger.lose(1, 1, Time(0) + SPREAD);
        assert_eq!(last(&ledger), Some(entry(1, Some(1))), "after so long others have it");
        ledger.find(2, 1);
        assert_eq!(last(&ledger), Some(entry(2, Some(2))));
    }
}
