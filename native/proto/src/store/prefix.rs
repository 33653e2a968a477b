// SPDX-License-Identifier: Apache-2.0
//! A part of a store: all keys whose positions begin with the same bits, four bits to a level.

use std::ops::RangeInclusive;

use barrel_p2p_base::{DecodeError, Reader, Writer};

/// Parts that a part consists of.
pub const FANOUT: usize = 16;

/// The positions that begin with the same `levels * 4` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The bits at the high end; all others are zero.
    bits: u64,
    levels: u8,
}

impl Prefix {
    /// The whole store.
    pub const ALL: Self = Self { bits: 0, levels: 0 };

    /// Levels of the smallest part, a single position.
    pub const MAX_LEVELS: u8 = 16;

    /// The part of this part, or `None` if there are no smaller ones or not so many.
    pub fn child(self, nibble: u8) -> Option<Self> {
        let fits = self.levels < Self::MAX_LEVELS && usize::from(nibble) < FANOUT;
        fits.then(|| Self { bits: self.bits | u64::from(nibble) << (60 - 4 * self.levels), levels: self.levels + 1 })
    }

    /// How many levels below [`Prefix::ALL`] it is.
    pub fn levels(self) -> u8 {
        self.levels
    }

    /// The positions in it.
    pub(super) fn positions(self) -> RangeInclusive<u64> {
        // A shift by 64 is no shift, so the whole store needs its own word.
        self.bits..=self.bits | u64::MAX.checked_shr(4 * u32::from(self.levels)).unwrap_or(0)
    }

    /// Which part of this part a position is in.
    pub(super) fn nibble(self, position: u64) -> usize {
        nibble(position, self.levels)
    }

    /// The way to it from the whole store, one part of a part after the other.
    pub(super) fn path(self) -> impl Iterator<Item = usize> {
        (0..self.levels).map(move |level| nibble(self.bits, level))
    }

    /// Appends the bytes of it: the levels, and as many bytes of bits as they need.
    pub fn write(self, writer: &mut Writer) {
        writer.u8(self.levels).bytes(&self.bits.to_be_bytes()[..bytes(self.levels)]);
    }

    /// Reads what [`Prefix::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        let levels = reader.u8()?;
        if levels > Self::MAX_LEVELS {
            return Err(DecodeError::BadValue { offset });
        }
        let mut all = [0; 8];
        let taken = reader.take(bytes(levels))?;
        all[..taken.len()].copy_from_slice(taken);
        let bits = u64::from_be_bytes(all);
        let rest = u64::MAX.checked_shr(4 * u32::from(levels)).unwrap_or(0);
        if bits & rest != 0 {
            return Err(DecodeError::BadValue { offset });
        }
        Ok(Self { bits, levels })
    }
}

/// The four bits that choose a part on this level. Beyond the last level there is one part only.
pub(super) fn nibble(position: u64, level: u8) -> usize {
    (position >> 60_u8.saturating_sub(4 * level)) as usize % FANOUT
}

fn bytes(levels: u8) -> usize {
    usize::from(levels).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(nibbles: &[u8]) -> Prefix {
        nibbles.iter().fold(Prefix::ALL, |prefix, nibble| prefix.child(*nibble).unwrap())
    }

    #[test]
    fn parts_are_disjoint_and_complete() {
        assert_eq!(Prefix::ALL.positions(), 0..=u64::MAX);
        let mut next = 0_u64;
        for nibble in 0..16 {
            let part = prefix(&[0xa, nibble]).positions();
            assert_eq!(*part.start(), 0xa000_0000_0000_0000 + next);
            assert_eq!(part.end() - part.start(), u64::MAX >> 8);
            next += 1 << 56;
        }
        let last = prefix(&[0xf; 16]);
        assert_eq!(last.positions(), u64::MAX..=u64::MAX);
        assert_eq!((last.child(0), Prefix::ALL.child(16)), (None, None));
    }

    #[test]
    fn bytes_and_back() {
        for nibbles in [&[][..], &[1], &[1, 2], &[1, 2, 0], &[0xf; 16]] {
            let mut writer = Writer::new();
            prefix(nibbles).write(&mut writer);
            let bytes = writer.finish();
            assert_eq!(bytes.len(), 1 + nibbles.len().div_ceil(2));
            assert_eq!(Prefix::read(&mut Reader::new(&bytes)), Ok(prefix(nibbles)));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let refused = Err(DecodeError::BadValue { offset: 0 });
        for bytes in [&[17, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[1, 0x11], &[3, 0, 0x01]] {
            assert_eq!(Prefix::read(&mut Reader::new(bytes)), refused, "for {bytes:?}");
        }
        assert_eq!(Prefix::read(&mut Reader::new(&[3, 0])), Err(DecodeError::Truncated { offset: 1 }));
    }
}
