// SPDX-License-Identifier: Apache-2.0
//! A link: the one authenticated QUIC connection to a peer, and the channels on it.

use crate::channel::{self, Channel, Kind};
use crate::congestion;
use crate::core::Core;
use crate::peer::Peer;
use crate::reason::Reason;
use barrel_p2p_base::CloseCode;
use quinn::{RecvStream, SendStream, VarInt};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a link without channels is kept for the next one. Covers a refused simultaneous connect and a quick reconnect.
const LINGER: Duration = Duration::from_secs(2);

/// How long a new link is kept for its first channel. The acceptor has it as soon as it has answered the hello; the dialler still has to
/// read the answer and to write a pin to its disk, which can take seconds on a busy host.
const FIRST_LINGER: Duration = Duration::from_secs(10);

/// A link that has been without channels for longer is not used again, since the peer may be closing it at this moment.
const REUSE_WITHIN: Duration = Duration::from_secs(1);

/// First bytes of every channel stream: kind, lane, channel number. Lanes of one channel will share its number.
const STREAM_HEADER_BYTES: usize = 6;

/// A peer that opens a stream must say what it is for within this time.
const STREAM_HEADER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: quinn::Connection,
    pub(crate) peer: Peer,
    pub(crate) since: Instant,
    next_channel: AtomicU32,
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
        Self {
            connection,
            peer,
            since: now,
            next_channel: AtomicU32::new(0),
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

    /// Opens a channel and runs it to its end.
    pub(crate) async fn open(self: &Arc<Self>, channel: Arc<Channel>) -> Result<(), Reason> {
        let lost = |error| self.reason(Reason::of_connection(&error));
        let (mut send, recv) = self.connection.open_bi().await.map_err(lost)?;
        let number = self.next_channel.fetch_add(1, Ordering::Relaxed);
        // Only a stream that is gone already has no priority.
        let _ = send.set_priority(channel.kind().priority());
        let mut header = [channel.kind().to_wire(), 0, 0, 0, 0, 0];
        header[2..].copy_from_slice(&number.to_be_bytes());
        if send.write_all(&header).await.is_err() {
            return Err(self.connection.close_reason().map_or(Reason::Closed, lost));
        }
        channel.set_peer(self.peer.clone());
        if let Some(owner) = channel.owner() {
            owner.connected(&self.peer);
        }
        self.run_channel(channel, send, recv).await;
        Ok(())
    }

    async fn run_channel(self: &Arc<Self>, channel: Arc<Channel>, send: SendStream, recv: RecvStream) {
        self.change_use(|channels| *channels += 1);
        channel::run(channel, send, recv, |seen| self.reason(seen)).await;
        self.change_use(|channels| *channels -= 1);
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
                        tokio::spawn(self.clone().accept_channel(core.clone(), send, recv));
                    }
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

    /// Gossip is about names, so a peer without one has none to offer.
    fn admits(&self, kind: Kind, listens: bool) -> bool {
        match kind {
            Kind::Dist => listens,
            Kind::Gossip => self.peer.name.is_some(),
        }
    }

    async fn accept_channel(self: Arc<Self>, core: Arc<Core>, mut send: SendStream, mut recv: RecvStream) {
        let mut header = [0; STREAM_HEADER_BYTES];
        let read = tokio::time::timeout(STREAM_HEADER_TIMEOUT, recv.read_exact(&mut header)).await;
        let [kind, lane, ..] = header;
        let kind = Kind::from_wire(kind).filter(|kind| lane == 0 && self.admits(*kind, core.config.listen));
        // A newer peer may offer kinds and lanes that we do not know; that costs it the stream, not the link.
        let (Some(kind), Ok(Ok(()))) = (kind, read) else {
            let code = VarInt::from_u32(CloseCode::ProtocolError.to_wire());
            let _ = send.reset(code);
            let _ = recv.stop(code);
            return;
        };
        let _ = send.set_priority(kind.priority());
        let channel = Arc::new(Channel::new(kind));
        channel.set_peer(self.peer.clone());
        core.host.incoming(channel.clone(), &self.peer);
        self.run_channel(channel, send, recv).await;
    }
}
