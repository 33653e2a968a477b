// SPDX-License-Identifier: Apache-2.0
//! Frames between Erlang terms and bytes.

use barrel_p2p_node::Batch;
use bytes::{BufMut, Bytes, BytesMut};
use rustler::{Binary, Env, Error, ListIterator, NewBinary, NifResult, OwnedEnv, Term};
use std::sync::Arc;

/// Binaries of at least this size are referenced, smaller ones are copied. Below it, holding the reference costs more than the copy.
const REFERENCE_FROM_BYTES: usize = 8 * 1024;

/// Room for the small pieces of one call, which grows when needed.
const COPY_BYTES: usize = 4 * 1024;

/// Whole frames, ready for the outbox.
pub(crate) struct Frames {
    pub(crate) count: u64,
    pub(crate) chunks: Vec<Bytes>,
}

/// Reads a list of frames, each a binary or a list of binaries, and puts a length in front of each.
pub(crate) fn from_terms(frames: ListIterator<'_>) -> NifResult<Frames> {
    let mut writer = Writer { chunks: Vec::new(), small: BytesMut::with_capacity(COPY_BYTES), held: None };
    let mut count = 0;
    for frame in frames {
        writer.frame(frame)?;
        count += 1;
    }
    writer.flush();
    Ok(Frames { count, chunks: writer.chunks })
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

struct Writer {
    chunks: Vec<Bytes>,
    small: BytesMut,
    /// Keeps the referenced binaries of this call alive.
    held: Option<Arc<OwnedEnv>>,
}

impl Writer {
    fn frame(&mut self, frame: Term<'_>) -> NifResult<()> {
        if frame.is_binary() {
            let binary: Binary<'_> = frame.decode()?;
            self.header(binary.len())?;
            return self.piece(binary);
        }
        let pieces = || frame.decode::<ListIterator<'_>>();
        let length =
            pieces()?.try_fold(0, |sum, piece| piece.decode::<Binary<'_>>().map(|binary| sum + binary.len()))?;
        self.header(length)?;
        pieces()?.map(|piece| piece.decode()).try_for_each(|binary| self.piece(binary?))
    }

    fn header(&mut self, length: usize) -> NifResult<()> {
        let length = u32::try_from(length).map_err(|_| Error::BadArg)?;
        self.small.put_u32(length);
        Ok(())
    }

    fn piece(&mut self, binary: Binary<'_>) -> NifResult<()> {
        if binary.len() < REFERENCE_FROM_BYTES {
            self.small.put_slice(&binary);
            return Ok(());
        }
        self.flush();
        let env = self.held.get_or_insert_with(Arc::default).clone();
        self.chunks.push(Bytes::from_owner(Referenced::new(env, &binary)?));
        Ok(())
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(self.small.split().freeze());
        }
    }
}

/// The bytes of an Erlang binary, kept alive by a reference in an environment of ours.
struct Referenced {
    bytes: *const u8,
    length: usize,
    _env: Arc<OwnedEnv>,
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
        Ok(Self { bytes, length, _env: env })
    }
}

impl AsRef<[u8]> for Referenced {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: see `Send`; pointer and length come from the binary that `_env` keeps alive.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}
