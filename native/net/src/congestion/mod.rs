// SPDX-License-Identifier: Apache-2.0
//! The congestion controller, and how a farewell passes it.
//!
//! quinn's own do not fit: its Cubic collapses under one lost packet in a hundred, its BBR loses half of its packets on a narrow link, and both
//! let queues grow in which small messages wait. [`Governor`] is ours; here it is given to quinn. quinn paces what it sends: by a
//! quarter faster than one window for each round trip, in bursts of 2 ms.
//!
//! quinn holds back every packet, also one with CONNECTION_CLOSE, while the congestion window is full and other data waits; a closed
//! connection hears no more acknowledgements, so such a close is never sent and the peer waits for its idle timeout. Closing therefore
//! opens the window first. One close packet per link does no harm to any network.

mod calm;
mod estimate;
mod filter;
mod governor;
mod losses;
#[cfg(test)]
mod model;
mod round;
#[cfg(test)]
mod tests;

pub(crate) use governor::Limits;

use barrel_p2p_base::CloseCode;
use governor::Governor;
use quinn::congestion::{Controller, ControllerFactory};
use quinn::{Connection, VarInt};
use quinn_proto::RttEstimator;
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long small messages count as passing by large ones after the last one did.
const BESIDE: Duration = Duration::from_millis(20);

/// How long after a loss the network counts as one that loses packets: a hundred round trips of a long path, as one loss in a hundred packets
/// matters.
const LOSSY: Duration = Duration::from_secs(10);

/// Above `u32::MAX` quinn does not pace either.
const OPEN_WINDOW: u64 = u64::MAX / 2;

/// Builds the controllers of one connection: quinn asks for another one when the peer's address has changed (RFC 9000, 9.4).
#[derive(Debug)]
pub(crate) struct Factory {
    limits: Limits,
    beside: u64,
    /// Shared by all of them, so that who has asked once hears of the path that is used now.
    hints: Arc<Hints>,
}

impl Factory {
    /// `beside`: bytes that may be in flight while small messages pass by large ones.
    pub(crate) fn new(limits: Limits, beside: u64) -> Self {
        Self { limits, beside, hints: Arc::default() }
    }
}

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let governor = Governor::new(now, u64::from(current_mtu), self.limits);
        self.hints.window.store(governor.carried(), Ordering::Relaxed);
        self.hints.lossy.store(false, Ordering::Relaxed);
        Box::new(Hinted {
            beside: self.beside,
            beside_until: now,
            latest: now,
            lossy_until: now,
            hints: self.hints.clone(),
            governor,
        })
    }
}

/// Closes a connection so that the peer hears it.
pub(crate) fn close(connection: &Connection, code: CloseCode) {
    open_window(connection);
    connection.close(VarInt::from_u32(code.to_wire()), code.name().as_bytes());
}

/// Makes room for a close that is about to be sent.
pub(crate) fn open_window(connection: &Connection) {
    if let Some(hints) = hints(connection) {
        hints.closing.store(true, Ordering::Relaxed);
    }
}

/// What the controllers of a connection and the rest of this crate tell each other.
pub(crate) fn hints(connection: &Connection) -> Option<Arc<Hints>> {
    let controller = connection.congestion_state().into_any().downcast::<Hinted>().ok()?;
    Some(controller.hints)
}

/// See [`hints`].
#[derive(Debug, Default)]
pub(crate) struct Hints {
    closing: AtomicBool,
    small_passed: AtomicBool,
    lossy: AtomicBool,
    has_room: AtomicBool,
    sent: AtomicU64,
    window: AtomicU64,
}

impl Hints {
    /// What the path carries, in bytes in flight.
    pub(crate) fn window(&self) -> u64 {
        self.window.load(Ordering::Relaxed)
    }

    /// The network loses packets.
    pub(crate) fn is_lossy(&self) -> bool {
        self.lossy.load(Ordering::Relaxed)
    }

    /// More could be sent than there is to send.
    pub(crate) fn has_room(&self) -> bool {
        self.has_room.load(Ordering::Relaxed)
    }

    /// Bytes sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// A small message was sent beside large ones that are under way.
    pub(crate) fn small_passed(&self) {
        self.small_passed.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Hinted {
    governor: Governor,
    beside: u64,
    beside_until: Instant,
    latest: Instant,
    lossy_until: Instant,
    /// Shared by all clones too, since quinn hands out clones only.
    hints: Arc<Hints>,
}

impl Controller for Hinted {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        self.hints.sent.fetch_add(bytes, Ordering::Relaxed);
        self.governor.on_sent(now);
    }

    fn on_ack(&mut self, _now: Instant, sent: Instant, bytes: u64, app_limited: bool, _rtt: &RttEstimator) {
        self.governor.on_ack(sent, bytes, app_limited);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, _largest: Option<u64>) {
        self.latest = now;
        if self.hints.small_passed.swap(false, Ordering::Relaxed) {
            self.beside_until = now + BESIDE;
            self.governor.on_small(now);
        }
        self.hints.has_room.store(app_limited, Ordering::Relaxed);
        self.hints.lossy.store(now < self.lossy_until, Ordering::Relaxed);
        self.governor.on_end_acks(now, in_flight);
        self.hints.window.store(self.governor.carried(), Ordering::Relaxed);
    }

    fn on_congestion_event(&mut self, now: Instant, _sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        if lost_bytes > 0 {
            self.lossy_until = now + LOSSY;
            self.hints.lossy.store(true, Ordering::Relaxed);
        }
        if is_persistent_congestion {
            self.governor.on_collapse(now);
        } else {
            self.governor.on_lost(lost_bytes);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.governor.on_mtu(u64::from(new_mtu));
    }

    fn window(&self) -> u64 {
        if self.hints.closing.load(Ordering::Relaxed) {
            OPEN_WINDOW
        } else if self.latest < self.beside_until {
            self.governor.window().min(self.beside)
        } else {
            self.governor.window()
        }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.governor.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
