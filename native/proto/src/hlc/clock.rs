// SPDX-License-Identifier: Apache-2.0
//! The clock: one atomic that only grows.

use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use super::Timestamp;

/// How far a remote stamp may be ahead of the local wall clock, in milliseconds, unless configured. Clocks kept by NTP
/// differ by less than a second; a minute also covers a node whose time service has just started.
pub const DEFAULT_MAX_SKEW_MS: u64 = 60_000;

/// A hybrid logical clock, shared by every thread that stamps.
#[derive(Debug)]
pub struct Clock {
    /// The last stamp given out or taken over, packed.
    last: AtomicU64,
    max_skew_ms: AtomicU64,
}

/// The remote stamp is further ahead of the local wall clock than allowed, and was not taken over.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("stamp is {ahead_ms} ms ahead of the wall clock, {max_skew_ms} ms are allowed")]
pub struct TooFarAhead {
    /// How far it is ahead, in milliseconds.
    pub ahead_ms: u64,
    /// How far it may be, in milliseconds.
    pub max_skew_ms: u64,
}

impl Clock {
    /// A clock that has seen nothing and follows remote stamps up to `max_skew_ms` ahead of the wall clock.
    pub fn new(max_skew_ms: u64) -> Self {
        Self { last: AtomicU64::new(0), max_skew_ms: AtomicU64::new(max_skew_ms) }
    }

    /// Follows remote stamps up to so far ahead from now on.
    pub fn set_max_skew_ms(&self, max_skew_ms: u64) {
        self.max_skew_ms.store(max_skew_ms, Ordering::Relaxed);
    }

    /// A new stamp, larger than every one before. `wall_ms` is the wall clock of the caller; it may jump backwards.
    pub fn now(&self, wall_ms: u64) -> Timestamp {
        self.advance(Timestamp { wall_ms, logical: 0 }.pack())
    }

    /// A new stamp that is also larger than `remote`.
    ///
    /// # Errors
    /// [`TooFarAhead`], and the clock is as before: taking over such a stamp would let one wrong clock move the whole
    /// cluster's time for ever.
    pub fn update(&self, remote: Timestamp, wall_ms: u64) -> Result<Timestamp, TooFarAhead> {
        let packed = remote.pack();
        let ahead_ms = remote.wall_ms.max(Timestamp::unpack(packed).wall_ms).saturating_sub(wall_ms);
        let max_skew_ms = self.max_skew_ms.load(Ordering::Relaxed);
        if ahead_ms > max_skew_ms {
            return Err(TooFarAhead { ahead_ms, max_skew_ms });
        }
        Ok(self.advance(Timestamp { wall_ms, logical: 0 }.pack().max(packed.saturating_add(1))))
    }

    fn advance(&self, at_least: u64) -> Timestamp {
        let next = |last: u64| last.saturating_add(1).max(at_least);
        // Relaxed suffices: the stamp itself is all that threads agree on, and a single atomic has one order.
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        Timestamp::unpack(next(last.unwrap_or_else(|last| last)))
    }
}

#[cfg(test)]
mod tests {
    use barrel_p2p_base::{Reader, Writer};
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn stamp(wall_ms: u64, logical: u32) -> Timestamp {
        Timestamp { wall_ms, logical }
    }

    #[test]
    fn stamps_follow_the_wall_clock_and_count_when_it_stands_or_goes_back() {
        let clock = Clock::new(DEFAULT_MAX_SKEW_MS);
        assert_eq!(clock.now(NOW), stamp(NOW, 0));
        assert_eq!(clock.now(NOW), stamp(NOW, 1));
        assert_eq!(clock.now(NOW - 5_000), stamp(NOW, 2));
        assert_eq!(clock.now(NOW + 1), stamp(NOW + 1, 0));
    }

    #[test]
    fn a_remote_stamp_is_passed() {
        let clock = Clock::new(DEFAULT_MAX_SKEW_MS);
        assert_eq!(clock.update(stamp(NOW + 10, 7), NOW), Ok(stamp(NOW + 10, 8)));
        assert_eq!(clock.update(stamp(NOW - 10, 7), NOW), Ok(stamp(NOW + 10, 9)));
        assert_eq!(clock.update(stamp(NOW + 10, 7), NOW + 20), Ok(stamp(NOW + 20, 0)));
    }

    #[test]
    fn a_stamp_from_the_far_future_is_refused_and_forgotten() {
        let clock = Clock::new(1_000);
        let refused = |ahead_ms| Err(TooFarAhead { ahead_ms, max_skew_ms: 1_000 });
        assert_eq!(clock.update(stamp(NOW + 1_001, 0), NOW), refused(1_001));
        assert_eq!(clock.update(stamp(u64::MAX, u32::MAX), NOW), refused(u64::MAX - NOW));
        // A logical part of 32 bits is four seconds.
        assert_eq!(clock.update(stamp(NOW, u32::MAX), NOW), refused(4_095));
        assert_eq!(clock.now(NOW), stamp(NOW, 0));
        assert_eq!(clock.update(stamp(NOW + 1_000, 0), NOW), Ok(stamp(NOW + 1_000, 1)));
    }

    #[test]
    fn a_full_logical_part_carries() {
        let clock = Clock::new(DEFAULT_MAX_SKEW_MS);
        assert_eq!(clock.update(stamp(NOW, (1 << 20) - 1), NOW), Ok(stamp(NOW + 1, 0)));
    }

    #[test]
    fn threads_never_get_the_same_stamp() {
        let clock = Clock::new(DEFAULT_MAX_SKEW_MS);
        let mut stamps: Vec<Timestamp> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1_000).map(|_| clock.now(NOW)).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        stamps.sort_unstable();
        stamps.dedup();
        assert_eq!(stamps.len(), 4_000);
    }

    proptest! {
        #[test]
        fn every_stamp_is_larger_than_all_that_were_seen(
            steps in prop::collection::vec((0..200_000_u64, 0..200_000_u64, any::<u32>(), any::<bool>()), 1..64)
        ) {
            let clock = Clock::new(DEFAULT_MAX_SKEW_MS);
            let mut last = Timestamp::default();
            for (wall_ms, remote_ms, logical, is_update) in steps {
                let remote = stamp(remote_ms, logical);
                let made = if is_update { clock.update(remote, wall_ms) } else { Ok(clock.now(wall_ms)) };
                if let Ok(made) = made {
                    prop_assert!(made > last && made.wall_ms >= wall_ms);
                    prop_assert!(!is_update || made > remote);
                    last = made;
                }
            }
        }

        #[test]
        fn twelve_bytes_and_back(wall_ms in any::<u64>(), logical in any::<u32>()) {
            let mut writer = Writer::new();
            stamp(wall_ms, logical).encode(&mut writer);
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len(), Timestamp::BYTES);
            prop_assert_eq!(Timestamp::decode(&mut Reader::new(&bytes)), Ok(stamp(wall_ms, logical)));
        }
    }
}
