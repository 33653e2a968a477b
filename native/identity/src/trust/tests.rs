// SPDX-License-Identifier: Apache-2.0
use super::*;
use crate::key::KeyPair;

#[test]
fn an_unknown_name_is_pinned_in_tofu_and_refused_in_strict() {
    let book = TrustBook::new();
    assert_eq!(decide(&book, "a@h", 1, &policy(TrustMode::Tofu)), Decision::Pin);
    assert_eq!(decide(&book, "a@h", 1, &policy(TrustMode::Strict)), UNKNOWN);
}

#[test]
fn a_pinned_key_is_accepted_and_another_refused_in_both_modes() {
    let book = book(&[("a@h", 1)]);
    for mode in [TrustMode::Tofu, TrustMode::Strict] {
        assert_eq!(decide(&book, "a@h", 1, &policy(mode)), Decision::Accept);
        assert_eq!(decide(&book, "a@h", 2, &policy(mode)), MISMATCH);
    }
}

/// The key of one member must not open the name of another.
#[test]
fn a_valid_key_of_another_node_is_refused() {
    let book = book(&[("a@h", 1), ("b@h", 2)]);
    assert_eq!(decide(&book, "a@h", 2, &policy(TrustMode::Tofu)), MISMATCH);
}

#[test]
fn a_rotation_is_followed_once_and_only_from_the_pinned_key() {
    let book = book(&[("a@h", 1)]);
    let tofu = policy(TrustMode::Tofu);
    let strict = policy(TrustMode::Strict);
    let off = Policy { accept_rotation: false, ..policy(TrustMode::Tofu) };
    let step = |old, new| Rotation::sign(&pair(old), pair(new).public());
    let mut forged = step(3, 2);
    forged.old = pair(1).public();
    for (rotation, key, policy, expected) in [
        (step(1, 2), 2, &tofu, Decision::Repin),
        (step(1, 2), 2, &strict, Decision::Repin),
        (step(1, 2), 2, &off, MISMATCH),
        (step(1, 2), 3, &tofu, MISMATCH),
        (step(3, 2), 2, &tofu, MISMATCH),
        (step(2, 3), 3, &tofu, MISMATCH),
        (forged, 2, &tofu, MISMATCH),
        (step(1, 2), 1, &tofu, Decision::Accept),
    ] {
        let decision = book.decide(Some(&name("a@h")), &pair(key).public(), Some(&rotation), policy);
        assert_eq!(decision, expected, "key {key} with {rotation:?} under {policy:?}");
    }
}

/// A statement is no way around strict mode for a name that nobody has pinned.
#[test]
fn a_rotation_does_not_introduce_an_unknown_name() {
    let rotation = Rotation::sign(&pair(1), pair(2).public());
    let decision =
        TrustBook::new().decide(Some(&name("a@h")), &pair(2).public(), Some(&rotation), &policy(TrustMode::Strict));
    assert_eq!(decision, UNKNOWN);
}

#[test]
fn a_dynamic_node_is_never_pinned_and_needs_a_known_key_in_strict() {
    let book = book(&[("a@h", 1)]);
    let dynamic = |key, mode| book.decide(None, &pair(key).public(), None, &policy(mode));
    assert_eq!(dynamic(2, TrustMode::Tofu), Decision::Accept);
    assert_eq!(dynamic(1, TrustMode::Strict), Decision::Accept);
    assert_eq!(dynamic(2, TrustMode::Strict), UNKNOWN);
}

#[test]
fn cookie_only_names_skip_the_pin() {
    let book = book(&[("a@h", 1)]);
    let policy = Policy { cookie_only: vec![Pattern::new("*@h")], ..policy(TrustMode::Strict) };
    assert_eq!(decide(&book, "a@h", 2, &policy), Decision::Accept);
    assert_eq!(decide(&book, "new@h", 2, &policy), Decision::Accept);
    assert_eq!(decide(&book, "new@other", 2, &policy), UNKNOWN);
}

#[test]
fn without_authentication_pins_do_not_count() {
    let book = book(&[("a@h", 1)]);
    let policy = Policy { auth: AuthMode::ProofOnly, ..policy(TrustMode::Strict) };
    assert_eq!(decide(&book, "a@h", 2, &policy), Decision::Accept);
}

#[test]
fn patterns_match_whole_parts_only() {
    for (pattern, node, expected) in [
        ("a@h", "a@h", true),
        ("a@h", "b@h", false),
        ("*@h", "b@h", true),
        ("a@*", "a@x", true),
        ("*@*", "b@x", true),
        ("a*@h", "ab@h", false),
        ("*", "a@h", false),
        ("a", "a@h", false),
        ("", "a@h", false),
        ("@", "a@h", false),
        ("a@h@h", "a@h", false),
    ] {
        assert_eq!(Pattern::new(pattern).matches(&name(node)), expected, "{pattern:?} on {node}");
    }
}

#[test]
fn an_accepted_key_keeps_the_level_of_the_pin_it_replaces() {
    let mut book = book(&[("a@h", 1)]);
    book.accept(name("a@h"), pair(2).public(), 7);
    book.accept(name("b@h"), pair(3).public(), 8);
    let expected = [
        (name("a@h"), Pin { key: pair(2).public(), level: PinLevel::Permanent, added_ms: 7 }),
        (name("b@h"), Pin { key: pair(3).public(), level: PinLevel::Tofu, added_ms: 8 }),
    ];
    assert!(book.iter().eq(expected.iter().map(|(name, pin)| (name, pin))));
}

const MISMATCH: Decision = Decision::Reject(CloseCode::KeyMismatch);
const UNKNOWN: Decision = Decision::Reject(CloseCode::UnknownKey);

fn decide(book: &TrustBook, node: &str, key: u8, policy: &Policy) -> Decision {
    book.decide(Some(&name(node)), &pair(key).public(), None, policy)
}

fn policy(mode: TrustMode) -> Policy {
    Policy { mode, auth: AuthMode::Signed, accept_rotation: true, cookie_only: Vec::new() }
}

fn book(pins: &[(&str, u8)]) -> TrustBook {
    let mut book = TrustBook::new();
    for (node, key) in pins {
        let pin = Pin { key: pair(*key).public(), level: PinLevel::Permanent, added_ms: 0 };
        book.put(name(node), pin);
    }
    book
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text.as_bytes()).unwrap()
}

fn pair(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32])
}
