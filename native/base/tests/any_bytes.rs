// SPDX-License-Identifier: Apache-2.0
//! Decoders meet any bytes: no panic, and nothing that breaks their promises. `BARREL_P2P_FUZZ_CASES` sets how many.
#![expect(clippy::expect_used, reason = "a failing test panics")]

use std::path::{Component, Path};

use barrel_p2p_base::limits::MAX_NAME_BYTES;
use barrel_p2p_base::{DecodeError, NodeName, Reader};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn a_name_from_any_bytes_is_one_safe_file_name(bytes in prop_oneof![vec(any::<u8>(), 0..300), almost_a_name()]) {
        if let Ok(name) = NodeName::parse(&bytes) {
            prop_assert!(bytes.len() <= MAX_NAME_BYTES);
            prop_assert_eq!(name.as_str().as_bytes(), &bytes);
            let components: Vec<_> = Path::new(name.as_str()).components().collect();
            prop_assert_eq!(components, [Component::Normal(name.as_str().as_ref())]);
            prop_assert!(!name.as_str().starts_with(['.', '-']));
            let parts = (name.name(), name.host());
            prop_assert_eq!(name.as_str().split_once('@'), Some(parts));
        }
    }

    #[test]
    fn a_reader_never_goes_beyond_its_input(bytes in vec(any::<u8>(), 0..64), steps in vec(any::<Step>(), 0..16)) {
        let mut reader = Reader::new(&bytes);
        for step in steps {
            let before = reader.offset();
            let read = match step {
                Step::U8 => reader.u8().map(|_| 1),
                Step::U16 => reader.u16().map(|_| 2),
                Step::U64 => reader.u64().map(|_| 8),
                Step::Array => reader.array::<32>().map(|_| 32),
                Step::Take(count) => reader.take(count).map(<[u8]>::len),
                Step::Short => reader.short().map(|taken| 1 + taken.len()),
            };
            match read {
                Ok(count) => prop_assert_eq!(reader.offset(), before + count),
                Err(error) => prop_assert_eq!(error, DecodeError::Truncated { offset: reader.offset() }),
            }
            prop_assert!(reader.offset() <= bytes.len());
        }
        let offset = reader.offset();
        let expected = if offset == bytes.len() { Ok(()) } else { Err(DecodeError::Trailing { offset }) };
        prop_assert_eq!(reader.finish(), expected);
    }
}

#[derive(Clone, Debug)]
enum Step {
    U8,
    U16,
    U64,
    Array,
    Take(usize),
    Short,
}

impl Arbitrary for Step {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        prop_oneof![
            Just(Self::U8),
            Just(Self::U16),
            Just(Self::U64),
            Just(Self::Array),
            Just(Self::Short),
            (0..80_usize).prop_map(Self::Take),
            any::<usize>().prop_map(Self::Take),
        ]
        .boxed()
    }
}

/// A few of the characters that matter: most results are nearly names, many are names.
fn almost_a_name() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(b"aZ9_.-@@:/\0".as_slice()), 0..12)
}

fn cases() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "the length of a run is the caller's choice")]
    let cases = std::env::var("BARREL_P2P_FUZZ_CASES");
    cases.map_or(4096, |text| text.parse().expect("BARREL_P2P_FUZZ_CASES is a number"))
}
