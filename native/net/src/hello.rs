// SPDX-License-Identifier: Apache-2.0
//! The hello on a fresh connection: one message each way on the dialler's first stream, `Len:16, Hello:Len/bytes`.
//!
//! Keeps: the acceptor answers only after the dialler's hello has passed every check. The checks themselves are pure and live in
//! `barrel_p2p_identity`.

use crate::addresses;
use crate::config::lift_stranger_limits;
use crate::congestion;
use crate::core::Core;
use crate::dial::Request;
use crate::host::{CookieReply, Host};
use crate::link::Link;
use crate::peer::{Peer, Role};
use crate::reason::Reason;
use barrel_p2p_base::limits::MAX_HELLO_BYTES;
use barrel_p2p_base::{CloseCode, NodeName};
use barrel_p2p_identity::hello::{check, EXPORTER_LABEL};
use barrel_p2p_identity::{AuthMode, Binding, Claim, Context, Hello, Role as Sender};
use quinn::{Connection, RecvStream, SendStream};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A hello that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// We refuse the peer.
    Refuse(CloseCode),
    /// The connection ended before the hello did.
    Lost,
}

impl From<CloseCode> for Failure {
    fn from(code: CloseCode) -> Self {
        Self::Refuse(code)
    }
}

impl Failure {
    /// Closes the connection with the reason, or reads the reason that the peer closed it with.
    pub(crate) fn settle(self, connection: &Connection) -> Reason {
        match self {
            Self::Refuse(code) => {
                congestion::close(connection, code);
                Reason::Code(code)
            }
            Self::Lost => connection
                .close_reason()
                .map_or(Reason::Code(CloseCode::ProtocolError), |error| Reason::of_connection(&error)),
        }
    }
}

/// What a peer's hello proved.
#[derive(Debug)]
pub(crate) struct Greeting {
    claim: Claim,
}

impl Greeting {
    pub(crate) fn into_peer(self, address: SocketAddr, role: Role) -> Peer {
        let Claim { name, public_key: key, incarnation, addresses: claimed, .. } = self.claim;
        Peer { name, key, incarnation, address: addresses::canonical(address), claimed, role }
    }
}

/// The dialler's part.
pub(crate) async fn dial(core: &Arc<Core>, connection: &Connection, request: &Request) -> Result<Greeting, Failure> {
    let (mut send, mut recv) = connection.open_bi().await.map_err(|_| Failure::Lost)?;
    let cookie = match &request.cookie {
        Some(cookie) => cookie.clone(),
        None => cookie_for(core.host.as_ref(), request.node_text()).await?,
    };
    let hello = seal(core, connection, Sender::Dialler, (request.own_name.clone(), request.node.clone()), &cookie)?;
    write(&mut send, &hello).await?;
    let context = Context {
        binding: binding(connection, Sender::Acceptor)?,
        own_name: request.own_name.clone(),
        dialled: request.node.clone(),
        config_digest: core.config.config_digest,
    };
    let hello = check::open(&read(&mut recv).await?)?;
    check::check_signature(&hello, &context, auth_mode(core))?;
    check::check_proof(&hello, &context, &cookie)?;
    judge(core, hello, context, connection).await
}

/// The acceptor's part. `enter` makes the link, before the dialler can know that it is let in and open channels on it. `claimed` is set
/// to the name in the hello, for the log.
pub(crate) async fn accept(
    core: &Arc<Core>,
    connection: &Connection,
    claimed: &mut String,
    enter: impl FnOnce(Greeting) -> Result<Arc<Link>, CloseCode>,
) -> Result<Arc<Link>, Failure> {
    let (mut send, mut recv) = connection.accept_bi().await.map_err(|_| Failure::Lost)?;
    let hello = check::open(&read(&mut recv).await?)?;
    let name = hello.claim.name.clone();
    claimed.push_str(name.as_ref().map_or("", NodeName::as_str));
    let own_name = core.own_name();
    let context = Context {
        binding: binding(connection, Sender::Dialler)?,
        own_name: own_name.clone(),
        dialled: None,
        config_digest: core.config.config_digest,
    };
    check::check_signature(&hello, &context, auth_mode(core))?;
    let cookie = cookie_for(core.host.as_ref(), claimed).await?;
    check::check_proof(&hello, &context, &cookie)?;
    let greeting = judge(core, hello, context, connection).await?;
    let ours = seal(core, connection, Sender::Acceptor, (own_name, name), &cookie)?;
    let link = enter(greeting)?;
    write(&mut send, &ours).await?;
    Ok(link)
}

