// SPDX-License-Identifier: Apache-2.0
//! Messages about views and broadcasts: what is written is read, and any bytes are survived.

use std::net::SocketAddr;
use std::sync::Arc;

use barrel_p2p_base::limits::{MAX_ADDRESSES, MAX_ANNOUNCEMENTS, MAX_CONTACTS};
use barrel_p2p_base::{Incarnation, NodeName, PublicKey};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::contact::Contact;
use crate::fuzz::cases;
use crate::hyparview::{Goodbye, Priority};
use crate::plumtree::Announcement;

#[test]
fn a_frame_beyond_the_limit_is_refused_unread() {
    let frame = Bytes::from(vec![DIRECT; MAX_GOSSIP_BYTES + 1]);
    assert_eq!(Message::decode(&frame), Err(DecodeError::Trailing { offset: MAX_GOSSIP_BYTES }));
}

#[test]
fn a_payload_beyond_the_limit_is_refused() {
    let frame = Bytes::from(vec![DIRECT; MAX_PAYLOAD_BYTES + 2]);
    assert_eq!(Message::decode(&frame), Err(DecodeError::BadValue { offset: 1 }));
}

#[test]
fn a_shuffle_of_a_million_peers_is_refused_by_its_count() {
    let shuffle = hyparview::Message::ShuffleReply(vec![contact("a@b"); MAX_CONTACTS]);
    let mut bytes = Message::HyParView(shuffle).encode();
    assert!(Message::decode(&bytes.clone().into()).is_ok());
    bytes[2] = u8::MAX;
    assert_eq!(Message::decode(&bytes.into()), Err(DecodeError::BadValue { offset: 2 }));
}

#[test]
fn a_payload_shares_the_memory_of_its_frame() {
    let frame = Bytes::from(Message::Direct(Bytes::from_static(b"payload")).encode());
    let Ok(Message::Direct(payload)) = Message::decode(&frame) else { panic!("{frame:?}") };
    assert_eq!(payload.as_ptr(), frame[1..].as_ptr());
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..200), kind in 0..6_u8, what in 0..16_u8) {
        let _ = Message::decode(&bytes.clone().into());
        let mut typed = vec![kind, what];
        typed.extend(bytes);
        let _ = Message::decode(&typed.into());
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in message()) {
        prop_assert_eq!(Message::decode(&message.encode().into()), Ok(message));
    }

    #[test]
    fn a_message_cut_or_changed_is_survived(message in message(), cut in any::<usize>(), changed in any::<u8>()) {
        let mut bytes = message.encode();
        let at = cut % bytes.len();
        bytes[at] ^= changed;
        let _ = Message::decode(&bytes.clone().into());
        bytes.truncate(at);
        let _ = Message::decode(&bytes.into());
    }
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        views().prop_map(Message::HyParView),
        broadcasts().prop_map(Message::Plumtree),
        vec(any::<u8>(), 0..100).prop_map(|payload| Message::Direct(payload.into())),
    ]
}

fn views() -> impl Strategy<Value = hyparview::Message> {
    use hyparview::Message;
    prop_oneof![
        Just(Message::Accept),
        Just(Message::Join),
        Just(Message::Measure),
        any::<u32>().prop_map(|longest_us| Message::Measured { longest_us }),
        contacts(1..2).prop_map(|mut one| Message::Exchange { old: one.remove(0) }),
        Just(Message::Disconnect(Goodbye::Exchanged)),
        Just(Message::Disconnect(Goodbye::Full)),
        Just(Message::Disconnect(Goodbye::Leaving)),
        contacts(1..2).prop_map(|mut one| Message::Disconnect(Goodbye::Replaced(one.remove(0)))),
        (contacts(1..2), any::<u8>()).prop_map(|(mut one, ttl)| Message::ForwardJoin { joiner: one.remove(0), ttl }),
        any::<u8>().prop_map(|neighbours| Message::KeepAlive { neighbours }),
        Just(Message::Neighbour(Priority::Low)),
        Just(Message::Neighbour(Priority::High)),
        contacts(0..MAX_CONTACTS + 1).prop_map(Message::Reject),
        contacts(0..MAX_CONTACTS + 1).prop_map(Message::ShuffleReply),
        (contacts(1..MAX_CONTACTS + 2), any::<u8>()).prop_map(|(mut contacts, ttl)| {
            let origin = contacts.remove(0);
            Message::Shuffle { origin, ttl, contacts }
        }),
    ]
}

fn broadcasts() -> impl Strategy<Value = plumtree::Message> {
    use plumtree::Message;
    let id = || any::<[u8; 16]>().prop_map(MessageId);
    let announcement = (id(), any::<u16>()).prop_map(|(id, hops)| Announcement { id, hops });
    prop_oneof![
        (id(), any::<u16>(), vec(any::<u8>(), 0..100)).prop_map(|(id, hops, payload)| Message::Gossip {
            id,
            hops,
            payload: payload.into()
        }),
        Just(Message::Graft(None)),
        id().prop_map(|id| Message::Graft(Some(id))),
        (any::<bool>(), vec(announcement, 0..MAX_ANNOUNCEMENTS + 1))
            .prop_map(|(pushed, list)| Message::IHave { pushed, announcements: list.into() }),
        Just(Message::Prune),
    ]
}

fn contacts(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Arc<Contact>>> {
    let addresses = vec(any::<SocketAddr>().prop_map(plain), 0..MAX_ADDRESSES + 1);
    let contact = ("[a-z]{1,20}@[a-z]{1,20}", any::<[u64; 2]>(), addresses, any::<[u8; 32]>());
    let contact = contact.prop_map(|(name, [started_ms, random], addresses, key)| {
        let incarnation = Incarnation { started_ms, random };
        Arc::new(Contact {
            incarnation,
            addresses: addresses.into(),
            key: PublicKey(key),
            ..Contact::clone(&self::contact(&name))
        })
    });
    vec(contact, count)
}

/// Flow label and scope of an address do not travel.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

fn contact(name: &str) -> Arc<Contact> {
    let name = NodeName::parse(name.as_bytes()).unwrap();
    let incarnation = Incarnation { started_ms: 1, random: 2 };
    Arc::new(Contact { name, incarnation, addresses: Box::new([]), key: PublicKey([3; 32]) })
}
