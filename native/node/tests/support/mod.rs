// SPDX-License-Identifier: Apache-2.0
//! Nodes without a BEAM: an identity in a folder of its own, an endpoint on loopback, and everything that it told its host.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

pub mod gossip;

use barrel_p2p_node::{
    Accepted, AuthMode, Channel, Config, CookieReply, Host, Identity, Kind, Node, NodeName, Owner, Peer, Policy,
    Reason, Refused, Request, TrustMode,
};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for a busy machine, short enough to fail.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// As the boundary to Erlang takes it.
pub const TAKE_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub enum Heard {
    Connected(Peer),
    Failed(Reason),
    Arrived,
    Writable,
    Closed(Reason),
}

pub struct Ear(Mutex<Sender<Heard>>);

impl Owner for Ear {
    fn connected(&self, peer: &Peer) {
        self.hear(Heard::Connected(peer.clone()));
    }
    fn failed(&self, reason: Reason) {
        self.hear(Heard::Failed(reason));
    }
    fn arrived(&self) {
        self.hear(Heard::Arrived);
    }
    fn writable(&self) {
        self.hear(Heard::Writable);
    }
    fn closed(&self, reason: Reason) {
        self.hear(Heard::Closed(reason));
    }
}

impl Ear {
    fn hear(&self, what: Heard) {
        let _ = self.0.lock().unwrap().send(what);
    }
}

/// One end of a channel.
pub struct End {
    pub channel: Arc<Channel>,
    pub heard: Receiver<Heard>,
}

impl End {
    pub fn own(channel: Arc<Channel>) -> Self {
        let (sender, heard) = channel_of();
        assert!(channel.own(Arc::new(Ear(Mutex::new(sender)))));
        Self { channel, heard }
    }

    pub fn next(&self) -> Heard {
        self.heard.recv_timeout(DEADLINE).expect("nothing heard in time")
    }

    pub fn send(&self, body: &[u8]) -> Accepted {
        let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        self.channel.send(1, [Bytes::from(frame)])
    }

    pub fn expect_failed(&self) -> &'static str {
        match self.next() {
            Heard::Failed(reason) => reason.name(),
            other => panic!("expected a failure, heard {other:?}"),
        }
    }

    pub fn expect_connected(&self) -> Peer {
        match self.next() {
            Heard::Connected(peer) => peer,
            other => panic!("expected a connection, heard {other:?}"),
        }
    }

    pub fn expect_closed(&self) -> &'static str {
        loop {
            // Whoever has not found nothing is not told again.
            while self.channel.take(TAKE_BYTES).is_some() {}
            match self.next() {
                Heard::Closed(reason) => return reason.name(),
                Heard::Arrived | Heard::Writable => {}
                other => panic!("expected the end, heard {other:?}"),
            }
        }
    }

    /// Reads until this many bytes, headers included, have arrived.
    pub fn expect_bytes(&self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            match self.channel.take(TAKE_BYTES) {
                Some(batch) => bytes.extend(batch.pieces.concat()),
                None => match self.next() {
                    Heard::Arrived => {}
                    other => panic!("expected frames, heard {other:?}"),
                },
            }
        }
        bytes
    }
}

fn channel_of() -> (Sender<Heard>, Receiver<Heard>) {
    channel()
}

struct TestHost {
    cookie: Vec<u8>,
    incoming: Mutex<Sender<Arc<Channel>>>,
    refused: Mutex<Vec<Refused>>,
    /// Hellos that wait for their cookie, while cookies are held back.
    held: Mutex<Option<Vec<CookieReply>>>,
}

impl Host for TestHost {
    fn cookie_wanted(&self, _node: &str, reply: CookieReply) {
        match &mut *self.held.lock().unwrap() {
            Some(held) => held.push(reply),
            None => reply.answer(self.cookie.clone()),
        }
    }
    fn incoming(&self, channel: Arc<Channel>, _peer: &Peer) {
        let _ = self.incoming.lock().unwrap().send(channel);
    }
    fn refused(&self, refused: &Refused) {
        self.refused.lock().unwrap().push(refused.clone());
    }
}

