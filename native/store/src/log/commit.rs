// SPDX-License-Identifier: Apache-2.0
//! The thread that writes: all that waits, then one sync for all of it.
//!
//! Keeps: what is reported as durable is. After any failure the segment is never touched again, because nobody knows
//! what a failed sync has left of it; its records that were not durable yet go to a new one.

use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::error::{LogError, Reason};
use super::name::{FileName, Kind};
use super::queue::{Outcome, Queue, Source};
use super::recovery::Found;
use super::snapshot;
use super::writer::Writer;
use super::Event;
use crate::disk::{Disk, DiskLock};

/// Bytes in segments, at least, before a snapshot is asked for; and before it is asked for again.
const SNAPSHOT_BYTES: u64 = 4 * 1024 * 1024;

/// A snapshot is asked for when the segments are so many times as large as the last one: recovery reads three
/// snapshots at most, and each record is written once and a half, beside the zeros that were there before it.
const SNAPSHOT_RATIO: u64 = 2;

/// Segments (count) that make a snapshot due when the log is opened: each opening that writes begins a new one.
const MAX_SEGMENTS: usize = 16;

pub(super) struct Committer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    queue: Arc<Queue>,
    listener: Box<dyn Fn(Event) + Send + Sync>,
    segment: Option<Segment>,
    next_number: u64,
    damaged: Vec<FileName>,
    /// Taken, and not durable.
    in_hand: Vec<Bytes>,
    /// How many times in a row the disk has failed.
    failures: u32,
    /// It has failed since the last snapshot was asked for: what it has is to be written again, all of it.
    is_disk_doubtful: bool,
    synced: u64,
    syncs: u64,
    segment_bytes: u64,
    snapshot_bytes: u64,
    /// The size of the segments that makes a snapshot due.
    due_bytes: u64,
    snapshot: Option<JoinHandle<()>>,
    /// Only this log writes here until the thread ends.
    _lock: Box<dyn DiskLock>,
}

struct Segment {
    writer: Writer,
    path: PathBuf,
    /// It has a durable name, and something durable in it.
    is_durable: bool,
}

