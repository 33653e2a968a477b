// SPDX-License-Identifier: Apache-2.0
//! Writing a segment or a snapshot.
//!
//! A segment has zeros ahead of what is written, so that most syncs find the file as large as before and need not wait
//! for the file system's journal: 95 us for 157 (`fdatasync` of 4 KiB, ext4 on NVMe).

use std::io;
use std::ops::RangeInclusive;

use super::frame::Seed;
use super::name::FileName;
use crate::disk::DiskFile;

/// Bytes that are written at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Bytes of zeros that are put ahead at once: as many as there is in the file, within these. They cost a second write of
/// each byte; and a small log stays small.
const FILL_BYTES: RangeInclusive<u64> = 16 * 1024..=1024 * 1024;

/// A file that is being written. After an error it is of no use any more.
#[derive(Debug)]
pub(super) struct Writer {
    file: Box<dyn DiskFile>,
    seed: Seed,
    buffer: Vec<u8>,
    bytes: u64,
    /// Where the zeros end, unless there was no room for them.
    filled: u64,
}

impl Writer {
    pub(super) fn new(file: Box<dyn DiskFile>, name: FileName) -> Self {
        let seed = Seed::new(name);
        let mut buffer = Vec::new();
        seed.write_file_header(&mut buffer);
        Self { file, seed, buffer, bytes: 0, filled: 0 }
    }

    pub(super) fn record(&mut self, record: &[u8]) -> io::Result<()> {
        self.seed.write_record(&mut self.buffer, record);
        if self.buffer.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, count: u64) {
        self.seed.write_end(&mut self.buffer, count);
    }

    /// Says that all of the file so far is durable.
    pub(super) fn mark(&mut self) {
        self.seed.write_mark(&mut self.buffer);
    }

    /// Makes durable what was written so far.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync()
    }

    /// The same, for a file that will be synced often.
    pub(super) fn sync_ahead(&mut self) -> io::Result<()> {
        self.flush()?;
        if self.bytes > self.filled {
            self.filled = self.bytes + self.bytes.clamp(*FILL_BYTES.start(), *FILL_BYTES.end());
            // Where there is no room, the file grows with what is written. The next attempt is made when that is as much.
            let _ = self.file.fill(self.bytes..self.filled);
        }
        self.file.sync()
    }

    /// The last thing: what was put ahead and not used goes.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.truncate(self.bytes)?;
        self.file.sync()
    }

    /// Bytes that were written, zeros ahead not counted.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        // One large record must not hold its memory for ever.
        self.buffer.shrink_to(2 * CHUNK_BYTES);
        Ok(())
    }
}
