// SPDX-License-Identifier: Apache-2.0
//! Links and channels between real endpoints on loopback.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

mod support;

use barrel_p2p_node::{Accepted, Channel, Kind, Owner, Peer, Reason};
use bytes::Bytes;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use support::{wait_until, Heard, TestNode};

#[test]
fn frames_arrive_whole_and_in_order_both_ways() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    for n in 0..1000u32 {
        assert_ne!(at_a.send(&n.to_be_bytes()), Accepted::Closed);
    }
    at_b.send(b"answer");
    let expected: Vec<u8> = (0..1000u32).flat_map(|n| [[0, 0, 0, 4], n.to_be_bytes()].concat()).collect();
    assert_eq!(at_b.expect_bytes(expected.len()), expected);
    assert_eq!(at_a.expect_bytes(10), b"\0\0\0\x06answer");
    assert_eq!(at_b.channel.stat().received, 1000);
    assert_eq!(at_a.channel.stat().sent, 1000);
}

#[test]
fn a_graceful_close_delivers_what_was_queued() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    at_a.send(&vec![7; 300_000]);
    at_a.channel.close();
    assert_eq!(at_b.expect_bytes(300_004).len(), 300_004);
    assert_eq!(at_b.expect_closed(), "connection_closed");
    assert_eq!(at_a.expect_closed(), "connection_closed");
    assert_eq!(at_a.send(b"late"), Accepted::Closed);
}

/// Small frames are sent by the caller, large ones by the I/O thread; nobody can tell from what arrives.
#[test]
fn frames_of_all_sizes_keep_their_order() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    let sender = std::thread::spawn(move || {
        for n in 0..3000usize {
            let body = [&n.to_be_bytes()[..], &vec![1; n * 7919 % 40_000]].concat();
            if at_a.send(&body) == Accepted::Busy {
                assert!(matches!(at_a.next(), Heard::Writable));
            }
            if n % 10 == 0 {
                // Lets the outbox run empty now and then.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        at_a
    });
    let (mut rest, mut next) = (Vec::new(), 0usize);
    while next < 3000 {
        rest.extend(at_b.expect_bytes(1));
        let mut at = 0;
        while at < rest.len() {
            let length = u32::from_be_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
            assert_eq!(rest[at + 4..at + 12], next.to_be_bytes());
            assert_eq!(length, 8 + next * 7919 % 40_000);
            at += 4 + length;
            next += 1;
        }
        rest.drain(..at);
    }
    sender.join().unwrap();
}

/// Its owner keeps the I/O thread from its work until told otherwise.
struct Stuck {
    entered: Mutex<Sender<()>>,
    leave: Mutex<Receiver<()>>,
}

impl Owner for Stuck {
    fn connected(&self, _peer: &Peer) {}
    fn failed(&self, _reason: Reason) {}
    fn arrived(&self) {
        self.entered.lock().unwrap().send(()).unwrap();
        let _ = self.leave.lock().unwrap().recv();
    }
    fn writable(&self) {}
    fn closed(&self, _reason: Reason) {}
}

#[test]
fn a_small_frame_needs_no_io_thread_to_leave() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (entered, has_entered) = channel();
    let (leave, may_leave) = channel();
    let at_a = Arc::new(Channel::new(Kind::Dist));
    assert!(at_a.own(Arc::new(Stuck { entered: Mutex::new(entered), leave: Mutex::new(may_leave) })));
    a.dial_owned(at_a.clone(), "b@127.0.0.1", b.node.port());
    let at_b = b.accept();
    let send = |body: [u8; 1]| at_a.send(1, [Bytes::from([&[0, 0, 0, 1], &body[..]].concat())]);
    // The first one is sent by the I/O thread, from which the channel learns how to send.
    assert_eq!(send([1]), Accepted::Ready);
    assert_eq!(at_b.expect_bytes(5), [0, 0, 0, 1, 1]);
    at_b.send(b"stop");
    has_entered.recv_timeout(support::DEADLINE).unwrap();
    assert_eq!(send([2]), Accepted::Ready);
    assert_eq!(at_b.expect_bytes(5), [0, 0, 0, 1, 2]);
    leave.send(()).unwrap();
}

