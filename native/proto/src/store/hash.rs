// SPDX-License-Identifier: Apache-2.0
//! Sixty-four bits of any bytes, the same on every node and in every run.
//!
//! Keeps: every input bit reaches every output bit. Changing a result is a change of the protocol, because replicas
//! compare what they have by these numbers. Leaves to others: keys that somebody chose so that they collide. The store
//! gets slower by them, not wrong.

/// A hash under construction. What is added is a sequence of fields, not a stream: `ab`, `c` is not `a`, `bc`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

/// Odd, half of its bits set, without a pattern: the golden ratio, and the multiplier of splitmix64.
const START: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR: u64 = 0xbf58_476d_1ce4_e5b9;

impl Hash {
    pub(super) fn new() -> Self {
        Self(START)
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self = self.number(little_endian(chunk));
        }
        // The length tells a short last chunk from one that ends in zeros.
        self.number(little_endian(chunks.remainder())).number(bytes.len() as u64)
    }

    pub(super) fn number(self, number: u64) -> Self {
        let product = u128::from(self.0 ^ number) * u128::from(FACTOR);
        // The rotation brings the state back in that the one number equal to it would wipe out.
        Self((product as u64) ^ ((product >> 64) as u64) ^ self.0.rotate_left(29))
    }

    /// Mixed once more, as the last field has only passed one multiplication.
    pub(super) fn finish(self) -> u64 {
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(FACTOR);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

fn little_endian(chunk: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded[..chunk.len()].copy_from_slice(chunk);
    u64::from_le_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> u64 {
        Hash::new().bytes(bytes).finish()
    }

    #[test]
    fn results_are_part_of_the_protocol() {
        assert_eq!(
            [hash(b""), hash(b"a"), hash(b"barrel_p2p")],
            [16_195_225_741_239_350_567, 11_144_830_461_077_869_358, 9_700_162_510_240_671_056]
        );
    }

    #[test]
    fn boundaries_of_fields_count() {
        let two = |a: &[u8], b: &[u8]| Hash::new().bytes(a).bytes(b).finish();
        assert_ne!(two(b"ab", b"c"), two(b"a", b"bc"));
        assert_ne!(hash(b"a"), hash(b"a\0"));
        assert_ne!(hash(b""), hash(b"\0\0\0\0\0\0\0\0"));
    }

    #[test]
    fn one_bit_turns_half_of_the_bits() {
        let input = *b"a key of some length";
        for bit in 0..input.len() * 8 {
            let mut other = input;
            other[bit / 8] ^= 1 << (bit % 8);
            let turned = (hash(&input) ^ hash(&other)).count_ones();
            assert!((12..=52).contains(&turned), "{turned} for bit {bit}");
        }
    }

    #[test]
    fn numbered_keys_spread_evenly() {
        let mut counts = vec![0_u32; 4096];
        for number in 0..65_536_u32 {
            let key = [b"\x83b", &number.to_be_bytes()[..]].concat();
            counts[(hash(&key) >> 52) as usize] += 1;
        }
        // Sixteen each on average; a Poisson distribution leaves these bounds once in a million tables.
        assert!(counts.iter().all(|count| (1..48).contains(count)));
    }
}
