// SPDX-License-Identifier: Apache-2.0
//! What lies between two nodes: latency, and what goes wrong on the way.
//!
//! Keeps: the latency of a pair is a function of (seed, pair), so there is no table, it is the same in both directions
//! and the messages of one pair stay in order, as on one QUIC stream. Everything else is drawn from the world's dice.
//! Leaves to others: whether there is a link at all ([`crate::links`]).
//!
//! A lost packet costs a QUIC stream time, not data. `loss` is the harsher thing: the whole message never arrives, as
//! when a link breaks with data in flight or a full outbox drops it. `reorder` lets a message be overtaken, which on
//! the wire happens when two links of one pair exist for a moment.

use std::f64::consts::SQRT_2;
use std::time::Duration;

use barrel_p2p_base::{Random, Time};
use serde::Deserialize;

/// How the network treats messages. Times in milliseconds, the rest probabilities per message.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Weather {
    /// One way, drawn once per pair; within a place see `near_ms`.
    pub latency_ms: [u64; 2],
    /// The parts of the nodes that are in the first places, 0 to 1; all others are in one more. None: nobody is near.
    pub places: Vec<f64>,
    /// One way within a place, which is a square: from the shortest to that across it.
    pub near_ms: [u64; 2],
    /// Never arrives.
    pub loss: f64,
    /// Arrives twice, the second one up to `delay_ms` later.
    pub duplicate: f64,
    /// Arrives up to `delay_ms` late, behind younger messages.
    pub reorder: f64,
    /// Bound of the extra delays.
    pub delay_ms: u64,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            latency_ms: [20, 80],
            places: Vec::new(),
            near_ms: [1, 5],
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            delay_ms: 200,
        }
    }
}

/// What becomes of one message after it has left: its delays beyond the latency of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    Arrives { late: Duration },
    ArrivesTwice { late: Duration, again: Duration },
}

/// The space between all pairs.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    weather: Weather,
    seed: u64,
    /// The side of a partition that each node is on; nodes beyond the end are on side 0.
    sides: Vec<u8>,
    /// When the sides were changed last.
    split_at: Time,
}

impl Network {
    pub(crate) fn new(weather: Weather, seed: u64) -> Self {
        Self { weather, seed, sides: Vec::new(), split_at: Time::ZERO }
    }

    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// One way between two nodes.
    pub(crate) fn latency(&self, a: u32, b: u32) -> Duration {
        if !self.weather.places.is_empty() && self.place(a) == self.place(b) {
            return self.near(a, b);
        }
        let [low, high] = self.weather.latency_ms.map(|ms| ms * 1000);
        let pair = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
        Duration::from_micros(low + mix(self.seed ^ mix(pair)) % (high.saturating_sub(low) + 1))
    }

    /// Three who are in one place are as near as their distances are, which no draw per pair is.
    fn near(&self, a: u32, b: u32) -> Duration {
        let [low, high] = self.weather.near_ms.map(|ms| ms as f64 / 1000.0);
        let [(a_x, a_y), (b_x, b_y)] = [a, b].map(|node| {
            let bits = mix(self.seed.rotate_left(32) ^ u64::from(node));
            (f64::from((bits >> 32) as u32) / f64::from(u32::MAX), f64::from(bits as u32) / f64::from(u32::MAX))
        });
        // Not `hypot`, whose last bits depend on the machine.
        let share = ((a_x - b_x).powi(2) + (a_y - b_y).powi(2)).sqrt() / SQRT_2;
        Duration::from_secs_f64(low + (high - low) * share)
    }

    fn place(&self, node: u32) -> usize {
        let lot = mix(self.seed ^ !u64::from(node)) as f64 / u64::MAX as f64;
        let mut parts = self.weather.places.iter().scan(0.0, |sum, part| {
            *sum += part;
            Some(*sum)
        });
        parts.position(|sum| lot < sum).unwrap_or(self.weather.places.len())
    }

