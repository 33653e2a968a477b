// SPDX-License-Identifier: Apache-2.0
//! Signals of Erlang's distribution on their way into the outbox: their bytes, and where one ends and the next begins.

use super::record::HEADER_BYTES;
use bytes::{BufMut, Bytes, BytesMut};
use std::ops::Range;

/// A length has 24 bits.
const MAX_LENGTH: usize = (1 << 24) - 1;

/// A frame is longer than frames can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Whole frames of one call, in order.
#[derive(Debug, Default)]
pub struct Signals<'a> {
    pieces: Vec<Piece<'a>>,
    signals: Vec<Start>,
    /// Of all pieces that are worth copying.
    copied_bytes: usize,
}

#[derive(Debug)]
enum Piece<'a> {
    Copied(&'a [u8]),
    Referenced(Bytes),
}

impl Piece<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Referenced(bytes) => bytes,
        }
    }
}

/// The pieces of a frame begin with this one; its length is without the header.
#[derive(Clone, Copy, Debug)]
struct Start {
    piece: usize,
    length: usize,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    pieces: &'a [Piece<'a>],
    length: usize,
}

impl<'a> Signals<'a> {
    /// Begins a frame.
    pub fn begin(&mut self) {
        self.signals.push(Start { piece: self.pieces.len(), length: 0 });
    }

    /// Goes on with bytes that are worth copying.
    pub fn copy(&mut self, bytes: &'a [u8]) -> Result<(), TooLong> {
        self.copied_bytes += bytes.len();
        self.piece(Piece::Copied(bytes))
    }

    /// Goes on with bytes that are kept where they are.
    pub fn reference(&mut self, bytes: Bytes) -> Result<(), TooLong> {
        self.piece(Piece::Referenced(bytes))
    }

    /// Belongs to no frame, and is forgotten, where none was begun.
    fn piece(&mut self, piece: Piece<'a>) -> Result<(), TooLong> {
        if let Some(signal) = self.signals.last_mut() {
            signal.length += piece.bytes().len();
            if signal.length > MAX_LENGTH {
                return Err(TooLong);
            }
            self.pieces.push(piece);
        }
        Ok(())
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.signals.len() as u64
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = One<'_>> {
        let ends = self.signals.iter().skip(1).map(|next| next.piece).chain([self.pieces.len()]);
        self.signals
            .iter()
            .zip(ends)
            .map(|(start, end)| One { pieces: &self.pieces[start.piece..end], length: start.length })
    }
}

impl<'a> One<'a> {
    /// Header included.
    pub(super) fn bytes(&self) -> usize {
        HEADER_BYTES + self.length
    }

    pub(super) fn body(&self) -> impl Iterator<Item = &'a [u8]> {
        self.pieces.iter().map(Piece::bytes)
    }
}

/// Chunks of consecutive frames of one lane, with small pieces that lie side by side in one chunk.
pub(super) struct Run {
    chunks: Vec<Bytes>,
    copied: BytesMut,
}

impl Run {
    /// With room for all small pieces of these signals.
    pub(super) fn new(signals: &Signals<'_>) -> Self {
        Self {
            chunks: Vec::new(),
            copied: BytesMut::with_capacity(signals.copied_bytes + HEADER_BYTES * signals.signals.len()),
        }
    }

    /// Goes on with a frame, of which some bytes are replaced.
    pub(super) fn add(&mut self, signal: One<'_>, at: Range<usize>, instead: &[u8]) {
        // Headers are never so long that this could be more than `MAX_LENGTH`: large signals come in fragments.
        self.copied.put_u32((signal.length - at.len() + instead.len()) as u32);
        let mut from = 0;
        let mut instead = Some(instead);
        for piece in signal.pieces {
            let end = from + piece.bytes().len();
            self.part(piece, 0..at.start.clamp(from, end) - from);
            if end >= at.start {
                self.copied.put_slice(instead.take().unwrap_or_default());
            }
            self.part(piece, at.end.clamp(from, end) - from..end - from);
            from = end;
        }
    }

    fn part(&mut self, piece: &Piece<'_>, range: Range<usize>) {
        match piece {
            Piece::Copied(bytes) => self.copied.put_slice(&bytes[range]),
            Piece::Referenced(_) if range.is_empty() => {}
            Piece::Referenced(bytes) => {
                self.cut();
                self.chunks.push(bytes.slice(range));
            }
        }
    }

    fn cut(&mut self) {
        if !self.copied.is_empty() {
            self.chunks.push(self.copied.split().freeze());
        }
    }

    /// Ends it.
    pub(super) fn end(&mut self) -> impl Iterator<Item = Bytes> + '_ {
        self.cut();
        self.chunks.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Signals<'static> {
        let mut signals = Signals::default();
        signals.begin();
        signals.copy(b"a").unwrap();
        signals.copy(b"bc").unwrap();
        signals.begin();
        signals.copy(b"d").unwrap();
        signals.reference(Bytes::from_static(b"large")).unwrap();
        signals.copy(b"e").unwrap();
        signals.begin();
        signals.copy(b"f").unwrap();
        signals
    }

    fn chunks(run: &mut Run) -> Vec<Vec<u8>> {
        run.end().map(|chunk| chunk.to_vec()).collect()
    }

    #[test]
    fn every_signal_has_its_own_bytes() {
        let signals = three();
        let bodies: Vec<_> = signals.iter().map(|one| (one.bytes(), one.body().collect::<Vec<_>>().concat())).collect();
        assert_eq!(bodies, [(7, b"abc".to_vec()), (11, b"dlargee".to_vec()), (5, b"f".to_vec())]);
    }

    #[test]
    fn small_pieces_side_by_side_are_one_chunk() {
        let signals = three();
        let mut run = Run::new(&signals);
        signals.iter().for_each(|one| run.add(one, 0..0, &[]));
        assert_eq!(chunks(&mut run), [&b"\0\0\0\x03abc\0\0\0\x07d"[..], b"large", b"e\0\0\0\x01f"]);
    }

    #[test]
    fn bytes_are_replaced_wherever_pieces_end() {
        let signals = three();
        let whole = b"dlargee";
        let large = signals.iter().nth(1).unwrap();
        for start in 0..=whole.len() {
            for end in start..=whole.len() {
                let mut run = Run::new(&signals);
                run.add(large, start..end, b"new");
                let expected = [&whole[..start], b"new", &whole[end..]].concat();
                let header = (expected.len() as u32).to_be_bytes();
                assert_eq!(chunks(&mut run).concat(), [&header[..], &expected].concat());
            }
        }
    }

    #[test]
    fn too_long_a_frame_is_refused() {
        let mut signals = Signals::default();
        signals.begin();
        assert_eq!(signals.reference(Bytes::from(vec![0; MAX_LENGTH])), Ok(()));
        assert_eq!(signals.copy(b"1"), Err(TooLong));
    }
}
