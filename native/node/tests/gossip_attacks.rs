// SPDX-License-Identifier: Apache-2.0
//! Authenticated peers that break the rules of gossip: their links end with a code, and nobody else loses anything.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

mod support;

use barrel_p2p_node::Kind;
use bytes::Bytes;
use support::gossip::{cluster, Member};
use support::{wait_until, TestNode};

/// Sends this on a gossip channel and expects the whole link to be closed for it, and the cluster to go on.
fn punished(frame: &'static [u8]) {
    let members = cluster(2);
    let attacker = TestNode::start("attacker@127.0.0.1");
    let (dist, _at_victim) = attacker.connect(&members[0].node);
    let gossip = attacker.dial_kind(Kind::Gossip, members[0].node.name.as_str(), members[0].node.node.port());
    gossip.expect_connected();
    gossip.channel.send(1, [Bytes::from_static(frame)]);
    gossip.expect_closed();
    assert_eq!(dist.expect_closed(), "protocol_error");
    let victim = &members[0];
    wait_until("the attack is counted", || victim.stat("barrel_p2p.gossip.attacks") == 1);
    assert_eq!(victim.stat("barrel_p2p.gossip.decode_errors"), 1);
    goes_on(&members);
}

fn goes_on(members: &[Member]) {
    let payload = Bytes::from_static(b"still here");
    members[1].gossip.broadcast(None, payload.clone()).unwrap();
    assert_eq!(members[0].expect_broadcast(), payload);
}

#[test]
fn garbage_costs_the_link() {
    punished(b"\0\0\0\x06\xff\xfe\xfd\xfc\xfb\xfa");
}

#[test]
fn a_message_kind_of_no_version_costs_the_link() {
    punished(b"\0\0\0\x01\xfa");
}

#[test]
fn a_truncated_message_costs_the_link() {
    punished(b"\0\0\0\x02\x02\x01");
}

#[test]
fn a_frame_beyond_the_limit_costs_the_link_before_it_is_read() {
    punished(b"\xff\xff\xff\xff\x02");
}

#[test]
fn ticks_cost_nothing() {
    let members = cluster(2);
    let peer = TestNode::start("peer@127.0.0.1");
    let gossip = peer.dial_kind(Kind::Gossip, members[0].node.name.as_str(), members[0].node.node.port());
    gossip.expect_connected();
    for _ in 0..1000 {
        gossip.channel.send(1, [Bytes::from_static(&[0; 4])]);
    }
    goes_on(&members);
    assert_eq!(members[0].stat("barrel_p2p.gossip.attacks"), 0);
}
