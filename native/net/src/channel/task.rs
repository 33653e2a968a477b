// SPDX-License-Identifier: Apache-2.0
//! The task of one channel: its lanes in both directions, from the moment that it has an owner to its end.

use super::copies::{Arrived, Budget};
use super::reading::{read_heavy, read_light};
use super::writing::{write_all, HeavyLanes, Lent, WriteEnd};
use super::{Channel, Closing, Kind, Owner};
use crate::congestion;
use crate::reason::Reason;
use barrel_p2p_base::CloseCode;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a graceful end waits for the peer to take what is queued, and then to acknowledge the last bytes.
const LINGER: Duration = Duration::from_secs(1);

/// How long the peer is not told of what was given out of its lanes, when it is little. A sender that was heavy stays on its lane for as
/// much longer; a report costs a packet and wakes two threads.
const REPORT_AFTER: Duration = Duration::from_millis(5);

/// How long the owner of a stream is not told of the last of it: the shortest time that the runtime can wait, and longer than after which it is
/// told at once (see `moderation`).
const TELL_AFTER: Duration = Duration::from_millis(1);

/// What is written to the light lane of a network that loses packets is written again after one of these and before the third: the shortest time
/// that the runtime can wait, and long enough for another packet.
const COPY_AFTER: Duration = Duration::from_millis(1);

/// The two directions of the stream that a channel is opened with, which is its light lane.
pub(crate) struct Stream {
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
}

/// Runs the channel to its end. Returns after the owner has heard `closed`. `explain` knows why the link was closed when it was we who
/// closed it.
pub(crate) async fn run(
    channel: Arc<Channel>,
    stream: Stream,
    mut heavy: HeavyLanes,
    explain: impl Fn(Reason) -> Reason,
) {
    let Stream { mut send, mut recv } = stream;
    let Some(owner) = wait_for_owner(&channel).await else {
        let code = VarInt::from_u32(CloseCode::Idle.to_wire());
        let _ = send.reset(code);
        let _ = recv.stop(code);
        return;
    };
    let (connection, number) = (heavy.connection(), heavy.number());
    if let Some(hints) = congestion::hints(&connection) {
        channel.set_hints(hints);
    }
    let may_copy = channel.kind() == Kind::Dist && connection.max_datagram_size().is_some();
    channel.may_copy.store(may_copy, Ordering::Relaxed);
    let lent = Lent::new(&channel, send);
    let mut closing = channel.closing.subscribe();
    let (reason, ended_by_us) = {
        let write = write_all(&channel, owner.as_ref(), &mut heavy);
        let read = read_light(&channel, &mut recv, &connection, owner.as_ref());
        let read_heavy = read_all_heavy(&channel, &owner);
        tokio::pin!(write, read, read_heavy);
        tokio::select! {
            reason = &mut read => (reason, false),
            reason = &mut read_heavy => (reason, false),
            end = &mut write => match end {
                WriteEnd::Finished => (Reason::Closed, true),
                // The reader knows why the stream broke, and may still hold frames that came before.
                WriteEnd::Broken => tokio::select! {
                    reason = &mut read => (reason, false),
                    () = out_of_patience(&mut closing) => (Reason::Closed, true),
                },
            },
            () = out_of_patience(&mut closing) => (Reason::Closed, true),
            () = report(&channel) => (Reason::Closed, true),
            () = tell_soon(&channel, owner.as_ref()) => (Reason::Closed, true),
            () = copy(&channel, &connection, number) => (Reason::Closed, true),
        }
    };
    let reason = explain(reason);
    channel.outbox().close();
    let Some(mut send) = lent.take_back() else { return };
    if ended_by_us && *channel.closing.borrow() == Closing::Graceful {
        let all = async {
            let _ = send.stopped().await;
            heavy.stopped().await;
        };
        let _ = tokio::time::timeout(LINGER, all).await;
    }
    let code = VarInt::from_u32(reason.close_code().to_wire());
    let _ = send.reset(code);
    heavy.reset(code);
    let _ = recv.stop(code);
    // The BEAM may keep the handle for long.
    *channel.copies() = Arrived::default();
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

/// Reads the lanes that the peer opens. Resolves when one of them is out of order.
async fn read_all_heavy(channel: &Arc<Channel>, owner: &Arc<dyn Owner>) -> Reason {
    let mut readers = JoinSet::new();
    loop {
        for (lane, recv) in channel.take_joined() {
            let (channel, owner) = (channel.clone(), owner.clone());
            readers.spawn(async move { read_heavy(&channel, lane, recv, owner.as_ref()).await });
        }
        tokio::select! {
            () = channel.lane_joined.notified() => {}
            Some(ended) = readers.join_next() => if let Ok(Some(reason)) = ended {
                return reason;
            }
        }
    }
}

/// Tells the peer now and then what was given out of its lanes.
async fn report(channel: &Channel) {
    loop {
        channel.report_soon.notified().await;
        tokio::time::sleep(REPORT_AFTER).await;
        let reports = channel.inbox().reports();
        channel.tell(reports);
    }
}

/// Tells the owner of what it was not told of at once.
async fn tell_soon(channel: &Channel, owner: &dyn Owner) {
    loop {
        channel.tell_soon.notified().await;
        tokio::time::sleep(TELL_AFTER).await;
        channel.tell_owner(owner);
    }
}

/// Sends the light lane once more while the network loses packets.
async fn copy(channel: &Channel, connection: &Connection, number: [u8; 4]) {
    let mut budget = Budget::default();
    loop {
        channel.copy_soon.notified().await;
        while !channel.written().is_empty() {
            tokio::time::sleep(COPY_AFTER).await;
            let copy = channel.written().take(number);
            let (Some(copy), Some(hints)) = (copy, channel.hints.get()) else { continue };
            if hints.is_lossy() && budget.allows(copy.len(), hints.sent(), hints.has_room()) {
                // The stream brings it too.
                let _ = connection.send_datagram(copy);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::framer::{Batch, Item};
    use crate::peer::Peer;
    use bytes::Bytes;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Ear(AtomicUsize);

    impl Owner for Ear {
        fn connected(&self, _peer: &Peer) {}
        fn failed(&self, _reason: Reason) {}
        fn arrived(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn writable(&self) {}
        fn closed(&self, _reason: Reason) {}
    }

    fn arrive(channel: &Channel, ear: &Ear, bytes: usize) {
        let batch = Batch { pieces: vec![Bytes::from(vec![0; bytes])], bytes, frames: 1, ticks: 0 };
        channel.inbox().push(1, Item::Frames(batch));
        channel.tell_owner(ear);
    }

    /// Nothing else would tell of it: nothing comes behind it.
    #[tokio::test]
    async fn the_last_of_a_stream_is_told_of() {
        let (channel, ear) = (Channel::new(Kind::Dist), Ear::default());
        arrive(&channel, &ear, 8 << 20);
        while channel.take(usize::MAX).is_some() {}
        arrive(&channel, &ear, 64 << 10);
        tokio::select! {
            biased;
            () = tell_soon(&channel, &ear) => {}
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        assert_eq!(ear.0.load(Ordering::Relaxed), 2);
    }
}
