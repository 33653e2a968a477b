// SPDX-License-Identifier: Apache-2.0
//! The bounded queue between the threads of the BEAM and the task that writes a channel's stream.

use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes waiting above which [`Outbox::push`] answers [`Accepted::Busy`]. Enough to keep the writer fed over one scheduler time slice at
/// 1 GB/s; more would only lengthen the queue that a small message waits in (the emulator's own queue, `+zdbbl`, follows behind).
pub(crate) const BUSY_ABOVE_BYTES: usize = 1 << 20;

/// Bytes waiting below which a busy producer is woken again. Half of the budget, so that the writer never runs dry.
pub(crate) const WRITABLE_BELOW_BYTES: usize = BUSY_ABOVE_BYTES / 2;

/// Bytes taken out in one step: small enough that the producer is woken while the writer still has work.
const STEP_BYTES: usize = 256 * 1024;

/// What became of frames that were offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Queued; the budget is used up: offer no more before `writable`.
    Busy,
    /// Not queued: the channel is closed.
    Closed,
    /// Queued.
    Ready,
}

/// One step of work for the writer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) bytes: usize,
}

/// The queue. Bytes count as waiting until the writer has handed them to the transport.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Bytes>,
    /// Queued or being written.
    waiting_bytes: usize,
    producer_waits: bool,
    closed: bool,
}

impl Outbox {
    pub(crate) fn push(&mut self, chunks: impl IntoIterator<Item = Bytes>) -> Accepted {
        if self.closed {
            return Accepted::Closed;
        }
        for chunk in chunks {
            self.waiting_bytes += chunk.len();
            self.chunks.push_back(chunk);
        }
        self.producer_waits = self.waiting_bytes > BUSY_ABOVE_BYTES;
        if self.producer_waits {
            Accepted::Busy
        } else {
            Accepted::Ready
        }
    }

    /// What to write next, `None` when nothing is queued.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        let mut step = Step { chunks: Vec::with_capacity(self.chunks.len().min(64)), bytes: 0 };
        while step.bytes < STEP_BYTES {
            let Some(chunk) = self.chunks.pop_front() else { break };
            step.bytes += chunk.len();
            step.chunks.push(chunk);
        }
        (step.bytes > 0).then_some(step)
    }

    /// The transport took this many bytes. True when a waiting producer is to be woken.
    pub(crate) fn written(&mut self, bytes: usize) -> bool {
        self.waiting_bytes -= bytes.min(self.waiting_bytes);
        let wake = self.producer_waits && self.waiting_bytes <= WRITABLE_BELOW_BYTES;
        self.producer_waits &= !wake;
        wake
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Refuses further frames; what is queued stays for a graceful end.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_producer_is_told_busy_once_and_woken_once() {
        let mut outbox = Outbox::default();
        let chunk = Bytes::from(vec![0; 400 * 1024]);
        assert_eq!(outbox.push([chunk.clone(), chunk.clone()]), Accepted::Ready);
        assert_eq!(outbox.push([chunk.clone()]), Accepted::Busy);
        let first = outbox.next_step().unwrap();
        assert_eq!((first.chunks.len(), first.bytes), (1, 400 * 1024));
        assert!(!outbox.written(first.bytes));
        let second = outbox.next_step().unwrap();
        assert!(outbox.written(second.bytes));
        let third = outbox.next_step().unwrap();
        assert!(!outbox.written(third.bytes));
        assert_eq!(outbox.next_step(), None);
        assert_eq!(outbox.waiting_bytes(), 0);
    }

    #[test]
    fn a_closed_outbox_keeps_what_it_has() {
        let mut outbox = Outbox::default();
        outbox.push([Bytes::from_static(b"nok")]);
        outbox.close();
        assert_eq!(outbox.push([Bytes::from_static(b"late")]), Accepted::Closed);
        assert_eq!(outbox.next_step().unwrap().chunks, [Bytes::from_static(b"nok")]);
    }
}
