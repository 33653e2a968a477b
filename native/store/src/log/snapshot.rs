// SPDX-License-Identifier: Apache-2.0
//! Writing a snapshot, in the background.
//!
//! Keeps: it gets its name when all of it is durable, and only when the name is durable too does anything older go.
//! Whatever fails before, the log is as it was. What fails later is made up for by the next snapshot or opening.

use std::io;
use std::path::Path;

use super::error::LogError;
use super::name::{FileName, Status};
use super::queue::{Outcome, Source};
use super::writer::Writer;
use crate::disk::Disk;

/// Bytes written between two syncs: large ones hold up those of the segments beside.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

/// Writes all records of a source. `is_closed` ends that early.
pub(super) fn write(
    disk: &dyn Disk,
    dir: &Path,
    name: FileName,
    damaged: &[FileName],
    source: Source,
    is_closed: impl Fn() -> bool,
) -> Outcome {
    let temporary = name.temporary(dir);
    let failed = |error: io::Error| LogError::io(&temporary, &error);
    let written = fill(disk, &temporary, name, source, is_closed).map_err(failed);
    let Ok(Some(written)) = written else {
        // What stays is removed when the log is opened next time.
        let _ = disk.remove(&temporary);
        return written;
    };
    disk.rename(&temporary, &name.path(dir)).map_err(failed)?;
    disk.sync_dir(dir).map_err(|error| LogError::io(dir, &error))?;
    let _ = retire(disk, dir, name, damaged);
    Ok(Some(written))
}

fn fill(
    disk: &dyn Disk,
    path: &Path,
    name: FileName,
    source: Source,
    is_closed: impl Fn() -> bool,
) -> io::Result<Option<(u64, u64)>> {
    let mut writer = Writer::new(disk.create(path)?, name);
    let mut records = 0;
    let mut synced_bytes = 0;
    for record in source {
        writer.record(&record)?;
        records += 1;
        if writer.bytes() - synced_bytes >= SYNC_BYTES {
            writer.sync()?;
            synced_bytes = writer.bytes();
        }
        if is_closed() {
            return Ok(None);
        }
    }
    writer.end(records);
    writer.sync()?;
    Ok(Some((records, writer.bytes())))
}

/// Removes what the snapshot stands for, and sets aside what is damaged.
fn retire(disk: &dyn Disk, dir: &Path, snapshot: FileName, damaged: &[FileName]) -> io::Result<()> {
    for name in disk.list(dir)? {
        match FileName::parse(&name) {
            Some((name, Status::Valid)) if name.number >= snapshot.number => {}
            Some((name, Status::Valid)) if damaged.contains(&name) => {
                disk.rename(&name.path(dir), &name.damaged(dir))?;
            }
            Some((name, Status::Valid)) => disk.remove(&name.path(dir))?,
            // No other snapshot is being made: this one was given up by a source that has panicked.
            Some((name, Status::Unfinished)) => disk.remove(&name.temporary(dir))?,
            Some((_, Status::Damaged)) | None => {}
        }
    }
    disk.sync_dir(dir)
}
