// SPDX-License-Identifier: Apache-2.0
//! What the host reads is what it wrote.

use barrel_p2p_base::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use barrel_p2p_base::{DecodeError, Reader, Writer};
use proptest::prelude::*;

use super::*;

#[test]
fn the_last_write_is_there() {
    let mut store = store();
    store.put(b"a", b"1", &node(1), at(0)).unwrap();
    store.put(b"b", b"", &node(1), at(1)).unwrap();
    store.put(b"a", b"2", &node(1), at(2)).unwrap();
    store.remove(b"b", at(3)).unwrap();
    assert_eq!((content(&store, "a"), content(&store, "b"), content(&store, "c")), (Some(Some("2")), Some(None), None));
    assert_eq!((store.len(), store.tombstones()), (1, 1));
    store.put(b"b", b"3", &node(2), at(4)).unwrap();
    assert_eq!((store.len(), store.tombstones(), store.is_empty()), (2, 0, false));
    check(&store);
}

#[test]
fn a_key_that_is_not_there_can_be_removed() {
    let mut store = store();
    let tombstone = store.remove(b"a", at(0)).unwrap();
    let mut other = loaded(&[value("a", "1", 1, 0).with_origin(Some(node(1)))]);
    deliver(&mut other, vec![tombstone]);
    // At the same time the value wins.
    assert_eq!(content(&other, "a"), Some(Some("1")));
    deliver(&mut other, vec![store.remove(b"a", at(1)).unwrap()]);
    assert_eq!(content(&other, "a"), Some(None));
}

#[test]
fn a_write_wins_over_an_entry_of_the_future() {
    let mut store = loaded(&[value("a", "1", 2, 60_000), tombstone("b", 60_000)]);
    let written = store.put(b"a", b"2", &node(1), at(0)).unwrap();
    assert_eq!(written.stamp(), Timestamp { wall_ms: NOW + 60_000, logical: 1 });
    assert_eq!(store.get(b"a"), Some(&written));
    let written = store.remove(b"a", at(0)).unwrap();
    assert_eq!(written.stamp(), Timestamp { wall_ms: NOW + 60_000, logical: 2 });
    store.put(b"b", b"2", &node(1), at(0)).unwrap();
    assert_eq!((content(&store, "a"), content(&store, "b")), (Some(None), Some(Some("2"))));
    check(&store);
}

#[test]
fn what_is_too_long_is_refused() {
    let mut store = store();
    let key = vec![1; MAX_KEY_BYTES + 1];
    let value = vec![1; MAX_VALUE_BYTES + 1];
    assert_eq!(store.put(&key, b"", &node(1), at(0)), Err(TooLarge));
    assert_eq!(store.remove(&key, at(0)), Err(TooLarge));
    assert_eq!(store.put(b"a", &value, &node(1), at(0)), Err(TooLarge));
    assert!(store.put(&key[1..], &value[1..], &node(1), at(0)).is_ok());
    assert_eq!((store.len(), store.get(&key[1..]).unwrap().bytes()), (1, Some(&value[1..])));
}

#[test]
fn origins_are_counted_through_every_change() {
    let mut store = store();
    store.put(b"a", b"1", &node(1), at(0)).unwrap();
    store.put(b"a", b"1", &node(2), at(1)).unwrap();
    store.put(b"b", b"1", &node(1), at(2)).unwrap();
    check(&store);
    store.remove(b"a", at(3)).unwrap();
    check(&store);
    assert_eq!(store.prune(&node(2), u64::MAX, None, 10), (vec![], None));
    assert_eq!(store.prune(&node(1), u64::MAX, None, 10).0.len(), 1);
    check(&store);
}

proptest! {
    #[test]
    fn a_scan_sees_every_key_that_stayed_once(
        keys in 0..3_000_usize,
        changes in prop::collection::vec((0..4_000_usize, any::<bool>()), 0..40),
        batch in 1..500_usize,
    ) {
        let mut store = store();
        for key in 0..keys {
            store.put(format!("{key}").as_bytes(), b"1", &node(1), at(0)).unwrap();
        }
        let mut changes = changes.into_iter();
        let mut touched = vec![];
        let (mut seen, mut after) = (vec![], None);
        loop {
            let (entries, next) = store.scan(Prefix::ALL, after.as_ref(), batch, usize::MAX);
            prop_assert!(entries.len() <= batch && seen.len() <= 4_000);
            seen.extend(entries.into_iter().map(|entry| String::from_utf8(entry.key().to_vec()).unwrap()));
            let Some(next) = next else { break };
            // An owner that starts anew knows the cursor as bytes only.
            after = Some(Cursor::new(next.key()));
            for (key, add) in changes.by_ref().take(3) {
                let key = format!("{key}");
                if add {
                    store.put(key.as_bytes(), b"2", &node(1), at(1)).unwrap();
                } else {
                    store.remove(key.as_bytes(), at(1)).unwrap();
                }
                touched.push(key);
            }
            store.collect(NOW + 10_000, true, u64::MAX);
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        prop_assert_eq!(seen.len(), count);
        for key in (0..keys).map(|key| format!("{key}")).filter(|key| !touched.contains(key)) {
            prop_assert!(seen.binary_search(&key).is_ok(), "{} is missing", key);
        }
    }

    #[test]
    fn a_scan_keeps_its_bounds(sizes in prop::collection::vec(0..5_000_usize, 1..40), max_bytes in 1..20_000_usize) {
        let mut store = store();
        for (key, size) in sizes.iter().enumerate() {
            store.put(&key.to_be_bytes(), &vec![7; *size], &node(1), at(0)).unwrap();
        }
        let (mut after, mut count) = (None, 0);
        loop {
            let (entries, next) = store.scan(Prefix::ALL, after.as_ref(), usize::MAX, max_bytes);
            prop_assert!(entries.len() == 1 || entries.iter().map(Entry::size).sum::<usize>() <= max_bytes);
            count += entries.len();
            let Some(next) = next else { break };
            after = Some(next);
        }
        prop_assert_eq!(count, sizes.len());
    }

    #[test]
    fn an_entry_has_bytes_and_comes_back(
        key in prop::collection::vec(any::<u8>(), 0..40),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        offset_ms in 0..u64::from(u32::MAX),
    ) {
        let entry = match &value {
            Some(value) => Entry::value(&key, value, &node(1), at(offset_ms)),
            None => Entry::tombstone(&key, at(offset_ms)),
        }.unwrap();
        let mut writer = Writer::new();
        entry.write(&mut writer);
        let bytes = writer.finish();
        prop_assert_eq!(bytes.len(), entry.size());
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(Entry::read(&mut reader), Ok(entry.clone()));
        prop_assert_eq!(reader.finish(), Ok(()));
        prop_assert_eq!((entry.key(), entry.bytes()), (&key[..], value.as_deref()));
        for cut in 0..bytes.len() {
            let truncated = matches!(Entry::read(&mut Reader::new(&bytes[..cut])), Err(DecodeError::Truncated { .. }));
            prop_assert!(truncated);
        }
    }

    #[test]
    fn no_bytes_make_an_entry_that_would_not_come_back(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut reader = Reader::new(&bytes);
        if let Ok(entry) = Entry::read(&mut reader) {
            let mut writer = Writer::new();
            entry.write(&mut writer);
            prop_assert_eq!(&writer.finish()[..], &bytes[..reader.offset()]);
        }
    }
}
