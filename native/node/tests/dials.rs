// SPDX-License-Identifier: Apache-2.0
//! Dials to a peer with several addresses.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

mod support;

use barrel_p2p_node::Request;
use std::sync::Arc;
use support::{wait_until, End, TestNode};

/// Each address was greeted; the peer took every greeting for a link, used one of them, and took its end for ours.
#[test]
fn a_peer_with_many_addresses_sees_one_link() {
    for _ in 0..10 {
        let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
        let end = End::own(Arc::default());
        let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1"];
        let request = Request {
            node: Some(b.name.clone()),
            own_name: Some(a.name.clone()),
            cookie: None,
            addresses: hosts.map(|host| (host.to_owned(), b.node.port())).to_vec(),
        };
        b.hold_cookies();
        a.node.endpoint().connect(end.channel.clone(), request, support::DEADLINE).unwrap();
        // Long enough for all addresses to be tried, were it not for the first one, which has answered.
        std::thread::sleep(std::time::Duration::from_millis(600));
        assert_eq!(b.pending(), 1);
        b.release_cookies();
        end.expect_connected();
        let _at_b = b.accept();
        wait_until("nobody else is at the door", || b.pending() == 0);
        assert_eq!(b.links(), 1);
        assert_eq!(b.refusals(), Vec::<&str>::new());
    }
}
