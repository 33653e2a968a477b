// SPDX-License-Identifier: Apache-2.0
//! A channel: one ordered conversation on a link, such as Erlang distribution.
//!
//! The handle is shared by the BEAM's threads and by the task that runs the streams. It holds the first stream only while that task runs, so
//! a handle that a process forgot keeps no connection and no socket alive.
//!
//! A distribution channel has several streams in each direction, its lanes (see [`barrel_p2p_dist::lanes`]): the one that it is opened
//! with is the light lane, the others are opened when they are needed.
//!
//! Keeps: what waits to be sent and what waits to be taken is bounded (see `outbox`, `inbox`); the owner hears `closed` exactly once, and finds
//! everything that came before it in the inbox.

pub(crate) mod copies;
mod framer;
mod inbox;
mod kind;
mod moderation;
mod outbox;
mod reading;
mod record;
mod signals;
mod task;
mod writer;
mod writing;

pub use framer::Batch;
pub use kind::Kind;
pub(crate) use kind::HEAVY_PRIORITY;
pub use outbox::Accepted;
pub use signals::{Signals, TooLong};
pub(crate) use task::{run, Stream};
pub(crate) use writing::HeavyLanes;

use crate::congestion::Hints;
use crate::peer::Peer;
use crate::reason::Reason;
use barrel_p2p_dist::lanes::{Mark, MAX_LANES};
use bytes::Bytes;
use copies::{Arrived, Copy, Written};
use inbox::{Inbox, Taken, Tell};
use outbox::Outbox;
use quinn::RecvStream;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Instant;
use tokio::sync::{watch, Notify};
use writer::Writer;

/// Up to so many bytes, offered to an idle channel, are sent by the thread that offers them. A ping of 16 bytes then takes 45 to 60 us
/// instead of 65 to 80 (two nodes on two cores). Bulk is not: there the sender gains nothing from doing the work itself, and the two
/// threads would get into each other's way.
const WRITE_HERE_BYTES: usize = 16 * 1024;

/// Who hears from a channel. Called on the I/O thread only, never on a scheduler thread.
pub trait Owner: Send + Sync {
    /// The link is up and the channel is open.
    fn connected(&self, peer: &Peer);
    /// The channel could not be opened.
    fn failed(&self, reason: Reason);
    /// Frames arrived: to be taken with [`Channel::take`] until it finds nothing. Then they are told of again.
    fn arrived(&self);
    /// The outbox has room again after [`Accepted::Busy`] or [`Accepted::Hold`].
    fn writable(&self);
    /// The end. Nothing arrives any more; what has arrived can still be taken.
    fn closed(&self, reason: Reason);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closing {
    Open,
    /// Send what is queued, then finish.
    Graceful,
    /// Drop what is queued.
    Abort,
}

/// Counters of what the peer's and our BEAM put on this channel, ticks included. Transport keep-alives do not count: they come from a
/// native thread and would hide a hung BEAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Frames and ticks received.
    pub received: u64,
    /// Frames and ticks accepted for sending.
    pub sent: u64,
    /// Ticks among the received.
    pub received_ticks: u64,
    /// Ticks among the sent.
    pub sent_ticks: u64,
    /// Bytes that wait to be sent.
    pub pending_bytes: u64,
}

/// The shared handle.
pub struct Channel {
    kind: Kind,
    owner: OnceLock<Arc<dyn Owner>>,
    owned: Notify,
    peer: OnceLock<Peer>,
    outbox: Mutex<Outbox>,
    inbox: Mutex<Inbox>,
    /// Streams of lanes that the peer has opened, and nobody reads yet.
    joined: Mutex<Vec<(usize, RecvStream)>>,
    lane_joined: Notify,
    /// Lanes that the peer has opened, one bit for each.
    opened: AtomicU32,
    /// There while the channel's task runs.
    writer: Mutex<Option<Writer>>,
    work: Notify,
    tick: AtomicBool,
    closing: watch::Sender<Closing>,
    received: AtomicU64,
    sent: AtomicU64,
    received_ticks: AtomicU64,
    sent_ticks: AtomicU64,
    /// Of the connection, once the channel's task runs.
    hints: OnceLock<Arc<Hints>>,
    /// Something was taken that somebody may wait for.
    taken: Notify,
    report_soon: Notify,
    tell_soon: Notify,
    /// Of the light lane, while the network loses packets.
    written: Mutex<Written>,
    copy_soon: Notify,
    /// The peer takes them.
    may_copy: AtomicBool,
    copies: Mutex<Arrived>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("peer", &self.peer.get()).field("stat", &self.stat()).finish_non_exhaustive()
    }
}

