// SPDX-License-Identifier: Apache-2.0
//! Small messages go twice over a network that loses packets.
//!
//! A lost packet costs whoever waits for it a round trip and more, since the sender has to find out first. What is written to the light lane
//! of a channel is little, so while packets get lost its bytes follow once more in a datagram of their own, a moment later. Whichever comes
//! first counts; the stream remains the truth, and lacks nothing when no copy arrives.
//!
//! A copy on the wire: channel number (4 bytes), position of the first byte in the light lane (8), bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quinn::Connection;
use std::collections::VecDeque;
use std::future::Future;
use std::task::Waker;

/// Bytes of a lane that are copied at once. With everything around them they fit into the smallest packet that QUIC knows (1,200 bytes); who
/// writes more in a moment has something behind it that tells of a loss soon enough.
const MOST_BYTES: usize = 1_000;

/// Copies that wait for the reader of the lane, and the oldest goes when one more comes. As the reader is there at once, this is for a peer that
/// sends them without reason.
const MOST_WAITING: usize = 16;

/// Where there is more to send than the path carries, copies are at most one part in so many of all that is sent: they must not take the
/// place of the messages themselves.
const SHARE: u64 = 4;

/// Of what was sent and not used for copies, so much is kept.
const MOST_SAVED_BYTES: u64 = 16 * 1024;

const NUMBER_BYTES: usize = 4;
const POSITION_BYTES: usize = 8;

/// What was written to the light lane and has no copy yet. It gets one when it has waited through a whole turn: what was written just now may
/// not be on its way yet, and would share a packet with its copy.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Of the next byte to be written.
    position: u64,
    /// Since the last turn, and in the one before.
    new: Part,
    old: Part,
}

#[derive(Debug, Default)]
struct Part {
    bytes: BytesMut,
    /// Too much was written to copy it.
    is_much: bool,
}

impl Written {
    /// Counts bytes of which no copy is wanted.
    pub(super) fn skip(&mut self, bytes: usize) {
        *self = Self { position: self.position + bytes as u64, ..Self::default() };
    }

    /// Adds the first `bytes` of these chunks.
    pub(super) fn add(&mut self, chunks: &[Bytes], bytes: usize) {
        self.position += bytes as u64;
        let part = &mut self.new;
        part.is_much |= part.bytes.len() + bytes > MOST_BYTES;
        if part.is_much {
            part.bytes.clear();
            return;
        }
        let mut left = bytes;
        for chunk in chunks {
            let length = left.min(chunk.len());
            part.bytes.put_slice(&chunk[..length]);
            left -= length;
        }
    }

    /// Nothing waits for a copy.
    pub(super) fn is_empty(&self) -> bool {
        self.new.bytes.is_empty() && self.old.bytes.is_empty() && !self.new.is_much
    }

    /// Ends a turn, and makes the copy of what was written before it.
    pub(super) fn take(&mut self, number: [u8; NUMBER_BYTES]) -> Option<Bytes> {
        let new = std::mem::take(&mut self.new);
        let Part { bytes, .. } = std::mem::replace(&mut self.old, new);
        // Behind these bytes stand those of the last turn, of which the length is not known when they were much.
        if bytes.is_empty() || self.old.is_much {
            return None;
        }
        let mut copy = BytesMut::with_capacity(NUMBER_BYTES + POSITION_BYTES + bytes.len());
        copy.put_slice(&number);
        copy.put_u64(self.position - (bytes.len() + self.old.bytes.len()) as u64);
        copy.put_slice(&bytes);
        Some(copy.freeze())
    }
}

/// What copies may cost.
#[derive(Debug, Default)]
pub(super) struct Budget {
    sent: u64,
    saved: u64,
}

impl Budget {
    /// May a copy of `bytes` be sent? `sent` counts all bytes of the connection.
    pub(super) fn allows(&mut self, bytes: usize, sent: u64, has_room: bool) -> bool {
        let more = sent.saturating_sub(std::mem::replace(&mut self.sent, sent));
        self.saved = (self.saved + more / SHARE).min(MOST_SAVED_BYTES);
        let left = self.saved.checked_sub(bytes as u64);
        self.saved = left.unwrap_or(self.saved);
        left.is_some() || has_room
    }
}

