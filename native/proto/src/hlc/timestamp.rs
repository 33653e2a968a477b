// SPDX-License-Identifier: Apache-2.0
//! A stamp of the clock, and its twelve bytes.

use barrel_p2p_base::{DecodeError, Reader, Writer};

/// A point in the order of events: wall time first, then the logical part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Milliseconds since the Unix epoch, never behind the wall clock of the node that made the stamp.
    pub wall_ms: u64,
    /// Separates stamps of one millisecond.
    pub logical: u32,
}

impl Timestamp {
    /// Bytes of a stamp on the wire: 64 bits of wall time and 32 bits of logical part, big-endian.
    pub const BYTES: usize = 12;

    /// Bits of the logical part when both share 64 bits: a million stamps per millisecond, and 44 bits of milliseconds
    /// that last until the year 2527.
    const LOGICAL_BITS: u32 = 20;

    /// Both parts in one number of the same order. A logical part beyond 20 bits carries into the milliseconds, and a
    /// wall time beyond 44 bits becomes the largest one.
    pub(crate) fn pack(self) -> u64 {
        let wall_ms = self.wall_ms.min(u64::MAX >> Self::LOGICAL_BITS);
        (wall_ms << Self::LOGICAL_BITS).saturating_add(u64::from(self.logical))
    }

    /// The next stamp: what makes a write win over what it replaces when its writer's clock is behind.
    pub fn successor(self) -> Self {
        Self::unpack(self.pack().saturating_add(1))
    }

    pub(crate) fn unpack(packed: u64) -> Self {
        let wall_ms = packed >> Self::LOGICAL_BITS;
        let logical = (packed & ((1 << Self::LOGICAL_BITS) - 1)) as u32;
        Self { wall_ms, logical }
    }

    /// Appends the twelve bytes.
    pub fn encode(self, writer: &mut Writer) {
        writer.u64(self.wall_ms).bytes(&self.logical.to_be_bytes());
    }

    /// Reads twelve bytes. Every value is a stamp; whether it is believed is the clock's decision.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { wall_ms: reader.u64()?, logical: u32::from_be_bytes(reader.array()?) })
    }
}
