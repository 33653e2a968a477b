// SPDX-License-Identifier: Apache-2.0
//! The sending end: which lane a frame takes, and what it waits for there.

use super::shares::Shares;
use super::{Mark, LIGHT, MAX_LANES};
use crate::scan::{Fragment, Order, Scan, Sender};
use std::collections::{BTreeMap, BTreeSet};

/// Senders that may be heavy at a time. One more stays light, which costs others time and nobody order.
const MAX_HEAVY: usize = 4_096;

/// Messages that may be half sent at a time: each sender has at most one. Beyond it the oldest is forgotten, and its rest is fenced.
const MAX_FRAGMENTED: usize = 16_384;

/// The first lane for heavy senders, and the one for what has to wait for others.
const HEAVY: usize = 1;

/// Where a frame goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Its lane.
    pub lane: usize,
    /// To stand before it in its lane.
    pub behind: Vec<Mark>,
    /// Its sender is heavy.
    pub heavy: Option<Sender>,
}

/// The peer says it was given what was never sent, or takes back what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lie;

/// Places frames on lanes. See the module for what it keeps.
#[derive(Debug)]
pub struct Sorter {
    lanes: Vec<Lane>,
    shares: Shares,
    heavy: BTreeMap<Sender, Mark>,
    /// Messages of which parts are still to come.
    fragmented: BTreeMap<u64, Rest>,
    /// Fences of which parts are still to come: until then everything goes behind them, on one lane.
    open_fences: BTreeSet<u64>,
}

/// Where the rest of a message goes.
#[derive(Clone, Copy, Debug)]
struct Rest {
    lane: usize,
    heavy: Option<Sender>,
}

#[derive(Clone, Debug)]
struct Lane {
    position: u64,
    delivered: u64,
    /// Up to where it has been told to wait for each other lane.
    waited: Vec<u64>,
    /// What its next frame has to wait for.
    due: Option<Mark>,
}

impl Lane {
    fn outstanding(&self) -> u64 {
        self.position - self.delivered
    }
}

impl Sorter {
    /// With so many lanes, 1 to [`MAX_LANES`]. With one there is nothing to sort.
    pub fn new(lanes: usize) -> Self {
        let lanes = lanes.clamp(1, MAX_LANES);
        let lane = Lane { position: 0, delivered: 0, waited: vec![0; lanes], due: None };
        Self {
            lanes: vec![lane; lanes],
            shares: Shares::default(),
            heavy: BTreeMap::new(),
            fragmented: BTreeMap::new(),
            open_fences: BTreeSet::new(),
        }
    }

    /// How many lanes there are.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The light lane has run empty: nobody waits for anybody there.
    pub fn light_is_idle(&mut self) {
        self.shares.clear();
    }

    /// Bytes on the lanes of heavy senders that are not yet delivered.
    pub fn outstanding(&self) -> u64 {
        self.lanes[HEAVY..].iter().map(Lane::outstanding).sum()
    }

    /// Places a frame of so many bytes, header included. `length` tells what they are on its lane, where its atoms may be known or not.
    pub fn place(&mut self, scan: Scan, bytes: u64, length: impl FnOnce(usize) -> u64) -> Placement {
        if self.lanes.len() == 1 {
            return self.on_lane(LIGHT, length);
        }
        if !self.open_fences.is_empty() {
            return self.behind_open_fences(scan, length);
        }
        match scan {
            Scan::Whole(Order::Sender(sender)) => self.by_sender(sender, bytes, false, length),
            Scan::Whole(Order::Barrier) => self.barrier(length),
            Scan::Whole(Order::Fence) => self.fence(length),
            Scan::First(fragment, Order::Sender(sender)) => {
                let placement = self.by_sender(sender, bytes, true, length);
                self.expect(fragment, Rest { lane: placement.lane, heavy: placement.heavy });
                placement
            }
            Scan::First(fragment, Order::Barrier) => {
                let placement = self.barrier(length);
                self.expect(fragment, Rest { lane: placement.lane, heavy: None });
                placement
            }
            Scan::First(fragment, Order::Fence) => {
                let placement = self.behind_all(HEAVY, length);
                self.open_fences.insert(fragment.sequence);
                self.close_fence_after(fragment);
                placement
            }
            Scan::Next(fragment) => match self.rest_of(fragment) {
                Some(Rest { lane, heavy: Some(sender) }) => self.heavy_on(lane, sender, length),
                Some(Rest { lane, heavy: None }) => self.on_lane(lane, length),
                None => self.fence(length),
            },
        }
    }

    /// Bytes of frames that all belong on the light lane, in the order in which they come.
    pub fn light(&mut self, bytes: u64) {
        self.lanes[LIGHT].position += bytes;
    }

    /// The peer has been given all of a lane up to a position.
    pub fn delivered(&mut self, mark: Mark) -> Result<(), Lie> {
        let lane = self.lanes.get_mut(mark.lane).ok_or(Lie)?;
        if mark.position > lane.position || mark.position < lane.delivered {
            return Err(Lie);
        }
        lane.delivered = mark.position;
        self.heavy.retain(|_, last| last.lane != mark.lane || last.position > mark.position);
        Ok(())
    }

