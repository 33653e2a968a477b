// SPDX-License-Identifier: Apache-2.0
//! Moves a lane's part of the outbox to its stream: on the I/O thread, or on the thread that has just put something small into it.

use super::outbox::{Next, Outbox, Step};
use super::record::HEADER_BYTES;
use super::Channel;
use crate::runtime::{self, Driver};
use barrel_p2p_dist::lanes::LIGHT;
use bytes::Bytes;
use quinn::{SendStream, WriteError};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

/// A tick on the wire: a frame of length 0.
const TICK: Bytes = Bytes::from_static(&[0; HEADER_BYTES]);

pub(super) struct Writer {
    pub(super) stream: SendStream,
    lane: usize,
    /// Taken from the outbox and not yet all written.
    step: Step,
    /// Chunks of the step that are written.
    done: usize,
    /// A producer waits for the outbox to have room, which it now has. Only the I/O thread may tell it.
    pub(super) writable: bool,
    /// Of the task that goes on when the stream has room again.
    pub(super) task: Waker,
    /// Drives the stream's connection. Found out by the first write.
    driver: Option<Driver>,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// What is left waits for other lanes to be written.
    Blocked,
    Nothing,
    /// The stream is full, and wakes the task when it has room.
    Something,
}

impl Writer {
    pub(super) fn new(stream: SendStream, lane: usize, task: Waker) -> Self {
        Self { stream, lane, step: Step::default(), done: 0, writable: false, task, driver: None }
    }

    /// Writes until nothing is left that can be written.
    pub(super) fn write(&mut self, channel: &Channel) -> Result<Left, WriteError> {
        loop {
            while self.done < self.step.chunks.len() {
                match self.write_some(channel) {
                    Poll::Ready(chunks) => self.done += chunks?,
                    Poll::Pending => return Ok(Left::Something),
                }
            }
            let mut outbox = channel.outbox();
            self.writable |= outbox.written(self.lane, self.step.bytes);
            self.done = 0;
            self.step = Step::default();
            match next(channel, &mut outbox, self.lane) {
                Next::Blocked => return Ok(Left::Blocked),
                Next::Nothing => return Ok(Left::Nothing),
                Next::Step(step) => self.step = step,
            }
        }
    }

    /// As [`Self::write`], with the packets sent on this thread. False when the I/O thread has to take over: it is at work on the
    /// connection at this moment, or there is something that only it may do.
    pub(super) fn write_here(&mut self, channel: &Channel) -> bool {
        let Some(driver) = self.driver.clone() else { return false };
        let written = driver.with(|| self.write(channel));
        matches!(written, Some(Ok(_))) && !self.writable
    }

    fn write_some(&mut self, channel: &Channel) -> Poll<Result<usize, WriteError>> {
        let chunks = &mut self.step.chunks[self.done..];
        let copied = (self.lane == LIGHT && channel.copies_go()).then(|| chunks.to_vec());
        let write = pin!(self.stream.write_chunks(chunks));
        let context = &mut Context::from_waker(&self.task);
        let written = if self.driver.is_some() {
            write.poll(context)
        } else {
            let (written, driver) = runtime::driver_of(|| write.poll(context));
            self.driver = driver;
            written
        };
        if let (LIGHT, Poll::Ready(Ok(written))) = (self.lane, &written) {
            match copied {
                Some(chunks) => {
                    channel.written().add(&chunks, written.bytes);
                    channel.copy_soon.notify_one();
                }
                None => channel.written().skip(written.bytes),
            }
        }
        written.map_ok(|written| written.chunks)
    }
}

/// Queued data, which serves as a tick too, or a tick.
fn next(channel: &Channel, outbox: &mut Outbox, lane: usize) -> Next {
    let tick = lane == LIGHT && channel.tick.swap(false, Ordering::AcqRel);
    let next = outbox.next(lane);
    if tick && !matches!(next, Next::Step(_)) {
        return Next::Step(Step { chunks: vec![TICK], bytes: 0 });
    }
    next
}