pub struct TestNode {
    pub name: NodeName,
    pub node: Node,
    pub identity: Arc<Identity>,
    cookie: Vec<u8>,
    host: Arc<TestHost>,
    incoming: Receiver<Arc<Channel>>,
    _dir: TempDir,
}

pub fn policy(mode: TrustMode) -> Policy {
    Policy { mode, auth: AuthMode::Signed, accept_rotation: true, cookie_only: Vec::new() }
}

pub fn name(text: &str) -> NodeName {
    NodeName::parse(text.as_bytes()).unwrap()
}

impl TestNode {
    pub fn start(node: &str) -> Self {
        Self::with(node, "secret", policy(TrustMode::Tofu))
    }

    pub fn with(node: &str, cookie: &str, policy: Policy) -> Self {
        let dir = TempDir::new().unwrap();
        let identity =
            Arc::new(Identity::open(&dir.path().join("keys"), &dir.path().join("cert"), node, policy).unwrap());
        Self::with_identity(node, cookie, identity, dir)
    }

    pub fn with_identity(node: &str, cookie: &str, identity: Arc<Identity>, dir: TempDir) -> Self {
        let (sender, incoming) = channel();
        let cookie = cookie.as_bytes().to_vec();
        let host = Arc::new(TestHost {
            cookie: cookie.clone(),
            incoming: Mutex::new(sender),
            refused: Mutex::default(),
            held: Mutex::default(),
        });
        let config = Config {
            name: node.to_owned(),
            port: 0,
            listen: true,
            hello_timeout: Duration::from_secs(2),
            dial_timeout: Duration::from_secs(5),
            keepalive: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(5),
            dist_lanes: 8,
            config_digest: [0; 32],
        };
        let started = Node::start(config, identity.clone(), host.clone()).unwrap();
        Self { name: name(node), node: started, identity, cookie, host, incoming, _dir: dir }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.node.port()))
    }

    /// Dials another node under the name given.
    pub fn dial(&self, peer: &str, port: u16) -> End {
        self.dial_kind(Kind::Dist, peer, port)
    }

    pub fn dial_kind(&self, kind: Kind, peer: &str, port: u16) -> End {
        let end = End::own(Arc::new(Channel::new(kind)));
        self.dial_owned(end.channel.clone(), peer, port);
        end
    }

    /// Dials for a channel whose owner is not an [`Ear`].
    pub fn dial_owned(&self, channel: Arc<Channel>, peer: &str, port: u16) {
        let request = Request {
            node: Some(name(peer)),
            own_name: Some(self.name.clone()),
            cookie: Some(self.cookie.clone()),
            addresses: vec![("127.0.0.1".to_owned(), port)],
        };
        self.node.endpoint().connect(channel, request, DEADLINE).unwrap();
    }

    /// Dials a test node and takes the channel over at both ends.
    pub fn connect(&self, peer: &Self) -> (End, End) {
        let ours = self.dial(peer.name.as_str(), peer.node.port());
        ours.expect_connected();
        // The stream exists for the peer with its first bytes, which the header is.
        (ours, peer.accept())
    }

    pub fn accept(&self) -> End {
        End::own(self.incoming.recv_timeout(DEADLINE).expect("no channel in time"))
    }

    pub fn refusals(&self) -> Vec<&'static str> {
        self.host.refused.lock().unwrap().iter().map(|refused| refused.reason.name()).collect()
    }

    /// Lets nobody in before [`Self::release_cookies`].
    pub fn hold_cookies(&self) {
        *self.host.held.lock().unwrap() = Some(Vec::new());
    }

    pub fn release_cookies(&self) {
        let held = self.host.held.lock().unwrap().take();
        held.into_iter().flatten().for_each(|reply| reply.answer(self.cookie.clone()));
    }

    /// Did a peer open a dist channel that nobody took?
    pub fn has_dist_channels(&self) -> bool {
        self.incoming.try_recv().is_ok()
    }

    pub fn links(&self) -> usize {
        self.node.endpoint().info().map_or(0, |info| info.links.len())
    }

    pub fn pending(&self) -> usize {
        self.node.endpoint().info().map_or(0, |info| info.pending)
    }
}

/// Polls until the condition holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
