// SPDX-License-Identifier: Apache-2.0
//! The receiving end: which frames may be given out, and the light lane first.

use super::{Mark, LIGHT, MAX_LANES};
use std::collections::VecDeque;

/// What a mark counts for in [`Release::queued`], in bytes: no peer can fill memory with marks.
const MARK_BYTES: u64 = 32;

/// Frames of all lanes that wait to be given out. `T` stands for some whole frames of one lane.
#[derive(Debug)]
pub struct Release<T> {
    /// Of the lanes that were used so far.
    lanes: Vec<Lane<T>>,
    /// The heavy lane that is next to be looked at.
    turn: usize,
}

#[derive(Debug)]
struct Lane<T> {
    entries: VecDeque<Entry<T>>,
    queued: u64,
    delivered: u64,
}

#[derive(Debug)]
enum Entry<T> {
    Frames(T, u64),
    Wait(Mark),
}

/// Frames that were given out.
#[derive(Debug, PartialEq, Eq)]
pub struct Released<T> {
    /// Of this lane.
    pub lane: usize,
    /// The frames.
    pub frames: T,
    /// Their length.
    pub bytes: u64,
}

impl<T> Default for Release<T> {
    fn default() -> Self {
        Self { lanes: Vec::new(), turn: LIGHT + 1 }
    }
}

impl<T> Release<T> {
    /// Whole frames of so many bytes arrived on a lane, below [`MAX_LANES`].
    pub fn push(&mut self, lane: usize, frames: T, bytes: u64) {
        let lane = self.lane(lane);
        lane.queued += bytes;
        lane.entries.push_back(Entry::Frames(frames, bytes));
    }

    /// What arrives on a lane from here on waits for a mark.
    pub fn wait(&mut self, lane: usize, mark: Mark) {
        let lane = self.lane(lane);
        lane.queued += MARK_BYTES;
        lane.entries.push_back(Entry::Wait(mark));
    }

    /// Gives out the next frames of any lane, those of the light lane first and the others in turn.
    pub fn take(&mut self) -> Option<Released<T>> {
        self.take_of(LIGHT).or_else(|| {
            let heavy = (LIGHT + 1)..self.lanes.len();
            let turn = self.turn;
            let order = heavy.clone().filter(|lane| *lane >= turn).chain(heavy.filter(|lane| *lane < turn));
            let released = order.into_iter().find_map(|lane| self.take_of(lane))?;
            self.turn = released.lane + 1;
            Some(released)
        })
    }

    /// Gives out the next frames of one lane.
    pub fn take_of(&mut self, lane: usize) -> Option<Released<T>> {
        if !self.pass_marks(lane) {
            return None;
        }
        let at = &mut self.lanes[lane];
        let Some(Entry::Frames(frames, bytes)) = at.entries.pop_front() else { return None };
        at.queued -= bytes;
        at.delivered += bytes;
        Some(Released { lane, frames, bytes })
    }

    /// Nothing of this lane waits here, and nothing that follows would have to.
    pub fn is_done(&mut self, lane: usize) -> bool {
        !self.pass_marks(lane) && self.queued(lane) == 0
    }

    /// Goes on to the next frames of a lane. False when there are none, or they have to wait.
    fn pass_marks(&mut self, lane: usize) -> bool {
        while let Some(at) = self.lanes.get(lane) {
            let Some(Entry::Wait(mark)) = at.entries.front() else { return !at.entries.is_empty() };
            if self.delivered(mark.lane) < mark.position {
                return false;
            }
            let at = &mut self.lanes[lane];
            at.entries.pop_front();
            at.queued -= MARK_BYTES;
        }
        false
    }

    /// Bytes of a lane that wait here.
    pub fn queued(&self, lane: usize) -> u64 {
        self.lanes.get(lane).map_or(0, |lane| lane.queued)
    }

    /// Bytes of a lane that were given out.
    pub fn delivered(&self, lane: usize) -> u64 {
        self.lanes.get(lane).map_or(0, |lane| lane.delivered)
    }

    /// Nothing waits here.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.entries.is_empty())
    }

    fn lane(&mut self, lane: usize) -> &mut Lane<T> {
        debug_assert!(lane < MAX_LANES, "the caller knows the lane");
        while self.lanes.len() <= lane {
            self.lanes.push(Lane { entries: VecDeque::new(), queued: 0, delivered: 0 });
        }
        &mut self.lanes[lane]
    }
}
