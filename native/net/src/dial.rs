// SPDX-License-Identifier: Apache-2.0
//! Reaching a peer: one dial at a time per name, all its addresses in parallel with a stagger (RFC 8305, "happy eyeballs").

use crate::channel::copies;
use crate::core::Core;
use crate::guarded::Guarded;
use crate::hello;
use crate::host::Direction;
use crate::link::Link;
use crate::links::Route;
use crate::peer::Role;
use crate::reason::Reason;
use crate::tls::SERVER_NAME;
use barrel_p2p_base::{CloseCode, NodeName};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{lookup_host, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Head start of each address over the next one. RFC 8305 recommends 250 ms; a cluster is nearer than the web.
const STAGGER: Duration = Duration::from_millis(100);

/// Pause before an overloaded peer is tried again.
const OVERLOADED_PAUSE: Duration = Duration::from_millis(150);

/// Addresses tried for one name.
const MAX_DIALLED_ADDRESSES: usize = 16;

/// Whom to reach, and as whom.
#[derive(Clone, Debug)]
pub struct Request {
    /// The peer; `None` to learn its name from its hello.
    pub node: Option<NodeName>,
    /// Our own name; `None` while it is dynamic.
    pub own_name: Option<NodeName>,
    /// The cookie that holds for the peer; `None` to ask the host for it.
    pub cookie: Option<Vec<u8>>,
    /// Hosts (names or IP literals) and UDP ports, best first.
    pub addresses: Vec<(String, u16)>,
}

impl Request {
    /// For the log and the memory of failures, where a peer without a name has an empty one.
    pub(crate) fn node_text(&self) -> &str {
        self.node.as_ref().map_or("", NodeName::as_str)
    }
}

/// A link to the peer: an existing one, or a new one. Without a name nobody can tell which link would do, so it is always a new one.
pub(crate) async fn link_to(core: &Arc<Core>, request: &Request) -> Result<Arc<Link>, Reason> {
    let Some(node) = request.node.clone() else {
        return dial_all(core, request).await;
    };
    let me = request.own_name.as_ref().map_or("", NodeName::as_str);
    let route = core.links().route(me, &node);
    let mut dialled = match route {
        Route::Ready(link) => return Ok(link),
        Route::Wait(dialled) => dialled,
        Route::Dial(dial) => {
            let dialled = dial.subscribe();
            let (core, request) = (core.clone(), request.clone());
            // A task of its own: other waiters need the result even if the first one gives up.
            tokio::spawn(async move {
                let result = dial_all(&core, &request).await;
                core.links().dialled(&node, &dial, result);
            });
            dialled
        }
    };
    let result = dialled.wait_for(Option::is_some).await.map_err(|_| Reason::Stopped)?;
    result.clone().unwrap_or(Err(Reason::Stopped))
}

async fn dial_all(core: &Arc<Core>, request: &Request) -> Result<Arc<Link>, Reason> {
    let mut failure = Failure { reason: Reason::DialTimeout, address: None };
    let race = async {
        let mut addresses = resolve(&request.addresses).await;
        if request.node.is_some() {
            // Every host may have an address such as that of a container bridge: there we would only meet ourselves.
            let own = core.own_addresses();
            addresses.retain(|address| !own.contains(address));
        }
        if addresses.is_empty() {
            failure.reason = Reason::NoAddress;
            return None;
        }
        race(core, request, addresses, &mut failure).await
    };
    // A timeout leaves the most telling failure of the addresses that did answer.
    let link = tokio::time::timeout(core.config.dial_timeout, race).await.ok().flatten();
    match link {
        Some(link) => {
            core.refusals().forget(request.node_text());
            Ok(link)
        }
        None => {
            core.refused(Direction::Outbound, request.node_text(), failure.address, failure.reason);
            Err(failure.reason)
        }
    }
}

struct Failure {
    reason: Reason,
    address: Option<SocketAddr>,
}

async fn race(
    core: &Arc<Core>,
    request: &Request,
    addresses: Vec<SocketAddr>,
    failure: &mut Failure,
) -> Option<Arc<Link>> {
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let turn = Arc::new(Semaphore::new(1));
    let mut wants_more = true;
    loop {
        if wants_more {
            if let Some(address) = addresses.next() {
                let (core, request, turn) = (core.clone(), request.clone(), turn.clone());
                attempts.spawn(async move { (address, attempt(&core, &request, address, &turn).await) });
            } else if attempts.is_empty() {
                return None;
            }
        }
        tokio::select! {
            Some(done) = attempts.join_next() => {
                wants_more = true;
                match done {
                    Ok((_, Ok(link))) => return Some(link),
                    // A peer's word says more than silence.
                    Ok((address, Err(reason))) if !failure.reason.is_refusal() => {
                        *failure = Failure { reason, address: Some(address) };
                    }
                    Ok(_) | Err(_) => {}
                }
            }
            // An address that answers is good enough: more handshakes would only slow down a busy peer.
            () = tokio::time::sleep(STAGGER), if addresses.len() > 0 => wants_more = turn.available_permits() > 0,
        }
    }
}

async fn attempt(
    core: &Arc<Core>,
    request: &Request,
    address: SocketAddr,
    turn: &Semaphore,
) -> Result<Arc<Link>, Reason> {
    loop {
        match try_once(core, request, address, turn).await {
            Err(Reason::Code(CloseCode::Overloaded)) => tokio::time::sleep(OVERLOADED_PAUSE).await,
            Err(Reason::LinkTimeout) => return Err(Reason::DialTimeout),
            result => return result,
        }
    }
}

/// `turn`: of the connections to the addresses of one peer, one at a time says hello, since the peer takes each hello for a link.
async fn try_once(
    core: &Arc<Core>,
    request: &Request,
    address: SocketAddr,
    turn: &Semaphore,
) -> Result<Arc<Link>, Reason> {
    let client = core.settings.client(address);
    let connecting = core.quinn.connect_with(client, address, SERVER_NAME).map_err(|_| Reason::Unreachable)?;
    let connection = tokio::select! {
        connection = connecting => connection.map_err(|error| Reason::of_connection(&error))?,
        reason = no_listener(address) => return Err(reason),
    };
    // Dropped by the timeout of the dial, or by the link of another address.
    let guarded = Guarded::new(connection.clone(), CloseCode::Duplicate);
    // Fails only for a semaphore that was closed, which this one never is.
    let _turn = turn.acquire().await;
    let hello = hello::dial(core, &connection, request);
    let result = copies::discard_while(&connection, hello).await.and_then(|greeting| {
        let link = Arc::new(Link::new(connection.clone(), greeting.into_peer(address, Role::Dialled), Instant::now()));
        core.links().add(&link)?;
        Ok(link)
    });
    guarded.release();
    match result {
        Ok(link) => {
            tokio::spawn(link.clone().run(core.clone()));
            Ok(link)
        }
        Err(refusal) => Err(refusal.settle(&connection)),
    }
}

/// Resolves when the host says that nothing listens there. UDP has no refused connect: the answer is an ICMP message, which the kernel
/// reports on a connected socket only. The one byte sent is not a QUIC packet, so a live endpoint drops it.
async fn no_listener(address: SocketAddr) -> Reason {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let refused = async {
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(address).await?;
        socket.send(&[0]).await?;
        socket.recv(&mut [0]).await
    };
    match refused.await.map_err(|error| error.kind()) {
        Err(io::ErrorKind::ConnectionRefused) => Reason::Refused,
        Err(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => Reason::Unreachable,
        // Says nothing about the peer: leave the verdict to the dial.
        Ok(_) | Err(_) => std::future::pending().await,
    }
}

/// All addresses of all hosts, families alternating, IPv6 first as RFC 8305 asks for.
async fn resolve(hosts: &[(String, u16)]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for (host, port) in hosts {
        match host.parse::<IpAddr>() {
            Ok(address) => found.push(SocketAddr::new(address, *port)),
            Err(_) => found.extend(lookup_host((host.as_str(), *port)).await.into_iter().flatten()),
        }
    }
    interleave(found)
}

fn interleave(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [six.next(), four.next()];
        if pair == [None, None] {
            return mixed;
        }
        for address in pair.into_iter().flatten() {
            if !mixed.contains(&address) && mixed.len() < MAX_DIALLED_ADDRESSES {
                mixed.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_and_doubles_vanish() {
        let all = ["1.1.1.1:1", "1.1.1.1:1", "2.2.2.2:1", "[::1]:1"].map(|text| text.parse().unwrap());
        let expected: Vec<SocketAddr> =
            ["[::1]:1", "1.1.1.1:1", "2.2.2.2:1"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(interleave(all.to_vec()), expected);
    }
}
