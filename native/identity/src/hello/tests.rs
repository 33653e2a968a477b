// SPDX-License-Identifier: Apache-2.0
//! One scene for all tests: `dialler@h` dials `acceptor@h`. Each test changes one thing and names the reason it
//! expects.

use barrel_p2p_base::{CloseCode, DecodeError, Incarnation, NameError, NodeName, PublicKey};

use super::*;
use crate::key::KeyPair;
use crate::rotation::Rotation;
use crate::trust::{AuthMode, Decision, Pattern, Pin, PinLevel, Policy, TrustBook, TrustMode};

#[test]
fn both_directions_pass() {
    assert_eq!(Scene::dial().judge(), Decision::Pin);
    assert_eq!(Scene::answer().judge(), Decision::Pin);
    assert_eq!(Scene { book: pinned(DIALLER), ..Scene::dial() }.judge(), Decision::Accept);
}

#[test]
fn the_bytes_are_the_documented_ones() {
    let mut claim = claim("dialler@h", Some("acceptor@h"));
    claim.public_key = PublicKey([0xaa; 32]);
    claim.addresses = vec!["1.2.3.4:258".parse().unwrap(), "[::1]:3".parse().unwrap()];
    claim.config_digest = [0xcc; 32];
    let hello = Hello::seal(claim, &BINDING, None, COOKIE);
    let mut expected = vec![1, 0, 9];
    expected.extend(b"dialler@h\x0aacceptor@h");
    expected.extend([0xaa; 32]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6]);
    expected.extend([2, 4, 1, 2, 3, 4, 1, 2]);
    expected.extend([6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3]);
    expected.extend([0xcc; 32]);
    expected.push(0);
    let bytes = hello.encode();
    assert_eq!(bytes[..expected.len()], expected);
    assert_eq!(bytes.len(), expected.len() + 32);
}

#[test]
fn the_largest_hello_fits_many_times() {
    let name = format!("{}@h", "a".repeat(253));
    let mut claim = claim(&name, Some(&name));
    claim.addresses = vec!["[::1]:3".parse().unwrap(); 20];
    claim.rotation = Some(Rotation::sign(&pair(9), pair(DIALLER).public()));
    let bytes = Hello::seal(claim, &BINDING, Some(&pair(DIALLER)), COOKIE).encode();
    assert_eq!(bytes.len(), 2 + 2 * 256 + 32 + 16 + (1 + 8 * 19) + 32 + (1 + 128) + 64 + 32);
    assert_eq!(Hello::decode(&bytes).unwrap().claim.addresses.len(), 8);
}

#[test]
fn a_ninth_address_is_refused() {
    let mut claim = claim("dialler@h", None);
    claim.addresses = vec!["1.2.3.4:5".parse().unwrap(); 8];
    let bytes = Hello::seal(claim, &BINDING, None, COOKIE).encode();
    let count_at = 2 + 10 + 1 + 32 + 16;
    let (head, tail) = bytes.split_at(count_at + 1);
    let nine = [&head[..count_at], &[9, 4, 1, 2, 3, 4, 0, 5], tail].concat();
    assert_eq!(Hello::decode(&nine), Err(DecodeError::BadValue { offset: count_at }.into()));
}

#[test]
fn the_version_is_looked_at_before_anything_else() {
    assert_eq!(Hello::decode(&[2]), Err(HelloError::Version(2)));
    assert_eq!(check::open(b"\x02@@@"), Err(CloseCode::UnsupportedVersion));
    assert_eq!(check::open(&[1; 4097]), Err(CloseCode::HelloTooLarge));
    assert_eq!(check::open(b""), Err(CloseCode::ProtocolError));
}

#[test]
fn an_invalid_name_is_refused_before_the_rest_is_read() {
    assert_eq!(Hello::decode(b"\x01\x01\x04../x"), Err(HelloError::Name(NameError::NotOneAt)));
    assert_eq!(check::open(b"\x01\x01\x04a@/x"), Err(CloseCode::InvalidName));
    assert_eq!(check::open(b"\x01\x01\x05a@h"), Err(CloseCode::ProtocolError));
}

/// Whatever bit changes on the way, the peer does not get in.
#[test]
fn no_changed_byte_gets_through() {
    for auth in [AuthMode::Signed, AuthMode::ProofOnly] {
        let scene = Scene { sender_auth: auth, receiver_auth: auth, ..Scene::dial() };
        let bytes = scene.seal().encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let decision = scene.judge_bytes(&changed);
            assert!(matches!(decision, Decision::Reject(_)), "byte {at} in {auth:?}: {decision:?}");
        }
        assert_eq!(scene.judge_bytes(&bytes[..bytes.len() - 1]), Decision::Reject(CloseCode::ProtocolError));
        assert_eq!(scene.judge_bytes(&[&bytes[..], &[0]].concat()), Decision::Reject(CloseCode::ProtocolError));
    }
}

