// SPDX-License-Identifier: Apache-2.0
//! Decoders meet any bytes: no panic, no allocation beyond what the input justifies, one encoding per message.
//!
//! `BARREL_P2P_FUZZ_CASES` sets how many inputs each test tries; use `--release` for millions.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a failing test panics")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::LazyLock;

use barrel_p2p_base::limits::{MAX_ADDRESSES, MAX_HELLO_BYTES};
use barrel_p2p_base::{Incarnation, NodeName, PublicKey};
use barrel_p2p_identity::hello::check;
use barrel_p2p_identity::{
    AuthMode, Binding, Certificate, CertificateFacts, Claim, Context, Hello, KeyPair, Role, Rotation,
};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn a_hello_comes_back_as_it_was(claim in claim(), signed in any::<bool>(), exporter in any::<[u8; 32]>()) {
        let binding = Binding { sender: Role::Dialler, exporter };
        let hello = Hello::seal(claim.clone(), &binding, signed.then_some(&*SIGNER), b"cookie");
        let bytes = hello.encode();
        prop_assert!(bytes.len() <= MAX_HELLO_BYTES);
        let decoded = Hello::decode(&bytes).unwrap();
        prop_assert_eq!(&decoded.claim, &claim);
        prop_assert!(decoded == hello);
        let context = context(&binding);
        prop_assert_eq!(check::check_proof(&decoded, &context, b"cookie"), Ok(()));
    }

    #[test]
    fn a_hello_from_any_bytes(bytes in vec(any::<u8>(), 0..200), version in 0..3_u8) {
        let bytes = [&[version], &bytes[..]].concat();
        decode_hello(&bytes)?;
    }

    #[test]
    fn a_hello_from_damaged_bytes(damage in damage()) {
        decode_hello(&damage.inflict(&VALID_HELLO))?;
    }

    #[test]
    fn a_rotation_from_any_bytes(bytes in vec(any::<u8>(), 0..160)) {
        if let Ok(rotation) = Rotation::decode(&bytes) {
            prop_assert_eq!(rotation.encode(), bytes);
        }
    }
}

proptest! {
    // Certificates are read from our own disk, not from peers, and each case costs a hundred times more.
    #![proptest_config(ProptestConfig::with_cases((cases() / 100).max(64)))]

    #[test]
    fn a_certificate_from_any_text(cert in "\\PC*", key in "\\PC*") {
        read_certificate(&cert, &key);
    }

    #[test]
    fn a_certificate_from_damaged_text(cert in damage(), key in damage()) {
        let cert = cert.inflict(VALID_CERTIFICATE.cert_pem.as_bytes());
        let key = key.inflict(VALID_CERTIFICATE.key_pem.as_bytes());
        read_certificate(&String::from_utf8_lossy(&cert), &String::from_utf8_lossy(&key));
    }
}

/// A damaged hello that still reads must be the only encoding of what was read; and none of them proves the cookie.
fn decode_hello(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (decoded, allocated) = counting(|| Hello::decode(bytes));
    prop_assert!(allocated <= 2 * MAX_HELLO_BYTES, "{} bytes for an input of {}", allocated, bytes.len());
    if let Ok(hello) = decoded {
        prop_assert_eq!(hello.encode(), bytes);
        if bytes != VALID_HELLO.as_slice() {
            let context = context(&BINDING);
            prop_assert!(hello.auth() == AuthMode::Signed || check::check_proof(&hello, &context, COOKIE).is_err());
        }
    }
    Ok(())
}

fn read_certificate(cert: &str, key: &str) {
    let _ = CertificateFacts::from_pem(cert);
    let _ = Certificate::parse_pem(cert, key);
}

/// Overwritten bytes, then a cut or an extension.
#[derive(Clone, Debug)]
struct Damage {
    edits: Vec<(usize, u8)>,
    length: Option<usize>,
}

impl Damage {
    fn inflict(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (at, value) in &self.edits {
            let at = at % bytes.len();
            bytes[at] = *value;
        }
        if let Some(length) = self.length {
            bytes.resize(length % (2 * bytes.len()), 0);
        }
        bytes
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    // Small values are the ones that lengths, flags and families take.
    let value = prop_oneof![0..18_u8, any::<u8>()];
    (vec((any::<usize>(), value), 0..6), prop::option::weighted(0.3, any::<usize>()))
        .prop_map(|(edits, length)| Damage { edits, length })
}

fn claim() -> impl Strategy<Value = Claim> {
    let name = || prop::option::of("[a-z][a-z0-9_.-]{0,20}@[a-z0-9:][a-z0-9:.-]{0,20}");
    let addresses = vec(any::<([u8; 16], bool, u16)>(), 0..=MAX_ADDRESSES);
    (name(), name(), any::<[u8; 32]>(), any::<(u64, u64)>(), addresses, any::<[u8; 32]>(), any::<bool>()).prop_map(
        |(name, peer, key, (started_ms, random), addresses, config_digest, rotated)| Claim {
            name: name.map(|text| parse(&text)),
            peer: peer.map(|text| parse(&text)),
            public_key: PublicKey(key),
            incarnation: Incarnation { started_ms, random },
            addresses: addresses.into_iter().map(address).collect(),
            config_digest,
            rotation: rotated.then_some(*ROTATION),
        },
    )
}

fn address((ip, is_v4, port): ([u8; 16], bool, u16)) -> SocketAddr {
    let [a, b, c, d, ..] = ip;
    if is_v4 {
        ([a, b, c, d], port).into()
    } else {
        (ip, port).into()
    }
}

fn parse(text: &str) -> NodeName {
    NodeName::parse(text.as_bytes()).unwrap()
}

fn context(binding: &Binding) -> Context {
    Context { binding: *binding, own_name: None, dialled: None, config_digest: [0; 32] }
}

fn cases() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "the length of a run is the caller's choice")]
    let cases = std::env::var("BARREL_P2P_FUZZ_CASES");
    cases.map_or(4096, |text| text.parse().expect("BARREL_P2P_FUZZ_CASES is a number"))
}

const COOKIE: &[u8] = b"cookie";
const BINDING: Binding = Binding { sender: Role::Dialler, exporter: [7; 32] };

static SIGNER: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::from_seed(&[1; 32]));
static ROTATION: LazyLock<Rotation> = LazyLock::new(|| Rotation::sign(&KeyPair::from_seed(&[2; 32]), SIGNER.public()));
static VALID_CERTIFICATE: LazyLock<Certificate> =
    LazyLock::new(|| Certificate::generate("a@h", 1_800_000_000, [9; 16]).unwrap());
static VALID_HELLO: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let claim = Claim {
        name: Some(parse("dialler@host")),
        peer: Some(parse("acceptor@host")),
        public_key: SIGNER.public(),
        incarnation: Incarnation { started_ms: 1, random: 2 },
        addresses: vec![address(([1; 16], true, 1)), address(([2; 16], false, 2))],
        config_digest: [0; 32],
        rotation: Some(*ROTATION),
    };
    Hello::seal(claim, &BINDING, None, COOKIE).encode()
});

/// Counts what the current thread allocates.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands every call on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn counting<T>(run: impl FnOnce() -> T) -> (T, usize) {
    ALLOCATED.set(0);
    let result = run();
    (result, ALLOCATED.get())
}
