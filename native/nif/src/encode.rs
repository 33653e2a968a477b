// SPDX-License-Identifier: Apache-2.0
//! Native values as Erlang terms. Names of peers stay binaries: atoms are Erlang's to make, after authentication (`store` makes those of
//! origins, which come from members).

use crate::atoms;
use barrel_p2p_node::{Info, LinkInfo, NodeName, Peer, Refused, Role};
use rustler::{Atom, Encoder, Env, NewBinary, Term};
use std::net::{IpAddr, SocketAddr};

/// Only for words of our own, which are few and fixed.
pub(crate) fn atom<'a>(env: Env<'a>, word: &str) -> Term<'a> {
    Atom::from_str(env, word).map_or_else(|_| atoms::undefined().encode(env), |atom| atom.encode(env))
}

pub(crate) fn binary<'a>(env: Env<'a>, bytes: &[u8]) -> Term<'a> {
    let mut binary = NewBinary::new(env, bytes.len());
    binary.as_mut_slice().copy_from_slice(bytes);
    binary.into()
}

pub(crate) fn name<'a>(env: Env<'a>, name: &NodeName) -> Term<'a> {
    binary(env, name.as_str().as_bytes())
}

pub(crate) fn names<'a>(env: Env<'a>, names: &[NodeName]) -> Vec<Term<'a>> {
    names.iter().map(|at| name(env, at)).collect()
}

/// `{Code, Detail}`.
pub(crate) fn failure<'a>(env: Env<'a>, code: &str, detail: &str) -> Term<'a> {
    (atoms::error(), (atom(env, code), binary(env, detail.as_bytes()))).encode(env)
}

pub(crate) fn address<'a>(env: Env<'a>, address: SocketAddr) -> Term<'a> {
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            (a, b, c, d).encode(env)
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h] = ip.segments();
            rustler::types::tuple::make_tuple(env, &[a, b, c, d, e, f, g, h].map(|segment| segment.encode(env)))
        }
    };
    (ip, address.port()).encode(env)
}

pub(crate) fn map<'a>(env: Env<'a>, pairs: &[(Atom, Term<'a>)]) -> Term<'a> {
    let pairs: Vec<(Term<'a>, Term<'a>)> = pairs.iter().map(|(key, value)| (key.encode(env), *value)).collect();
    // Fails only on doubled keys, which the fixed lists of this file have not.
    Term::map_from_pairs(env, &pairs).unwrap_or_else(|_| Term::map_new(env))
}

fn peer_pairs<'a>(env: Env<'a>, peer: &Peer) -> Vec<(Atom, Term<'a>)> {
    let role = match peer.role {
        Role::Accepted => atoms::accepted(),
        Role::Dialled => atoms::dialled(),
    };
    vec![
        (atoms::node(), binary(env, peer.name.as_ref().map_or("", |name| name.as_str()).as_bytes())),
        (atoms::address(), address(env, peer.address)),
        (atoms::public_key(), binary(env, &peer.key.0)),
        (atoms::fingerprint(), binary(env, &barrel_p2p_node::fingerprint(&peer.key).0)),
        (atoms::role(), role.encode(env)),
    ]
}

pub(crate) fn peer<'a>(env: Env<'a>, peer: &Peer) -> Term<'a> {
    map(env, &peer_pairs(env, peer))
}

pub(crate) fn refused<'a>(env: Env<'a>, refused: &Refused) -> Term<'a> {
    let address = refused.address.map_or_else(|| atoms::undefined().encode(env), |at| address(env, at));
    map(env, &[(atoms::node(), binary(env, refused.node.as_bytes())), (atoms::address(), address)])
}

fn link<'a>(env: Env<'a>, link: &LinkInfo) -> Term<'a> {
    let mut pairs = peer_pairs(env, &link.peer);
    pairs.extend([
        (atoms::channels(), link.channels.encode(env)),
        (atoms::up_for_ms(), millis(link.up_for).encode(env)),
        (atoms::rtt_us(), u64::try_from(link.rtt.as_micros()).unwrap_or(u64::MAX).encode(env)),
        (atoms::congestion_window_bytes(), link.congestion_window_bytes.encode(env)),
        (atoms::mtu_bytes(), link.mtu_bytes.encode(env)),
        (atoms::lost_packets(), link.lost_packets.encode(env)),
        (atoms::sent_bytes(), link.sent_bytes.encode(env)),
        (atoms::received_bytes(), link.received_bytes.encode(env)),
    ]);
    map(env, &pairs)
}

pub(crate) fn info<'a>(env: Env<'a>, info: &Info) -> Term<'a> {
    let links: Vec<Term<'a>> = info.links.iter().map(|at| link(env, at)).collect();
    map(
        env,
        &[
            (atoms::port(), info.port.encode(env)),
            (atoms::incarnation(), (info.incarnation.started_ms, info.incarnation.random).encode(env)),
            (atoms::pending(), info.pending.encode(env)),
            (atoms::refused(), info.refused.encode(env)),
            (atoms::links(), links.encode(env)),
        ],
    )
}

pub(crate) fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
