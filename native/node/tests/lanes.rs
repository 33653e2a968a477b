// SPDX-License-Identifier: Apache-2.0
//! Lanes of a distribution channel between real endpoints: what goes first, what waits, and how it ends.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

mod support;

use barrel_p2p_node::{Accepted, Signals};
use bytes::Bytes;
use support::{wait_until, End, Heard, TestNode, TAKE_BYTES};

/// Above what makes a sender heavy.
const LARGE: usize = 64 * 1024;

/// A message of a process `<0.Sender.0>`, as the emulator encodes it, with a number in front of its payload.
fn message(sender: u32, number: u32, payload: usize) -> Vec<u8> {
    let pid = |id: u32| [&[88, 119, 1, b'n'][..], &id.to_be_bytes(), &[0; 4], &[0, 0, 0, 1]].concat();
    let mut bytes = [&[131, 68, 0, 104, 3, 97, 22][..], &pid(sender), &pid(0)].concat();
    bytes.extend(number.to_be_bytes());
    bytes.resize(bytes.len() + payload, 7);
    bytes
}

fn send(end: &End, messages: &[Vec<u8>]) -> Accepted {
    let mut signals = Signals::default();
    for message in messages {
        signals.begin();
        // As the boundary to Erlang does: a large payload is not copied.
        let (head, payload) = message.split_at(message.len().min(50));
        signals.copy(head).unwrap();
        signals.reference(Bytes::copy_from_slice(payload)).unwrap();
    }
    end.channel.send_signals(&signals)
}

/// Sender and number of each message in some frames.
fn read(mut frames: &[u8]) -> Vec<(u32, u32)> {
    let mut read = Vec::new();
    while let Some((length, rest)) = frames.split_first_chunk() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        read.push((number(11), number(7 + 2 * 16)));
        frames = rest;
    }
    read
}

fn take(end: &End, count: usize) -> Vec<(u32, u32)> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(read(&end.expect_bytes(1)));
    }
    all
}

#[test]
fn a_small_message_is_given_out_before_large_ones_that_came_first() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    // Nobody takes anything at b before all has arrived there.
    let large: Vec<_> = (0..40).map(|n| message(1, n, LARGE)).collect();
    send(&at_a, &large);
    let heard = at_b.next();
    assert!(matches!(heard, Heard::Arrived), "{heard:?}");
    send(&at_a, &[message(2, 0, 10)]);
    wait_until("the small message is there", || at_b.channel.stat().received > 1 && light_has_arrived(&at_b));
    assert_eq!(read(&at_b.channel.take_first().unwrap().pieces.concat()), [(2, 0)]);
    let rest = take(&at_b, 40);
    assert_eq!(rest, (0..40).map(|n| (1, n)).collect::<Vec<_>>());
}

/// The large ones fill their lane's part of the inbox: when nothing more of them comes, what came last is the small one.
fn light_has_arrived(end: &End) -> bool {
    let before = end.channel.stat().received;
    std::thread::sleep(std::time::Duration::from_millis(100));
    end.channel.stat().received == before
}

#[test]
fn messages_of_one_sender_keep_their_order_whatever_their_size() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    let senders = 5;
    let each = 400;
    let writer = std::thread::spawn(move || {
        for number in 0..each {
            let size = |sender: u32| {
                (number as usize * 7919 * (sender as usize + 1)) % (if number % 50 < 10 { 100_000 } else { 100 })
            };
            let batch: Vec<_> = (0..senders).map(|sender| message(sender, number, size(sender))).collect();
            if send(&at_a, &batch) == Accepted::Busy {
                wait_for_room(&at_a);
            }
        }
        at_a
    });
    let mut next = vec![0; senders as usize];
    for (sender, number) in take(&at_b, (senders * each) as usize) {
        assert_eq!(number, next[sender as usize], "sender {sender}");
        next[sender as usize] += 1;
    }
    writer.join().unwrap();
}

fn wait_for_room(end: &End) {
    while !matches!(end.next(), Heard::Writable) {}
}

#[test]
fn a_graceful_close_delivers_what_is_on_all_lanes() {
    for _ in 0..5 {
        let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
        let (at_a, at_b) = a.connect(&b);
        for sender in 0..4 {
            send(&at_a, &(0..5).map(|n| message(sender, n, LARGE)).collect::<Vec<_>>());
        }
        at_a.channel.close();
        assert_eq!(take(&at_b, 20).len(), 20);
        assert_eq!(at_b.expect_closed(), "connection_closed");
        assert_eq!(at_a.expect_closed(), "connection_closed");
    }
}

/// Whoever closes waits a second for a peer that does not read. What was not read is lost then, and the peer must learn of the end: it waited for
/// ever for the lanes that were given up.
#[test]
fn a_channel_ends_when_its_lanes_were_given_up() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    // More than the transport holds for a reader that does not read.
    for n in 0..12 {
        send(&at_a, &(0..20).map(|more| message(1, 20 * n + more, LARGE)).collect::<Vec<_>>());
    }
    at_a.channel.close();
    assert_eq!(at_a.expect_closed(), "connection_closed");
    assert_eq!(at_b.expect_closed(), "connection_closed");
}

/// Who sends more than may be under way is named once, until there is room again; who sends little never is.
#[test]
fn only_heavy_senders_are_to_be_held() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    let mut sent = 0;
    let held = loop {
        let accepted = send(&at_a, &[message(9, sent, LARGE), message(2, sent, 10)]);
        sent += 1;
        if let Accepted::Hold(held) = accepted {
            break held;
        }
        assert_eq!(accepted, Accepted::Ready);
        assert!(sent < 1_000, "nobody is ever held");
    };
    assert_eq!(held.iter().map(|process| (process.number, process.serial)).collect::<Vec<_>>(), [(9, 0)]);
    assert_eq!(send(&at_a, &[message(9, sent, LARGE), message(2, sent, 10)]), Accepted::Ready);
    assert_eq!(take(&at_b, 2 * (sent as usize + 1)).len(), 2 * (sent as usize + 1));
    wait_for_room(&at_a);
}

/// Processes that are held go on for a while, or cannot be held: there is a bound for all.
#[test]
fn heavy_senders_that_go_on_are_told_to_wait() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    let mut sent = 0u32;
    while send(&at_a, &[message(9, sent, LARGE)]) != Accepted::Busy {
        sent += 1;
        assert!(sent < 1_000, "there is no bound");
    }
    assert_eq!(take(&at_b, sent as usize + 1).len(), sent as usize + 1);
    wait_for_room(&at_a);
    while at_b.channel.take(TAKE_BYTES).is_some() {}
}

/// On a slow path holding takes longer than a process may be held. Nobody else is to wait for that, unless the peer takes nothing at all.
#[test]
fn those_who_were_held_too_long_go_on_if_the_peer_takes_something() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    let until_held = || {
        let held = (0..1_000).find(|n| matches!(send(&at_a, &[message(9, *n, LARGE)]), Accepted::Hold(_)));
        assert!(held.is_some(), "nobody is ever held");
    };
    until_held();
    assert_eq!(at_a.channel.let_go(), Accepted::Busy);
    take(&at_b, 2);
    wait_until("the sender knows", || at_a.channel.let_go() == Accepted::Ready);
    until_held();
}
