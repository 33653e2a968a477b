// SPDX-License-Identifier: Apache-2.0
//! Between those who append and the thread that writes.
//!
//! Keeps: appending takes a lock for as long as a push takes, never longer; what was taken and is not durable yet stays
//! below [`MAX_WAITING_BYTES`].

use std::fmt;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::error::{AppendError, LogError};
use super::{MAX_RECORD_BYTES, MAX_WAITING_BYTES};

/// How long a disk that has failed is left alone when nobody appends.
const RETRY: Duration = Duration::from_secs(1);

/// How long it is left alone however much is appended, since each attempt writes all that waits: twice as long after each
/// failure, from the first of these to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(100)];

/// Bytes that a record costs beside its own.
const OVERHEAD_BYTES: usize = 64;

/// Bytes that are left free when somebody is told that there is room: who has asked may come with several records.
const SPARE_BYTES: usize = 64 * 1024;

/// Records for a snapshot.
pub(super) type Source = Box<dyn Iterator<Item = Bytes> + Send>;

/// What a snapshot has come to: its records and bytes; `None` when the log was closed meanwhile.
pub(super) type Outcome = Result<Option<(u64, u64)>, LogError>;

/// What a log has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records taken in this opening: the last sequence number.
    pub appended: u64,
    /// Records of this opening that are durable.
    pub synced: u64,
    /// Times that the disk was asked to make records durable.
    pub syncs: u64,
    /// Bytes in segments since the last snapshot.
    pub segment_bytes: u64,
    /// Bytes of the last snapshot.
    pub snapshot_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

/// Work for the thread that writes.
#[derive(Default)]
pub(super) struct Work {
    pub(super) snapshot: Option<Source>,
    pub(super) outcome: Option<Outcome>,
    pub(super) is_closed: bool,
}

#[derive(Default)]
struct State {
    records: Vec<Bytes>,
    /// Of all that is not durable yet, also of what the thread has in hand.
    waiting_bytes: usize,
    is_snapshot_under_way: bool,
    work: Work,
    stats: Stats,
}

impl Queue {
    pub(super) fn append(&self, record: Bytes) -> Result<u64, AppendError> {
        let mut state = self.lock();
        state.check(record.len(), 0)?;
        state.waiting_bytes += cost(record.len());
        state.stats.appended += 1;
        let is_first = state.records.is_empty();
        state.records.push(record);
        let sequence = state.stats.appended;
        drop(state);
        if is_first {
            self.wake.notify_one();
        }
        Ok(sequence)
    }

    /// Would so many bytes be taken now?
    pub(super) fn ready(&self, bytes: usize) -> Result<(), AppendError> {
        self.lock().check(bytes, SPARE_BYTES)
    }

    pub(super) fn snapshot(&self, source: Source) -> Result<(), AppendError> {
        let mut state = self.lock();
        if state.work.is_closed {
            return Err(AppendError::Closed);
        }
        if state.is_snapshot_under_way {
            return Err(AppendError::Busy);
        }
        state.is_snapshot_under_way = true;
        state.work.snapshot = Some(source);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// What a snapshot has come to. It counts as under way until the writing thread has heard.
    pub(super) fn snapshot_ended(&self, outcome: Outcome) {
        self.lock().work.outcome = Some(outcome);
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().work.is_closed = true;
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().work.is_closed
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().stats
    }

    /// Waits for something to do and takes it; new records go behind those in hand. When the disk has failed, so many
    /// times in a row, also ends after a while, but not at once.
    pub(super) fn take(&self, in_hand: &mut Vec<Bytes>, failures: u32) -> Work {
        let mut state = self.lock();
        if failures > 0 {
            let pause = PAUSES[0].saturating_mul(2_u32.saturating_pow(failures - 1)).min(PAUSES[1]);
            let waited = self.wake.wait_timeout_while(state, pause, |state| !state.work.is_closed);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let waited = self.wake.wait_timeout_while(state, RETRY, |state| state.is_idle());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        } else {
            state = self.wake.wait_while(state, |state| state.is_idle()).unwrap_or_else(PoisonError::into_inner);
        }
        if in_hand.is_empty() {
            mem::swap(&mut state.records, in_hand);
        } else {
            in_hand.append(&mut state.records);
        }
        if state.work.outcome.is_some() {
            state.is_snapshot_under_way = false;
        }
        Work {
            is_closed: state.work.is_closed,
            snapshot: state.work.snapshot.take(),
            outcome: state.work.outcome.take(),
        }
    }

    /// These records are durable.
    pub(super) fn synced(&self, records: &[Bytes]) {
        let mut state = self.lock();
        state.waiting_bytes -= records.iter().map(|record| cost(record.len())).sum::<usize>();
        state.stats.synced += records.len() as u64;
    }

    /// What else is to be known about the log.
    pub(super) fn count(&self, syncs: u64, segment_bytes: u64, snapshot_bytes: u64) {
        let stats = &mut self.lock().stats;
        *stats = Stats { syncs, segment_bytes, snapshot_bytes, ..*stats };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, bytes: usize, spare_bytes: usize) -> Result<(), AppendError> {
        if self.work.is_closed {
            Err(AppendError::Closed)
        } else if bytes > MAX_RECORD_BYTES {
            Err(AppendError::TooLarge)
        } else if self.waiting_bytes + cost(bytes) + spare_bytes > MAX_WAITING_BYTES {
            Err(AppendError::Busy)
        } else {
            Ok(())
        }
    }

    fn is_idle(&self) -> bool {
        self.records.is_empty() && self.work.snapshot.is_none() && self.work.outcome.is_none() && !self.work.is_closed
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("waiting_bytes", &self.waiting_bytes).field("stats", &self.stats).finish()
    }
}

fn cost(bytes: usize) -> usize {
    bytes + OVERHEAD_BYTES
}
