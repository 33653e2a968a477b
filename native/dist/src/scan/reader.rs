// SPDX-License-Identifier: Apache-2.0
//! Big-endian numbers and bytes from the front of a slice.

/// There are fewer bytes than were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended;

/// What is left to read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Looks no further than so many bytes from here.
    pub(super) fn limit(&mut self, len: usize) {
        self.rest = &self.rest[..len.min(self.rest.len())];
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Ended> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Ended)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn peek(&self) -> Result<u8, Ended> {
        self.rest.first().copied().ok_or(Ended)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Ended> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Ended> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Ended> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Ended> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Ended> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Ended)?;
        self.rest = rest;
        Ok(*bytes)
    }
}
