// SPDX-License-Identifier: Apache-2.0
//! The records of a lane, as they stand on the wire.

use barrel_p2p_dist::lanes::{Mark, MAX_LANES};
use bytes::{BufMut, Bytes, BytesMut};

/// Kind and length.
pub(super) const HEADER_BYTES: usize = 4;

/// A lane and a position.
pub(super) const LANE_MARK_BYTES: usize = 9;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A frame, or with length 0 a tick.
    Frame,
    /// What follows in this lane waits until the other lanes were given out up to these marks.
    Wait,
    /// So much of the lanes in the other direction was given out. In lane 0 only.
    Delivered,
}

impl Record {
    pub(super) fn from_wire(kind: u8) -> Option<Self> {
        [Self::Frame, Self::Wait, Self::Delivered].into_iter().find(|record| *record as u8 == kind)
    }
}

/// A record of marks, at most one for each lane.
pub(super) fn encode(record: Record, marks: impl IntoIterator<Item = Mark>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + 2 * LANE_MARK_BYTES);
    bytes.put_u32(0);
    for mark in marks.into_iter().take(MAX_LANES) {
        // Lanes are fewer than a byte counts.
        bytes.put_u8(mark.lane as u8);
        bytes.put_u64(mark.position);
    }
    let body = (bytes.len() - HEADER_BYTES) as u32;
    bytes[..HEADER_BYTES].copy_from_slice(&((record as u32) << 24 | body).to_be_bytes());
    bytes.freeze()
}

/// The marks of a body of whole ones.
pub(super) fn marks(body: &[u8]) -> impl Iterator<Item = Mark> + '_ {
    body.chunks_exact(LANE_MARK_BYTES).map(|mark| {
        let position = mark[1..].iter().fold(0, |position, byte| position << 8 | u64::from(*byte));
        Mark { lane: usize::from(mark[0]), position }
    })
}
