// SPDX-License-Identifier: Apache-2.0
//! The two doors to the outside: who keeps the identity, and who hosts the endpoint.

use crate::channel::Channel;
use crate::peer::Peer;
use crate::reason::Reason;
use crate::tls::LiveCertificate;
use barrel_p2p_base::{CloseCode, Incarnation};
use barrel_p2p_identity::{AuthMode, Context, Hello, KeyPair, Rotation};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What this node signs its hello with.
#[derive(Debug)]
pub struct Credentials {
    /// The identity.
    pub keys: KeyPair,
    /// Says that this identity follows an older one.
    pub rotation: Option<Rotation>,
}

/// Keeps keys, pins and policy.
pub trait Keeper: Send + Sync + 'static {
    /// What to sign the next hello with.
    fn credentials(&self) -> Arc<Credentials>;
    /// Are hellos signed, and signatures demanded?
    fn auth_mode(&self) -> AuthMode;
    /// The start of this node.
    fn incarnation(&self) -> Incarnation;
    /// The TLS certificate.
    fn certificate(&self) -> Arc<LiveCertificate>;
    /// The last check of a hello that passed all others: names, cluster settings and trust. Stores the pin where the policy says so, and
    /// may block on the disk for it.
    fn judge(&self, hello: &Hello, context: &Context) -> Result<(), CloseCode>;
}

/// Which side dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A peer dialled us.
    Inbound,
    /// We dialled a peer.
    Outbound,
}

/// A link that did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which side dialled.
    pub direction: Direction,
    /// The name that was dialled or claimed; empty when none was heard.
    pub node: String,
    /// The other side's address, where one was tried.
    pub address: Option<SocketAddr>,
    /// Why.
    pub reason: Reason,
}

/// Takes the answer to [`Host::cookie_wanted`]. Dropping it refuses the peer.
#[derive(Debug)]
pub struct CookieReply(pub(crate) oneshot::Sender<Vec<u8>>);

impl CookieReply {
    /// The cookie that holds for the peer.
    pub fn answer(self, cookie: Vec<u8>) {
        // The peer may have gone away meanwhile.
        let _ = self.0.send(cookie);
    }
}

/// Hosts the endpoint. Called on the I/O thread only; must not block.
pub trait Host: Send + Sync + 'static {
    /// A peer with a valid signature says hello: which cookie holds for it? The name is what it claims, empty when dynamic.
    fn cookie_wanted(&self, node: &str, reply: CookieReply);
    /// An authenticated peer opened a channel; it waits for [`Channel::own`].
    fn incoming(&self, channel: Arc<Channel>, peer: &Peer);
    /// A dial or a hello was refused. Rate limited.
    fn refused(&self, refused: &Refused);
}
