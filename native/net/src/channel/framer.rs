// SPDX-License-Identifier: Apache-2.0
//! Cuts a stream of bytes into frames: `Len:32/big, Frame:Len/bytes`. A frame of length 0 is a tick.
//!
//! Pure: bytes in, whole frames out. A frame is handed on in the pieces it arrived in, so nothing is copied here and nothing is
//! allocated by the length a peer claims.

use bytes::Bytes;

/// Bytes of the length prefix of each frame.
pub(crate) const FRAME_HEADER_BYTES: usize = 4;

/// Whole frames, headers included, in the pieces they arrived in.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The bytes, in order.
    pub pieces: Vec<Bytes>,
    /// Sum of the lengths of all pieces.
    pub bytes: usize,
    /// Frames in this batch, ticks included.
    pub frames: u64,
    /// Ticks among them.
    pub ticks: u64,
}

/// A frame claims to be longer than its channel allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame of {claimed} bytes")]
pub struct FrameTooLarge {
    /// The length that the frame's header claims.
    pub claimed: u32,
}

/// The state between two reads.
#[derive(Debug)]
pub struct Framer {
    max_frame_bytes: usize,
    batch: Batch,
    /// Pieces of the frame that is not complete yet, header included.
    partial: Vec<Bytes>,
    header: [u8; FRAME_HEADER_BYTES],
    header_len: usize,
    body_left: usize,
}

impl Framer {
    /// Before the first byte.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            batch: Batch::default(),
            partial: Vec::new(),
            header: [0; FRAME_HEADER_BYTES],
            header_len: 0,
            body_left: 0,
        }
    }

    /// Feeds bytes in stream order.
    pub fn push(&mut self, mut chunk: Bytes) -> Result<(), FrameTooLarge> {
        let mut scanned = 0;
        let mut complete = 0;
        while scanned < chunk.len() {
            if self.header_len < FRAME_HEADER_BYTES {
                self.header[self.header_len] = chunk[scanned];
                self.header_len += 1;
                scanned += 1;
                if self.header_len < FRAME_HEADER_BYTES {
                    continue;
                }
                let claimed = u32::from_be_bytes(self.header);
                if claimed as usize > self.max_frame_bytes {
                    return Err(FrameTooLarge { claimed });
                }
                self.body_left = claimed as usize;
                self.batch.ticks += u64::from(claimed == 0);
            } else {
                let step = self.body_left.min(chunk.len() - scanned);
                scanned += step;
                self.body_left -= step;
            }
            if self.header_len == FRAME_HEADER_BYTES && self.body_left == 0 {
                self.header_len = 0;
                self.batch.frames += 1;
                complete = scanned;
            }
        }
        if complete > 0 {
            for piece in self.partial.drain(..) {
                self.batch.bytes += piece.len();
                self.batch.pieces.push(piece);
            }
            self.batch.bytes += complete;
            self.batch.pieces.push(chunk.split_to(complete));
        }
        if !chunk.is_empty() {
            self.partial.push(chunk);
        }
        Ok(())
    }

    /// The whole frames fed since the last call.
    pub fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 1000;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    fn flat(batch: &Batch) -> Vec<u8> {
        batch.pieces.concat()
    }

    #[test]
    fn a_split_frame_waits_for_its_end() {
        let mut framer = Framer::new(MAX);
        framer.push(Bytes::from_static(&[0, 0, 0])).unwrap();
        assert_eq!(framer.take(), Batch::default());
        framer.push(Bytes::from_static(&[2, 7])).unwrap();
        assert_eq!(framer.take(), Batch::default());
        framer.push(Bytes::from_static(&[8, 0, 0, 0, 0, 0])).unwrap();
        let batch = framer.take();
        assert_eq!(flat(&batch), [0, 0, 0, 2, 7, 8, 0, 0, 0, 0]);
        assert_eq!((batch.bytes, batch.frames, batch.ticks), (10, 2, 1));
        assert_eq!(framer.partial.concat(), [0]);
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_before_its_body() {
        let claimed = u32::try_from(MAX).unwrap() + 1;
        let refused = Framer::new(MAX).push(Bytes::copy_from_slice(&claimed.to_be_bytes()));
        assert_eq!(refused, Err(FrameTooLarge { claimed }));
    }

    fn cases() -> u32 {
        std::env::var("BARREL_P2P_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases()))]

        #[test]
        fn any_cut_gives_the_same_frames(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            cuts in prop::collection::vec(1usize..30, 0..60),
        ) {
            let sent: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
            let mut framer = Framer::new(MAX);
            let (mut got, mut frames, mut ticks) = (Vec::new(), 0, 0);
            let mut rest = Bytes::from(sent.clone());
            let mut cuts = cuts.into_iter();
            while !rest.is_empty() {
                let cut = cuts.next().unwrap_or(usize::MAX).min(rest.len());
                framer.push(rest.split_to(cut)).unwrap();
                let batch = framer.take();
                prop_assert_eq!(batch.bytes, flat(&batch).len());
                got.extend(flat(&batch));
                frames += batch.frames;
                ticks += batch.ticks;
            }
            prop_assert_eq!(got, sent);
            prop_assert_eq!(frames, bodies.len() as u64);
            prop_assert_eq!(ticks, bodies.iter().filter(|body| body.is_empty()).count() as u64);
        }

        #[test]
        fn any_bytes_neither_panic_nor_grow(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..16)) {
            let mut framer = Framer::new(MAX);
            let fed: usize = chunks.iter().map(Vec::len).sum();
            for chunk in chunks {
                if framer.push(Bytes::from(chunk)).is_err() {
                    break;
                }
            }
            let held: usize = framer.partial.iter().map(Bytes::len).sum();
            prop_assert!(held + framer.take().bytes <= fed);
        }
    }
}
