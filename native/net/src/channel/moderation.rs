// SPDX-License-Identifier: Apache-2.0
//! How often the owner is told of what arrived, as network cards moderate their interrupts.
//!
//! To tell costs a wake of the owner's thread, and a scheduler of the BEAM that has run out of work looks for more for some 0.3 ms before it
//! sleeps. Told of every batch of a fast stream, it never slept, and took half of a processor from the threads that fed it.
//!
//! Keeps: small messages are told of at once; so is everything in a conversation, where somebody waits for an answer; what is not told of at once is
//! left to [`super::task`], which tells of it soon.

use std::time::{Duration, Instant};

/// Bytes that are worth a wake at any time. Two nodes on two cores, 1 MiB messages: 2.2 GB/s instead of 1.7 by this alone (medians of six
/// interleaved rounds); with 256 and 512 KiB nothing was gained, with 2 MiB no more.
pub(super) const TELL_BYTES: u64 = 1 << 20;

/// Bytes of heavy senders, without anything sent in the other direction, from which on they are a stream: a large message alone is none.
const STREAM_BYTES: u64 = 4 << 20;

/// The owner of a stream is told again at once after so long.
const PAUSE: Duration = Duration::from_micros(500);

#[derive(Debug, Default)]
pub(super) struct Moderation {
    /// Of heavy senders, since the owner was told.
    untold_bytes: u64,
    /// There are small messages among what the owner was not told of.
    has_light: bool,
    /// Of heavy senders, since we sent something.
    one_way_bytes: u64,
    /// What had been sent when the owner was told last, and when that was.
    told: Option<(u64, Instant)>,
}

impl Moderation {
    /// Frames arrived.
    pub(super) fn arrived(&mut self, is_light: bool, bytes: u64) {
        if is_light {
            self.has_light = true;
        } else {
            self.untold_bytes += bytes;
        }
    }

    /// Is the owner to be told at once? `sent` counts what its side has sent.
    pub(super) fn is_due(&self, sent: u64, now: Instant) -> bool {
        let Some((sent_then, at)) = self.told else { return true };
        self.has_light
            || self.untold_bytes >= TELL_BYTES
            || self.one_way_bytes < STREAM_BYTES
            || sent != sent_then
            || now.saturating_duration_since(at) >= PAUSE
    }

    /// The owner is told.
    pub(super) fn told(&mut self, sent: u64, now: Instant) {
        let answered = self.told.is_some_and(|(sent_then, _)| sent != sent_then);
        self.one_way_bytes = if answered { 0 } else { self.one_way_bytes } + self.untold_bytes;
        (self.untold_bytes, self.has_light) = (0, false);
        self.told = Some((sent, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u64 = 64 * 1024;

    /// Packets that arrive in such distances, and after how many the owner is told: all that were told of before the last one.
    fn tells(packets: usize, apart: Duration, mut sent: impl FnMut(usize) -> u64) -> Vec<usize> {
        let (mut moderation, begin) = (Moderation::default(), Instant::now());
        let mut told = Vec::new();
        for packet in 1..=packets {
            let now = begin + apart * u32::try_from(packet).unwrap();
            moderation.arrived(false, PACKET);
            if moderation.is_due(sent(packet), now) {
                moderation.told(sent(packet), now);
                told.push(packet);
            }
        }
        told
    }

    #[test]
    fn a_stream_is_told_of_in_large_pieces_once_it_is_one() {
        let told = tells(64 + 33, Duration::from_micros(20), |_| 0);
        assert_eq!(told[..64], (1..=64).collect::<Vec<_>>());
        assert_eq!(told[64..], [80, 96]);
    }

    #[test]
    fn a_slow_stream_is_told_of_at_once() {
        assert_eq!(tells(100, PAUSE, |_| 0).len(), 100);
    }

    #[test]
    fn a_conversation_is_told_of_at_once() {
        assert_eq!(tells(200, Duration::from_micros(20), |packet| packet as u64 / 16).len(), 200);
    }

    #[test]
    fn a_small_message_is_told_of_at_once() {
        let (mut moderation, now) = (Moderation::default(), Instant::now());
        moderation.arrived(false, 2 * STREAM_BYTES);
        moderation.told(0, now);
        moderation.arrived(false, PACKET);
        assert!(!moderation.is_due(0, now));
        moderation.arrived(true, 20);
        assert!(moderation.is_due(0, now));
    }
}