/// A part of a light lane that came as a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    position: u64,
    bytes: Bytes,
}

impl Copy {
    /// Of which channel, and the copy. `None` for what is none.
    pub(crate) fn parse(mut datagram: Bytes) -> Option<(u32, Self)> {
        if datagram.len() <= NUMBER_BYTES + POSITION_BYTES {
            return None;
        }
        let (number, position) = (datagram.get_u32(), datagram.get_u64());
        Some((number, Self { position, bytes: datagram }))
    }
}

/// Copies that have arrived.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    copies: VecDeque<Copy>,
    reader: Option<Waker>,
}

impl Arrived {
    /// Adds one, and says whom to wake.
    pub(super) fn push(&mut self, copy: Copy) -> Option<Waker> {
        if self.copies.len() == MOST_WAITING {
            self.copies.pop_front();
        }
        self.copies.push_back(copy);
        self.reader.take()
    }

    /// The next one. Without one, `reader` is woken when it comes.
    pub(super) fn next(&mut self, reader: &Waker) -> Option<Copy> {
        let copy = self.copies.pop_front();
        if copy.is_none() && !self.reader.as_ref().is_some_and(|known| known.will_wake(reader)) {
            self.reader = Some(reader.clone());
        }
        copy
    }
}

/// Waits for `hello`, and throws away what a stranger sends for copies meanwhile: a small one keeps the whole packet that it came in.
pub(crate) async fn discard_while<T>(connection: &Connection, hello: impl Future<Output = T>) -> T {
    let discard = async {
        while connection.read_datagram().await.is_ok() {}
        std::future::pending::<()>().await;
    };
    tokio::pin!(hello);
    tokio::select! {
        result = &mut hello => result,
        () = discard => hello.await,
    }
}

/// Makes one sequence of bytes of a stream and the copies of its parts.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// Bytes that came, in either way.
    position: u64,
    /// Bytes that the stream brought.
    of_stream: u64,
}

impl Merge {
    /// What is new of the next piece of the stream.
    pub(super) fn stream(&mut self, mut piece: Bytes) -> Bytes {
        let known = self.position - self.of_stream;
        self.of_stream += piece.len() as u64;
        self.position = self.position.max(self.of_stream);
        piece.advance(usize::try_from(known).map_or(piece.len(), |known| known.min(piece.len())));
        piece
    }