#[test]
fn both_dial_at_once_and_both_get_through() {
    for _ in 0..20 {
        let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
        let (from_a, from_b) = (a.dial("b@127.0.0.1", b.node.port()), b.dial("a@127.0.0.1", a.node.port()));
        from_a.expect_connected();
        from_b.expect_connected();
        let (at_b, at_a) = (b.accept(), a.accept());
        from_a.send(b"to b");
        from_b.send(b"to a");
        assert_eq!(at_b.expect_bytes(8), b"\0\0\0\x04to b");
        assert_eq!(at_a.expect_bytes(8), b"\0\0\0\x04to a");
    }
}

#[test]
fn a_second_channel_uses_the_same_link() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let _first = a.connect(&b);
    let _second = a.connect(&b);
    assert_eq!((a.links(), b.links()), (1, 1));
}

/// Smaller ones cost bulk between nodes of one host more CPU time.
#[test]
fn packets_on_loopback_are_as_large_as_loopback_carries() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let _ends = a.connect(&b);
    let mtu = |node: &TestNode| node.node.endpoint().info().unwrap().links[0].mtu_bytes;
    wait_until("large packets both ways", || mtu(&a).min(mtu(&b)) > 60_000);
}

#[test]
fn a_link_without_channels_goes_away() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    at_a.channel.abort();
    at_b.expect_closed();
    wait_until("both links are gone", || (a.links(), b.links()) == (0, 0));
}

#[test]
fn a_stopped_node_is_seen_at_once_and_its_port_is_free() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    let port = b.node.port();
    // Twice, so that the channel knows how to send on this thread: it must not keep the socket for that.
    at_b.send(b"one");
    at_a.expect_bytes(7);
    at_b.send(b"two");
    at_a.expect_bytes(7);
    b.node.stop();
    assert_eq!(at_a.expect_closed(), "shutdown");
    std::net::UdpSocket::bind(("0.0.0.0", port)).unwrap();
}

#[test]
fn a_dead_port_is_refused_at_once() {
    let a = TestNode::start("a@127.0.0.1");
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = std::time::Instant::now();
    assert_eq!(a.dial("b@127.0.0.1", free).expect_failed(), "refused");
    assert!(started.elapsed() < std::time::Duration::from_secs(2));
}

/// The owner that does not give its bytes back stops the sender, and loses nothing.
#[test]
fn a_slow_owner_slows_the_sender_down() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    let chunk = vec![1; 64 * 1024];
    let mut sent = 0;
    // Far more than all queues on the way hold together.
    for _ in 0..1000 {
        sent += chunk.len() + 4;
        if at_a.send(&chunk) == Accepted::Busy {
            // Nobody reads at the other end: the sender must come to rest.
            let resting = at_a.heard.recv_timeout(std::time::Duration::from_millis(300)).is_err();
            if resting {
                break;
            }
        }
    }
    assert!(sent < 40 << 20, "{sent} bytes went into the queues");
    assert_eq!(at_b.expect_bytes(sent).len(), sent);
    assert!(matches!(at_a.next(), Heard::Writable));
}

#[test]
fn a_new_incarnation_takes_the_place_of_the_old_one() {
    let b = TestNode::start("b@127.0.0.1");
    let old = TestNode::start("a@127.0.0.1");
    let (_, at_b) = old.connect(&b);
    // A restart keeps the identity; the ghost of the old run still looks alive.
    let identity = old.identity.clone();
    let new = TestNode::with_identity("a@127.0.0.1", "secret", identity, tempfile::TempDir::new().unwrap());
    let _linked = new.connect(&b);
    assert_eq!(at_b.expect_closed(), "superseded");
    assert_eq!(old.dial("b@127.0.0.1", b.node.port()).expect_failed(), "stale_incarnation");
}

/// quinn holds a close back behind a full congestion window; the peer then heard of it by its idle timeout only.
#[test]
fn a_node_that_stops_amid_bulk_traffic_says_goodbye() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    for _ in 0..20 {
        at_a.send(&vec![1; 1 << 20]);
    }
    at_b.expect_bytes(1 << 20);
    let started = std::time::Instant::now();
    a.node.stop();
    assert_eq!(at_b.expect_closed(), "shutdown");
    assert!(started.elapsed() < std::time::Duration::from_secs(1));
}

/// Waited for ever for a peer that did not read, and held the queue and the link.
#[test]
fn a_graceful_close_does_not_wait_for_a_peer_that_stopped_reading() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, _silent) = a.connect(&b);
    while at_a.send(&[1; 64 * 1024]) != Accepted::Busy
        || at_a.heard.recv_timeout(std::time::Duration::from_millis(300)).is_ok()
    {}
    at_a.channel.close();
    assert_eq!(at_a.expect_closed(), "connection_closed");
}
