// SPDX-License-Identifier: Apache-2.0
//! Signals of Erlang's distribution on their way into the outbox: their bytes, and where one ends and the next begins.

use super::record::HEADER_BYTES;
use barrel_p2p_dist::scan::{scan, sending_process, Process, Scan};
use bytes::{BufMut, Bytes, BytesMut};
use std::ops::Range;

/// Room for the small pieces of one call, which grows when needed.
const COPIED_BYTES: usize = 4 * 1024;

/// A length has 24 bits.
const MAX_LENGTH: usize = (1 << 24) - 1;

/// A frame is longer than frames can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Whole frames of one call, in order.
#[derive(Debug)]
pub struct Signals {
    /// All small pieces, one behind the other.
    copied: BytesMut,
    pieces: Vec<Piece>,
    signals: Vec<Signal>,
}

#[derive(Clone, Debug)]
enum Piece {
    Copied(Range<usize>),
    Referenced(Bytes),
}

/// Its pieces begin with this one; its length has the header included.
#[derive(Clone, Copy, Debug)]
struct Signal {
    piece: usize,
    bytes: usize,
}

impl Default for Signals {
    fn default() -> Self {
        Self { copied: BytesMut::with_capacity(COPIED_BYTES), pieces: Vec::new(), signals: Vec::new() }
    }
}

impl Signals {
    /// Begins a frame of this length.
    pub fn begin(&mut self, length: usize) -> Result<(), TooLong> {
        if length > MAX_LENGTH {
            return Err(TooLong);
        }
        self.signals.push(Signal { piece: self.pieces.len(), bytes: length + HEADER_BYTES });
        let at = self.copied.len();
        self.pieces.push(Piece::Copied(at..at));
        self.copy(&(length as u32).to_be_bytes());
        Ok(())
    }

    /// Goes on with bytes that are worth copying.
    pub fn copy(&mut self, bytes: &[u8]) {
        let at = self.copied.len();
        self.copied.put_slice(bytes);
        let end = self.copied.len();
        match self.pieces.last_mut() {
            Some(Piece::Copied(range)) => range.end = end,
            _ => self.pieces.push(Piece::Copied(at..end)),
        }
    }

    /// Goes on with bytes that are kept where they are.
    pub fn reference(&mut self, bytes: Bytes) {
        self.pieces.push(Piece::Referenced(bytes));
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.signals.len() as u64
    }

    pub(super) fn freeze(self) -> Frozen {
        Frozen { copied: self.copied.freeze(), pieces: self.pieces, signals: self.signals }
    }
}

/// The same, complete.
pub(super) struct Frozen {
    copied: Bytes,
    pieces: Vec<Piece>,
    signals: Vec<Signal>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    frozen: &'a Frozen,
    pieces: &'a [Piece],
    /// Header included.
    pub(super) bytes: usize,
}

impl Frozen {
    pub(super) fn iter(&self) -> impl Iterator<Item = One<'_>> {
        let ends = self.signals.iter().skip(1).map(|next| next.piece).chain([self.pieces.len()]);
        self.signals.iter().zip(ends).map(|(signal, end)| One {
            frozen: self,
            pieces: &self.pieces[signal.piece..end],
            bytes: signal.bytes,
        })
    }

    /// A chunk of the small pieces.
    pub(super) fn chunk(&self, range: Range<usize>) -> Bytes {
        self.copied.slice(range)
    }
}

impl<'a> One<'a> {
    /// What its order depends on.
    pub(super) fn scan(&self) -> Scan {
        scan(self.body())
    }

    /// Who sent it, when it is a process.
    pub(super) fn process(&self) -> Option<Process> {
        sending_process(self.body())
    }

    /// Gives its pieces to a run of chunks of the same lane.
    pub(super) fn add_to(&self, run: &mut Run) {
        for piece in self.pieces {
            match piece {
                Piece::Copied(range) if run.copied.end == range.start && !run.copied.is_empty() => {
                    run.copied.end = range.end
                }
                Piece::Copied(range) => {
                    run.cut(self.frozen);
                    run.copied = range.clone();
                }
                Piece::Referenced(bytes) => {
                    run.cut(self.frozen);
                    run.chunks.push(bytes.clone());
                }
            }
        }
    }

    fn body(&self) -> impl Iterator<Item = &'a [u8]> {
        let copied = &self.frozen.copied;
        self.pieces.iter().enumerate().map(|(at, piece)| match piece {
            Piece::Copied(range) if at == 0 => &copied[range.start + HEADER_BYTES..range.end],
            Piece::Copied(range) => &copied[range.clone()],
            Piece::Referenced(bytes) => &bytes[..],
        })
    }
}

/// Chunks of consecutive frames of one lane, with small ones that lie side by side in one chunk.
#[derive(Default)]
pub(super) struct Run {
    pub(super) chunks: Vec<Bytes>,
    copied: Range<usize>,
}

impl Run {
    /// Ends the chunk of small pieces.
    pub(super) fn cut(&mut self, frozen: &Frozen) {
        if !self.copied.is_empty() {
            self.chunks.push(frozen.chunk(std::mem::take(&mut self.copied)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Frozen {
        let mut signals = Signals::default();
        signals.begin(3).unwrap();
        signals.copy(b"a");
        signals.copy(b"bc");
        signals.begin(7).unwrap();
        signals.copy(b"d");
        signals.reference(Bytes::from_static(b"large"));
        signals.copy(b"e");
        signals.begin(1).unwrap();
        signals.copy(b"f");
        signals.freeze()
    }

    #[test]
    fn every_signal_has_its_own_bytes() {
        let frozen = three();
        let bodies: Vec<_> = frozen.iter().map(|one| (one.bytes, one.body().collect::<Vec<_>>().concat())).collect();
        assert_eq!(bodies, [(7, b"abc".to_vec()), (11, b"dlargee".to_vec()), (5, b"f".to_vec())]);
    }

    #[test]
    fn small_pieces_side_by_side_are_one_chunk() {
        let frozen = three();
        let mut run = Run::default();
        frozen.iter().for_each(|one| one.add_to(&mut run));
        run.cut(&frozen);
        let chunks: Vec<_> = run.chunks.iter().map(|chunk| &chunk[..]).collect();
        assert_eq!(chunks, [&b"\0\0\0\x03abc\0\0\0\x07d"[..], b"large", b"e\0\0\0\x01f"]);
    }

    #[test]
    fn what_another_lane_took_leaves_a_gap() {
        let frozen = three();
        let mut run = Run::default();
        frozen.iter().filter(|one| one.bytes != 11).for_each(|one| one.add_to(&mut run));
        run.cut(&frozen);
        assert_eq!(run.chunks.len(), 2);
    }

    #[test]
    fn too_long_a_frame_is_refused() {
        assert_eq!(Signals::default().begin(MAX_LENGTH + 1), Err(TooLong));
    }
}
