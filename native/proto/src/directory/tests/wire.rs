// SPDX-License-Identifier: Apache-2.0
//! Bytes and back, and bytes that nobody wrote.

use barrel_p2p_base::limits::{MAX_ADDRESSES, MAX_NAME_BYTES, MAX_RECORDS};
use barrel_p2p_base::{DecodeError, Reader, Writer};
use proptest::prelude::*;

use super::*;
use crate::directory::{Beat, Buckets, BUCKETS};
use crate::fuzz::cases;

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

fn examples() -> Vec<Message> {
    let records = vec![claim(1, 2, Alive), claim(2, 3, Suspect), claim(3, 4, Down), claim(4, u32::MAX, Left)];
    let beats = vec![Beat { name: name(1), incarnation: contact(1, 0).incarnation, beat: 5 }];
    let mut summary = Box::new([0; BUCKETS]);
    summary[3] = u32::MAX;
    vec![
        Message::Digest { fingerprint: u64::MAX, live: 9, stamp: stamp(1) },
        Message::Probe(claim(1, 2, Down)),
        Message::Records { records: records.clone(), last: true },
        Message::Records { records: Vec::new(), last: false },
        Message::Rumours { records, beats },
        Message::Summary(summary.clone()),
        Message::Want(Buckets::differing(&[0; BUCKETS], &summary)),
    ]
}

#[test]
fn messages_come_back() {
    for message in examples() {
        assert_eq!(read(&bytes(&message)), Ok(message));
    }
}

#[test]
fn no_part_of_a_message_is_one() {
    for message in examples() {
        let bytes = bytes(&message);
        for count in 0..bytes.len() {
            assert!(read(&bytes[..count]).is_err(), "{count} bytes of {message:?}");
        }
    }
}

#[test]
fn more_records_than_the_limit_are_refused_before_they_are_read() {
    assert_eq!(read(&[3, 0, MAX_RECORDS as u8 + 1]), Err(DecodeError::BadValue { offset: 2 }));
    assert_eq!(read(&[4, MAX_RECORDS as u8 + 1]), Err(DecodeError::BadValue { offset: 1 }));
    assert_eq!(read(&[4, 0, MAX_RECORDS as u8 + 1]), Err(DecodeError::BadValue { offset: 2 }));
    assert_eq!(read(&[4, MAX_RECORDS as u8]), Err(DecodeError::Truncated { offset: 2 }));
}

#[test]
fn values_that_mean_nothing_are_refused() {
    for message in [&[0][..], &[7], &[3, 2, 0]] {
        assert!(matches!(read(message), Err(DecodeError::BadValue { .. })), "{message:?}");
    }
    let mut probe = bytes(&Message::Probe(claim(1, 2, Down)));
    *probe.last_mut().unwrap() = 4;
    assert_eq!(read(&probe), Err(DecodeError::BadValue { offset: probe.len() - 1 }));
}

#[test]
fn the_largest_message_of_records_stays_below_64_kib() {
    let host = "h".repeat(MAX_NAME_BYTES - 2);
    let contact = Contact {
        name: NodeName::parse(format!("n@{host}").as_bytes()).unwrap(),
        addresses: vec![([0_u16; 8], 1).into(); MAX_ADDRESSES].into(),
        ..Contact::clone(&contact(1, 0))
    };
    let record = Record { contact: Arc::new(contact), version: 1, state: Alive };
    let message = Message::Records { records: vec![record; MAX_RECORDS], last: true };
    let bytes = bytes(&message);
    assert_eq!(bytes.len(), 3 + 462 * MAX_RECORDS);
    assert!(bytes.len() < 64 * 1024);
}

proptest! {
    #![proptest_config(cases(4096))]

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_damaged_message_is_another_one_or_an_error(example in 0..7_usize, at in any::<usize>(), value in any::<u8>()) {
        let mut damaged = bytes(&examples()[example]);
        let at = at % damaged.len();
        damaged[at] = value;
        if let Ok(message) = read(&damaged) {
            prop_assert_eq!(bytes(&message), damaged);
        }
    }
}
