// SPDX-License-Identifier: Apache-2.0
//! The bytes of a file: a header, then records in frames.
//!
//! ```text
//! file   = "barrelog" version:16 kind:8 0:8 checksum:32, frame*
//! frame  = 1+length:32 checksum(record):32 checksum(the two before):32 record
//! mark   = 2^32-2:32 0:32 checksum(the two before):32                before each batch of a segment but the first, and at its end
//! end    = 2^32-1:32 count:32 checksum(the two before):32            the last frame of a snapshot
//! ```
//! A mark says that what is before it was durable when it was written. No frame begins with 32 bits of zero, so that
//! none is ever found where nothing was written.
//!
//! Integers are little-endian, checksums CRC-32C. A frame's header has a checksum of its own, so that a reader that has
//! lost its way finds the next frame in one pass, and never believes a length that was not written. All but the
//! record's are seeded with the file's name ([`FileName`]).

use super::name::{FileName, Kind};
use super::MAX_RECORD_BYTES;

/// Bytes of a file's header.
pub(super) const FILE_HEADER_BYTES: usize = 16;

/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 12;

const MAGIC: &[u8; 8] = b"barrelog";
/// Version 1, without marks, was never released: its files are refused like those of any version but this one.
const VERSION: u16 = 2;
const END: u32 = u32::MAX;
const MARK: u32 = u32::MAX - 1;

/// What a frame's header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A snapshot of so many records (modulo 2^32) is complete.
    End {
        count: u32,
    },
    /// Everything before this was durable when it was written.
    Mark,
    Record {
        bytes: usize,
        checksum: u32,
    },
}

/// A file's header, as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileHeader {
    Bad,
    Good,
    /// Sound, but of a version that this code does not know.
    Newer,
}

/// What seeds the checksums of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed {
    checksum: u32,
    kind: Kind,
}

impl Seed {
    pub(super) fn new(name: FileName) -> Self {
        let checksum = crc32c::crc32c(&name.number.to_le_bytes());
        let checksum = crc32c::crc32c_append(checksum, &name.salt.to_le_bytes());
        Self { checksum: crc32c::crc32c_append(checksum, &[name.kind as u8]), kind: name.kind }
    }

    pub(super) fn write_file_header(self, buffer: &mut Vec<u8>) {
        self.write_versioned_file_header(buffer, VERSION);
    }

    /// Appends a record of at most [`MAX_RECORD_BYTES`].
    pub(super) fn write_record(self, buffer: &mut Vec<u8>, record: &[u8]) {
        self.write_header(buffer, record.len() as u32 + 1, checksum(record));
        buffer.extend_from_slice(record);
    }

    pub(super) fn write_mark(self, buffer: &mut Vec<u8>) {
        self.write_header(buffer, MARK, 0);
    }

    pub(super) fn write_end(self, buffer: &mut Vec<u8>, count: u64) {
        self.write_header(buffer, END, count as u32);
    }

    pub(super) fn read_file_header(self, bytes: &[u8; FILE_HEADER_BYTES]) -> FileHeader {
        let (fields, checksum) = bytes.split_at(12);
        if fields[..8] != MAGIC[..] || self.checksum_of(fields) != word(checksum) {
            FileHeader::Bad
        } else if u16::from_le_bytes([fields[8], fields[9]]) != VERSION {
            FileHeader::Newer
        } else {
            FileHeader::Good
        }
    }

    /// `None`: this is no header.
    pub(super) fn read_header(self, bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let (fields, checksum) = bytes.split_at(8);
        if self.checksum_of(fields) != word(checksum) {
            return None;
        }
        match (word(&fields[..4]), word(&fields[4..])) {
            (END, count) => Some(Header::End { count }),
            (MARK, _) => Some(Header::Mark),
            (0, _) => None,
            (length, checksum) => {
                let bytes = length as usize - 1;
                (bytes <= MAX_RECORD_BYTES).then_some(Header::Record { bytes, checksum })
            }
        }
    }

    pub(super) fn write_versioned_file_header(self, buffer: &mut Vec<u8>, version: u16) {
        let start = buffer.len();
        buffer.extend_from_slice(MAGIC);
        buffer.extend_from_slice(&version.to_le_bytes());
        buffer.extend_from_slice(&[self.kind as u8, 0]);
        self.seal(buffer, start);
    }

    fn write_header(self, buffer: &mut Vec<u8>, first: u32, second: u32) {
        let start = buffer.len();
        buffer.extend_from_slice(&first.to_le_bytes());
        buffer.extend_from_slice(&second.to_le_bytes());
        self.seal(buffer, start);
    }

    /// Appends the checksum of what was appended since `start`.
    fn seal(self, buffer: &mut Vec<u8>, start: usize) {
        let checksum = self.checksum_of(&buffer[start..]);
        buffer.extend_from_slice(&checksum.to_le_bytes());
    }

    fn checksum_of(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.checksum, bytes)
    }
}

/// The checksum of a record.
pub(super) fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c(record)
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: FileName = FileName { number: 7, kind: Kind::Segment, salt: 9 };

    fn file_header(version: u16) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = Vec::new();
        Seed::new(NAME).write_versioned_file_header(&mut bytes, version);
        bytes.try_into().unwrap()
    }

    fn header(record: &[u8]) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::new();
        Seed::new(NAME).write_record(&mut bytes, record);
        bytes[..HEADER_BYTES].try_into().unwrap()
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let announced = Header::Record { bytes: 5, checksum: checksum(b"hello") };
        assert_eq!(Seed::new(NAME).read_header(&header(b"hello")), Some(announced));
        let mut mark = Vec::new();
        Seed::new(NAME).write_mark(&mut mark);
        assert_eq!(Seed::new(NAME).read_header(&mark.try_into().unwrap()), Some(Header::Mark));
        let mut end = Vec::new();
        Seed::new(NAME).write_end(&mut end, (1 << 32) + 3);
        assert_eq!(Seed::new(NAME).read_header(&end.try_into().unwrap()), Some(Header::End { count: 3 }));
        assert_eq!(Seed::new(NAME).read_file_header(&file_header(VERSION)), FileHeader::Good);
    }

    #[test]
    fn any_flipped_bit_is_seen() {
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = header(b"hello");
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Seed::new(NAME).read_header(&bytes), None, "bit {bit}");
        }
        for bit in 0..FILE_HEADER_BYTES * 8 {
            let mut bytes = file_header(VERSION);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Seed::new(NAME).read_file_header(&bytes), FileHeader::Bad, "bit {bit}");
        }
    }

    #[test]
    fn what_belongs_to_another_file_is_no_header_here() {
        for name in
            [FileName { number: 8, ..NAME }, FileName { salt: 8, ..NAME }, FileName { kind: Kind::Snapshot, ..NAME }]
        {
            assert_eq!(Seed::new(name).read_header(&header(b"hello")), None, "{name}");
            assert_eq!(Seed::new(name).read_file_header(&file_header(VERSION)), FileHeader::Bad, "{name}");
        }
    }

    #[test]
    fn zeros_are_no_header_whatever_their_checksum() {
        let mut zeros = Vec::new();
        Seed::new(NAME).write_header(&mut zeros, 0, 0);
        assert_eq!(Seed::new(NAME).read_header(&zeros.try_into().unwrap()), None);
    }

    #[test]
    fn a_newer_version_is_not_taken_for_damage() {
        assert_eq!(Seed::new(NAME).read_file_header(&file_header(VERSION + 1)), FileHeader::Newer);
    }
}
