// SPDX-License-Identifier: Apache-2.0
//! Messages in and out of a channel's bytes.

use barrel_p2p_base::DecodeError;
use barrel_p2p_net::Batch;
use barrel_p2p_proto::Message;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::VecDeque;

/// One message as a frame, length first.
pub(crate) fn seal(message: &Message) -> [Bytes; 2] {
    let body = message.encode();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [Bytes::copy_from_slice(&length.to_be_bytes()), Bytes::from(body)]
}

/// The messages of a batch up to the first frame that is none. Each frame gets bytes of its own: a small payload that the stack remembers
/// must not keep a whole receive buffer alive.
pub(crate) fn open(batch: Batch) -> (Vec<Message>, Result<(), DecodeError>) {
    let mut pieces = VecDeque::from(batch.pieces);
    let mut messages = Vec::new();
    while let Some(frame) = take(&mut pieces, 4).and_then(|mut length| take(&mut pieces, length.get_u32() as usize)) {
        // A tick: gossip needs none, and none does harm.
        if frame.is_empty() {
            continue;
        }
        match Message::decode(&frame) {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, Err(error)),
        }
    }
    (messages, Ok(()))
}

/// Copies bytes out; `None` at the end. A batch has whole frames only, so as many bytes as a length says do follow it.
fn take(pieces: &mut VecDeque<Bytes>, count: usize) -> Option<Bytes> {
    let mut taken = BytesMut::with_capacity(count);
    while taken.len() < count {
        let piece = pieces.front_mut()?;
        let step = piece.len().min(count - taken.len());
        taken.put_slice(&piece[..step]);
        piece.advance(step);
        if piece.is_empty() {
            pieces.pop_front();
        }
    }
    Some(taken.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: &[u8], cut: usize) -> Batch {
        let pieces = bytes.chunks(cut).map(Bytes::copy_from_slice).collect();
        Batch { pieces, bytes: bytes.len(), frames: 0, ticks: 0 }
    }

    #[test]
    fn messages_survive_any_cut_and_ticks_are_nothing() {
        let message = Message::Direct(Bytes::from_static(b"hello"));
        let mut bytes = seal(&message).concat();
        bytes.extend([0; 4]);
        bytes.extend(seal(&message).concat());
        for cut in 1..bytes.len() {
            assert_eq!(open(batch(&bytes, cut)), (vec![message.clone(), message.clone()], Ok(())));
        }
    }

    #[test]
    fn what_came_before_garbage_counts() {
        let message = Message::Direct(Bytes::from_static(b"hello"));
        let mut bytes = seal(&message).concat();
        bytes.extend([0, 0, 0, 2, 0xff, 0xff]);
        let (messages, end) = open(batch(&bytes, 3));
        assert_eq!(messages, [message]);
        assert!(end.is_err());
    }
}
