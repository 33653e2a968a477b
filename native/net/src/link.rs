// SPDX-License-Identifier: Apache-2.0
//! A link: the one authenticated QUIC connection to a peer, and the channels on it.

use crate::channel::copies::Copy;
use crate::channel::{self, Channel, HeavyLanes, Kind, Stream, HEAVY_PRIORITY};
use crate::congestion;
use crate::core::Core;
use crate::peer::{Peer, Role};
use crate::reason::Reason;
use barrel_p2p_base::CloseCode;
use barrel_p2p_dist::lanes::{LIGHT, MAX_LANES};
use bytes::Bytes;
use quinn::{RecvStream, VarInt};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a link without channels is kept for the next one. Covers a refused simultaneous connect and a quick reconnect.
const LINGER: Duration = Duration::from_secs(2);

/// How long a new link is kept for its first channel. The acceptor has it as soon as it has answered the hello; the dialler still has to
/// read the answer and to write a pin to its disk, which can take seconds on a busy host.
const FIRST_LINGER: Duration = Duration::from_secs(10);

/// A link that has been without channels for longer is not used again, since the peer may be closing it at this moment.
const REUSE_WITHIN: Duration = Duration::from_secs(1);

/// First bytes of every stream: kind, lane, channel number. Lanes of one channel share its number.
pub(crate) const STREAM_HEADER_BYTES: usize = 6;

/// A peer that opens a stream must say what it is for within this time, and a lane's channel must be there.
const STREAM_HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Channels of the side that dialled have even numbers, those of the other side odd ones.
const NUMBER_STEP: u32 = 2;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: quinn::Connection,
    pub(crate) peer: Peer,
    pub(crate) since: Instant,
    next_channel: AtomicU32,
    /// Running channels by their number.
    channels: Mutex<BTreeMap<u32, Arc<Channel>>>,
    channel_added: Notify,
    usage: Mutex<Use>,
    usage_changed: Notify,
    /// Why we closed it, when we did.
    why: OnceLock<Reason>,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    channels: usize,
    /// When the number of channels last changed.
    since: Instant,
    was_used: bool,
}

impl Link {
    pub(crate) fn new(connection: quinn::Connection, peer: Peer, now: Instant) -> Self {
        let first = u32::from(peer.role == Role::Accepted);
        Self {
            connection,
            peer,
            since: now,
            next_channel: AtomicU32::new(first),
            channels: Mutex::default(),
            channel_added: Notify::new(),
            usage: Mutex::new(Use { channels: 0, since: now, was_used: false }),
            usage_changed: Notify::new(),
            why: OnceLock::new(),
        }
    }

    pub(crate) fn close(&self, code: CloseCode) {
        let _ = self.why.set(Reason::Code(code));
        congestion::close(&self.connection, code);
    }

    pub(crate) fn channels(&self) -> usize {
        self.current_use().channels
    }

    /// Can a new channel be opened on it?
    pub(crate) fn is_usable(&self) -> bool {
        let usage = self.current_use();
        self.connection.close_reason().is_none() && (usage.channels > 0 || usage.since.elapsed() < REUSE_WITHIN)
    }

    fn current_use(&self) -> Use {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_use(&self, change: impl FnOnce(&mut usize)) {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut usage.channels);
        usage.since = Instant::now();
        usage.was_used = true;
        drop(usage);
        self.usage_changed.notify_one();
    }

    /// What broke the link, in the words of whoever broke it.
    fn reason(&self, seen: Reason) -> Reason {
        match (seen, self.why.get()) {
            (Reason::Stopped, Some(why)) => *why,
            _ => seen,
        }
    }

    /// The code with which the peer rejected our hello, if that is how the link ended.
    pub(crate) fn rejection(&self) -> Option<Reason> {
        let reason = Reason::of_connection(&self.connection.close_reason()?);
        matches!(reason, Reason::Code(code) if code.rejects_hello()).then_some(reason)
    }

    /// Opens a channel with so many lanes and runs it to its end.
    pub(crate) async fn open(self: &Arc<Self>, channel: Arc<Channel>, lanes: usize) -> Result<(), Reason> {
        let lost = |error| self.reason(Reason::of_connection(&error));
        let (mut send, recv) = self.connection.open_bi().await.map_err(lost)?;
        let number = self.next_channel.fetch_add(NUMBER_STEP, Ordering::Relaxed);
        // Only a stream that is gone already has no priority.
        let _ = send.set_priority(channel.kind().priority());
        if send.write_all(&stream_header(channel.kind(), number)).await.is_err() {
            return Err(self.connection.close_reason().map_or(Reason::Closed, lost));
        }
        channel.set_lanes(lanes);
        channel.set_peer(self.peer.clone());
        if let Some(owner) = channel.owner() {
            owner.connected(&self.peer);
        }
        self.run_channel(channel, number, Stream { send, recv }).await;
        Ok(())
    }

