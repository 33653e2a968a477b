// SPDX-License-Identifier: Apache-2.0
//! An atom cache for each lane.
//!
//! The emulator's headers depend on all frames before them, and lanes overtake each other. So the slots of the receiving emulator's cache are divided
//! among the lanes: each names only slots of its own, and sends an atom in full when it is new to *this lane*. A frame then depends on earlier frames
//! of its own lane only, whose order is kept; no lane waits for another one because of an atom.
//!
//! To the receiver these are headers like any other.

use super::MAX_LANES;
use crate::scan::{Atoms, CACHE_SLOTS, IS_LONG, IS_NEW};

/// What the receiving emulator has in its cache, by what was sent on each lane.
#[derive(Debug)]
pub struct LaneAtoms {
    /// Of a lane.
    slots: usize,
    /// The version in each slot of each lane that was used, 0 where there is nothing.
    lanes: Vec<Vec<u64>>,
    encoded: Vec<u8>,
}

impl LaneAtoms {
    /// With so many lanes, 1 to [`MAX_LANES`].
    pub fn new(lanes: usize) -> Self {
        let lanes = lanes.clamp(1, MAX_LANES);
        Self { slots: CACHE_SLOTS / lanes.next_power_of_two(), lanes: vec![Vec::new(); lanes], encoded: Vec::new() }
    }

    /// Encodes what a header says of atoms for the lane that the frame is placed on; how many bytes that takes.
    pub fn encode(&mut self, lane: usize, atoms: &Atoms<'_>) -> usize {
        let known = &mut self.lanes[lane];
        known.resize(self.slots, 0);
        let named = atoms.named();
        let count = named.len();
        let encoded = &mut self.encoded;
        encoded.clear();
        // A header names at most 255.
        encoded.push(count as u8);
        encoded.resize(1 + count / 2 + 1, 0);
        let mut set = |at: usize, flag: u8| encoded[1 + at / 2] |= flag << (4 * (at % 2));
        let mut long = false;
        for (at, atom) in named.iter().enumerate() {
            let home = atom.name.below(self.slots);
            let is_new = known[home] != atom.version;
            known[home] = atom.version;
            let segment = ((lane * self.slots + home) >> 8) as u8;
            set(at, segment | if is_new { IS_NEW } else { 0 });
            long |= is_new && atoms.text(atom).len() > usize::from(u8::MAX);
        }
        set(count, if long { IS_LONG } else { 0 });
        for (at, atom) in named.iter().enumerate() {
            encoded.push((lane * self.slots + atom.name.below(self.slots)) as u8);
            if encoded[1 + at / 2] >> (4 * (at % 2)) & IS_NEW != 0 {
                let text = atoms.text(atom);
                let len = (text.len() as u16).to_be_bytes();
                encoded.extend_from_slice(if long { &len } else { &len[1..] });
                encoded.extend_from_slice(text);
            }
        }
        encoded.len()
    }

    /// What was encoded last.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}
