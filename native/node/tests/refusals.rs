// SPDX-License-Identifier: Apache-2.0
//! Who is not let in, and what both sides hear of it. Nothing is stored of a peer that was refused.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

mod support;

use barrel_p2p_node::{AuthMode, Policy, TrustMode};
use support::{name, policy, wait_until, TestNode};

/// Dials and expects both sides to name the reason, and the acceptor to have stored nothing.
fn refused(dialler: &TestNode, acceptor: &TestNode, reason: &str) {
    let pins = acceptor.identity.pins();
    assert_eq!(dialler.dial(acceptor.name.as_str(), acceptor.node.port()).expect_failed(), reason);
    wait_until("the acceptor reports it", || acceptor.refusals().contains(&reason));
    let claimed = dialler.name.as_str();
    assert_eq!(acceptor.node.endpoint().last_error(claimed).unwrap().0.name(), reason);
    assert_eq!(dialler.node.endpoint().last_error(acceptor.name.as_str()).unwrap().0.name(), reason);
    assert_eq!(acceptor.identity.pins(), pins);
}

#[test]
fn a_wrong_cookie() {
    let acceptor = TestNode::start("b@127.0.0.1");
    refused(&TestNode::with("a@127.0.0.1", "other", policy(TrustMode::Tofu)), &acceptor, "wrong_cookie");
}

#[test]
fn an_unknown_key_in_strict_mode() {
    let acceptor = TestNode::with("b@127.0.0.1", "secret", policy(TrustMode::Strict));
    refused(&TestNode::start("a@127.0.0.1"), &acceptor, "unknown_key");
}

#[test]
fn a_changed_key_in_both_modes() {
    let acceptor = TestNode::start("b@127.0.0.1");
    let (end, _) = TestNode::start("a@127.0.0.1").connect(&acceptor);
    drop(end);
    assert!(acceptor.identity.pin_of(&name("a@127.0.0.1")).is_some());
    let impostor = TestNode::start("a@127.0.0.1");
    refused(&impostor, &acceptor, "key_mismatch");
    acceptor.identity.set_trust_mode(TrustMode::Strict);
    refused(&impostor, &acceptor, "key_mismatch");
}

#[test]
fn a_valid_key_under_the_name_of_another_node() {
    let acceptor = TestNode::start("b@127.0.0.1");
    let (a, c) = (TestNode::start("a@127.0.0.1"), TestNode::start("c@127.0.0.1"));
    let _links = (a.connect(&acceptor), c.connect(&acceptor));
    let posing =
        TestNode::with_identity("a@127.0.0.1", "secret", c.identity.clone(), tempfile::TempDir::new().unwrap());
    refused(&posing, &acceptor, "key_mismatch");
}

#[test]
fn another_node_than_the_one_dialled() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    assert_eq!(a.dial("c@127.0.0.1", b.node.port()).expect_failed(), "name_mismatch");
    assert_eq!((a.identity.pins(), b.identity.pins()), (vec![], vec![]));
}

#[test]
fn one_side_without_signatures() {
    let unsigned = Policy { auth: AuthMode::ProofOnly, ..policy(TrustMode::Tofu) };
    let acceptor = TestNode::start("b@127.0.0.1");
    refused(&TestNode::with("a@127.0.0.1", "secret", unsigned), &acceptor, "auth_mismatch");
}

#[test]
fn the_dialler_refuses_too() {
    let (a, b) = (TestNode::with("a@127.0.0.1", "secret", policy(TrustMode::Strict)), TestNode::start("b@127.0.0.1"));
    assert_eq!(a.dial("b@127.0.0.1", b.node.port()).expect_failed(), "unknown_key");
    assert_eq!(a.identity.pins(), vec![]);
}

#[test]
fn a_rotated_key_is_taken_over_where_that_is_allowed() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let closed_minded =
        TestNode::with("c@127.0.0.1", "secret", Policy { accept_rotation: false, ..policy(TrustMode::Tofu) });
    for acceptor in [&b, &closed_minded] {
        let (at_a, at_b) = a.connect(acceptor);
        at_a.channel.abort();
        at_b.expect_closed();
        wait_until("the link is gone", || acceptor.links() == 0);
    }
    let backup = tempfile::TempDir::new().unwrap();
    a.identity.rotate_keys(&backup.path().join("old")).unwrap();
    let _connected = a.connect(&b);
    assert_eq!(b.identity.pin_of(&a.name).unwrap().key, a.identity.public_key());
    refused(&a, &closed_minded, "key_mismatch");
}

#[test]
fn a_new_certificate_serves_without_a_restart() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let backup = tempfile::TempDir::new().unwrap();
    b.identity.rotate_certificate(&backup.path().join("old")).unwrap();
    let _connected = a.connect(&b);
}
