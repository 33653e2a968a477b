// SPDX-License-Identifier: Apache-2.0
//! The sending half of a channel's task: opens lanes when they are first needed, and writes all of them.

use super::writer::{Left, Writer};
use super::{Channel, Owner};
use crate::link::STREAM_HEADER_BYTES;
use barrel_p2p_dist::lanes::LIGHT;
use quinn::{Connection, SendStream, VarInt};
use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::task::{ready, Context, Poll, Waker};

pub(super) enum WriteEnd {
    Broken,
    Finished,
}

/// The channel has the stream of its light lane while this lives.
pub(super) struct Lent<'a>(&'a Channel);

impl<'a> Lent<'a> {
    pub(super) fn new(channel: &'a Channel, stream: SendStream) -> Self {
        *channel.writer() = Some(Writer::new(stream, LIGHT, Waker::noop().clone()));
        Self(channel)
    }

    /// Always there, since nobody else takes it.
    pub(super) fn take_back(self) -> Option<SendStream> {
        self.0.writer().take().map(|writer| writer.stream)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.0.writer() = None;
    }
}

type Opening = Pin<Box<dyn Future<Output = Option<SendStream>> + Send>>;

enum Heavy {
    Closed,
    Opening(Opening),
    Open(Writer),
}

/// The streams of the heavy lanes, all from the first that was ever needed.
pub(crate) struct HeavyLanes {
    connection: Connection,
    /// How a stream of a lane begins, but for the lane.
    header: [u8; STREAM_HEADER_BYTES],
    priority: i32,
    lanes: Vec<Heavy>,
}

impl HeavyLanes {
    pub(crate) fn new(connection: Connection, header: [u8; STREAM_HEADER_BYTES], priority: i32) -> Self {
        Self { connection, header, priority, lanes: Vec::new() }
    }

    /// Of the link that they are on.
    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Of the channel, as it stands on the wire.
    pub(super) fn number(&self) -> [u8; 4] {
        let [_, _, number @ ..] = self.header;
        number
    }

    /// Waits until the peer has all of every stream that was finished.
    pub(super) async fn stopped(&mut self) {
        for lane in &mut self.lanes {
            if let Heavy::Open(writer) = lane {
                let _ = writer.stream.stopped().await;
            }
        }
    }

    /// Ends all streams at once.
    pub(super) fn reset(&mut self, code: VarInt) {
        for lane in &mut self.lanes {
            if let Heavy::Open(writer) = lane {
                let _ = writer.stream.reset(code);
            }
        }
    }

    /// Lets the peer know that nothing follows.
    fn finish(&mut self) -> bool {
        self.lanes.iter_mut().all(|lane| match lane {
            Heavy::Closed => true,
            Heavy::Opening(_) => false,
            Heavy::Open(writer) => writer.stream.finish().is_ok(),
        })
    }

    /// Writes what can be written.
    fn write(&mut self, channel: &Channel, context: &mut Context<'_>) -> Result<Writes, ()> {
        let last = channel.outbox().last_wanted_lane();
        while self.lanes.len() < last {
            self.lanes.push(Heavy::Closed);
        }
        let mut writes = Writes::default();
        for lane in LIGHT + 1..=self.lanes.len() {
            let more = self.write_lane(lane, channel, context)?;
            writes.left |= more.left;
            writes.writable |= more.writable;
        }
        Ok(writes)
    }

    fn write_lane(&mut self, lane: usize, channel: &Channel, context: &mut Context<'_>) -> Result<Writes, ()> {
        let heavy = &mut self.lanes[lane - 1];
        if matches!(heavy, Heavy::Closed) && channel.outbox().has_entries(lane) {
            *heavy = Heavy::Opening(open(self.connection.clone(), self.header, self.priority, lane));
        }
        if let Heavy::Opening(opening) = heavy {
            match opening.as_mut().poll(context) {
                Poll::Pending => return Ok(Writes { left: true, ..Writes::default() }),
                Poll::Ready(None) => return Err(()),
                Poll::Ready(Some(stream)) => *heavy = Heavy::Open(Writer::new(stream, lane, context.waker().clone())),
            }
        }
        let Heavy::Open(writer) = heavy else { return Ok(Writes::default()) };
        writer.task.clone_from(context.waker());
        let left = writer.write(channel).map_err(|_| ())?;
        Ok(Writes { left: left != Left::Nothing, writable: std::mem::take(&mut writer.writable) })
    }
}

/// What became of a round over the heavy lanes.
#[derive(Clone, Copy, Debug, Default)]
struct Writes {
    left: bool,
    writable: bool,
}

fn open(connection: Connection, mut header: [u8; STREAM_HEADER_BYTES], priority: i32, lane: usize) -> Opening {
    Box::pin(async move {
        let mut stream = connection.open_uni().await.ok()?;
        // Only a stream that is gone already has no priority.
        let _ = stream.set_priority(priority);
        // Lanes are fewer than a byte counts.
        header[1] = lane as u8;
        stream.write_all(&header).await.ok()?;
        Some(stream)
    })
}

pub(super) async fn write_all(channel: &Channel, owner: &dyn Owner, heavy: &mut HeavyLanes) -> WriteEnd {
    let mut work = pin!(channel.work.notified());
    poll_fn(|context| loop {
        // Asked before the outbox is looked at: nothing gets into it later.
        let closing = channel.is_closing();
        let round = channel.outbox().round();
        let mut lent = channel.writer();
        let Some(writer) = lent.as_mut() else { return Poll::Ready(WriteEnd::Broken) };
        writer.task.clone_from(context.waker());
        let left = writer.write(channel);
        let mut writable = std::mem::take(&mut writer.writable);
        drop(lent);
        let writes = heavy.write(channel, context);
        writable |= writes.is_ok_and(|writes| writes.writable);
        if writable {
            owner.writable();
        }
        let (Ok(left), Ok(writes)) = (left, writes) else { return Poll::Ready(WriteEnd::Broken) };
        if closing && left == Left::Nothing && !writes.left {
            return Poll::Ready(finish(channel, heavy));
        }
        // Who waited for a lane that was written after it can go on now. A lane that is full wakes this task.
        if channel.outbox().is_unblocked_since(round) {
            continue;
        }
        ready!(work.as_mut().poll(context));
        work.set(channel.work.notified());
    })
    .await
}

fn finish(channel: &Channel, heavy: &mut HeavyLanes) -> WriteEnd {
    let light = channel.writer().as_mut().is_some_and(|writer| writer.stream.finish().is_ok());
    if light && heavy.finish() {
        WriteEnd::Finished
    } else {
        WriteEnd::Broken
    }
}
