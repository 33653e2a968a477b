// SPDX-License-Identifier: Apache-2.0
//! Reading a segment or a snapshot, whatever has become of it.
//!
//! Keeps: every record whose bytes are whole is found, in the order of writing, also behind bytes that are not; nothing
//! is taken for a record that was not written as one. Needs memory for one record, reads once from start to end.

use std::io;

use bytes::Bytes;

use super::frame::{checksum, FileHeader, Header, Seed, FILE_HEADER_BYTES, HEADER_BYTES};
use super::name::{FileName, Kind};
use crate::disk::DiskFile;

/// Bytes that are read at once, unless a record is larger.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a file was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) records: u64,
    /// Where the last thing that was whole ends.
    pub(super) sound_bytes: u64,
    /// Bytes after that: what a crash has left of a last write, and zeros where nothing was written.
    pub(super) tail_bytes: u64,
    /// Bytes of the tail, up to the last one that is not zero.
    pub(super) torn_bytes: u64,
    /// Something was lost that was durable once: a mark follows bytes that are no whole record, or a snapshot has no end.
    /// Behind the last mark that is what a crash has left of a last write, any part of which may be missing.
    pub(super) is_damaged: bool,
    /// Written by a newer version, and not read.
    pub(super) is_newer: bool,
}

/// Reads a whole file and hands out its records.
pub(super) fn read(file: &mut dyn DiskFile, name: FileName, each: &mut dyn FnMut(Bytes)) -> io::Result<Condition> {
    let seed = Seed::new(name);
    let mut reader = Reader::new(file);
    let mut condition = Condition::default();
    let header = reader.peek(FILE_HEADER_BYTES)?.first_chunk().map(|bytes| seed.read_file_header(bytes));
    match header {
        Some(FileHeader::Good) => {
            reader.skip(FILE_HEADER_BYTES);
            condition.sound_bytes = reader.offset;
        }
        Some(FileHeader::Newer) => return Ok(Condition { is_newer: true, ..condition }),
        Some(FileHeader::Bad) | None => {}
    }
    // What is in one sector is written as a whole or not at all.
    let is_blank = reader.peek(FILE_HEADER_BYTES)?.iter().take(FILE_HEADER_BYTES).all(|byte| *byte == 0);
    let mut end = None;
    let mut has_gap = false;
    while let (None, Some(bytes)) = (end, reader.peek(HEADER_BYTES)?.first_chunk()) {
        match seed.read_header(bytes) {
            Some(Header::End { count }) => {
                reader.skip(HEADER_BYTES);
                condition.sound_bytes = reader.offset;
                end = Some(count);
            }
            Some(Header::Mark) => {
                condition.is_damaged |= has_gap || reader.offset != condition.sound_bytes;
                reader.skip(HEADER_BYTES);
                condition.sound_bytes = reader.offset;
            }
            Some(Header::Record { bytes, checksum: expected }) => {
                let Some(record) = reader.peek(HEADER_BYTES + bytes)?.get(HEADER_BYTES..HEADER_BYTES + bytes) else {
                    break;
                };
                let record = (checksum(record) == expected).then(|| Bytes::copy_from_slice(record));
                let is_gap_before = reader.offset != condition.sound_bytes;
                reader.skip(HEADER_BYTES + bytes);
                if let Some(record) = record {
                    has_gap |= is_gap_before;
                    condition.records += 1;
                    condition.sound_bytes = reader.offset;
                    each(record);
                }
            }
            None => reader.skip(1),
        }
    }
    condition.tail_bytes = reader.skip_all()? - condition.sound_bytes;
    condition.torn_bytes = reader.used.saturating_sub(condition.sound_bytes);
    condition.is_damaged |= match name.kind {
        // A crash leaves part of a header at the end of the file, or zeros for the whole of it.
        Kind::Segment => header == Some(FileHeader::Bad) && !is_blank,
        Kind::Snapshot => header != Some(FileHeader::Good) || end != Some(condition.records as u32),
    };
    Ok(condition)
}

struct Reader<'a> {
    file: &'a mut dyn DiskFile,
    buffer: Vec<u8>,
    /// What was read and not skipped yet is `buffer[at..end]`.
    at: usize,
    end: usize,
    /// Where `at` is in the file.
    offset: u64,
    /// Where the last byte before `at` that is not zero ends in the file.
    used: u64,
}

impl<'a> Reader<'a> {
    fn new(file: &'a mut dyn DiskFile) -> Self {
        Self { file, buffer: vec![0; CHUNK_BYTES], at: 0, end: 0, offset: 0, used: 0 }
    }

    /// What comes next: so many bytes at least, unless the file ends before.
    fn peek(&mut self, bytes: usize) -> io::Result<&[u8]> {
        if self.end - self.at < bytes {
            self.buffer.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
            if self.buffer.len() < bytes {
                self.buffer.resize(bytes, 0);
            }
            while self.end < bytes && self.fill()? {}
        }
        Ok(&self.buffer[self.at..self.end])
    }

    /// Leaves bytes behind that were peeked at.
    fn skip(&mut self, bytes: usize) {
        if let Some(last) = self.buffer[self.at..self.at + bytes].iter().rposition(|byte| *byte != 0) {
            self.used = self.offset + last as u64 + 1;
        }
        self.at += bytes;
        self.offset += bytes as u64;
    }

    /// Leaves everything behind, and says how large the file is.
    fn skip_all(&mut self) -> io::Result<u64> {
        loop {
            self.skip(self.end - self.at);
            (self.at, self.end) = (0, 0);
            if !self.fill()? {
                return Ok(self.offset);
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        loop {
            match self.file.read(&mut self.buffer[self.end..]) {
                Ok(bytes) => {
                    self.end += bytes;
                    return Ok(bytes > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
