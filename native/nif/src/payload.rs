// SPDX-License-Identifier: Apache-2.0
//! Frames between Erlang terms and bytes.

use crate::lent;
use barrel_p2p_node::{Batch, Signals, TooLong};
use bytes::{BufMut, Bytes, BytesMut};
use rustler::{Binary, Env, Error, ListIterator, NewBinary, NifResult, OwnedEnv, Term};
use std::sync::Arc;

/// Binaries of at least this size are referenced, smaller ones are copied. Below it, holding the reference costs more than the copy.
const REFERENCE_FROM_BYTES: usize = 8 * 1024;

/// Reads a list of frames, each a binary or a list of binaries.
pub(crate) fn from_terms(frames: ListIterator<'_>) -> NifResult<Signals<'_>> {
    let mut reader = Reader { signals: Signals::default(), held: None };
    for frame in frames {
        reader.frame(frame)?;
    }
    Ok(reader.signals)
}

/// One frame, its length in front.
pub(crate) fn packet(bytes: &[u8]) -> NifResult<Bytes> {
    let length = u32::try_from(bytes.len()).map_err(|_| Error::BadArg)?;
    let mut packet = BytesMut::with_capacity(bytes.len() + 4);
    packet.put_u32(length);
    packet.put_slice(bytes);
    Ok(packet.freeze())
}

/// One binary of all frames of a batch, lengths included: the only copy on the way in.
pub(crate) fn to_binary<'a>(env: Env<'a>, batch: &Batch) -> Term<'a> {
    let mut binary = NewBinary::new(env, batch.bytes);
    let mut at = 0;
    for piece in &batch.pieces {
        binary.as_mut_slice()[at..at + piece.len()].copy_from_slice(piece);
        at += piece.len();
    }
    binary.into()
}

struct Reader<'a> {
    signals: Signals<'a>,
    /// Keeps the referenced binaries of this call alive.
    held: Option<Arc<OwnedEnv>>,
}

impl<'a> Reader<'a> {
    fn frame(&mut self, frame: Term<'a>) -> NifResult<()> {
        self.signals.begin();
        match frame.decode::<ListIterator<'a>>() {
            Ok(mut pieces) => pieces.try_for_each(|piece| self.piece(piece)),
            Err(_) => self.piece(frame),
        }
    }

    fn piece(&mut self, piece: Term<'a>) -> NifResult<()> {
        let binary: Binary<'a> = piece.decode()?;
        let added = if binary.len() < REFERENCE_FROM_BYTES {
            self.signals.copy(binary.as_slice())
        } else {
            let env = self.held.get_or_insert_with(Arc::default).clone();
            self.signals.reference(Bytes::from_owner(Referenced::new(env, &binary)?))
        };
        added.map_err(|TooLong| Error::BadArg)
    }
}

/// The bytes of an Erlang binary, kept alive by a reference in an environment of ours.
struct Referenced {
    bytes: *const u8,
    length: usize,
    env: Option<Arc<OwnedEnv>>,
}

impl Drop for Referenced {
    fn drop(&mut self) {
        if let Some(env) = self.env.take().and_then(Arc::into_inner) {
            lent::done_with(env);
        }
    }
}

// SAFETY: the bytes of a reference-counted binary never move and never change while a term refers to it; the term lives in an
// environment that only this value (and its siblings from the same call) holds, and that may be freed on any thread.
unsafe impl Send for Referenced {}
// SAFETY: as above; the bytes are only read.
unsafe impl Sync for Referenced {}

impl Referenced {
    fn new(env: Arc<OwnedEnv>, binary: &Binary<'_>) -> NifResult<Self> {
        let (bytes, length) = env.run(|owned| {
            let reference: Binary<'_> = binary.to_term(owned).decode()?;
            Ok::<_, Error>((reference.as_ptr(), reference.len()))
        })?;
        Ok(Self { bytes, length, env: Some(env) })
    }
}

impl AsRef<[u8]> for Referenced {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: see `Send`; pointer and length come from the binary that `env` keeps alive.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}
