// SPDX-License-Identifier: Apache-2.0
//! A congestion controller that lets a farewell pass.
//!
//! quinn holds back every packet, also one with CONNECTION_CLOSE, while the congestion window is full and other data waits; a closed
//! connection hears no more acknowledgements, so such a close is never sent and the peer waits for its idle timeout. Closing therefore
//! opens the window first. One close packet per link does no harm to any network.

use barrel_p2p_base::CloseCode;
use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn::{Connection, VarInt};
use quinn_proto::RttEstimator;
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

/// Above `u32::MAX` quinn does not pace either.
const OPEN_WINDOW: u64 = u64::MAX / 2;

/// Packets (count) in flight at the start, as RFC 9002 has it. quinn has a number of bytes there, and sends nothing when that is less than one
/// packet.
const INITIAL_WINDOW_PACKETS: u64 = 10;

/// Builds one controller per connection.
#[derive(Debug)]
pub(crate) struct Factory;

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let mut cubic = CubicConfig::default();
        cubic.initial_window(INITIAL_WINDOW_PACKETS * u64::from(current_mtu));
        Box::new(Closable { inner: Arc::new(cubic).build(now, current_mtu), closing: Arc::default() })
    }
}

/// Closes a connection so that the peer hears it.
pub(crate) fn close(connection: &Connection, code: CloseCode) {
    open_window(connection);
    connection.close(VarInt::from_u32(code.to_wire()), code.name().as_bytes());
}

/// Makes room for a close that is about to be sent.
pub(crate) fn open_window(connection: &Connection) {
    if let Ok(controller) = connection.congestion_state().into_any().downcast::<Closable>() {
        controller.closing.store(true, Ordering::Relaxed);
    }
}

struct Closable {
    inner: Box<dyn Controller>,
    /// Shared by all clones, since quinn hands out clones only.
    closing: Arc<AtomicBool>,
}

impl Controller for Closable {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.closing.load(Ordering::Relaxed) {
            OPEN_WINDOW
        } else {
            self.inner.window().min(512 * 1024)
        }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), closing: self.closing.clone() })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