async fn judge(core: &Arc<Core>, hello: Hello, context: Context, connection: &Connection) -> Result<Greeting, Failure> {
    let keeper = core.keeper.clone();
    // A pin is written to disk, and other links must not wait for that.
    let judged = tokio::task::spawn_blocking(move || keeper.judge(&hello, &context).map(|()| hello.claim)).await;
    let claim = judged.map_err(|_| CloseCode::InternalError)??;
    lift_stranger_limits(connection);
    Ok(Greeting { claim })
}

async fn cookie_for(host: &dyn Host, claimed: &str) -> Result<Vec<u8>, Failure> {
    let (reply, cookie) = oneshot::channel();
    host.cookie_wanted(claimed, CookieReply(reply));
    cookie.await.map_err(|_| Failure::Refuse(CloseCode::InternalError))
}

/// Our hello, from one name to another, for this connection.
fn seal(
    core: &Core,
    connection: &Connection,
    role: Sender,
    (name, peer): (Option<NodeName>, Option<NodeName>),
    cookie: &[u8],
) -> Result<Hello, Failure> {
    let credentials = core.keeper.credentials();
    let claim = Claim {
        name,
        peer,
        public_key: credentials.keys.public(),
        incarnation: core.incarnation,
        addresses: reachable(core, connection),
        config_digest: core.config.config_digest,
        rotation: credentials.rotation,
    };
    let signer = (auth_mode(core) == AuthMode::Signed).then_some(&credentials.keys);
    Ok(Hello::seal(claim, &binding(connection, role)?, signer, cookie))
}

/// Where the peer can dial us: best at the address that already carries this connection.
fn reachable(core: &Core, connection: &Connection) -> Vec<SocketAddr> {
    let mut own = core.own_addresses();
    let here = connection.local_ip().map(|ip| ip.to_canonical());
    own.sort_by_key(|address| Some(address.ip()) != here);
    own
}

fn auth_mode(core: &Core) -> AuthMode {
    core.keeper.auth_mode()
}

fn binding(connection: &Connection, sender: Sender) -> Result<Binding, Failure> {
    let mut exporter = [0; 32];
    connection
        .export_keying_material(&mut exporter, EXPORTER_LABEL, &[])
        .map_err(|_| Failure::Refuse(CloseCode::InternalError))?;
    Ok(Binding { sender, exporter })
}

async fn write(send: &mut SendStream, hello: &Hello) -> Result<(), Failure> {
    let bytes = hello.encode();
    let length = u16::try_from(bytes.len()).map_err(|_| Failure::Refuse(CloseCode::InternalError))?;
    send.write_all(&length.to_be_bytes()).await.map_err(|_| Failure::Lost)?;
    send.write_all(&bytes).await.map_err(|_| Failure::Lost)?;
    send.finish().map_err(|_| Failure::Lost)
}

async fn read(recv: &mut RecvStream) -> Result<Vec<u8>, Failure> {
    let mut length = [0; 2];
    recv.read_exact(&mut length).await.map_err(|_| Failure::Lost)?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > MAX_HELLO_BYTES {
        return Err(Failure::Refuse(CloseCode::HelloTooLarge));
    }
    let mut bytes = vec![0; length];
    recv.read_exact(&mut bytes).await.map_err(|_| Failure::Lost)?;
    Ok(bytes)
}
