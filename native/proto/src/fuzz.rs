// SPDX-License-Identifier: Apache-2.0
//! How many random inputs a decoder is tried with.

use proptest::test_runner::Config;

/// As many as `BARREL_P2P_FUZZ_CASES` says, or so many.
#[expect(clippy::disallowed_methods, reason = "how long a test runs is set outside, and changes no result")]
pub(crate) fn cases(otherwise: u32) -> Config {
    let cases = std::env::var("BARREL_P2P_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    Config::with_cases(cases.unwrap_or(otherwise))
}