    /// Draws what becomes of a message.
    pub(crate) fn fate(&self, dice: &mut Random) -> Fate {
        let weather = &self.weather;
        if happens(dice, weather.loss) {
            return Fate::Lost;
        }
        let late = if happens(dice, weather.reorder) { self.delay(dice) } else { Duration::ZERO };
        if happens(dice, weather.duplicate) {
            return Fate::ArrivesTwice { late, again: late + self.delay(dice) };
        }
        Fate::Arrives { late }
    }

    /// Puts each node on a side; nothing passes between sides.
    pub(crate) fn split(&mut self, sides: Vec<u8>, now: Time) {
        self.sides = sides;
        self.split_at = now;
    }

    /// Since when who is connected is connected.
    pub(crate) fn whole_since(&self) -> Time {
        self.split_at
    }

    /// Can packets pass between two nodes?
    pub(crate) fn connects(&self, a: u32, b: u32) -> bool {
        self.sides.is_empty() || self.side(a) == self.side(b)
    }

    fn side(&self, node: u32) -> u8 {
        self.sides.get(node as usize).copied().unwrap_or(0)
    }

    fn delay(&self, dice: &mut Random) -> Duration {
        dice.between(Duration::ZERO, Duration::from_millis(self.weather.delay_ms))
    }
}

/// Does something of this probability happen? What never happens draws nothing.
pub(crate) fn happens(dice: &mut Random, probability: f64) -> bool {
    probability > 0.0 && (dice.u64() >> 11) as f64 / ((1_u64 << 53) as f64) < probability
}

/// Spreads the bits of a number (the finalizer of SplitMix64).
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_symmetric_and_fills_the_range() {
        let network = Network::new(Weather::default(), 7);
        let mut sum = 0;
        for a in 0..100 {
            for b in 0..100 {
                let latency = network.latency(a, b);
                assert_eq!(latency, network.latency(b, a));
                assert!((20..=80).contains(&latency.as_millis()), "{latency:?}");
                sum += latency.as_micros();
            }
        }
        assert!((49_000..51_000).contains(&(sum / 10_000)), "mean {} us", sum / 10_000);
    }

    #[test]
    fn who_is_in_one_place_is_near() {
        let weather = Weather { places: vec![0.1, 0.6], latency_ms: [60, 60], near_ms: [1, 1], ..Weather::default() };
        let network = Network::new(weather, 7);
        let near = |node: &u32| network.latency(0, *node).as_millis() == 1;
        let (inside, outside): (Vec<u32>, Vec<u32>) = (1..10_000).partition(near);
        let expected = [1000, 6000, 3000][network.place(0)];
        assert!(inside.len().abs_diff(expected) < 200, "{} near", inside.len());
        assert!(inside.iter().all(|node| network.place(*node) == network.place(0)));
        assert!(outside.iter().all(|node| network.place(*node) != network.place(0)));
    }

    #[test]
    fn no_way_within_a_place_is_longer_than_a_detour() {
        let weather = Weather { places: vec![1.0], near_ms: [0, 40], ..Weather::default() };
        let network = Network::new(weather, 7);
        let mut longest = Duration::ZERO;
        for a in 0..50 {
            for b in 0..50 {
                let way = network.latency(a, b);
                assert!((0..50)
                    .all(|via| way <= network.latency(a, via) + network.latency(via, b) + Duration::from_nanos(2)));
                longest = longest.max(way);
            }
        }
        assert!((30..=40).contains(&longest.as_millis()), "{longest:?}");
    }

    #[test]
    fn a_split_separates_the_sides_only() {
        let mut network = Network::new(Weather::default(), 7);
        network.split(vec![0, 0, 1], Time(5));
        assert!(network.connects(0, 1) && network.connects(1, 9));
        assert!(!network.connects(0, 2) && !network.connects(2, 9));
        network.split(Vec::new(), Time(6));
        assert!(network.connects(0, 2));
    }
}
