// SPDX-License-Identifier: Apache-2.0
//! Stores in whole nodes: what is written travels as broadcasts of their own kind.

use barrel_p2p_base::limits::MAX_PAYLOAD_BYTES;

use super::*;
use crate::plumtree;

impl Network {
    fn put(&mut self, index: usize, key: &[u8]) {
        let origin = self.contacts[index].name.clone();
        let stamp = Clock::new(DEFAULT_MAX_SKEW_MS).now(self.now().wall_ms);
        self.shelves[index].0.write().unwrap().put(key, b"value", &origin, stamp).unwrap();
        self.step(index, Some(Input::Wrote(store_name())));
    }

    fn have(&self, key: &[u8]) -> usize {
        self.shelves.iter().filter(|shelf| shelf.0.read().unwrap().get(key).is_some()).count()
    }

    fn receive(&mut self, from: usize, to: usize, payload: &'static [u8], number: u8) {
        let gossip =
            plumtree::Message::Gossip { id: MessageId([number; 16]), hops: 1, payload: Bytes::from_static(payload) };
        let from = Arc::clone(&self.contacts[from]);
        self.step(to, Some(Input::Received { from, message: Message::Plumtree(gossip) }));
    }
}

#[test]
fn what_one_writes_all_have_soon_and_no_application_hears_of_it() {
    let mut network = Network::joined(20);
    network.events.clear();
    (0..10).for_each(|number| network.put(number, &[number as u8]));
    network.run(Duration::from_millis(100));
    assert!((0..10).all(|key| network.have(&[key]) == 20));
    assert_eq!(network.delivered(), 0);
}

#[test]
fn what_halves_have_written_all_have_soon_after_they_met() {
    let mut network = Network::joined(20);
    network.away = (10..20).collect();
    network.lose_links();
    network.run(Duration::from_secs(60));
    (0..20).for_each(|number| network.put(number, &[number as u8]));
    network.run(Duration::from_secs(10));
    assert!((0..20).all(|key| network.have(&[key]) == 10));
    network.away.clear();
    network.run_until(Duration::from_secs(30), |network| network.all_know(20));
    network.run_until(Duration::from_secs(10), |network| (0..20).all(|key| network.have(&[key]) == 20));
}

#[test]
fn who_joins_has_everything_at_once() {
    let mut network = Network::new(3);
    network.join(1);
    network.run(Duration::from_secs(1));
    (0..50).for_each(|number| network.put(0, &[number]));
    network.run(Duration::from_secs(1));
    network.join(2);
    network.run(Duration::from_millis(200));
    assert!((0..50).all(|key| network.have(&[key]) == 3));
}

#[test]
fn the_largest_payload_arrives_as_it_was_sent() {
    let mut network = Network::joined(3);
    network.events.clear();
    let payload = Bytes::from(vec![7; MAX_PAYLOAD_BYTES]);
    network.step(0, Some(Input::Broadcast { id: MessageId([1; 16]), payload: payload.clone() }));
    let larger = Bytes::from(vec![7; MAX_PAYLOAD_BYTES + 1]);
    network.step(0, Some(Input::Broadcast { id: MessageId([2; 16]), payload: larger }));
    network.run(Duration::from_secs(1));
    let delivered = |event: &Event| matches!(event, Event::Delivered { payload: got, .. } if *got == payload);
    assert_eq!(network.events.iter().filter(|(_, event)| delivered(event)).count(), 2);
    assert_eq!(network.delivered(), 2);
}

#[test]
fn a_malformed_delta_ends_the_link_of_its_sender_and_goes_no_further() {
    let mut network = Network::joined(10);
    network.events.clear();
    for (number, payload) in
        (1..).zip([&b""[..], b"\x02", b"\x01", b"\x01\x05store\x00", b"\x01\x05store\x00\x01", b"\x01\x00\x00\x00"])
    {
        network.receive(3, 4, payload, number);
        assert_eq!(network.closed.pop(), Some((4, 3)), "for {payload:?}");
    }
    network.run(Duration::from_secs(1));
    assert_eq!((network.delivered(), network.closed.len()), (0, 0));
    // An empty one is odd, and no harm.
    network.receive(3, 4, b"\x01\x05store\x00\x00", 100);
    network.run(Duration::from_secs(1));
    assert_eq!(network.closed, []);
}

#[test]
fn deltas_of_unknown_stores_are_passed_on_and_ignored() {
    let mut network = Network::joined(10);
    network.receive(3, 4, b"\x01\x05other\x00\x00", 1);
    network.run(Duration::from_secs(1));
    assert!(network.live().all(|node| node.overlay().knows(&MessageId([1; 16]))));
    assert_eq!(network.closed, []);
}
