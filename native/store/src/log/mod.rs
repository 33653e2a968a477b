// SPDX-License-Identifier: Apache-2.0
//! A log of records, and snapshots that stand for it.
//!
//! A record is any bytes. What it says must stay true when it is said again, also after what is newer ("key K has value
//! V since T"): a snapshot may know more than the segments before it, and a failed disk makes records come twice.
//! [`Log::append`] takes a record into memory and returns; one thread writes all that waits, syncs once for all of it,
//! and says so ([`Event::Synced`]). When the segments have outgrown the last snapshot the owner is asked for a new one,
//! which is pulled and written in the background.
//!
//! Keeps:
//! * A record that was reported as synced is handed out by every later [`Log::open`] until a snapshot was made from a
//!   source that knows it: after a kill, after a power loss, after any failure of the disk.
//! * Records come back in the order of appending, some perhaps twice. Those that nobody was told to be durable may be
//!   missing.
//! * Bytes that have gone bad cost the records that they hit and no other. The file is set aside as `*.damaged`; unless
//!   they are in the last batch before a crash, or at the very end: that looks like what a crash leaves of a write.
//! * While the disk refuses, what was taken is kept and tried again, in a new file; memory stays bounded.
//! * Nothing on the way of an append grows with the log.
//!
//! Leaves to others: what records mean, and who is told that they are durable.

mod commit;
mod error;
mod frame;
mod name;
mod queue;
mod reader;
mod recovery;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;

use crate::disk::{Disk, DiskLock};
use commit::Committer;

pub use error::{AppendError, LogError, Reason};
pub use queue::Stats;
pub use recovery::Recovery;

/// Bytes of a record. Far above a replicated entry (its limits are in `base`); a reader holds one at a time.
pub const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that may wait for the disk, with 64 for each record: at 100 MB/s less than a fifth of a second.
pub const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// What the owner of a log is told, on a thread of the log: the listener must not block, nor close the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What waits is not durable. It is kept and tried again, once a second, and a few times more often while there are
    /// appends; [`Event::Synced`] tells when it has worked.
    Failed(LogError),
    /// A snapshot stands for everything that was appended before it was asked for.
    SnapshotDone {
        /// Records in it.
        records: u64,
        /// Its size.
        bytes: u64,
    },
    /// It is time for [`Log::snapshot`].
    SnapshotDue,
    /// No snapshot was made. Nothing is lost, nothing was gained.
    SnapshotFailed(LogError),
    /// Everything up to this sequence number is durable.
    Synced(u64),
}

/// An open log. When it is dropped it closes in the background.
#[derive(Debug)]
pub struct Log {
    queue: Arc<queue::Queue>,
    committer: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
}

impl Log {
    /// Opens the log of a name in a directory, creating it when missing, and hands out its records. Waits for the disk.
    /// The listener hears nothing before this returns.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        name: &str,
        each: &mut dyn FnMut(Bytes),
        listener: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<(Self, Recovery), LogError> {
        let dir = name::directory(dir, name)?;
        disk.create_dir(&dir).map_err(|error| LogError::io(&dir, &error))?;
        let lock = lock(&*disk, &dir)?;
        // What an interrupted deletion has left costs room, nothing else.
        let _ = remove_dir(&*disk, &name::deleted(&dir));
        let mut found = recovery::recover(&*disk, &dir, each)?;
        let queue = Arc::new(queue::Queue::default());
        let for_committer = Arc::clone(&queue);
        let committer = Committer::new(disk, dir.clone(), lock, for_committer, Box::new(listener), &mut found);
        let thread = commit::spawn("barrel_log", &dir, move || committer.run())?;
        Ok((Self { queue, committer: Mutex::new(Some(thread)) }, found.recovery))
    }

    /// Takes a record and gives it a sequence number: 1, 2, and so on in this opening. Never waits for the disk.
    pub fn append(&self, record: Bytes) -> Result<u64, AppendError> {
        self.queue.append(record)
    }

    /// Would [`Log::append`] take so many bytes now, in one record or in a few? When nobody else appends, it still will
    /// when they come.
    pub fn ready(&self, bytes: usize) -> Result<(), AppendError> {
        self.queue.ready(bytes)
    }

    /// Makes a snapshot in the background, from a source that knows all that was appended before, and may know more.
    /// Its records are pulled one by one, which may block. `Busy`: one is being made.
    pub fn snapshot(&self, source: Box<dyn Iterator<Item = Bytes> + Send>) -> Result<(), AppendError> {
        self.queue.snapshot(source)
    }

    /// What the log has done so far.
    pub fn stats(&self) -> Stats {
        self.queue.stats()
    }

    /// Closes the log and waits until all is durable; or says why it is not. A snapshot that is being made is given
    /// up; its source is waited for, so the caller must not hold what that needs.
    pub fn close(&self) -> Result<(), LogError> {
        self.queue.close();
        let thread = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that has panicked has told so; what it had synced is durable.
        thread.map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
    }

    /// Removes a log, if there is one. It must not be open.
    pub fn delete(disk: &dyn Disk, dir: &Path, name: &str) -> Result<(), LogError> {
        let parent = dir;
        let dir = name::directory(dir, name)?;
        let deleted = name::deleted(&dir);
        let failed = |error: io::Error| LogError::io(&dir, &error);
        remove_dir(disk, &deleted).map_err(failed)?;
        let lock = match lock(disk, &dir) {
            Ok(lock) => lock,
            Err(error) if error.reason == Reason::NoDirectory => return Ok(()),
            Err(error) => return Err(error),
        };
        // All or nothing: half of a log would be another log.
        disk.rename(&dir, &deleted).and_then(|()| disk.sync_dir(parent)).map_err(failed)?;
        remove_dir(disk, &deleted).map_err(failed)?;
        drop(lock);
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, LogError> {
    let path = dir.join(name::LOCK);
    disk.lock(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            LogError::new(Reason::InUse, dir, "open already, by this node or another")
        } else {
            LogError::io(&path, &error)
        }
    })
}

/// Removes a directory with the files in it, if it is there.
fn remove_dir(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for name in names {
        disk.remove(&dir.join(name))?;
    }
    disk.remove_dir(dir)
}
