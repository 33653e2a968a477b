// SPDX-License-Identifier: Apache-2.0
//! Moments on a clock that never goes back.
//!
//! Keeps: nothing here reads a clock; a driver counts from a start of its choice. Leaves to others: the time of day,
//! which travels beside it as plain milliseconds since the Unix epoch.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds since the driver's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// The start.
    pub const ZERO: Self = Self(0);
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Stops at the end of time instead of wrapping: such a timer never fires.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Time {
    type Output = Duration;

    /// How long ago `earlier` was; zero if it was not.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_stop_at_the_ends() {
        assert_eq!(Time(5) + Duration::from_micros(7), Time(12));
        assert_eq!(Time(5) + Duration::MAX, Time(u64::MAX));
        assert_eq!(Time(12) - Time(5), Duration::from_micros(7));
        assert_eq!(Time(5) - Time(12), Duration::ZERO);
    }
}
