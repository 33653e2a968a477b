// SPDX-License-Identifier: Apache-2.0
//! Cuts a stream of bytes into records: `Kind:8, Length:24/big, Body:Length/bytes`. A frame (kind 0) of length 0 is a tick. The other kinds are
//! about the order of lanes, see [`super::record`].
//!
//! Pure: bytes in, whole records out. A frame is handed on in the pieces it arrived in, so nothing is copied here and nothing is
//! allocated by the length a peer claims.

use super::record::{self, Record, HEADER_BYTES, LANE_MARK_BYTES};
use barrel_p2p_dist::lanes::{Mark, MAX_LANES};
use bytes::{Buf, Bytes};

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

impl Batch {
    /// Bytes of frames that are not ticks: what a lane's position counts.
    pub(crate) fn position_bytes(&self) -> u64 {
        self.bytes as u64 - self.ticks * HEADER_BYTES as u64
    }

    /// Adds what came after.
    pub(crate) fn append(&mut self, mut more: Self) {
        self.pieces.append(&mut more.pieces);
        self.bytes += more.bytes;
        self.frames += more.frames;
        self.ticks += more.ticks;
    }
}

/// What a stream was cut into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The peer has been given so much of what we sent.
    Delivered(Vec<Mark>),
    Frames(Batch),
    /// What follows in this stream waits for these.
    Wait(Vec<Mark>),
}

/// Not what our peers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("frame of {claimed} bytes")]
    FrameTooLarge { claimed: usize },
    #[error("record of kind {kind} with {length} bytes")]
    Record { kind: u8, length: usize },
}

/// The state between two reads.
#[derive(Debug)]
pub(crate) struct Framer {
    max_frame_bytes: usize,
    items: Vec<Item>,
    batch: Batch,
    /// Pieces of the frame that is not complete yet, header included.
    partial: Vec<Bytes>,
    header: [u8; HEADER_BYTES],
    header_len: usize,
    body_left: usize,
    /// The body so far of a record that is not a frame.
    marks: Option<(Record, Vec<u8>)>,
}

