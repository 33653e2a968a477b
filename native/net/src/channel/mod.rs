// SPDX-License-Identifier: Apache-2.0
//! A channel: one ordered conversation on a link, such as Erlang distribution.
//!
//! The handle is shared by the BEAM's threads and by the task that runs the stream. It holds the stream only while that task runs, so a
//! handle that a process forgot keeps no connection and no socket alive.
//!
//! Keeps: at most a mebibyte (and one batch) waits to be sent; at most [`CREDIT_BYTES`] are handed to the owner and not
//! yet given back; the owner hears `closed` exactly once, after the last frame.

mod framer;
mod kind;
mod outbox;
mod task;
mod writer;

use framer::FRAME_HEADER_BYTES;
pub use framer::{Batch, FrameTooLarge, Framer};
pub use kind::Kind;
pub use outbox::Accepted;
pub(crate) use task::run;

use crate::peer::Peer;
use crate::reason::Reason;
use bytes::Bytes;
use outbox::Outbox;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use tokio::sync::{watch, Notify};
use writer::Writer;

/// Bytes delivered to the owner and not given back, above which reading stops and the peer is slowed down by flow control. Two of the
/// largest batches that one read makes, so that the owner never waits for us.
pub const CREDIT_BYTES: usize = 2 << 20;

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
    /// Whole frames arrived; their bytes are owed back through [`Channel::give_back`].
    fn frames(&self, batch: Batch);
    /// The outbox has room again after [`Accepted::Busy`].
    fn writable(&self);
    /// The end. Nothing follows.
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
    /// There while the channel's task runs.
    writer: Mutex<Option<Writer>>,
    work: Notify,
    tick: AtomicBool,
    closing: watch::Sender<Closing>,
    received: AtomicU64,
    sent: AtomicU64,
    received_ticks: AtomicU64,
    sent_ticks: AtomicU64,
    owed: AtomicUsize,
    credit: Notify,
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
            outbox: Mutex::new(Outbox::default()),
            writer: Mutex::new(None),
            work: Notify::new(),
            tick: AtomicBool::new(false),
            closing: watch::Sender::new(Closing::Open),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received_ticks: AtomicU64::new(0),
            sent_ticks: AtomicU64::new(0),
            owed: AtomicUsize::new(0),
            credit: Notify::new(),
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

    /// Queues whole frames, headers included.
    pub fn send(&self, frames: u64, chunks: impl IntoIterator<Item = Bytes>) -> Accepted {
        let (accepted, small) = {
            let mut outbox = self.outbox();
            let idle = outbox.waiting_bytes() == 0;
            (outbox.push(chunks), idle && outbox.waiting_bytes() <= WRITE_HERE_BYTES)
        };
        if accepted != Accepted::Closed {
            self.sent.fetch_add(frames, Ordering::Relaxed);
            if !(small && self.write_here()) {
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
        writer.as_mut().is_some_and(|writer| writer.write_here(self))
    }

    /// Asks for a tick. Queued data serves as one, so a tick never waits behind data.
    pub fn tick(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.sent_ticks.fetch_add(1, Ordering::Relaxed);
        self.tick.store(true, Ordering::Release);
        self.work.notify_one();
    }

    /// The owner has consumed this many bytes.
    pub fn give_back(&self, bytes: usize) {
        let before =
            self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| Some(owed.saturating_sub(bytes)));
        let before = before.unwrap_or(0);
        if before >= CREDIT_BYTES && before.saturating_sub(bytes) < CREDIT_BYTES {
            self.credit.notify_one();
        }
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

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn owner(&self) -> Option<&Arc<dyn Owner>> {
        self.owner.get()
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
