// SPDX-License-Identifier: Apache-2.0
//! One direction of a path. Invariant: what is delivered was offered, no earlier than the delay ago.

use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;
use std::time::Duration;

/// How bad the path is. The default is a perfect one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// From the end of the narrow place to the other side.
    pub delay: Duration,
    /// Share of the packets that vanish after the narrow place, 0 to 1.
    pub loss: f64,
    /// Bytes per second through the narrow place; `None` for no such place.
    pub rate: Option<u64>,
    /// Bytes that wait before the narrow place. A packet that does not fit is dropped.
    pub buffer: u64,
    /// Share of the packets that arrive half a delay late, so that others overtake them.
    pub reorder: f64,
    /// Share of the packets that arrive twice.
    pub duplicate: f64,
}

/// What happened so far, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Given to the path.
    pub offered: u64,
    /// Did not fit into the buffer.
    pub overflowed: u64,
    /// Vanished by chance.
    pub lost: u64,
}

/// Carries packets of type `P`. All times are counted from the same moment and must not run backwards.
#[derive(Debug)]
pub struct Path<P> {
    settings: Settings,
    chance: Xoshiro256PlusPlus,
    /// When the narrow place has passed on all that waits before it.
    free_at: Duration,
    /// By arrival; the number keeps packets of the same moment in order.
    travelling: BTreeMap<(Duration, u64), P>,
    number: u64,
    counters: Counters,
}

impl<P: Clone> Path<P> {
    /// An empty path.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            chance: Xoshiro256PlusPlus::seed_from_u64(seed),
            free_at: Duration::ZERO,
            travelling: BTreeMap::new(),
            number: 0,
            counters: Counters::default(),
        }
    }

    /// A packet of `bytes` enters.
    pub fn offer(&mut self, now: Duration, bytes: u64, packet: P) {
        self.counters.offered += 1;
        let Some(passed) = self.squeezed(now, bytes) else {
            self.counters.overflowed += 1;
            return;
        };
        if self.happens(self.settings.loss) {
            self.counters.lost += 1;
            return;
        }
        let late = if self.happens(self.settings.reorder) { self.settings.delay / 2 } else { Duration::ZERO };
        let arrival = passed + self.settings.delay + late;
        if self.happens(self.settings.duplicate) {
            self.travel(arrival, packet.clone());
        }
        self.travel(arrival, packet);
    }

    /// The path gets better or worse. What is on its way keeps its time.
    pub fn change(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The next packet that has arrived by `now`.
    pub fn arrived(&mut self, now: Duration) -> Option<P> {
        let entry = self.travelling.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Duration> {
        self.travelling.first_key_value().map(|((arrival, _), _)| *arrival)
    }

    /// Bytes that wait before the narrow place.
    pub fn backlog(&self, now: Duration) -> u64 {
        let rate = self.settings.rate.unwrap_or(0);
        (self.free_at.saturating_sub(now).as_secs_f64() * rate as f64) as u64
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// When the packet is through the narrow place, or `None` when it does not fit before it.
    fn squeezed(&mut self, now: Duration, bytes: u64) -> Option<Duration> {
        let Some(rate) = self.settings.rate else { return Some(now) };
        // The packet that is being passed on takes no room: a buffer of nothing still carries one packet at a time.
        if self.free_at > now && self.backlog(now) + bytes > self.settings.buffer {
            return None;
        }
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        Some(self.free_at)
    }

    fn travel(&mut self, arrival: Duration, packet: P) {
        self.travelling.insert((arrival, self.number), packet);
        self.number += 1;
    }

    /// Draws even when it cannot happen, so that one setting does not shift the chances of another.
    fn happens(&mut self, share: f64) -> bool {
        let drawn = (self.chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn carried(settings: Settings, packets: u32, every: Duration) -> (Vec<(Duration, u32)>, Counters) {
        let mut path = Path::new(settings, 7);
        let mut arrivals = Vec::new();
        for number in 0..packets {
            path.offer(every * number, 1000, number);
        }
        while let Some(at) = path.next_arrival() {
            arrivals.push((at, path.arrived(at).unwrap()));
        }
        (arrivals, path.counters())
    }

    #[test]
    fn a_perfect_path_delays_and_nothing_else() {
        let (arrivals, counters) = carried(Settings { delay: 5 * MS, ..Settings::default() }, 100, MS);
        let expected: Vec<_> = (0..100).map(|number| (MS * number + 5 * MS, number)).collect();
        assert_eq!(arrivals, expected);
        assert_eq!(counters, Counters { offered: 100, ..Counters::default() });
    }

    #[test]
    fn nothing_arrives_before_its_time() {
        let mut path = Path::new(Settings { delay: 5 * MS, ..Settings::default() }, 1);
        path.offer(MS, 100, ());
        assert_eq!(path.arrived(6 * MS - Duration::from_nanos(1)), None);
        assert_eq!(path.arrived(6 * MS), Some(()));
    }

    #[test]
    fn a_narrow_place_spaces_packets_and_drops_what_does_not_fit() {
        // One packet per millisecond, and four may wait behind the one on the wire.
        let settings = Settings { rate: Some(1_000_000), buffer: 5_000, ..Settings::default() };
        let (arrivals, counters) = carried(settings, 20, Duration::ZERO);
        assert_eq!(arrivals, (0..5).map(|number| (MS * (number + 1), number)).collect::<Vec<_>>());
        assert_eq!(counters.overflowed, 15);
    }

    #[test]
    fn loss_duplication_and_reordering_happen_as_often_as_asked() {
        let settings = Settings { delay: 10 * MS, loss: 0.1, duplicate: 0.05, reorder: 0.02, ..Settings::default() };
        let (arrivals, counters) = carried(settings, 10_000, MS);
        let near = |count: u64, share: f64| (count as f64 / 10_000.0 - share).abs() < 0.01;
        assert!(near(counters.lost, 0.1), "{counters:?}");
        assert!(near(arrivals.len() as u64 + counters.lost - 10_000, 0.05 * 0.9), "{}", arrivals.len());
        let late = arrivals.iter().filter(|(at, number)| *at > MS * *number + 10 * MS).count() as u64;
        assert!(near(late, 0.02 * 0.95), "{late} late");
    }

    #[test]
    fn the_same_seed_gives_the_same_path() {
        let settings = Settings { delay: MS, loss: 0.5, reorder: 0.5, duplicate: 0.5, ..Settings::default() };
        assert_eq!(carried(settings, 500, MS), carried(settings, 500, MS));
    }
}
