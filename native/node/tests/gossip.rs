// SPDX-License-Identifier: Apache-2.0
//! Membership and broadcast over real links on loopback.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

mod support;

use barrel_p2p_node::gossip::StartError;
use barrel_p2p_node::proto::{Event, MemberState, MessageId};
use barrel_p2p_node::{JoinFailure, Refusal};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::gossip::{cluster, gossip_on, Member};
use support::{name, wait_until, TestNode};

#[test]
fn a_cluster_forms_from_one_address_and_broadcasts_reach_everybody_once() {
    let members = cluster(8);
    for (n, sender) in members.iter().enumerate() {
        let payload = Bytes::from(format!("from {n}"));
        sender.gossip.broadcast(None, payload.clone()).unwrap();
        for receiver in members.iter().filter(|other| other.node.name != sender.node.name) {
            assert_eq!(receiver.expect_broadcast(), payload);
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    for member in &members {
        let again = member.heard().into_iter().filter(|event| matches!(event, Event::Delivered { .. })).count();
        assert_eq!(again, 0, "{} got a broadcast twice", member.node.name);
        assert!(!member.node.has_dist_channels(), "{} was given a dist channel", member.node.name);
        assert!(!member.gossip.views().active.is_empty());
    }
}

#[test]
fn the_state_is_there_before_the_news_of_it() {
    let (a, b) = (Member::start("a@127.0.0.1"), Member::start("b@127.0.0.1"));
    assert_eq!(a.member_names(), ["a@127.0.0.1"]);
    assert_eq!(b.join(a.node.address()), Ok(()));
    let up = a.expect("peer_up", |event| match event {
        Event::PeerUp(name) => Some(name.clone()),
        _ => None,
    });
    assert_eq!((up.clone(), a.gossip.views().active.clone()), (name("b@127.0.0.1"), vec![up]));
    a.expect("joined", |event| matches!(event, Event::Joined).then_some(()));
    b.expect("member_up", |event| matches!(event, Event::MemberUp(at) if at.name == a.node.name).then_some(()));
    let member = b.gossip.member(&a.node.name).unwrap();
    assert_eq!(member.state, MemberState::Alive);
    assert!(member.contact.addresses.contains(&a.node.address()), "{:?}", member.contact.addresses);
    assert_eq!(member.contact.key, a.node.identity.public_key());
}

#[test]
fn a_message_reaches_one_member_and_no_other() {
    let members = cluster(4);
    let to = &members[3];
    members[0].gossip.send(to.node.name.clone(), Bytes::from_static(b"for you")).unwrap();
    let (from, payload) = to.expect("direct message", |event| match event {
        Event::Direct { from, payload } => Some((from.clone(), payload.clone())),
        _ => None,
    });
    assert_eq!((from, payload), (members[0].node.name.clone(), Bytes::from_static(b"for you")));
    let nobody = members[0].gossip.send(name("nobody@127.0.0.1"), Bytes::new());
    assert_eq!(nobody, Err(Refusal::Unknown));
}

#[test]
fn broadcasts_beyond_every_queue_arrive_at_neighbours_when_busy_is_heeded() {
    // Two: who passes on for others has no way to say busy, and drops what a slow neighbour cannot take.
    let members = cluster(2);
    let payload = Bytes::from(vec![7; 1 << 20]);
    let mut was_busy = false;
    for _ in 0..64 {
        while members[0].gossip.broadcast(None, payload.clone()) == Err(Refusal::Busy) {
            was_busy = true;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert!(was_busy, "64 MiB went into bounded queues at once");
    for member in &members[1..] {
        (0..64).for_each(|_| assert_eq!(member.expect_broadcast().len(), 1 << 20));
    }
}

#[test]
fn a_broadcast_is_named_once_and_has_at_most_a_mebibyte() {
    let member = Member::start("a@127.0.0.1");
    let id = MessageId([7; 16]);
    assert_eq!(member.gossip.broadcast(Some(id), Bytes::new()), Ok(()));
    assert_eq!(member.gossip.broadcast(Some(id), Bytes::new()), Err(Refusal::Duplicate));
    let large = Bytes::from(vec![0; (1 << 20) + 1]);
    assert_eq!(member.gossip.broadcast(None, large.clone()), Err(Refusal::TooLarge));
    assert_eq!(member.gossip.send(member.node.name.clone(), large), Err(Refusal::TooLarge));
}

#[test]
fn a_join_says_why_it_failed() {
    let member = Member::start("a@127.0.0.1");
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reason = |result: Result<(), JoinFailure>| result.unwrap_err().name();
    assert_eq!(reason(member.join(free)), "refused");
    assert_eq!(reason(member.join(member.node.address())), "name_mismatch");
    assert_eq!(reason(member.join_target(Some(name("b@127.0.0.1")), vec![])), "no_address");
    let stranger =
        Member::on(TestNode::with("c@127.0.0.1", "other", support::policy(barrel_p2p_node::TrustMode::Tofu)));
    assert_eq!(reason(member.join(stranger.node.address())), "wrong_cookie");
    // Reachable, but it does not gossip.
    let silent = TestNode::start("d@127.0.0.1");
    assert_eq!(reason(member.join(silent.address())), "connection_closed");
}

#[test]
fn whoever_leaves_is_remembered_as_left_and_may_come_back() {
    let members = cluster(3);
    let leaver = &members[2];
    leaver.gossip.leave().unwrap();
    leaver.expect("left", |event| matches!(event, Event::Left).then_some(()));
    for other in &members[..2] {
        other.expect("member_down", |event| {
            matches!(event, Event::MemberDown(name, MemberState::Left) if *name == leaver.node.name).then_some(())
        });
        assert!(!other.gossip.members().contains(&leaver.node.name));
    }
    assert_eq!(leaver.join(members[0].node.address()), Ok(()));
    wait_until("it is back", || members.iter().all(|member| member.member_names().len() == 3));
}

#[test]
fn a_stopped_node_is_down_at_once() {
    let mut members = cluster(4);
    let stopped = members.pop().unwrap();
    let started = Instant::now();
    stopped.node.node.stop();
    stopped.stopped.recv_timeout(support::DEADLINE).expect("nobody was told of the end");
    expect_down(&members, &stopped.node.name);
    assert!(started.elapsed() < Duration::from_secs(3), "took {:?}", started.elapsed());
    assert_eq!(stopped.gossip.leave(), Err(Refusal::Stopped));
}

/// From the death to everybody's news of it: the promise is eight seconds.
#[test]
fn a_killed_node_is_down_everywhere_within_eight_seconds() {
    let members = cluster(5);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--nocapture"])
        .env("BARREL_P2P_TEST_CONTACT", members[0].node.address().to_string())
        .stdout(Stdio::null())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let victim = name("victim@127.0.0.1");
    wait_until("everybody knows the victim", || members.iter().all(|member| member.gossip.members().contains(&victim)));
    // Let the overlay settle around it.
    std::thread::sleep(Duration::from_millis(500));
    let started = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    expect_down(&members, &victim);
    assert!(started.elapsed() < Duration::from_secs(8), "took {:?}", started.elapsed());
    let payload = Bytes::from_static(b"after");
    members[1].gossip.broadcast(None, payload.clone()).unwrap();
    members.iter().skip(2).for_each(|member| assert_eq!(member.expect_broadcast(), payload));
}

/// Not a test: what the one above kills.
#[test]
fn victim() {
    let Ok(contact) = std::env::var("BARREL_P2P_TEST_CONTACT") else { return };
    let member = Member::start("victim@127.0.0.1");
    member.join(contact.parse().unwrap()).unwrap();
    // Until the parent kills us, or is gone.
    let _ = std::io::read_to_string(std::io::stdin());
}

fn expect_down(members: &[Member], name: &barrel_p2p_node::NodeName) {
    for member in members {
        member.expect("member_down", |event| {
            matches!(event, Event::MemberDown(down, MemberState::Down) if down == name).then_some(())
        });
    }
}

#[test]
fn blocked_peers_are_kept_out_until_they_are_not() {
    let (a, b) = (Member::start("a@127.0.0.1"), Member::start("b@127.0.0.1"));
    assert_eq!(b.join(a.node.address()), Ok(()));
    a.gossip.block(BTreeSet::from([b.node.name.clone()])).unwrap();
    wait_until("they are no neighbours", || a.gossip.views().active.is_empty() && b.gossip.views().active.is_empty());
    a.gossip.unblock().unwrap();
    wait_until("they are neighbours again", || !a.gossip.views().active.is_empty());
}

#[test]
fn one_gossip_at_a_time_and_a_new_one_after_it() {
    let node = TestNode::start("a@127.0.0.1");
    let (first, _events, stopped) = gossip_on(&node.node).unwrap();
    assert_eq!(gossip_on(&node.node).unwrap_err(), StartError::AlreadyStarted);
    first.stop();
    let _second = gossip_on(&node.node).unwrap();
    stopped.recv_timeout(support::DEADLINE).unwrap();
    let dynamic = TestNode::start("a@127.0.0.1");
    dynamic.node.stop();
    assert_eq!(gossip_on(&dynamic.node).unwrap_err(), StartError::NotStarted);
}

/// The new life of a node takes the place of the old one, which nobody had time to miss.
#[test]
fn a_restarted_node_is_a_member_again() {
    let mut members = cluster(3);
    let old = members.pop().unwrap();
    let identity = old.node.identity.clone();
    let before = members[0].gossip.member(&old.node.name).unwrap().contact.incarnation;
    // The old run says nothing any more: its links stay, as after a kill.
    old.gossip.stop();
    let dir = tempfile::TempDir::new().unwrap();
    let new = Member::on(TestNode::with_identity("n2@127.0.0.1", "secret", identity, dir));
    assert_eq!(new.join(members[0].node.address()), Ok(()));
    wait_until("everybody knows the new run", || {
        members.iter().all(|member| {
            let known = member.gossip.member(&old.node.name);
            known.is_some_and(|known| known.state == MemberState::Alive && known.contact.incarnation > before)
        })
    });
    wait_until("and it knows everybody", || new.member_names().len() == 3);
    let payload = Bytes::from_static(b"welcome back");
    members[1].gossip.broadcast(None, payload.clone()).unwrap();
    assert_eq!(new.expect_broadcast(), payload);
}