    async fn run_channel(self: &Arc<Self>, channel: Arc<Channel>, number: u32, stream: Stream) {
        self.change_use(|channels| *channels += 1);
        self.running().insert(number, channel.clone());
        self.channel_added.notify_waiters();
        let heavy = HeavyLanes::new(self.connection.clone(), stream_header(channel.kind(), number), HEAVY_PRIORITY);
        channel::run(channel, stream, heavy, |seen| self.reason(seen)).await;
        self.running().remove(&number);
        self.change_use(|channels| *channels -= 1);
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts the peer's channels until the link is closed.
    pub(crate) async fn run(self: Arc<Self>, core: Arc<Core>) {
        loop {
            let usage = self.current_use();
            let linger = if usage.was_used { LINGER } else { FIRST_LINGER };
            let linger = linger.saturating_sub(usage.since.elapsed());
            tokio::select! {
                accepted = self.connection.accept_bi() => match accepted {
                    Ok((send, recv)) => {
                        tokio::spawn(self.clone().accept_channel(core.clone(), Stream { send, recv }));
                    }
                    Err(_) => break,
                },
                accepted = self.connection.accept_uni() => match accepted {
                    Ok(recv) => {
                        tokio::spawn(self.clone().accept_lane(recv));
                    }
                    Err(_) => break,
                },
                received = self.connection.read_datagram() => match received {
                    Ok(datagram) => self.take_copy(datagram),
                    Err(_) => break,
                },
                () = self.usage_changed.notified() => {}
                () = tokio::time::sleep(linger), if usage.channels == 0 => {
                    if linger.is_zero() {
                        self.close(CloseCode::Idle);
                    }
                }
            }
        }
        core.links().remove(&self);
    }

    /// A copy may come when its channel is gone, or not there yet.
    fn take_copy(&self, datagram: Bytes) {
        if let Some((number, copy)) = Copy::parse(datagram) {
            let channel = self.running().get(&number).cloned();
            if let Some(channel) = channel {
                channel.copied(copy);
            }
        }
    }

    /// Gossip is about names, so a peer without one has none to offer.
    fn admits(&self, kind: Kind, listens: bool) -> bool {
        match kind {
            Kind::Dist => listens,
            Kind::Gossip => self.peer.name.is_some(),
        }
    }

    async fn accept_channel(self: Arc<Self>, core: Arc<Core>, mut stream: Stream) {
        let header = read_header(&mut stream.recv).await;
        let ours = self.next_channel.load(Ordering::Relaxed) % NUMBER_STEP;
        let wanted = header.and_then(|header| {
            let free = header.number % NUMBER_STEP != ours && !self.running().contains_key(&header.number);
            (header.lane == LIGHT && free && self.admits(header.kind, core.config.listen)).then_some(header)
        });
        // A newer peer may offer kinds that we do not know; that costs it the stream, not the link.
        let Some(Header { kind, number, .. }) = wanted else {
            let _ = stream.send.reset(protocol_error());
            let _ = stream.recv.stop(protocol_error());
            return;
        };
        let _ = stream.send.set_priority(kind.priority());
        let channel = Arc::new(Channel::new(kind));
        channel.set_lanes(core.config.dist_lanes);
        channel.set_peer(self.peer.clone());
        core.host.incoming(channel.clone(), &self.peer);
        self.run_channel(channel, number, stream).await;
    }

    /// A lane may overtake the stream that opens its channel.
    async fn accept_lane(self: Arc<Self>, mut recv: RecvStream) {
        let header = read_header(&mut recv).await;
        let wanted =
            header.filter(|header| header.kind == Kind::Dist && header.lane != LIGHT && header.lane < MAX_LANES);
        let channel = match &wanted {
            Some(header) => tokio::time::timeout(STREAM_HEADER_TIMEOUT, self.channel(header.number)).await.ok(),
            None => None,
        };
        match (channel, wanted) {
            (Some(channel), Some(header)) if channel.kind() == header.kind && channel.may_open(header.lane) => {
                channel.join(header.lane, recv);
            }
            _ => {
                let _ = recv.stop(protocol_error());
            }
        }
    }

    /// Waits for the channel of this number.
    async fn channel(&self, number: u32) -> Arc<Channel> {
        loop {
            let added = self.channel_added.notified();
            tokio::pin!(added);
            added.as_mut().enable();
            if let Some(channel) = self.running().get(&number) {
                return channel.clone();
            }
            added.await;
        }
    }
}

fn protocol_error() -> VarInt {
    VarInt::from_u32(CloseCode::ProtocolError.to_wire())
}

struct Header {
    kind: Kind,
    lane: usize,
    number: u32,
}

fn stream_header(kind: Kind, number: u32) -> [u8; STREAM_HEADER_BYTES] {
    let [a, b, c, d] = number.to_be_bytes();
    [kind.to_wire(), 0, a, b, c, d]
}

async fn read_header(recv: &mut RecvStream) -> Option<Header> {
    let mut header = [0; STREAM_HEADER_BYTES];
    tokio::time::timeout(STREAM_HEADER_TIMEOUT, recv.read_exact(&mut header)).await.ok()?.ok()?;
    let [kind, lane, a, b, c, d] = header;
    Some(Header { kind: Kind::from_wire(kind)?, lane: usize::from(lane), number: u32::from_be_bytes([a, b, c, d]) })
}
