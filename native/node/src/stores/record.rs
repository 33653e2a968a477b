// SPDX-License-Identifier: Apache-2.0
//! Records of a store's log: entries, one after the other.
//!
//! Keeps: reading a record twice, or in another order, comes to the same store, since each entry is merged.

use barrel_p2p_base::{Reader, Writer};
use barrel_p2p_proto::store::Entry;
use bytes::Bytes;

/// Writes entries into records of about `max_bytes`.
pub(crate) fn write(entries: &[Entry], max_bytes: usize) -> impl Iterator<Item = Bytes> + '_ {
    let mut rest = entries.iter();
    std::iter::from_fn(move || {
        let mut writer = Writer::new();
        let mut bytes = 0;
        while bytes < max_bytes {
            let Some(entry) = rest.next() else { break };
            entry.write(&mut writer);
            bytes += entry.size();
        }
        (bytes > 0).then(|| writer.finish().into())
    })
}

/// Hands out the entries of a record. What cannot be read ends it: its checksum was right, so a later release wrote it.
pub(crate) fn read(record: &[u8], mut each: impl FnMut(Entry)) {
    let mut reader = Reader::new(record);
    while reader.offset() < record.len() {
        match Entry::read(&mut reader) {
            Ok(entry) => each(entry),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barrel_p2p_base::NodeName;
    use barrel_p2p_proto::hlc::Timestamp;

    #[test]
    fn entries_come_back_and_what_is_cut_ends_its_record() {
        let origin = NodeName::parse(b"a@b").unwrap();
        let stamp = |logical| Timestamp { wall_ms: 1, logical };
        let entries: Vec<Entry> = (0..10)
            .map(|n| Entry::value(&[n], &[0; 40], &origin, stamp(n.into())).unwrap())
            .chain([Entry::tombstone(b"gone", stamp(11)).unwrap()])
            .collect();
        let records: Vec<Bytes> = write(&entries, 100).collect();
        assert!(records.len() > 3 && records.iter().all(|record| record.len() < 200));
        let mut back = Vec::new();
        records.iter().for_each(|record| read(record, |entry| back.push(entry)));
        assert_eq!(back, entries);
        let mut count = 0;
        read(&records[0][..records[0].len() - 1], |_| count += 1);
        assert_eq!(count, 1);
        assert_eq!(write(&[], 100).count(), 0);
    }
}
