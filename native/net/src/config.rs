// SPDX-License-Identifier: Apache-2.0
//! What an endpoint needs to know, and the transport settings made from it.

use crate::congestion;
use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use std::sync::Arc;
use std::time::Duration;

/// Settings of an endpoint, validated by the caller.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node name to claim when none is given at the dial; empty while the name is dynamic.
    pub name: String,
    /// UDP port, 0 for an ephemeral one.
    pub port: u16,
    /// Accept links, or only dial.
    pub listen: bool,
    /// From the first packet of a stranger to the end of its hello.
    pub hello_timeout: Duration,
    /// For one dial, over all addresses.
    pub dial_timeout: Duration,
    /// Period of keep-alive packets on a silent link.
    pub keepalive: Duration,
    /// Upper bound from a peer's death to the end of the link.
    pub idle_timeout: Duration,
    /// Digest of the settings that must agree in the whole cluster.
    pub config_digest: [u8; 32],
}

/// Bytes that a peer may have in flight before its hello passed. One hello is at most 4 KiB; the rest leaves room for its framing.
const STRANGER_WINDOW_BYTES: u32 = 16 * 1024;

/// Bytes that a link may have in flight towards us. Above the product of bandwidth and delay of 10 Gbit/s at 10 ms.
const LINK_WINDOW_BYTES: u32 = 16 << 20;

/// Bytes that one stream may have in flight towards us: half of the link's, so that one stream cannot starve the others.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;

/// Bytes that quinn may hold for us, unacknowledged or unsent. Everything here is queue in front of a small message.
const SEND_WINDOW_BYTES: u64 = 4 << 20;

/// Streams that an authenticated peer may have open towards us.
const LINK_STREAMS: u32 = 256;

/// Largest UDP payload to probe for. Loopback carries 64 KiB, but a batch of 10 segments (quinn's limit) over 65,507 bytes is dropped
/// by the kernel without an error, so a tenth of that is the most that can be used. Real paths settle at what they carry. Cutting batches
/// to allow 16,000 gave a tenth more bulk speed on loopback and cost each link 100 KiB of send buffer: not worth it.
const MTU_UPPER_BOUND: u16 = 6_500;

impl Config {
    /// The same for both roles, before the hello has passed: one stream, a small window.
    pub(crate) fn transport(&self) -> TransportConfig {
        let mut mtu = MtuDiscoveryConfig::default();
        mtu.upper_bound(MTU_UPPER_BOUND);
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(1))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .congestion_controller_factory(Arc::new(congestion::Factory::default()))
            .datagram_receive_buffer_size(None)
            .keep_alive_interval(Some(self.keepalive))
            .max_idle_timeout(IdleTimeout::try_from(self.quic_idle_timeout()).ok())
            .receive_window(VarInt::from_u32(STRANGER_WINDOW_BYTES))
            .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
            .send_window(SEND_WINDOW_BYTES)
            .mtu_discovery_config(Some(mtu));
        transport
    }

    /// A keep-alive that is sent just after the peer died restarts QUIC's idle timer once (RFC 9000, 10.1), so the timer must be shorter
    /// than the promise by one period; half a period more is left for the news to reach a busy host.
    fn quic_idle_timeout(&self) -> Duration {
        self.idle_timeout.saturating_sub(self.keepalive * 3 / 2).max(self.keepalive)
    }
}

/// Opens up a connection whose peer has proved itself.
pub(crate) fn lift_stranger_limits(connection: &quinn::Connection) {
    connection.set_receive_window(VarInt::from_u32(LINK_WINDOW_BYTES));
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(LINK_STREAMS));
}

/// The largest UDP payload that we accept, so that the peer's probes can pass.
pub(crate) const MAX_UDP_PAYLOAD_BYTES: u16 = MTU_UPPER_BOUND;