    /// Behind everything: to stand at the end of the light lane, so that who has read that has got all.
    pub fn end(&mut self) -> Vec<Mark> {
        self.marks(LIGHT)
    }

    fn by_sender(&mut self, sender: Sender, bytes: u64, large: bool, length: impl FnOnce(usize) -> u64) -> Placement {
        if let Some(last) = self.heavy.get(&sender) {
            return self.heavy_on(last.lane, sender, length);
        }
        if (!large && !self.shares.add(sender, bytes)) || self.heavy.len() >= MAX_HEAVY {
            return self.on_lane(LIGHT, length);
        }
        let lane = self.least_loaded();
        let light = self.wait_for(lane, LIGHT);
        let mut placement = self.heavy_on(lane, sender, length);
        placement.behind.extend(light);
        placement
    }

    fn heavy_on(&mut self, lane: usize, sender: Sender, length: impl FnOnce(usize) -> u64) -> Placement {
        let placement = self.on_lane(lane, length);
        self.heavy.insert(sender, Mark { lane, position: self.lanes[lane].position });
        Placement { heavy: Some(sender), ..placement }
    }

    fn least_loaded(&self) -> usize {
        let loads = self.lanes.iter().enumerate().skip(HEAVY);
        loads.min_by_key(|(_, lane)| lane.outstanding()).map_or(HEAVY, |(lane, _)| lane)
    }

    fn on_lane(&mut self, lane: usize, length: impl FnOnce(usize) -> u64) -> Placement {
        let due = self.lanes[lane].due.take();
        self.lanes[lane].position += length(lane);
        Placement { lane, behind: due.into_iter().collect(), heavy: None }
    }

    /// What `lane` has to be told so that it waits for all of `other` up to now.
    fn wait_for(&mut self, lane: usize, other: usize) -> Option<Mark> {
        let Lane { position, delivered, .. } = self.lanes[other];
        let waited = &mut self.lanes[lane].waited[other];
        let news = position > delivered.max(*waited);
        news.then(|| {
            *waited = position;
            Mark { lane: other, position }
        })
    }

    fn marks(&mut self, lane: usize) -> Vec<Mark> {
        (0..self.lanes.len()).filter(|other| *other != lane).filter_map(|other| self.wait_for(lane, other)).collect()
    }

    fn behind_all(&mut self, lane: usize, length: impl FnOnce(usize) -> u64) -> Placement {
        let marks = self.marks(lane);
        let mut placement = self.on_lane(lane, length);
        placement.behind.extend(marks);
        placement
    }

    /// Where what has to wait goes: while nothing is under way on the other lanes, that is the light lane.
    fn waiting_lane(&self) -> usize {
        if self.outstanding() == 0 {
            LIGHT
        } else {
            HEAVY
        }
    }

    fn barrier(&mut self, length: impl FnOnce(usize) -> u64) -> Placement {
        self.behind_all(self.waiting_lane(), length)
    }

    fn fence(&mut self, length: impl FnOnce(usize) -> u64) -> Placement {
        let lane = self.waiting_lane();
        let placement = self.behind_all(lane, length);
        self.close_fence(lane);
        placement
    }

    /// From here on every lane waits for the end of this one as it is now.
    fn close_fence(&mut self, lane: usize) {
        let position = self.lanes[lane].position;
        for other in (0..self.lanes.len()).filter(|other| *other != lane) {
            self.lanes[other].due = Some(Mark { lane, position });
            self.lanes[other].waited[lane] = position;
        }
    }

    fn behind_open_fences(&mut self, scan: Scan, length: impl FnOnce(usize) -> u64) -> Placement {
        match scan {
            // Its rest, which may come when the fence is closed, belongs where its sender's next messages go.
            Scan::First(fragment, Order::Sender(sender)) => {
                let last = self.heavy.get(&sender);
                let lane = last.map_or(LIGHT, |last| last.lane);
                self.expect(fragment, Rest { lane, heavy: last.map(|_| sender) });
            }
            Scan::First(fragment, Order::Barrier) => self.expect(fragment, Rest { lane: HEAVY, heavy: None }),
            Scan::First(fragment, Order::Fence) => {
                self.open_fences.insert(fragment.sequence);
            }
            Scan::Next(fragment) => {
                self.rest_of(fragment);
            }
            Scan::Whole(_) => {}
        }
        let placement = self.on_lane(HEAVY, length);
        if let Scan::First(fragment, Order::Fence) | Scan::Next(fragment) = scan {
            self.close_fence_after(fragment);
        }
        placement
    }

    fn close_fence_after(&mut self, fragment: Fragment) {
        if fragment.number <= 1 && self.open_fences.remove(&fragment.sequence) && self.open_fences.is_empty() {
            self.close_fence(HEAVY);
        }
    }

    fn expect(&mut self, fragment: Fragment, rest: Rest) {
        if fragment.number <= 1 {
            return;
        }
        if self.fragmented.len() >= MAX_FRAGMENTED {
            self.fragmented.pop_first();
        }
        self.fragmented.insert(fragment.sequence, rest);
    }

    fn rest_of(&mut self, fragment: Fragment) -> Option<Rest> {
        if fragment.number <= 1 {
            self.fragmented.remove(&fragment.sequence)
        } else {
            self.fragmented.get(&fragment.sequence).copied()
        }
    }
}