impl Framer {
    /// Before the first byte.
    pub(crate) fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            items: Vec::new(),
            batch: Batch::default(),
            partial: Vec::new(),
            header: [0; HEADER_BYTES],
            header_len: 0,
            body_left: 0,
            marks: None,
        }
    }

    /// Feeds bytes in stream order.
    pub(crate) fn push(&mut self, mut chunk: Bytes) -> Result<(), Malformed> {
        let mut scanned = 0;
        let mut complete = 0;
        while scanned < chunk.len() {
            if self.header_len < HEADER_BYTES {
                self.header[self.header_len] = chunk[scanned];
                self.header_len += 1;
                scanned += 1;
                if self.header_len < HEADER_BYTES {
                    continue;
                }
                if self.begin()? {
                    // The frames before it are whole, and of itself nothing is kept but the marks.
                    self.keep(&mut chunk, complete);
                    self.partial.clear();
                    chunk.advance(scanned - complete);
                    (scanned, complete) = (0, 0);
                }
            } else if let Some((_, marks)) = &mut self.marks {
                let step = self.body_left.min(chunk.len());
                marks.extend_from_slice(&chunk.split_to(step));
                self.body_left -= step;
            } else {
                let step = self.body_left.min(chunk.len() - scanned);
                scanned += step;
                self.body_left -= step;
            }
            if self.header_len == HEADER_BYTES && self.body_left == 0 {
                self.header_len = 0;
                match self.marks.take() {
                    Some((record, body)) => self.end(record, &body),
                    None => {
                        self.batch.frames += 1;
                        complete = scanned;
                    }
                }
            }
        }
        self.keep(&mut chunk, complete);
        if !chunk.is_empty() {
            self.partial.push(chunk);
        }
        Ok(())
    }

    /// The records that were completed since the last call.
    pub(crate) fn take(&mut self) -> Vec<Item> {
        self.end_batch();
        std::mem::take(&mut self.items)
    }

    /// A header is complete. True when it is not that of a frame.
    fn begin(&mut self) -> Result<bool, Malformed> {
        let [kind, a, b, c] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        self.body_left = length;
        let Some(record) = Record::from_wire(kind) else { return Err(Malformed::Record { kind, length }) };
        if record == Record::Frame {
            if length > self.max_frame_bytes {
                return Err(Malformed::FrameTooLarge { claimed: length });
            }
            self.batch.ticks += u64::from(length == 0);
            return Ok(false);
        }
        if length == 0 || !length.is_multiple_of(LANE_MARK_BYTES) || length > MAX_LANES * LANE_MARK_BYTES {
            return Err(Malformed::Record { kind, length });
        }
        self.marks = Some((record, Vec::new()));
        Ok(true)
    }

    fn end(&mut self, record: Record, body: &[u8]) {
        self.end_batch();
        let marks = record::marks(body).collect();
        self.items.push(if record == Record::Wait { Item::Wait(marks) } else { Item::Delivered(marks) });
    }

    /// Moves whole frames to the batch.
    fn keep(&mut self, chunk: &mut Bytes, complete: usize) {
        if complete > 0 {
            for piece in self.partial.drain(..) {
                self.batch.bytes += piece.len();
                self.batch.pieces.push(piece);
            }
            self.batch.bytes += complete;
            self.batch.pieces.push(chunk.split_to(complete));
        }
    }

    fn end_batch(&mut self) {
        if self.batch.frames > 0 {
            self.items.push(Item::Frames(std::mem::take(&mut self.batch)));
        }
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

    fn take(framer: &mut Framer) -> Batch {
        let mut all = Batch::default();
        for item in framer.take() {
            match item {
                Item::Frames(batch) => all.append(batch),
                Item::Delivered(_) | Item::Wait(_) => panic!("nobody sent {item:?}"),
            }
        }
        all
    }

    fn flat(batch: &Batch) -> Vec<u8> {
        batch.pieces.concat()
    }

    #[test]
    fn a_split_frame_waits_for_its_end() {
        let mut framer = Framer::new(MAX);
        framer.push(Bytes::from_static(&[0, 0, 0])).unwrap();
        assert_eq!(take(&mut framer), Batch::default());
        framer.push(Bytes::from_static(&[2, 7])).unwrap();
        assert_eq!(take(&mut framer), Batch::default());
        framer.push(Bytes::from_static(&[8, 0, 0, 0, 0, 0])).unwrap();
        let batch = take(&mut framer);
        assert_eq!(flat(&batch), [0, 0, 0, 2, 7, 8, 0, 0, 0, 0]);
        assert_eq!((batch.bytes, batch.frames, batch.ticks), (10, 2, 1));
        assert_eq!(framer.partial.concat(), [0]);
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_before_its_body() {
        let claimed = u32::try_from(MAX).unwrap() + 1;
        let refused = Framer::new(MAX).push(Bytes::copy_from_slice(&claimed.to_be_bytes()));
        assert_eq!(refused, Err(Malformed::FrameTooLarge { claimed: claimed as usize }));
    }

    #[test]
    fn marks_stand_between_the_frames_of_any_cut() {
        let marks = [Mark { lane: 0, position: 7 }, Mark { lane: 3, position: u64::MAX }];
        let mut bytes = frame(b"one");
        bytes.extend(record::encode(Record::Wait, marks));
        bytes.extend(frame(b"two"));
        bytes.extend(record::encode(Record::Delivered, [marks[0]]));
        for cut in 1..=bytes.len() {
            let mut framer = Framer::new(MAX);
            bytes.chunks(cut).for_each(|chunk| framer.push(Bytes::copy_from_slice(chunk)).unwrap());
            let items = framer.take();
            let [Item::Frames(one), Item::Wait(waits), Item::Frames(two), Item::Delivered(delivered)] = &items[..]
            else {
                panic!("{items:?}")
            };
            assert_eq!((flat(one), flat(two)), (frame(b"one"), frame(b"two")));
            assert_eq!((&waits[..], &delivered[..]), (&marks[..], &marks[..1]));
        }
    }

    #[test]
    fn records_of_no_meaning_are_refused_before_their_body() {
        for header in [[9, 0, 0, 9], [1, 0, 0, 0], [1, 0, 0, 8], [2, 0, 4, 0]] {
            assert!(Framer::new(MAX).push(Bytes::copy_from_slice(&header)).is_err(), "{header:?}");
        }
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
                let batch = take(&mut framer);
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
            prop_assert!(held + take(&mut framer).bytes <= fed);
        }
    }
}