/// A relay has two TLS channels, and so two exporters; a replay meets a third one.
#[test]
fn a_hello_from_another_channel_is_refused() {
    let other = Binding { exporter: [8; 32], ..BINDING };
    let scene = Scene { sealed_for: other, ..Scene::dial() };
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::BadSignature));
    let scene = Scene { sender_auth: AuthMode::ProofOnly, receiver_auth: AuthMode::ProofOnly, ..scene };
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::WrongCookie));
}

/// The acceptor sends our own hello back.
#[test]
fn a_reflected_hello_is_refused() {
    let scene = Scene { received_as: Binding { sender: Role::Acceptor, ..BINDING }, ..Scene::dial() };
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::BadSignature));
    let scene = Scene { sender_auth: AuthMode::ProofOnly, receiver_auth: AuthMode::ProofOnly, ..scene };
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::WrongCookie));
}

#[test]
fn another_cookie_is_refused() {
    for cookie in [&b""[..], b"cooki", b"cookie2"] {
        assert_eq!(Scene { cookie, ..Scene::dial() }.judge(), Decision::Reject(CloseCode::WrongCookie));
    }
}

/// Somebody shows a key that is pinned, without holding it.
#[test]
fn a_borrowed_key_is_refused() {
    let scene = Scene { signer: 9, book: pinned(DIALLER), ..Scene::dial() };
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::BadSignature));
}

#[test]
fn authentication_on_one_side_only_is_refused() {
    let off = AuthMode::ProofOnly;
    assert_eq!(Scene { sender_auth: off, ..Scene::dial() }.judge(), Decision::Reject(CloseCode::AuthMismatch));
    assert_eq!(Scene { receiver_auth: off, ..Scene::dial() }.judge(), Decision::Reject(CloseCode::AuthMismatch));
    assert_eq!(Scene { sender_auth: off, receiver_auth: off, ..Scene::dial() }.judge(), Decision::Accept);
}

#[test]
fn an_unknown_key_is_refused_in_strict_mode() {
    let scene = Scene { mode: TrustMode::Strict, ..Scene::dial() };
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::UnknownKey));
}

#[test]
fn a_changed_key_is_refused_in_both_modes() {
    for mode in [TrustMode::Tofu, TrustMode::Strict] {
        let scene = Scene { mode, book: pinned(9), ..Scene::dial() };
        assert_eq!(scene.judge(), Decision::Reject(CloseCode::KeyMismatch));
    }
}

#[test]
fn a_name_other_than_the_dialled_one_is_refused() {
    let mut scene = Scene::answer();
    scene.claim.name = Some(name("stranger@h"));
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::NameMismatch));
    scene.claim.name = None;
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::NameMismatch));
    scene.context.dialled = None;
    assert_eq!(scene.judge(), Decision::Accept);
}

/// Discovery gave the dialler the address of another node.
#[test]
fn a_peer_that_means_somebody_else_is_refused() {
    let mut scene = Scene::dial();
    scene.claim.peer = Some(name("other@h"));
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::NameMismatch));
    scene.claim.peer = None;
    assert_eq!(scene.judge(), Decision::Pin);
}

/// It would be pinned under the receiver's own name.
#[test]
fn a_peer_under_the_receivers_own_name_is_refused() {
    let mut scene = Scene::dial();
    scene.claim.name = scene.context.own_name.clone();
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::NameMismatch));
}

#[test]
fn a_dynamic_node_is_let_in_and_not_pinned() {
    let mut scene = Scene::dial();
    scene.claim.name = None;
    assert_eq!(scene.judge(), Decision::Accept);
    scene.mode = TrustMode::Strict;
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::UnknownKey));
    scene.book = pinned(DIALLER);
    assert_eq!(scene.judge(), Decision::Accept);
}

#[test]
fn other_cluster_settings_are_refused_before_anything_is_pinned() {
    let mut scene = Scene::dial();
    scene.claim.config_digest = [1; 32];
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::ConfigMismatch));
}

#[test]
fn a_rotated_key_is_repinned_unless_forbidden() {
    let mut scene = Scene { book: pinned(9), ..Scene::dial() };
    scene.claim.rotation = Some(Rotation::sign(&pair(9), pair(DIALLER).public()));
    assert_eq!(scene.judge(), Decision::Repin);
    scene.accept_rotation = false;
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::KeyMismatch));
}

/// Somebody who watched a rotation shows its statement with a key of their own.
#[test]
fn a_rotation_for_another_key_is_refused() {
    let mut scene = Scene { book: pinned(9), ..Scene::dial() };
    scene.claim.rotation = Some(Rotation::sign(&pair(9), pair(8).public()));
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::KeyMismatch));
}

#[test]
fn cookie_only_skips_the_pin_but_not_the_proof() {
    let scene = Scene {
        mode: TrustMode::Strict,
        book: pinned(9),
        cookie_only: vec![Pattern::new("dialler@*")],
        ..Scene::dial()
    };
    assert_eq!(scene.judge(), Decision::Accept);
    assert_eq!(Scene { cookie: b"other", ..scene }.judge(), Decision::Reject(CloseCode::WrongCookie));
}

