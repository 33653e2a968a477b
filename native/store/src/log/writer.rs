// SPDX-License-Identifier: Apache-2.0
//! Writing a segment or a snapshot.

use std::io;

use super::frame::Seed;
use super::name::FileName;
use crate::disk::DiskFile;

/// Bytes that are written at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// A file that is being written. After an error it is of no use any more.
#[derive(Debug)]
pub(super) struct Writer {
    file: Box<dyn DiskFile>,
    seed: Seed,
    buffer: Vec<u8>,
    bytes: u64,
}

impl Writer {
    pub(super) fn new(file: Box<dyn DiskFile>, name: FileName) -> Self {
        let seed = Seed::new(name);
        let mut buffer = Vec::new();
        seed.write_file_header(&mut buffer);
        Self { file, seed, buffer, bytes: 0 }
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

    /// Makes durable what was written so far.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync()
    }

    /// Bytes in the file.
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
