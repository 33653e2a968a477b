// SPDX-License-Identifier: Apache-2.0
//! What the headers of frames say of atoms.
//!
//! An atom that is sent often is sent once in full; from then on the emulator names a slot of the *atom cache*, which it keeps at both ends of a
//! connection. The header of a frame lists the atoms that the frame refers to, and those that are new to their slots with their text. So what a
//! frame means depends on all frames before it. This is the sending end of that cache, kept by reading along, so that each lane can be given
//! headers that depend on nothing but the lane.
//!
//! `N:8, flags, reference*` as in "Distribution Header" of the External Term Format: half a byte of flags for each of N references and one more.
//!
//! Counts on what the emulator keeps: it names a slot once in a header at the most.

use super::mix;
use super::reader::{Ended, Reader};
use std::collections::BTreeMap;
use std::ops::Range;

/// Slots of the cache, in eight segments.
pub(crate) const CACHE_SLOTS: usize = 2048;

/// A flag of a reference: its text follows. The other three bits are the segment.
pub(crate) const IS_NEW: u8 = 8;
/// A flag behind those of all references: texts have lengths of two bytes.
pub(crate) const IS_LONG: u8 = 1;

/// A hash of the text of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(super) u64);

impl Name {
    pub(super) fn of(text: &[u8]) -> Self {
        let (words, rest) = text.as_chunks();
        let hash = words.iter().fold(text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        Self(mix(hash, u64::from_le_bytes(last)))
    }

    /// Any number below `count`, a power of two, always the same for the same text.
    pub(crate) fn below(self, count: usize) -> usize {
        self.0 as usize & (count - 1)
    }
}

/// An atom that the header of a frame refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Atom {
    slot: u16,
    pub(crate) name: Name,
    /// Counts what was ever written to the cache. Equal ones have equal texts.
    pub(crate) version: u64,
}

#[derive(Debug)]
struct Written {
    text: Box<[u8]>,
    name: Name,
    version: u64,
}

/// The cache of an emulator that sends.
#[derive(Debug, Default)]
pub(super) struct AtomCache {
    slots: BTreeMap<u16, Written>,
    versions: u64,
    /// Of the last frame.
    named: Vec<Atom>,
    /// Where these stand in it.
    at: Range<usize>,
    /// Of that frame, or of what there is of it.
    bytes: usize,
}

impl AtomCache {
    /// Another frame.
    pub(super) fn begin<'a>(&mut self, frame: &'a [u8]) -> Reader<'a> {
        self.named.clear();
        self.at = 0..0;
        self.bytes = frame.len();
        Reader::new(frame)
    }

    /// Reads what a header says of atoms. False when it names a slot in which nothing was ever written.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<bool, Ended> {
        let start = self.bytes - reader.len();
        let count = usize::from(reader.u8()?);
        if count == 0 {
            return Ok(true);
        }
        let flags = reader.bytes(count / 2 + 1)?;
        let flag = |at: usize| flags[at / 2] >> (4 * (at % 2)) & 0xf;
        let long = flag(count) & IS_LONG != 0;
        for at in 0..count {
            let slot = u16::from(flag(at) & (IS_NEW - 1)) << 8 | u16::from(reader.u8()?);
            if flag(at) & IS_NEW != 0 {
                let len = if long { usize::from(reader.u16()?) } else { usize::from(reader.u8()?) };
                let text = reader.bytes(len)?;
                self.versions += 1;
                self.slots.insert(slot, Written { text: text.into(), name: Name::of(text), version: self.versions });
            }
            let Some(written) = self.slots.get(&slot) else {
                self.named.clear();
                return Ok(false);
            };
            self.named.push(Atom { slot, name: written.name, version: written.version });
        }
        self.at = start..self.bytes - reader.len();
        Ok(true)
    }

    /// Those of the last frame, in the order in which it refers to them.
    pub(super) fn named(&self) -> &[Atom] {
        &self.named
    }

    /// The same with their texts; None when there are none.
    pub(super) fn atoms(&self) -> Option<Atoms<'_>> {
        (!self.at.is_empty()).then_some(Atoms { cache: self })
    }
}

/// What the header of a frame says of atoms.
#[derive(Clone, Copy, Debug)]
pub struct Atoms<'a> {
    cache: &'a AtomCache,
}

impl<'a> Atoms<'a> {
    /// Where it stands in the frame.
    pub fn at(&self) -> Range<usize> {
        self.cache.at.clone()
    }

    pub(crate) fn named(&self) -> &'a [Atom] {
        &self.cache.named
    }

    pub(crate) fn text(&self, atom: &Atom) -> &'a [u8] {
        self.cache.slots.get(&atom.slot).map_or(&[], |written| &written.text)
    }
}
