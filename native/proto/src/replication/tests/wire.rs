// SPDX-License-Identifier: Apache-2.0
//! Bytes and back, and bytes that nobody wrote.

use barrel_p2p_base::limits::{MAX_FINGERPRINTS, MAX_RANGES, MAX_WANTED};
use barrel_p2p_base::DecodeError;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fuzz::cases;
use crate::store::{Cursor, Summary, FANOUT};

fn bytes(message: &Message) -> Vec<u8> {
    let mut writer = Writer::new();
    message.write(&mut writer);
    writer.finish()
}

fn read(bytes: &[u8]) -> Result<Message, DecodeError> {
    let mut reader = Reader::new(bytes);
    let message = Message::read(&mut reader)?;
    reader.finish()?;
    Ok(message)
}

fn prefixes() -> impl Strategy<Value = Prefix> {
    vec(0..16_u8, 0..17).prop_map(|nibbles| {
        nibbles.into_iter().fold(Prefix::ALL, |prefix, nibble| prefix.child(nibble).unwrap_or(prefix))
    })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (vec(any::<u8>(), 0..20), proptest::option::of(vec(any::<u8>(), 0..20)), any::<u32>(), 0..3_usize);
    let entry = entry.prop_map(|(key, value, wall_ms, origin)| {
        let stamp = Timestamp { wall_ms: wall_ms.into(), logical: 5 };
        match value {
            Some(value) => Entry::value(&key, &value, &contact(origin).name, stamp).unwrap(),
            None => Entry::tombstone(&key, stamp).unwrap(),
        }
    });
    vec(entry, 0..5)
}

fn questions() -> impl Strategy<Value = Question> {
    let ranges = vec(prefixes(), 1..MAX_RANGES + 1).prop_map(|mut ranges| {
        ranges.sort_unstable();
        ranges.dedup();
        ranges
    });
    prop_oneof![
        (any::<u64>(), any::<u32>()).prop_map(|(fingerprint, count)| Question::Compare(Summary { fingerprint, count })),
        ranges.prop_map(Question::Describe),
        vec((prefixes(), any::<u64>()), 1..30).prop_map(Question::Fetch),
        (prefixes(), proptest::option::of(vec(any::<u8>(), 0..30)))
            .prop_map(|(range, after)| Question::Load(range, after.map(|key| Cursor::new(&key)))),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    let content = prop_oneof![
        vec(any::<u64>(), 0..MAX_FINGERPRINTS + 1).prop_map(Content::Few),
        (any::<u32>(), any::<[u64; FANOUT]>(), any::<u16>()).prop_map(|(count, mut parts, full)| {
            (0..FANOUT).filter(|part| full & 1 << part == 0).for_each(|part| parts[part] = 0);
            Content::Many { count, parts: Box::new(parts) }
        }),
    ];
    prop_oneof![
        Just(Answer::Absent),
        Just(Answer::Equal),
        vec(content, 1..4).prop_map(Answer::Contents),
        (any::<u16>(), entries()).prop_map(|(about, entries)| Answer::Entries { about, entries }),
        (entries(), any::<bool>()).prop_map(|(entries, more)| Answer::Chunk { entries, more }),
    ]
}

fn messages() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        (any::<u32>(), questions()).prop_map(|(ticket, question)| Body::Question { ticket, question }),
        (any::<u32>(), answers()).prop_map(|(ticket, answer)| Body::Answer { ticket, answer }),
        entries().prop_map(Body::Offer),
        Just(Body::Behind),
    ];
    ("[a-z\u{e9}]{1,100}", body)
        .prop_map(|(name, body)| Message { store: StoreName::parse(name.as_bytes()).unwrap(), body })
}

#[test]
fn counts_beyond_their_limits_are_refused_before_they_are_read() {
    let too_many = |kind: u8, count: usize| {
        let mut bytes = vec![1, b'a', kind, 0, 0, 0, 0];
        bytes.extend((count as u16).to_be_bytes());
        read(&bytes)
    };
    for (kind, most) in [(2, MAX_RANGES), (3, MAX_WANTED), (9, MAX_RANGES)] {
        assert_eq!(too_many(kind, most + 1), Err(DecodeError::BadValue { offset: 7 }));
        assert_eq!(too_many(kind, 0), Err(DecodeError::BadValue { offset: 7 }));
        assert!(matches!(too_many(kind, most), Err(DecodeError::Truncated { .. })));
    }
}

#[test]
fn ranges_that_do_not_ascend_are_refused() {
    let describe = |ranges: &[Prefix]| {
        let question = Question::Describe(ranges.to_vec());
        read(&bytes(&Message { store: name(), body: Body::Question { ticket: 1, question } }))
    };
    let part = |nibble| Prefix::ALL.child(nibble).unwrap();
    assert!(describe(&[part(1), part(2)]).is_ok());
    assert!(describe(&[part(2), part(1)]).is_err());
    assert!(describe(&[part(2), part(2)]).is_err());
}

#[test]
fn a_store_without_a_name_and_keys_that_are_too_large_are_refused() {
    assert!(read(&[0, 6]).is_err());
    assert!(read(&[1, 0xff, 6]).is_err());
    // A value that claims a byte more than any may have, in an offer of one entry.
    let mut offer = vec![1, b'a', 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 3, b'a', b'@', b'b', 0, 0];
    offer.extend((512 * 1024 + 1_u32).to_be_bytes());
    offer.resize(offer.len() + 512 * 1024 + 1, 7);
    assert!(read(&offer).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in messages()) {
        prop_assert_eq!(read(&bytes(&message)), Ok(message));
    }

    #[test]
    fn no_part_of_a_message_is_one(message in messages(), cut in any::<usize>()) {
        let bytes = bytes(&message);
        prop_assert!(read(&bytes[..cut % bytes.len()]).is_err());
    }

    #[test]
    fn a_delta_is_read_as_it_was_written(entries in entries()) {
        let delta = Delta { store: name(), entries };
        let mut writer = Writer::new();
        delta.write(&mut writer);
        prop_assert_eq!(Delta::read(&writer.finish().into()), Ok(delta));
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn any_bytes_are_no_reason_to_fall(kind in 0..14_u8, bytes in vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let mut typed = vec![1, b'a', kind];
        typed.extend(&bytes);
        let _ = read(&typed);
        let _ = Delta::read(&Bytes::from(bytes));
    }

    #[test]
    fn any_bytes_in_a_message_are_no_reason_to_fall(message in messages(), at in any::<usize>(), flip in any::<u8>()) {
        let mut bytes = bytes(&message);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(message) = read(&bytes) {
            let mut net = Net::new(1);
            net.peers[0].judges = false;
            let now = net.now();
            net.peers[0].replication.on_message(now, &contact(1), message, &mut Outputs::new());
        }
    }
}
