// SPDX-License-Identifier: Apache-2.0
//! Choices that a seed decides: the same seed, the same choices, on every machine and in every version.
//!
//! Keeps: the generator is a fixed algorithm (xoshiro256++), so a failing seed still fails after an upgrade. Leaves to
//! others: secrets. Who has seen a few outputs can tell the next ones; keys and nonces never come from here.

use std::time::Duration;

use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A stream of choices.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Starts the stream that belongs to a seed.
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A stream of its own for a part, so that the choices of one part do not shift those of another.
    pub fn fork(&mut self) -> Self {
        Self::new(self.u64())
    }

    /// 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `count`; zero if `count` is zero.
    pub fn below(&mut self, count: usize) -> usize {
        // Multiply and shift. A count far below 2^64 leaves a bias too small to matter to gossip.
        ((u128::from(self.u64()) * count as u128) >> 64) as usize
    }

    /// Any of the items; none if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// Moves a random choice of `count` items to the front and returns it (Fisher-Yates, stopped early).
    pub fn sample<'a, T>(&mut self, items: &'a mut [T], count: usize) -> &'a mut [T] {
        let count = count.min(items.len());
        for chosen in 0..count {
            let other = chosen + self.below(items.len() - chosen);
            items.swap(chosen, other);
        }
        &mut items[..count]
    }

    /// A span between `low` and `high`.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64((self.u64() >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// The span, up to a tenth shorter or longer: so that nodes that started together do not act together.
    pub fn jitter(&mut self, span: Duration) -> Duration {
        self.between(span * 9 / 10, span * 11 / 10)
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_choices_for_ever() {
        let mut random = Random::new(1);
        assert_eq!(
            [random.u64(), random.u64(), random.u64()],
            [14_971_601_782_005_023_387, 13_781_649_495_232_077_965, 1_847_458_086_238_483_744]
        );
    }

    #[test]
    fn every_number_below_the_count_comes_and_no_other() {
        let mut random = Random::new(2);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[random.below(5)] += 1;
        }
        assert!(seen.iter().all(|count| (150..250).contains(count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
    }

    #[test]
    fn a_sample_has_each_item_once() {
        let mut random = Random::new(3);
        let mut items: Vec<_> = (0..10).collect();
        assert_eq!(random.sample(&mut items, 4).len(), 4);
        assert_eq!(random.sample(&mut items, 40).len(), 10);
        items.sort_unstable();
        assert_eq!(items, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn spans_stay_between_their_ends() {
        let mut random = Random::new(4);
        for _ in 0..1000 {
            let span = random.jitter(Duration::from_secs(10));
            assert!((Duration::from_secs(9)..=Duration::from_secs(11)).contains(&span), "{span:?}");
        }
        assert_eq!(random.between(Duration::from_secs(2), Duration::from_secs(1)), Duration::from_secs(2));
    }
}
