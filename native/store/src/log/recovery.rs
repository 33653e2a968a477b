// SPDX-License-Identifier: Apache-2.0
//! Finding out what a directory holds: the newest snapshot, and the segments that came after it.
//!
//! Keeps: what was handed out is durable when this returns, though the last one to write may have been killed before he
//! had synced it. Files are only removed when a snapshot stands for them. A damaged one stays under its name, for the
//! sake of what can still be read in it, until the next snapshot sets it aside.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::{LogError, Reason};
use super::name::{FileName, Kind, Status};
use super::reader;
use crate::disk::Disk;

/// What was found on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records that were handed out.
    pub records: u64,
    /// Bytes that were cut off: what a crash had left of records that nobody was told to be durable.
    pub cut_bytes: u64,
    /// Files in which something is unreadable that once was durable, by the names that the next snapshot gives them.
    pub damaged: Vec<PathBuf>,
    /// A snapshot should be made at once.
    pub snapshot_due: bool,
}

/// What the writing thread needs to know.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) recovery: Recovery,
    /// No file has this number or a larger one.
    pub(super) next_number: u64,
    pub(super) damaged: Vec<FileName>,
    pub(super) segments: usize,
    pub(super) segment_bytes: u64,
    pub(super) snapshot_bytes: u64,
}

/// Reads a log's directory and hands out its records.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, each: &mut dyn FnMut(Bytes)) -> Result<Found, LogError> {
    let failed = |error: io::Error| LogError::io(dir, &error);
    let mut found = Found::default();
    let mut valid = Vec::new();
    for name in disk.list(dir).map_err(failed)? {
        let Some((name, status)) = FileName::parse(&name) else {
            continue;
        };
        found.next_number = found.next_number.max(name.number.saturating_add(1));
        match status {
            Status::Damaged => {}
            Status::Unfinished => {
                let path = name.temporary(dir);
                disk.remove(&path).map_err(|error| LogError::io(&path, &error))?;
            }
            Status::Valid => valid.push(name),
        }
    }
    valid.sort_unstable();
    let snapshot = valid.iter().filter(|name| name.kind == Kind::Snapshot).map(|name| name.number).max();
    // A killed process may have renamed the snapshot and not synced that: first it must be there to stay.
    disk.sync_dir(dir).map_err(failed)?;
    for name in valid {
        if snapshot.is_some_and(|snapshot| name.number < snapshot) {
            let path = name.path(dir);
            disk.remove(&path).map_err(|error| LogError::io(&path, &error))?;
        } else {
            found.read(disk, dir, name, each)?;
        }
    }
    Ok(found)
}

impl Found {
    fn read(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        name: FileName,
        each: &mut dyn FnMut(Bytes),
    ) -> Result<(), LogError> {
        let path = name.path(dir);
        let failed = |error: io::Error| LogError::io(&path, &error);
        let mut file = disk.open(&path).map_err(failed)?;
        let condition = reader::read(&mut *file, name, each).map_err(failed)?;
        if condition.is_newer {
            return Err(LogError::new(Reason::NewerFiles, &path, "written by a newer version"));
        }
        if condition.is_damaged {
            self.recovery.damaged.push(name.damaged(dir));
            self.damaged.push(name);
        } else if condition.tail_bytes > 0 {
            file.truncate(condition.sound_bytes).map_err(failed)?;
            self.recovery.cut_bytes += condition.torn_bytes;
        }
        file.sync().map_err(failed)?;
        self.recovery.records += condition.records;
        match name.kind {
            Kind::Segment => {
                self.segments += 1;
                self.segment_bytes += condition.sound_bytes;
            }
            Kind::Snapshot => self.snapshot_bytes = condition.sound_bytes,
        }
        Ok(())
    }
}