impl Committer {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        lock: Box<dyn DiskLock>,
        queue: Arc<Queue>,
        listener: Box<dyn Fn(Event) + Send + Sync>,
        found: &mut Found,
    ) -> Self {
        let mut committer = Self {
            disk,
            dir,
            queue,
            listener,
            segment: None,
            next_number: found.next_number,
            damaged: std::mem::take(&mut found.damaged),
            in_hand: Vec::new(),
            failures: 0,
            is_disk_doubtful: false,
            synced: 0,
            syncs: 0,
            segment_bytes: found.segment_bytes,
            snapshot_bytes: found.snapshot_bytes,
            due_bytes: 0,
            snapshot: None,
            _lock: lock,
        };
        committer.set_due();
        let is_large = committer.segment_bytes >= committer.due_bytes;
        found.recovery.snapshot_due = is_large || found.segments > MAX_SEGMENTS || !committer.damaged.is_empty();
        committer.count();
        committer
    }

    /// Works until the log is closed and all is durable, or the disk refuses.
    pub(super) fn run(mut self) -> Result<(), LogError> {
        loop {
            let work = self.queue.take(&mut self.in_hand, self.failures);
            if let Some(outcome) = work.outcome {
                self.snapshot_ended(outcome);
            }
            if let Some(source) = work.snapshot {
                self.start_snapshot(source);
            }
            let committed = if self.in_hand.is_empty() { Ok(()) } else { self.commit() };
            if work.is_closed {
                self.close_segment();
                self.join_snapshot();
                return committed;
            }
        }
    }

    fn commit(&mut self) -> Result<(), LogError> {
        self.syncs += 1;
        if let Err(error) = self.write() {
            self.abandon_segment();
            self.failures = self.failures.saturating_add(1);
            self.is_disk_doubtful = true;
            (self.listener)(Event::Failed(error.clone()));
            return Err(error);
        }
        self.synced += self.in_hand.len() as u64;
        self.queue.synced(&self.in_hand);
        self.in_hand.clear();
        self.count();
        (self.listener)(Event::Synced(self.synced));
        self.failures = 0;
        self.ask_for_snapshot();
        Ok(())
    }

    /// Writes what is in hand and makes it durable.
    fn write(&mut self) -> Result<(), LogError> {
        let mut segment = match self.segment.take() {
            Some(segment) => segment,
            None => self.new_segment()?,
        };
        let before = segment.writer.bytes();
        let written = segment.write(&self.in_hand, &*self.disk, &self.dir);
        self.segment_bytes += segment.writer.bytes() - before;
        self.segment = Some(segment);
        written
    }

    fn new_segment(&mut self) -> Result<Segment, LogError> {
        let name = self.new_name(Kind::Segment)?;
        let path = name.path(&self.dir);
        let file = self.disk.create(&path).map_err(|error| LogError::io(&path, &error))?;
        Ok(Segment { writer: Writer::new(file, name), path, is_durable: false })
    }

    fn abandon_segment(&mut self) {
        if let Some(segment) = self.segment.take().filter(|segment| !segment.is_durable) {
            // Nobody was told of anything in it. If it stays, a later opening reads it or cuts it.
            let _ = self.disk.remove(&segment.path);
        }
    }

    fn close_segment(&mut self) {
        if let Some(segment) = self.segment.take().filter(|segment| segment.is_durable) {
            // All that anybody waits for is durable already.
            let _ = segment.close();
        }
    }

    fn start_snapshot(&mut self, source: Source) {
        // What is appended from now on may be missing in the source: it goes to a segment with a larger number.
        self.close_segment();
        self.segment_bytes = 0;
        let started = self.new_name(Kind::Snapshot).and_then(|name| self.spawn_snapshot(name, source));
        match started {
            Ok(thread) => self.snapshot = Some(thread),
            Err(error) => self.queue.snapshot_ended(Err(error)),
        }
    }

    fn spawn_snapshot(&self, name: FileName, source: Source) -> Result<JoinHandle<()>, LogError> {
        let (disk, dir, queue) = (Arc::clone(&self.disk), self.dir.clone(), Arc::clone(&self.queue));
        let damaged = self.damaged.clone();
        let run = move || {
            let write = || snapshot::write(&*disk, &dir, name, &damaged, source, || queue.is_closed());
            // A source that panics must not keep all later snapshots from being made.
            let outcome = catch_unwind(AssertUnwindSafe(write))
                .unwrap_or_else(|_| Err(LogError::new(Reason::Io, &name.path(&dir), "the source has panicked")));
            queue.snapshot_ended(outcome);
        };
        spawn("barrel_snapshot", &self.dir, run)
    }

    fn snapshot_ended(&mut self, outcome: Outcome) {
        self.join_snapshot();
        match outcome {
            Ok(Some((records, bytes))) => {
                self.damaged.clear();
                self.snapshot_bytes = bytes;
                self.set_due();
                self.count();
                (self.listener)(Event::SnapshotDone { records, bytes });
            }
            Ok(None) => {}
            Err(error) => {
                self.due_bytes = self.segment_bytes + SNAPSHOT_BYTES;
                (self.listener)(Event::SnapshotFailed(error));
            }
        }
        self.ask_for_snapshot();
    }

    fn ask_for_snapshot(&mut self) {
        let is_due = self.is_disk_doubtful || self.segment_bytes >= self.due_bytes;
        if is_due && self.failures == 0 && self.snapshot.is_none() {
            self.is_disk_doubtful = false;
            self.due_bytes = self.segment_bytes + SNAPSHOT_BYTES;
            (self.listener)(Event::SnapshotDue);
        }
    }

    fn join_snapshot(&mut self) {
        if let Some(thread) = self.snapshot.take() {
            // It catches its panics.
            let _ = thread.join();
        }
    }

    fn new_name(&mut self, kind: Kind) -> Result<FileName, LogError> {
        let salt = getrandom::u32().map_err(|_| LogError::new(Reason::Io, &self.dir, "no random bytes"))?;
        let number = self.next_number;
        self.next_number += 1;
        Ok(FileName { number, kind, salt })
    }

    fn set_due(&mut self) {
        self.due_bytes = SNAPSHOT_BYTES.max(self.snapshot_bytes.saturating_mul(SNAPSHOT_RATIO));
    }

    fn count(&self) {
        self.queue.count(self.syncs, self.segment_bytes, self.snapshot_bytes);
    }
}

impl Segment {
    fn write(&mut self, records: &[Bytes], disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        let failed = |error: io::Error| LogError::io(&self.path, &error);
        if self.is_durable {
            self.writer.mark();
        }
        for record in records {
            self.writer.record(record).map_err(failed)?;
        }
        self.writer.sync_ahead().map_err(failed)?;
        if !self.is_durable {
            disk.sync_dir(dir).map_err(|error| LogError::io(dir, &error))?;
            self.is_durable = true;
        }
        Ok(())
    }

    /// Ends it with a mark, so that damage in the last batch is not taken for what a crash has left.
    fn close(mut self) -> io::Result<()> {
        self.writer.mark();
        self.writer.finish()
    }
}

/// Starts a thread of this log.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    dir: &Path,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LogError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| LogError::io(dir, &error))
}