impl Default for Channel {
    fn default() -> Self {
        Self::new(Kind::default())
    }
}

impl Channel {
    /// A channel that is nowhere yet: to be owned, then connected.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            owner: OnceLock::new(),
            owned: Notify::new(),
            peer: OnceLock::new(),
            outbox: Mutex::new(Outbox::new(1)),
            inbox: Mutex::default(),
            joined: Mutex::default(),
            lane_joined: Notify::new(),
            opened: AtomicU32::new(0),
            writer: Mutex::new(None),
            work: Notify::new(),
            tick: AtomicBool::new(false),
            closing: watch::Sender::new(Closing::Open),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received_ticks: AtomicU64::new(0),
            sent_ticks: AtomicU64::new(0),
            hints: OnceLock::new(),
            taken: Notify::new(),
            report_soon: Notify::new(),
            tell_soon: Notify::new(),
            written: Mutex::default(),
            copy_soon: Notify::new(),
            may_copy: AtomicBool::new(false),
            copies: Mutex::default(),
        }
    }

    /// What it carries.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Names the owner. False when there is one already or the channel is closed.
    pub fn own(&self, owner: Arc<dyn Owner>) -> bool {
        let taken = !self.is_closing() && self.owner.set(owner).is_ok();
        self.owned.notify_one();
        taken
    }

    /// The other end, once known.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.get()
    }

    /// Gives it lanes, before anything is sent.
    pub(crate) fn set_lanes(&self, lanes: usize) {
        if self.kind == Kind::Dist {
            self.outbox().set_lanes(lanes);
        }
    }

    /// Queues whole frames, headers included, which all keep their order.
    pub fn send(&self, frames: u64, chunks: impl IntoIterator<Item = Bytes>) -> Accepted {
        self.queue(frames, |outbox| outbox.push(chunks))
    }

    /// Queues signals of Erlang's distribution, which keep their order where Erlang promises one.
    pub fn send_signals(&self, signals: &Signals<'_>) -> Accepted {
        self.queue(signals.count(), |outbox| outbox.sort(signals))
    }

    /// Nobody is held any more, for it took too long. [`Accepted::Busy`] when the producer is to wait nevertheless.
    pub fn let_go(&self) -> Accepted {
        if self.outbox().let_go() {
            Accepted::Ready
        } else {
            Accepted::Busy
        }
    }

    fn queue(&self, frames: u64, push: impl FnOnce(&mut Outbox) -> Accepted) -> Accepted {
        let mut outbox = self.outbox();
        if let Some(hints) = self.hints.get() {
            outbox.fit(hints.window());
        }
        let (light, all) = (outbox.light_bytes(), outbox.waiting_bytes());
        let accepted = push(&mut outbox);
        let more_light = outbox.light_bytes() - light;
        let more_heavy = outbox.waiting_bytes() - all > more_light;
        let small = light == 0 && more_light <= WRITE_HERE_BYTES;
        let beside = more_light > 0 && outbox.heavy_bytes() > 0;
        drop(outbox);
        if beside {
            if let Some(hints) = self.hints.get() {
                hints.small_passed();
            }
        }
        if accepted != Accepted::Closed {
            self.sent.fetch_add(frames, Ordering::Relaxed);
            let written = more_light == 0 || (small && self.write_here());
            if more_heavy || !written {
                self.work.notify_one();
            }
        }
        accepted
    }

    /// Sends on this thread what is queued. Does not wait: false when the I/O thread is to do it.
    fn write_here(&self) -> bool {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        writer.as_mut().is_some_and(|writer| writer.write_here(self)) && !self.outbox().is_blocked()
    }

    /// Asks for a tick. Queued data serves as one, so a tick never waits behind data.
    pub fn tick(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.sent_ticks.fetch_add(1, Ordering::Relaxed);
        self.tick.store(true, Ordering::Release);
        self.work.notify_one();
    }

    /// Takes frames that arrived, at most about so many bytes, and small messages before large ones.
    pub fn take(&self, most: usize) -> Option<Batch> {
        let taken = self.inbox().take(most);
        self.after(taken)
    }

    /// As [`Self::take`], of what belongs to the handshake that comes before signals.
    pub fn take_first(&self) -> Option<Batch> {
        let taken = self.inbox().take_light(1);
        self.after(taken)
    }

    fn after(&self, taken: Taken) -> Option<Batch> {
        self.tell(taken.reports);
        if taken.report_soon {
            self.report_soon.notify_one();
        }
        if taken.is_awaited {
            self.taken.notify_waiters();
        }
        taken.batch
    }

    /// Tells the peer what was given out.
    fn tell(&self, reports: Vec<Mark>) {
        if reports.is_empty() {
            return;
        }
        let mut outbox = self.outbox();
        reports.into_iter().for_each(|mark| outbox.report(mark));
        drop(outbox);
        self.work.notify_one();
    }

    /// Tells the owner that there are frames, unless it knows: now, or soon.
    fn tell_owner(&self, owner: &dyn Owner) {
        // A tick may be counted in between.
        let sent = self.sent.load(Ordering::Relaxed).saturating_sub(self.sent_ticks.load(Ordering::Relaxed));
        let tell = self.inbox().tells(sent, Instant::now());
        match tell {
            Tell::Nothing => {}
            Tell::Now => owner.arrived(),
            Tell::Soon => self.tell_soon.notify_one(),
        }
    }

    /// Waits for something that changes when frames are taken.
    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            let taken = self.taken.notified();
            tokio::pin!(taken);
            taken.as_mut().enable();
            if holds(self) {
                return;
            }
            taken.await;
        }
    }

    /// The peer opens a lane, below [`MAX_LANES`]. Each one once: streams of one lane would share its part of the inbox, but each may hold half a
    /// frame of its own.
    pub(crate) fn may_open(&self, lane: usize) -> bool {
        let bit = 1 << (lane % MAX_LANES);
        self.opened.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// The peer has opened a lane.
    pub(crate) fn join(&self, lane: usize, stream: RecvStream) {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).push((lane, stream));
        self.lane_joined.notify_one();
    }

    /// A part of the light lane has come as a copy.
    pub(crate) fn copied(&self, copy: Copy) {
        let reader = self.copies().push(copy);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Are small messages to go twice?
    fn copies_go(&self) -> bool {
        self.may_copy.load(Ordering::Relaxed) && self.hints.get().is_some_and(|hints| hints.is_lossy())
    }

    fn take_joined(&self) -> Vec<(usize, RecvStream)> {
        std::mem::take(&mut *self.joined.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The counters.
    pub fn stat(&self) -> Stat {
        Stat {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            received_ticks: self.received_ticks.load(Ordering::Relaxed),
            sent_ticks: self.sent_ticks.load(Ordering::Relaxed),
            pending_bytes: self.outbox().waiting_bytes() as u64,
        }
    }

    /// Ends the channel after all that was queued has been delivered (bounded, in the background).
    pub fn close(&self) {
        self.end(Closing::Graceful);
    }

    /// Ends the channel at once.
    pub fn abort(&self) {
        self.end(Closing::Abort);
    }

    /// Ends the channel at once, unless it is already ending gracefully: whoever closes and then goes away has said what it wants.
    pub fn abandon(&self) {
        if !self.is_closing() {
            self.abort();
        }
    }

    fn end(&self, how: Closing) {
        self.outbox().close();
        self.closing.send_if_modified(|closing| {
            let stronger = how > *closing;
            if stronger {
                *closing = how;
            }
            stronger
        });
        self.work.notify_one();
        self.owned.notify_one();
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow() != Closing::Open
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // The queue is consistent between any two statements, so a poisoned lock is still good.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copies(&self) -> MutexGuard<'_, Arrived> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn owner(&self) -> Option<&Arc<dyn Owner>> {
        self.owner.get()
    }

    fn set_hints(&self, hints: Arc<Hints>) {
        let _ = self.hints.set(hints);
    }

    pub(crate) fn set_peer(&self, peer: Peer) {
        let _ = self.peer.set(peer);
    }

    /// Tells the owner that no channel came about.
    pub(crate) fn fail(&self, reason: Reason) {
        self.outbox().close();
        self.closing.send_replace(Closing::Abort);
        if let Some(owner) = self.owner() {
            owner.failed(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_opened_once() {
        let channel = Channel::new(Kind::Dist);
        assert_eq!([1, 31, 1, 31, 2].map(|lane| channel.may_open(lane)), [true, true, false, false, true]);
    }
}
