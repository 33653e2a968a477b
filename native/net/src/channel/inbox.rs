// SPDX-License-Identifier: Apache-2.0
//! What arrived on the lanes of a channel and waits for its owner to take it.
//!
//! Keeps: of each lane not much more than [`READ_AHEAD_BYTES`] waits here, the rest waits in the transport and slows the peer down; the owner is
//! told once, and again only after it has found nothing.

use super::framer::{Batch, Item};
use super::moderation::{Moderation, TELL_BYTES};
use barrel_p2p_dist::lanes::{Mark, Release, LIGHT, MAX_LANES};
use std::time::Instant;

/// Bytes of a lane above which it is not read on: as much again as the owner may not yet be told of, so that it never waits for the I/O thread.
const READ_AHEAD_BYTES: u64 = 2 * TELL_BYTES;

/// Bytes of a lane below which it is read again.
const READ_ON_BYTES: u64 = READ_AHEAD_BYTES / 2;

/// The peer is told what its lane has delivered after so many bytes at the latest: a sixteenth of what it may have under way.
const REPORT_EVERY_BYTES: u64 = 512 * 1024;

#[derive(Debug, Default)]
pub(super) struct Inbox {
    release: Release<Batch>,
    /// Frames came after the owner had found nothing.
    has_news: bool,
    /// The owner knows that.
    told: bool,
    moderation: Moderation,
    /// Of each lane: what the peer knows to be delivered.
    reported: Vec<u64>,
    /// Lanes whose reader waits for room.
    full: u32,
    /// The light lane was read to its end, and its reader waits until it is empty.
    ended: bool,
}

/// When the owner is to be told that there are frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    Nothing,
    Now,
    Soon,
}

/// What a look into the inbox brought.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) batch: Option<Batch>,
    /// A reader waits for what has happened now.
    pub(super) is_awaited: bool,
    /// To be told to the peer now.
    pub(super) reports: Vec<Mark>,
    /// Something is left to be told, soon.
    pub(super) report_soon: bool,
}

impl Inbox {
    /// Adds what arrived.
    pub(super) fn push(&mut self, lane: usize, item: Item) {
        match item {
            Item::Frames(batch) => {
                let bytes = batch.position_bytes();
                // Ticks are of no interest to the owner.
                if bytes > 0 {
                    self.release.push(lane, batch, bytes);
                    self.has_news = true;
                    self.moderation.arrived(lane == LIGHT, bytes);
                }
            }
            Item::Wait(marks) => marks.into_iter().for_each(|mark| self.release.wait(lane, mark)),
            Item::Delivered(_) => {}
        }
    }

    /// Is the owner to be told? After [`Tell::Now`] it knows. `sent` counts what its side has sent.
    pub(super) fn tells(&mut self, sent: u64, now: Instant) -> Tell {
        if !self.has_news || self.told {
            return Tell::Nothing;
        }
        if !self.moderation.is_due(sent, now) {
            return Tell::Soon;
        }
        self.moderation.told(sent, now);
        self.told = true;
        Tell::Now
    }

    /// May this lane be read on? If not, the reader is told by [`Taken::is_awaited`].
    pub(super) fn has_room(&mut self, lane: usize) -> bool {
        let room = self.release.queued(lane) < READ_AHEAD_BYTES;
        let bit = 1 << (lane % MAX_LANES);
        self.full = if room { self.full & !bit } else { self.full | bit };
        room
    }

    /// Takes what may be given out, at most about so many bytes.
    pub(super) fn take(&mut self, most: usize) -> Taken {
        self.take_by(most, Release::take)
    }

    /// As [`Self::take`], of the light lane alone.
    pub(super) fn take_light(&mut self, most: usize) -> Taken {
        self.take_by(most, |release| release.take_of(LIGHT))
    }

    fn take_by(
        &mut self,
        most: usize,
        next: impl Fn(&mut Release<Batch>) -> Option<barrel_p2p_dist::lanes::Released<Batch>>,
    ) -> Taken {
        let mut taken = Taken::default();
        let mut touched = 0u32;
        while taken.batch.as_ref().is_none_or(|batch| batch.bytes < most) {
            let Some(released) = next(&mut self.release) else { break };
            touched |= 1 << released.lane;
            match &mut taken.batch {
                Some(batch) => batch.append(released.frames),
                None => taken.batch = Some(released.frames),
            }
        }
        self.told &= taken.batch.is_some();
        self.has_news &= taken.batch.is_some();
        taken.is_awaited = self.ended && self.release.is_done(LIGHT);
        for lane in (0..MAX_LANES).filter(|lane| touched & (1 << lane) != 0) {
            taken.is_awaited |= self.full & (1 << lane) != 0 && self.release.queued(lane) <= READ_ON_BYTES;
            if lane == LIGHT {
                continue;
            }
            if self.unreported(lane) >= REPORT_EVERY_BYTES {
                taken.reports.extend(self.report(lane));
            } else {
                taken.report_soon = true;
            }
        }
        taken
    }

    fn unreported(&self, lane: usize) -> u64 {
        self.release.delivered(lane) - self.reported.get(lane).copied().unwrap_or(0)
    }

    fn report(&mut self, lane: usize) -> Option<Mark> {
        if self.unreported(lane) == 0 {
            return None;
        }
        if self.reported.len() <= lane {
            self.reported.resize(lane + 1, 0);
        }
        let position = self.release.delivered(lane);
        self.reported[lane] = position;
        Some(Mark { lane, position })
    }

    /// All that the peer does not know yet of what was given out.
    pub(super) fn reports(&mut self) -> Vec<Mark> {
        (LIGHT + 1..MAX_LANES).filter_map(|lane| self.report(lane)).collect()
    }

    /// The light lane was read to its end. Has all of it been given out? If not, the reader is told by [`Taken::is_awaited`].
    pub(super) fn is_at_end(&mut self) -> bool {
        self.ended = true;
        self.release.is_done(LIGHT)
    }
}
