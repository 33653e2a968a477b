// SPDX-License-Identifier: Apache-2.0
//! Bytes in and out, big-endian.
//!
//! Keeps: a [`Reader`] only hands out slices of what is there, so a length that a peer claims is compared with the
//! input before anything is done with it and can never become an allocation.

use thiserror::Error;

/// Why bytes were refused, and at which offset of the input.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The value at this offset is not one that the format knows.
    #[error("unknown value at byte {offset}")]
    BadValue {
        /// Where the value begins.
        offset: usize,
    },
    /// More bytes follow where the message should have ended.
    #[error("trailing bytes at byte {offset}")]
    Trailing {
        /// Where the surplus begins.
        offset: usize,
    },
    /// The input ends before the field that begins at this offset does.
    #[error("truncated field at byte {offset}")]
    Truncated {
        /// Where the field begins.
        offset: usize,
    },
}

/// A cursor over input that is not to be trusted.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next `N` bytes, copied.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let offset = self.offset;
        self.take(N)?.try_into().map_err(|_| DecodeError::Truncated { offset })
    }

    /// The next `count` bytes, borrowed.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.input.get(self.offset..).unwrap_or_default();
        let taken = rest.get(..count).ok_or(DecodeError::Truncated { offset: self.offset })?;
        self.offset += count;
        Ok(taken)
    }

    /// A one-byte length and that many bytes, borrowed.
    pub fn short(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = self.u8()?;
        self.take(usize::from(count))
    }

    /// How many bytes were read so far.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Ends the message: nothing may be left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.offset == self.input.len() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { offset: self.offset })
        }
    }
}

/// Builds what a [`Reader`] reads.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    output: Vec<u8>,
}

impl Writer {
    /// Starts empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// The bytes as they are, without a length.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.output.extend_from_slice(bytes);
        self
    }

    /// A one-byte length and the bytes. Bytes beyond the 255th are cut: callers write validated, shorter values.
    pub fn short(&mut self, bytes: &[u8]) -> &mut Self {
        let count = u8::try_from(bytes.len()).unwrap_or_else(|_| {
            debug_assert!(false, "short field of {} bytes", bytes.len());
            u8::MAX
        });
        self.u8(count).bytes(&bytes[..usize::from(count)])
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_written() {
        let mut writer = Writer::new();
        writer.u8(1).u16(2).u64(4).short(b"five").bytes(b"6");
        let bytes = writer.finish();
        assert_eq!(bytes, *b"\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x04\x04five6");

        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u64(), Ok(4));
        assert_eq!(reader.short(), Ok(&b"five"[..]));
        assert_eq!(reader.array(), Ok(*b"6"));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_short_input_is_truncated_where_the_field_begins() {
        let mut reader = Reader::new(b"\x00\x09abc");
        assert_eq!(reader.u8(), Ok(0));
        assert_eq!(reader.short(), Err(DecodeError::Truncated { offset: 2 }));
        assert_eq!(reader.u64(), Err(DecodeError::Truncated { offset: 2 }));
        assert_eq!(reader.take(usize::MAX), Err(DecodeError::Truncated { offset: 2 }));
        assert_eq!(reader.take(3), Ok(&b"abc"[..]));
    }

    #[test]
    fn surplus_bytes_are_refused() {
        let mut reader = Reader::new(b"ab");
        assert_eq!(reader.u8(), Ok(b'a'));
        assert_eq!(reader.finish(), Err(DecodeError::Trailing { offset: 1 }));
    }
}
