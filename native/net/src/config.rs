// SPDX-License-Identifier: Apache-2.0
//! What an endpoint needs to know, and the transport settings made from it.

use crate::congestion::{self, Limits};
use quinn::{AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use std::net::SocketAddr;
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
    /// Streams of a distribution channel in each direction, at the most.
    pub dist_lanes: usize,
    /// Digest of the settings that must agree in the whole cluster.
    pub config_digest: [u8; 32],
}

/// Bytes that a peer may have in flight before its hello passed. One hello is at most 4 KiB; the rest leaves room for its framing.
const STRANGER_WINDOW_BYTES: u32 = 16 * 1024;

/// Bytes that a link may have in flight towards us. Above the product of bandwidth and delay of 10 Gbit/s at 10 ms.
const LINK_WINDOW_BYTES: u32 = 24 << 20;

/// Bytes that one stream may have in flight towards us: half of the link's, so that one stream cannot starve the others.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;

/// Bytes that quinn may hold for us, unacknowledged or unsent. Above all that the outboxes of a link give it, so that it never makes a light lane
/// wait for a heavy one; which of them goes first is decided by priority, when a packet is made.
/// A lost packet keeps all that was sent after it for another round trip or two: with 4 MiB a round trip of 50 ms carried 73 MB/s without losses
/// and 35 MB/s with one lost packet in a hundred, with 16 MiB 56 MB/s.
const SEND_WINDOW_BYTES: u64 = 24 << 20;

/// Copies of small messages (see `channel::copies`) that may wait for the task of a link: four of the largest. Whatever is in them, quinn counts 32
/// bytes more for each, and keeps the packets that they came in: 124 at the most.
const COPIES_BYTES: usize = 4 * 1024;

/// Streams that an authenticated peer may have open towards us.
const LINK_STREAMS: u32 = 256;

/// Largest UDP payload to probe for on a network, in bytes. A batch of 10 segments (quinn's limit) over 65,507 bytes is dropped by the
/// kernel without an error, so a tenth of that is the most that can be used. Real paths settle at what they carry.
pub(crate) const NETWORK_MTU: u16 = 6_500;

/// UDP payload used on loopback from the start, in bytes: as much as one IPv6 packet of 64 KiB carries, and a little less. Each packet is a
/// datagram of its own then, so quinn's send buffer is as large as for a batch of [`NETWORK_MTU`] (a batch of larger packets would cost
/// each link 100 KiB more). The work per packet is done for a tenth of the packets: bulk takes a sixth less CPU time
/// (0.73 instead of 0.87 s per GB for both nodes, medians of three paired rounds on a busy machine of two cores). Not probed for, since
/// probes fill that buffer: an idle link then had 70 KiB more resident. Where loopback carries less, or the peer takes less, quinn finds out.
const LOOPBACK_MTU: u16 = 65_000;

/// On loopback threads that are not scheduled are the whole delay, and a window that covers them costs nothing while nobody waits behind it. Half of
/// the peer's receive buffer as it is asked for.
const LOOPBACK_LIMITS: Limits =
    Limits { initial: 512 << 10, floor: 2 << 20, slack: Duration::ZERO, calm_slack: Duration::ZERO };

/// What is in flight on loopback waits in the peer's receive buffer, in front of small messages. Two packets of [`LOOPBACK_MTU`] and some
/// small ones: a ping beside a stream of 1 MiB messages took 0.23 ms in the median and 0.6 ms at the 99th percentile while the stream ran at
/// 1.3 GB/s; with four packets 0.33 ms, 2.8 ms and 1.7 GB/s (medians of four interleaved rounds). With one packet, which nobody acknowledges
/// before a second one comes, a ping took 6 ms.
const LOOPBACK_BESIDE_BYTES: u64 = 160 << 10;
const _: () =
    assert!(LOOPBACK_BESIDE_BYTES > 2 * LOOPBACK_MTU as u64, "the second packet is what asks for an acknowledgement");

/// A start with 32 of the smallest packets, as browsers do, saves nearly two round trips against the 10 of RFC 9002: in the model, 200 Mbit/s
/// at 50 ms carried 72 % of its rate in the first second instead of 64. The slack is the time between two bursts of quinn's pacer.
/// Beside small messages half of it: at 1 ms a ping took 3 ms and, one in a hundred, 8 instead of 5 and 19. In a first version a quarter made
/// the known rate sink on a busy machine, and half did not.
const NETWORK_LIMITS: Limits = Limits {
    initial: 32 * 1_200,
    floor: 32 * 1_200,
    slack: Duration::from_millis(2),
    calm_slack: Duration::from_millis(1),
};

/// How long a peer on a network may keep an acknowledgement back (draft-ietf-quic-ack-frequency). Who has lost the last thing that it sent waits for
/// so long beyond the round trip before it asks (RFC 9002, 6.2.1). With QUIC's 25 ms and one packet lost in a hundred, one ping of a hundred
/// took 31 ms over a path of 1 ms, now 10.6 (`inet_tcp` 207); over one of 20 ms a lost packet costs 48 ms, not 69. Bulk and pings beside it
/// are the same. Less would send acknowledgements apart from the answers that carry them.
const MAX_ACK_DELAY: Duration = Duration::from_millis(5);

/// What lies between us and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Loopback,
    Network,
}

impl Path {
    /// The path to an address, which may be an IPv4 one in IPv6 clothes.
    pub(crate) fn to(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Network
        }
    }
}

impl Config {
    /// Of one link, in either role, before the hello has passed: one stream, a small window.
    pub(crate) fn transport(&self, path: Path) -> TransportConfig {
        let mut mtu = MtuDiscoveryConfig::default();
        let mut transport = TransportConfig::default();
        // Loopback loses nothing, so a peer there is not to send copies.
        transport.datagram_receive_buffer_size((path == Path::Network).then_some(COPIES_BYTES));
        let (limits, beside) = match path {
            Path::Loopback => {
                mtu.upper_bound(LOOPBACK_MTU);
                transport.initial_mtu(LOOPBACK_MTU).enable_segmentation_offload(false);
                (LOOPBACK_LIMITS, LOOPBACK_BESIDE_BYTES)
            }
            Path::Network => {
                mtu.upper_bound(NETWORK_MTU);
                let mut acknowledgements = AckFrequencyConfig::default();
                // What comes out of order is acknowledged at once, as QUIC does when nothing is asked for.
                acknowledgements.max_ack_delay(Some(MAX_ACK_DELAY)).reordering_threshold(VarInt::from_u32(1));
                transport.ack_frequency_config(Some(acknowledgements));
                // What the controller lets into flight is no queue there.
                (NETWORK_LIMITS, u64::MAX)
            }
        };
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(1))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .congestion_controller_factory(Arc::new(congestion::Factory::new(limits, beside)))
            .datagram_send_buffer_size(COPIES_BYTES)
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
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(LINK_STREAMS));
}

/// The largest UDP payload that we accept: all that there are. Also the size of a receive buffer, so a batch of packets
/// that the kernel hands over as one fits in.
pub(crate) const MAX_UDP_PAYLOAD_BYTES: u16 = 65_527;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loopback() {
        let path = |text: &str| Path::to(text.parse().unwrap());
        for near in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(path(near), Path::Loopback, "{near}");
        }
        for far in ["10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
            assert_eq!(path(far), Path::Network, "{far}");
        }
    }
}