/// The reasons come in the order of the checks: the first thing that is wrong is the one that is told.
#[test]
fn the_first_failing_check_names_the_reason() {
    let mut scene = Scene { signer: 9, cookie: b"other", book: pinned(8), ..Scene::dial() };
    scene.claim.peer = Some(name("other@h"));
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::BadSignature));
    scene.signer = DIALLER;
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::WrongCookie));
    scene.cookie = COOKIE;
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::NameMismatch));
    scene.claim.peer = None;
    assert_eq!(scene.judge(), Decision::Reject(CloseCode::KeyMismatch));
}

#[test]
fn formatting_shows_neither_proof_nor_exporter() {
    let scene = Scene::dial();
    let shown = format!("{:?} {:?}", scene.seal(), scene.context);
    assert!(!shown.contains("proof") && !shown.contains("exporter") && !shown.contains("7, 7"), "{shown}");
}

const DIALLER: u8 = 1;
const ACCEPTOR: u8 = 2;
const COOKIE: &[u8] = b"cookie";
const BINDING: Binding = Binding { sender: Role::Dialler, exporter: [7; 32] };

/// One hello from its sender to its receiver, with everything that either of them knows.
struct Scene {
    claim: Claim,
    signer: u8,
    cookie: &'static [u8],
    sealed_for: Binding,
    received_as: Binding,
    sender_auth: AuthMode,
    receiver_auth: AuthMode,
    context: Context,
    book: TrustBook,
    mode: TrustMode,
    accept_rotation: bool,
    cookie_only: Vec<Pattern>,
}

impl Scene {
    /// The hello of the dialler, as the acceptor gets it.
    fn dial() -> Self {
        Self {
            claim: claim("dialler@h", Some("acceptor@h")),
            signer: DIALLER,
            cookie: COOKIE,
            sealed_for: BINDING,
            received_as: BINDING,
            sender_auth: AuthMode::Signed,
            receiver_auth: AuthMode::Signed,
            context: Context {
                binding: BINDING,
                own_name: Some(name("acceptor@h")),
                dialled: None,
                config_digest: [0; 32],
            },
            book: TrustBook::new(),
            mode: TrustMode::Tofu,
            accept_rotation: true,
            cookie_only: Vec::new(),
        }
    }

    /// The hello of the acceptor, as the dialler gets it.
    fn answer() -> Self {
        let binding = Binding { sender: BINDING.sender.peer(), ..BINDING };
        let mut claim = claim("acceptor@h", Some("dialler@h"));
        claim.public_key = pair(ACCEPTOR).public();
        let context = Context {
            binding,
            own_name: Some(name("dialler@h")),
            dialled: Some(name("acceptor@h")),
            config_digest: [0; 32],
        };
        Self { claim, signer: ACCEPTOR, sealed_for: binding, received_as: binding, context, ..Self::dial() }
    }

    fn seal(&self) -> Hello {
        let signer = pair(self.signer);
        let signer = (self.sender_auth == AuthMode::Signed).then_some(&signer);
        Hello::seal(self.claim.clone(), &self.sealed_for, signer, self.cookie)
    }

    fn judge(&self) -> Decision {
        self.judge_bytes(&self.seal().encode())
    }

    /// What a receiver does, stage by stage.
    fn judge_bytes(&self, bytes: &[u8]) -> Decision {
        let context = Context { binding: self.received_as, ..self.context.clone() };
        let policy = Policy {
            mode: self.mode,
            auth: self.receiver_auth,
            accept_rotation: self.accept_rotation,
            cookie_only: self.cookie_only.clone(),
        };
        let checked = check::open(bytes).and_then(|hello| {
            check::check_signature(&hello, &context, policy.auth)?;
            check::check_proof(&hello, &context, COOKIE)?;
            Ok(hello)
        });
        match checked {
            Ok(hello) => check::decide(&hello, &context, &self.book, &policy),
            Err(code) => Decision::Reject(code),
        }
    }
}

fn claim(own: &str, peer: Option<&str>) -> Claim {
    Claim {
        name: Some(name(own)),
        peer: peer.map(name),
        public_key: pair(DIALLER).public(),
        incarnation: Incarnation { started_ms: 5, random: 6 },
        addresses: vec!["127.0.0.1:4433".parse().unwrap()],
        config_digest: [0; 32],
        rotation: None,
    }
}

/// A book in which the dialler's name has this key.
fn pinned(key: u8) -> TrustBook {
    let mut book = TrustBook::new();
    book.put(name("dialler@h"), Pin { key: pair(key).public(), level: PinLevel::Permanent, added_ms: 0 });
    book
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text.as_bytes()).unwrap()
}

fn pair(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32])
}
