// SPDX-License-Identifier: Apache-2.0
//! Membership and broadcast.

use crate::gossip::{self, EventsProcess};
use crate::resource::{EndpointRes, GossipRes};
use crate::{atoms, encode, mailbox, stores};
use barrel_p2p_node::proto::stack::Config;
use barrel_p2p_node::proto::MessageId;
use barrel_p2p_node::{JoinFailure, NodeName, Refusal, Target};
use bytes::Bytes;
use rustler::{
    Atom, Binary, Encoder, Env, Error, LocalPid, MapIterator, NifMap, NifResult, OwnedEnv, ResourceArc, Term,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

// Looks at the host's network interfaces.
#[rustler::nif(schedule = "DirtyIo")]
fn gossip_start<'a>(
    env: Env<'a>,
    endpoint: ResourceArc<EndpointRes>,
    events: LocalPid,
    options: MapIterator<'a>,
) -> NifResult<Term<'a>> {
    let mut config = Config::default();
    for (key, value) in options {
        let key: Atom = key.decode()?;
        let key = key.to_term(env).atom_to_string()?;
        if !gossip::set(&mut config, &key, value.decode()?) {
            return Ok(encode::failure(env, "invalid_option", &key));
        }
    }
    let mut handle = None;
    let started = endpoint.0.start_gossip(config, stores::all(), |gossip| {
        let gossip = ResourceArc::new(GossipRes(gossip.clone()));
        handle = Some(gossip.clone());
        Arc::new(EventsProcess { gossip, process: events })
    });
    match (started, handle) {
        (Ok(_), Some(handle)) if env.monitor(&handle, &events).is_some() => Ok((atoms::ok(), handle).encode(env)),
        (Ok(gossip), _) => {
            gossip.stop();
            Err(Error::BadArg)
        }
        (Err(error), _) => Ok(encode::failure(env, error.code(), &error.to_string())),
    }
}

#[rustler::nif]
fn gossip_stop(gossip: ResourceArc<GossipRes>) -> Atom {
    gossip.0.stop();
    atoms::ok()
}

#[derive(NifMap)]
struct Contact<'a> {
    node: Binary<'a>,
    addresses: Vec<(String, u16)>,
}

#[rustler::nif]
fn gossip_join<'a>(
    env: Env<'a>,
    gossip: ResourceArc<GossipRes>,
    contact: Contact<'a>,
    reference: Term<'a>,
    timeout_ms: u64,
) -> NifResult<Atom> {
    let name = if contact.node.is_empty() { None } else { Some(parse(&contact.node)?) };
    let target = Target { name, addresses: contact.addresses };
    let (caller, kept) = (env.pid(), OwnedEnv::new());
    let saved = kept.save(reference);
    let reply = move |result| {
        mailbox::send(&caller, |env| {
            let reference = kept.run(|kept| saved.load(kept).in_env(env));
            joined(env, reference, result)
        });
    };
    if let Err(failure) = gossip.0.join(target, Duration::from_millis(timeout_ms), reply) {
        // Nothing waits for it, so the answer comes from here.
        let _ = env.send(&caller, joined(env, reference, Err(failure)));
    }
    Ok(atoms::ok())
}

fn joined<'a>(env: Env<'a>, reference: Term<'a>, result: Result<(), JoinFailure>) -> Term<'a> {
    let result = match result {
        Ok(()) => atoms::ok().encode(env),
        Err(failure) => (atoms::error(), encode::atom(env, failure.name())).encode(env),
    };
    (atoms::barrel_p2p_joined(), reference, result).encode(env)
}

#[rustler::nif]
fn gossip_leave(gossip: ResourceArc<GossipRes>) -> Atom {
    settled(gossip.0.leave())
}

#[rustler::nif]
fn gossip_block(gossip: ResourceArc<GossipRes>, nodes: Vec<Binary<'_>>) -> NifResult<Atom> {
    let names: BTreeSet<NodeName> = nodes.iter().map(parse).collect::<NifResult<_>>()?;
    Ok(settled(gossip.0.block(names)))
}

#[rustler::nif]
fn gossip_unblock(gossip: ResourceArc<GossipRes>) -> Atom {
    settled(gossip.0.unblock())
}

/// Nobody is told anything by a gossip that has ended.
fn settled(result: Result<(), Refusal>) -> Atom {
    match result {
        Err(Refusal::Busy) => atoms::busy(),
        Ok(()) | Err(Refusal::Duplicate | Refusal::Stopped | Refusal::TooLarge | Refusal::Unknown) => atoms::ok(),
    }
}

#[rustler::nif]
fn gossip_views(env: Env<'_>, gossip: ResourceArc<GossipRes>) -> (Vec<Term<'_>>, Vec<Term<'_>>) {
    let views = gossip.0.views();
    (encode::names(env, &views.active), encode::names(env, &views.passive))
}

#[rustler::nif]
fn gossip_members(env: Env<'_>, gossip: ResourceArc<GossipRes>) -> Vec<Term<'_>> {
    encode::names(env, &gossip.0.members())
}

#[rustler::nif]
fn gossip_member<'a>(env: Env<'a>, gossip: ResourceArc<GossipRes>, node: Binary<'a>) -> Term<'a> {
    let member = NodeName::parse(&node).ok().and_then(|name| gossip.0.member(&name));
    member.map_or_else(|| atoms::none().encode(env), |member| gossip::member(env, &member))
}

#[rustler::nif]
fn gossip_stats(env: Env<'_>, gossip: ResourceArc<GossipRes>) -> Term<'_> {
    let stats = gossip.0.stats();
    let pairs: Vec<_> = stats.iter().map(|(name, value)| (encode::binary(env, name.as_bytes()), *value)).collect();
    Term::map_from_pairs(env, &pairs).unwrap_or_else(|_| Term::map_new(env))
}

#[rustler::nif]
fn gossip_broadcast<'a>(gossip: ResourceArc<GossipRes>, id: Binary<'a>, payload: Term<'a>) -> NifResult<Atom> {
    let id = match id.as_slice() {
        [] => None,
        bytes => Some(MessageId(bytes.try_into().map_err(|_| Error::BadArg)?)),
    };
    Ok(sent(gossip.0.broadcast(id, copy(payload)?)))
}

#[rustler::nif]
fn gossip_send<'a>(gossip: ResourceArc<GossipRes>, to: Binary<'a>, payload: Term<'a>) -> NifResult<Atom> {
    let Ok(name) = NodeName::parse(&to) else { return Ok(atoms::unknown()) };
    Ok(sent(gossip.0.send(name, copy(payload)?)))
}

fn sent(result: Result<(), Refusal>) -> Atom {
    match result {
        Ok(()) => atoms::ok(),
        Err(Refusal::Busy) => atoms::busy(),
        Err(Refusal::Duplicate) => atoms::duplicate(),
        Err(Refusal::Stopped) => atoms::stopped(),
        Err(Refusal::TooLarge) => atoms::too_large(),
        Err(Refusal::Unknown) => atoms::unknown(),
    }
}

#[rustler::nif]
fn gossip_ack(gossip: ResourceArc<GossipRes>, count: usize) -> Atom {
    gossip.0.ack(count);
    atoms::ok()
}

fn parse(node: &Binary<'_>) -> NifResult<NodeName> {
    NodeName::parse(node).map_err(|_| Error::BadArg)
}

/// Broadcasts are kept and sent many times, and never large: a copy is simpler than a reference into the caller's heap.
fn copy(payload: Term<'_>) -> NifResult<Bytes> {
    Ok(Bytes::copy_from_slice(&Binary::from_iolist(payload)?))
}
