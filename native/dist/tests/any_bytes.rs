// SPDX-License-Identifier: Apache-2.0
//! The scanner meets any bytes in any pieces: no panic, never more than its bound of them, and never an order that it cannot know.
//!
//! `BARREL_P2P_FUZZ_CASES` sets how many inputs each test tries; use `--release` for millions.

use barrel_p2p_dist::scan::{Order, Scan, Scanner, SCAN_BYTES};
use proptest::collection::vec;
use proptest::prelude::*;

/// Of a frame that refers to no atoms.
const HEADER: &[u8] = &[131, 68, 0];

/// Of a fragment that refers to no atoms.
const LONGEST_PLAIN_HEADER: usize = 19;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn any_bytes_in_any_pieces(bytes in frame_like(), cuts in vec(0usize..40, 0..40)) {
        prop_assert_eq!(scan(cut(&bytes, &cuts)), scan([&bytes[..]]));
    }

    #[test]
    fn no_more_than_the_bound_is_looked_at(bytes in long(), other in any::<u8>()) {
        let mut changed = bytes.clone();
        for byte in changed.iter_mut().skip(HEADER.len() + SCAN_BYTES) {
            *byte = other;
        }
        prop_assert_eq!(scan([&changed[..]]), scan([&bytes[..]]));
        prop_assert_eq!(scan(changed.chunks(7)), scan([&bytes[..]]));
        let mut taken = 0;
        scan(bytes.chunks(7).inspect(|piece| taken += piece.len()));
        prop_assert!(taken < LONGEST_PLAIN_HEADER + SCAN_BYTES + 7);
    }

    #[test]
    fn bytes_behind_the_sender_do_not_matter(bytes in frame_like()) {
        // The shortest prefix with another answer than a fence is where the sender ends.
        let whole = scan([&bytes[..]]);
        let known = (0..=bytes.len()).find(|len| !is_fence(scan([&bytes[..*len]]))).unwrap_or(bytes.len());
        for len in known..=bytes.len() {
            prop_assert_eq!(scan([&bytes[..len]]), whole);
        }
    }
}

fn is_fence(scan: Scan) -> bool {
    matches!(scan, Scan::Whole(Order::Fence) | Scan::First(_, Order::Fence))
}

/// Mostly tags and small numbers, behind a header, so that deep paths are met.
fn frame_like() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(
        &[82u8, 88, 89, 90, 97, 98, 100, 101, 102, 103, 104, 105, 108, 110, 112, 114, 115, 116, 118, 119, 120, 131][..],
    );
    let byte = prop_oneof![4 => tag, 3 => 0u8..40, 1 => any::<u8>()];
    let header = prop_oneof![
        Just(vec![131, 68, 0]),
        Just(vec![131, 68]),
        Just(vec![131, 69, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0]),
        vec(any::<u8>(), 0..20).prop_map(|named| [&[131, 68], &named[..]].concat()),
        Just(vec![131, 70]),
        Just(vec![112, 131]),
        Just(vec![]),
    ];
    let tuple = prop_oneof![3 => (0u8..8, 0u8..40).prop_map(|(arity, op)| vec![104, arity, 97, op]), 1 => Just(vec![])];
    (header, tuple, vec(byte, 0..120)).prop_map(|parts| [parts.0, parts.1, parts.2].concat())
}

/// A control tuple whose elements reach over the bound.
fn long() -> impl Strategy<Value = Vec<u8>> {
    (0u8..40, 0u16..2 * 1024, vec(any::<u8>(), 64)).prop_map(|(op, len, rest)| {
        let atom = len.to_be_bytes();
        [HEADER, &[104, 6, 97, op, 88, 118], &atom[..], &rest.repeat(32)].concat()
    })
}

fn cut<'a>(mut bytes: &'a [u8], lens: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for len in lens {
        let (piece, rest) = bytes.split_at((*len).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

#[expect(clippy::disallowed_methods, reason = "the length of a run is the caller's choice")]
fn cases() -> u32 {
    std::env::var("BARREL_P2P_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
}

fn scan<'a>(frame: impl IntoIterator<Item = &'a [u8]>) -> Scan {
    Scanner::default().scan(frame).scan
}
