// SPDX-License-Identifier: Apache-2.0
//! Who takes how much of the light lane.

use crate::scan::Sender;
use std::collections::BTreeMap;

/// Bytes of one sender, within one span of the light lane, above which it is heavy. Below the size of an emulator's fragment (64 KiB), so that
/// nothing large is ever light; a lane of 1 Gbit/s sends it in a quarter of a millisecond.
const HEAVY_ABOVE_BYTES: u64 = 32 * 1024;

/// A span ends after so many bytes, and whenever the lane has run empty: who sends more than a quarter of a crowded lane is heavy, and who
/// sends a lot in small pieces that nobody has to wait for is not.
const SPAN_BYTES: u64 = 4 * HEAVY_ABOVE_BYTES;

/// Bytes per sender since the span began. At most one entry for each frame of a span.
#[derive(Debug, Default)]
pub(super) struct Shares {
    senders: BTreeMap<Sender, u64>,
    bytes: u64,
}

impl Shares {
    /// Begins a new span.
    pub(super) fn clear(&mut self) {
        self.senders.clear();
        self.bytes = 0;
    }

    /// Counts a frame. True when it makes its sender heavy; then it does not belong here.
    pub(super) fn add(&mut self, sender: Sender, bytes: u64) -> bool {
        if self.bytes >= SPAN_BYTES {
            self.clear();
        }
        let share = self.senders.entry(sender).or_default();
        *share += bytes;
        if *share > HEAVY_ABOVE_BYTES {
            self.senders.remove(&sender);
            return true;
        }
        self.bytes += bytes;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_a_crowded_lane_is_heavy_and_less_is_not() {
        let mut shares = Shares::default();
        let crowd = |shares: &mut Shares, senders: u64| {
            (0..4_000).map(|n| n % senders).find(|sender| shares.add(Sender(*sender), 1_000))
        };
        assert_eq!(crowd(&mut shares, 3), Some(0));
        shares.clear();
        assert_eq!(crowd(&mut shares, 5), None);
    }

    #[test]
    fn one_large_frame_is_heavy() {
        let mut shares = Shares::default();
        assert!(!shares.add(Sender(1), HEAVY_ABOVE_BYTES));
        assert!(shares.add(Sender(2), HEAVY_ABOVE_BYTES + 1));
    }
}