    /// What is new of a copy, when nothing between is missing.
    pub(super) fn copy(&mut self, Copy { position, mut bytes }: Copy) -> Option<Bytes> {
        let known = usize::try_from(self.position.checked_sub(position)?).ok()?;
        if known >= bytes.len() {
            return None;
        }
        bytes.advance(known);
        self.position += bytes.len() as u64;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NUMBER: [u8; NUMBER_BYTES] = [0, 0, 0, 7];

    fn copy_of(written: &mut Written) -> Option<(u32, Copy)> {
        written.take(NUMBER).map(|datagram| Copy::parse(datagram).expect("a copy"))
    }

    fn copy(position: u64, bytes: &'static [u8]) -> Copy {
        Copy { position, bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn what_has_waited_through_a_turn_is_copied() {
        let mut written = Written::default();
        written.skip(100);
        written.add(&[Bytes::from_static(b"ab"), Bytes::from_static(b"cde")], 4);
        written.add(&[Bytes::from_static(b"ef")], 2);
        assert_eq!(copy_of(&mut written), None);
        written.add(&[Bytes::from_static(b"g")], 1);
        assert_eq!(copy_of(&mut written), Some((7, copy(100, b"abcdef"))));
        assert!(!written.is_empty());
        assert_eq!(copy_of(&mut written), Some((7, copy(106, b"g"))));
        assert!(written.is_empty());
        assert_eq!(copy_of(&mut written), None);
    }

    #[test]
    fn much_is_not_copied_nor_what_comes_with_it() {
        let mut written = Written::default();
        written.add(&[Bytes::from_static(b"before")], 6);
        written.add(&[Bytes::from_static(&[0; MOST_BYTES])], MOST_BYTES);
        written.add(&[Bytes::from_static(b"after")], 5);
        assert_eq!(copy_of(&mut written), None);
        written.add(&[Bytes::from_static(&[0; MOST_BYTES])], MOST_BYTES);
        assert_eq!(copy_of(&mut written), None);
        let position = 11 + MOST_BYTES as u64;
        assert_eq!(
            copy_of(&mut written).map(|(_, copy)| (copy.position, copy.bytes.len())),
            Some((position, MOST_BYTES))
        );
    }

    #[test]
    fn a_copy_stands_in_for_the_stream_only_where_nothing_is_missing() {
        let mut merge = Merge::default();
        assert_eq!(merge.copy(copy(1, b"bc")), None);
        assert_eq!(merge.copy(copy(0, b"ab")), Some(Bytes::from_static(b"ab")));
        assert_eq!(merge.copy(copy(1, b"bcd")), Some(Bytes::from_static(b"cd")));
        assert_eq!(merge.copy(copy(0, b"abcd")), None);
        assert_eq!(merge.stream(Bytes::from_static(b"abc")), Bytes::new());
        assert_eq!(merge.stream(Bytes::from_static(b"def")), Bytes::from_static(b"ef"));
        assert_eq!(merge.copy(copy(5, b"f")), None);
    }

    #[test]
    fn a_peer_cannot_fill_the_memory_with_copies() {
        let mut arrived = Arrived::default();
        for position in 0..100 {
            arrived.push(copy(position, b"x"));
        }
        assert_eq!(arrived.copies.len(), MOST_WAITING);
        assert_eq!(arrived.next(Waker::noop()), Some(copy(100 - MOST_WAITING as u64, b"x")));
    }

    #[test]
    fn on_a_path_that_is_full_copies_have_a_share() {
        let mut budget = Budget::default();
        assert!(!budget.allows(100, 100, false));
        assert!(budget.allows(100, 400, false));
        assert!(!budget.allows(100, 500, false));
        assert!(budget.allows(1_000, 500, true));
        let steps = (1..=100).filter(|step| budget.allows(500, step * 1_000, false)).count();
        assert!((49..=51).contains(&steps), "{steps}");
    }

    #[test]
    fn what_is_too_short_is_no_copy() {
        assert_eq!(Copy::parse(Bytes::from_static(&[0; NUMBER_BYTES + POSITION_BYTES])), None);
    }

    proptest! {
        #[test]
        fn any_mixture_of_stream_and_copies_gives_the_bytes_in_order(
            steps in prop::collection::vec((any::<bool>(), 0usize..200, 1usize..40), 1..80),
        ) {
            let bytes = Bytes::from((0..=255u8).cycle().take(300).collect::<Vec<_>>());
            let (mut merge, mut streamed, mut got) = (Merge::default(), 0, Vec::new());
            for (is_copy, from, length) in steps {
                let from = if is_copy { from } else { streamed };
                let part = bytes.slice(from.min(300)..(from + length).min(300));
                if !is_copy {
                    streamed += part.len();
                    got.extend_from_slice(&merge.stream(part));
                } else if let Some(new) = merge.copy(Copy { position: from as u64, bytes: part }) {
                    got.extend_from_slice(&new);
                }
                prop_assert_eq!(&got[..], &bytes[..got.len()]);
                prop_assert!(got.len() >= streamed);
            }
        }

        #[test]
        fn any_copy_from_a_peer_is_harmless(position in any::<u64>(), length in 0usize..50) {
            let mut merge = Merge { position: 20, of_stream: 10 };
            let _ = merge.copy(Copy { position, bytes: Bytes::from(vec![0; length]) });
            prop_assert!(merge.position <= 70);
            merge.stream(Bytes::from_static(&[0; 100]));
        }
    }
}
