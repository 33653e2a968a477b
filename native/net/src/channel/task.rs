// SPDX-License-Identifier: Apache-2.0
//! The task of one channel: writes the outbox to the stream, cuts what arrives into frames and hands them to the owner.

use super::writer::{Left, Writer};
use super::{Channel, Closing, Framer, Owner, CREDIT_BYTES};
use crate::reason::Reason;
use barrel_p2p_base::CloseCode;
use bytes::Bytes;
use quinn::{RecvStream, SendStream, VarInt};
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::task::{ready, Poll, Waker};
use std::time::Duration;
use tokio::sync::watch;

/// How long a graceful end waits for the peer to take what is queued, and then to acknowledge the last bytes.
const LINGER: Duration = Duration::from_secs(1);

/// Pieces (packets) taken from the stream in one read: about 90 KiB at the smallest MTU, so a batch is worth a message to the BEAM.
const READ_PIECES: usize = 64;

/// Fewer pieces are taken when they are large, to make this many bytes, and one piece more at the most: the emulator keeps binaries up to
/// 512 KiB in memory that it has, and maps each larger one anew.
const READ_BYTES: usize = 448 * 1024;

/// Runs the channel to its end. Returns after the owner has heard `closed`. `explain` knows why the link was closed when it was we who
/// closed it.
pub(crate) async fn run(
    channel: Arc<Channel>,
    mut send: SendStream,
    mut recv: RecvStream,
    explain: impl Fn(Reason) -> Reason,
) {
    let Some(owner) = wait_for_owner(&channel).await else {
        let code = VarInt::from_u32(CloseCode::Idle.to_wire());
        let _ = send.reset(code);
        let _ = recv.stop(code);
        return;
    };
    let lent = Lent::new(&channel, send);
    let mut closing = channel.closing.subscribe();
    let (reason, ended_by_us) = {
        let write = write_all(&channel, owner.as_ref());
        let read = read_all(&channel, &mut recv, owner.as_ref());
        tokio::pin!(write, read);
        tokio::select! {
            reason = &mut read => (reason, false),
            end = &mut write => match end {
                WriteEnd::Finished => (Reason::Closed, true),
                // The reader knows why the stream broke, and may still hold frames that came before.
                WriteEnd::Broken => tokio::select! {
                    reason = &mut read => (reason, false),
                    () = out_of_patience(&mut closing) => (Reason::Closed, true),
                },
            },
            () = out_of_patience(&mut closing) => (Reason::Closed, true),
        }
    };
    let reason = explain(reason);
    channel.outbox().close();
    let Some(mut send) = lent.take_back() else { return };
    if ended_by_us && *channel.closing.borrow() == Closing::Graceful {
        let _ = tokio::time::timeout(LINGER, send.stopped()).await;
    }
    let code = VarInt::from_u32(reason.close_code().to_wire());
    let _ = send.reset(code);
    let _ = recv.stop(code);
    owner.closed(reason);
}

async fn wait_for_owner(channel: &Channel) -> Option<Arc<dyn Owner>> {
    loop {
        if let Some(owner) = channel.owner() {
            return Some(owner.clone());
        }
        if channel.is_closing() {
            return None;
        }
        channel.owned.notified().await;
    }
}

/// Resolves when the owner wants the end at once, or has waited long enough for a graceful one: a peer that does not read must not hold
/// the channel for ever.
async fn out_of_patience(closing: &mut watch::Receiver<Closing>) {
    let mut graceful = closing.clone();
    let graceful = async move {
        wait_for(&mut graceful, Closing::Graceful).await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::pin!(graceful);
    tokio::select! {
        () = &mut graceful => {}
        () = wait_for(closing, Closing::Abort) => {}
    }
}

async fn wait_for(closing: &mut watch::Receiver<Closing>, wanted: Closing) {
    if closing.wait_for(|how| *how >= wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

enum WriteEnd {
    Broken,
    Finished,
}

/// The channel has the stream while this lives.
struct Lent<'a>(&'a Channel);

impl<'a> Lent<'a> {
    fn new(channel: &'a Channel, stream: SendStream) -> Self {
        *channel.writer() = Some(Writer::new(stream, Waker::noop().clone()));
        Self(channel)
    }

    /// Always there, since nobody else takes it.
    fn take_back(self) -> Option<SendStream> {
        self.0.writer().take().map(|writer| writer.stream)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.0.writer() = None;
    }
}

async fn write_all(channel: &Channel, owner: &dyn Owner) -> WriteEnd {
    let mut work = pin!(channel.work.notified());
    poll_fn(|context| loop {
        // Asked before the outbox is looked at: nothing gets into it later.
        let closing = channel.is_closing();
        let mut lent = channel.writer();
        let Some(writer) = lent.as_mut() else { return Poll::Ready(WriteEnd::Broken) };
        writer.task.clone_from(context.waker());
        let left = writer.write(channel);
        let writable = std::mem::take(&mut writer.writable);
        let end = match left {
            Err(_) => Some(WriteEnd::Broken),
            Ok(Left::Nothing) if closing => {
                Some(writer.stream.finish().map_or(WriteEnd::Broken, |()| WriteEnd::Finished))
            }
            Ok(_) => None,
        };
        drop(lent);
        if writable {
            owner.writable();
        }
        if let Some(end) = end {
            return Poll::Ready(end);
        }
        ready!(work.as_mut().poll(context));
        work.set(channel.work.notified());
    })
    .await
}

async fn read_all(channel: &Channel, recv: &mut RecvStream, owner: &dyn Owner) -> Reason {
    let mut framer = Framer::new(channel.kind.max_frame_bytes());
    let mut pieces = vec![Bytes::new(); READ_PIECES];
    let mut largest = 1;
    loop {
        while channel.owed.load(Ordering::Acquire) >= CREDIT_BYTES {
            channel.credit.notified().await;
        }
        let most = (READ_BYTES / largest + 1).min(READ_PIECES);
        let count = match recv.read_chunks(&mut pieces[..most]).await {
            Ok(Some(count)) => count,
            Ok(None) => return Reason::Closed,
            Err(error) => return Reason::of_read(&error),
        };
        for piece in &mut pieces[..count] {
            largest = largest.max(piece.len());
            if framer.push(std::mem::take(piece)).is_err() {
                return Reason::Code(CloseCode::ProtocolError);
            }
        }
        let batch = framer.take();
        channel.received.fetch_add(batch.frames, Ordering::Relaxed);
        channel.received_ticks.fetch_add(batch.ticks, Ordering::Relaxed);
        if batch.frames > batch.ticks {
            channel.owed.fetch_add(batch.bytes, Ordering::AcqRel);
            owner.frames(batch);
        }
    }
}
