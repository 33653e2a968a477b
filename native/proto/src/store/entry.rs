// SPDX-License-Identifier: Apache-2.0
//! What a store holds for one key, which of two such entries wins, and the bytes of one.
//!
//! Keeps: an entry has the same size whatever its history; key and value are within their limits; of two different
//! entries for one key exactly one wins, on every node the same.

use std::fmt;
use std::iter::repeat_n;
use std::sync::Arc;

use barrel_p2p_base::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use barrel_p2p_base::{DecodeError, NodeName, Reader, Writer};
use thiserror::Error;

use super::hash::Hash;
use crate::hlc::Timestamp;

/// A key and what was last said about it: a value, or that it was removed. A clone copies neither key nor value.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key and value in one piece: one allocation and, mostly, one cache line.
    body: Arc<[u8]>,
    /// Who wrote the value; a tombstone has none.
    origin: Option<NodeName>,
    stamp: u64,
    key_bytes: u16,
}

/// The key or the value is longer than a store takes.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a key has at most {MAX_KEY_BYTES} bytes and a value at most {MAX_VALUE_BYTES}")]
pub struct TooLarge;

impl Entry {
    /// That the key has this value.
    pub fn value(key: &[u8], value: &[u8], origin: &NodeName, stamp: Timestamp) -> Result<Self, TooLarge> {
        Self::new(key, value, Some(origin.clone()), stamp.pack())
    }

    /// That the key was removed.
    pub fn tombstone(key: &[u8], stamp: Timestamp) -> Result<Self, TooLarge> {
        Self::new(key, &[], None, stamp.pack())
    }

    fn new(key: &[u8], value: &[u8], origin: Option<NodeName>, stamp: u64) -> Result<Self, TooLarge> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(TooLarge);
        }
        let key_bytes = u16::try_from(key.len()).map_err(|_| TooLarge)?;
        // Zeros first: the only way to fill an Arc of two slices in place without unsafe code.
        let mut body: Arc<[u8]> = repeat_n(0, key.len() + value.len()).collect();
        if let Some(body) = Arc::get_mut(&mut body) {
            body[..key.len()].copy_from_slice(key);
            body[key.len()..].copy_from_slice(value);
        }
        Ok(Self { body, origin, stamp, key_bytes })
    }

    /// The tombstone that follows this entry whoever writes it: its stamp is the next one.
    pub(super) fn buried(&self) -> Self {
        let body = self.key().into();
        Self { body, origin: None, stamp: self.stamp.saturating_add(1), key_bytes: self.key_bytes }
    }

    /// The same entry with a stamp after the given one, unless it has such a stamp already.
    pub(super) fn after(mut self, stamp: u64) -> Self {
        self.stamp = self.stamp.max(stamp.saturating_add(1));
        self
    }

    /// The same entry with another handle of the same origin.
    pub(super) fn with_origin(mut self, origin: Option<NodeName>) -> Self {
        self.origin = origin;
        self
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.body[..usize::from(self.key_bytes)]
    }

    /// The value, or `None` if this is a tombstone.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.origin.is_some().then(|| &self.body[usize::from(self.key_bytes)..])
    }

    /// Who wrote the value, or `None` if this is a tombstone.
    pub fn origin(&self) -> Option<&NodeName> {
        self.origin.as_ref()
    }

    /// When it was written.
    pub fn stamp(&self) -> Timestamp {
        Timestamp::unpack(self.stamp)
    }

    pub(super) fn packed_stamp(&self) -> u64 {
        self.stamp
    }

    /// Does it win over another entry for the same key? The later stamp does; then a value over a tombstone; then the
    /// larger name of an origin. What comes last, the larger value, decides only between two lies of one origin.
    pub fn beats(&self, other: &Self) -> bool {
        (self.rank(), self.bytes()) > (other.rank(), other.bytes())
    }

    /// Does it win already by what is left when the value is taken away?
    pub(super) fn outranks(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    fn rank(&self) -> (u64, Option<&NodeName>) {
        // A tombstone has no origin, which is smaller than any.
        (self.stamp, self.origin.as_ref())
    }

    /// The entry without its value.
    pub(super) fn head(&self) -> Self {
        Self { body: self.key().into(), ..self.clone() }
    }

    /// Bytes that it takes in memory: the allocation with its two counters, and the place in the tree.
    pub(super) fn cost(&self) -> usize {
        self.body.len() + 16 + 64
    }

    /// Where the key belongs.
    pub(super) fn position(&self) -> u64 {
        position(self.key())
    }

    /// Eight bytes that tell this entry from all others. They begin with the stamp, so keys that somebody chose to share
    /// a position do not share these.
    pub fn fingerprint(&self) -> u64 {
        let hash = Hash::new().number(self.stamp).bytes(self.key());
        match (self.origin(), self.bytes()) {
            (Some(origin), Some(value)) => hash.bytes(origin.as_str().as_bytes()).bytes(value).finish(),
            _ => hash.finish(),
        }
    }

    /// How many bytes [`Entry::write`] appends.
    pub fn size(&self) -> usize {
        let value_length = if self.origin.is_some() { 4 } else { 0 };
        8 + 1 + self.origin.as_ref().map_or(0, |origin| origin.as_str().len()) + 2 + value_length + self.body.len()
    }

    /// Appends the bytes of it: stamp, origin (empty: a tombstone), key, and the value if there is one.
    pub fn write(&self, writer: &mut Writer) {
        writer.u64(self.stamp).short(self.origin.as_ref().map_or(&[], |origin| origin.as_str().as_bytes()));
        writer.u16(self.key_bytes).bytes(self.key());
        if let Some(value) = self.bytes() {
            writer.u32(value.len() as u32).bytes(value);
        }
    }

    /// Reads what [`Entry::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let stamp = reader.u64()?;
        let offset = reader.offset();
        let origin = match reader.short()? {
            [] => None,
            name => Some(NodeName::parse(name).map_err(|_| DecodeError::BadValue { offset })?),
        };
        let key_bytes = reader.u16()?;
        let key = reader.take(usize::from(key_bytes))?;
        let mut value: &[u8] = &[];
        if origin.is_some() {
            let value_bytes = reader.u32()?;
            value = reader.take(value_bytes as usize)?;
        }
        Self::new(key, value, origin, stamp).map_err(|_| DecodeError::BadValue { offset })
    }
}

impl fmt::Debug for Entry {
    /// Lengths only: contents are the application's, and private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, stamp, key_bytes, .. } = self;
        match (origin, self.bytes()) {
            (Some(origin), Some(value)) => write!(f, "<{key_bytes}b = {}b by {origin} at {stamp}>", value.len()),
            _ => write!(f, "<{key_bytes}b removed at {stamp}>"),
        }
    }
}

/// Where a key belongs among all: the store is ordered by these.
pub(super) fn position(key: &[u8]) -> u64 {
    Hash::new().bytes(key).finish()
}
