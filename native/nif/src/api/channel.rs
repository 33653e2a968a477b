// SPDX-License-Identifier: Apache-2.0
//! Channels.

use crate::owner::ProcessPair;
use crate::resource::{ChannelRes, EndpointRes};
use crate::{atoms, encode, lent, payload};
use barrel_p2p_node::{Accepted, Batch, Channel, NodeName, Request};
use rustler::{Atom, Binary, Encoder, Env, Error, ListIterator, LocalPid, NifMap, NifResult, ResourceArc, Term};
use std::sync::Arc;
use std::time::Duration;

#[derive(NifMap)]
struct Dial<'a> {
    node: Binary<'a>,
    own_name: Binary<'a>,
    cookie: Binary<'a>,
    addresses: Vec<(String, u16)>,
}

#[rustler::nif]
fn channel_connect<'a>(
    env: Env<'a>,
    endpoint: ResourceArc<EndpointRes>,
    input: LocalPid,
    dial: Dial<'a>,
    timeout_ms: u64,
) -> NifResult<Term<'a>> {
    let Ok(node) = NodeName::parse(&dial.node) else {
        return Ok(encode::failure(env, "invalid_name", &String::from_utf8_lossy(&dial.node)));
    };
    let own_name = NodeName::parse(&dial.own_name).ok();
    let request = Request { node: Some(node), own_name, cookie: Some(dial.cookie.to_vec()), addresses: dial.addresses };
    let channel = owned_by_caller(env, Arc::new(Channel::default()), input).ok_or(Error::BadArg)?;
    match endpoint.0.endpoint().connect(channel.0.clone(), request, Duration::from_millis(timeout_ms)) {
        Ok(()) => Ok((atoms::ok(), channel).encode(env)),
        Err(reason) => Ok(encode::failure(env, reason.name(), "")),
    }
}

/// Makes the caller the channel's controller.
fn owned_by_caller(env: Env<'_>, channel: Arc<Channel>, input: LocalPid) -> Option<ResourceArc<ChannelRes>> {
    let resource = ResourceArc::new(ChannelRes(channel));
    own(env, &resource, input).then_some(resource)
}

fn own(env: Env<'_>, channel: &ResourceArc<ChannelRes>, input: LocalPid) -> bool {
    let controller = env.pid();
    env.monitor(channel, &controller).is_some() && channel.0.own(Arc::new(ProcessPair { controller, input }))
}

#[rustler::nif]
fn channel_accept(env: Env<'_>, channel: ResourceArc<ChannelRes>, input: LocalPid) -> Atom {
    if own(env, &channel, input) {
        atoms::ok()
    } else {
        atoms::closed()
    }
}

/// Bytes that one call hands out, or one batch of 192 KiB more: the emulator keeps binaries up to 512 KiB in memory that it has, and maps each
/// larger one anew. The copy takes some 50 us.
const TAKE_BYTES: usize = 256 * 1024;

/// One packet of the handshake, before signals are sent.
#[rustler::nif]
fn channel_send<'a>(env: Env<'a>, channel: ResourceArc<ChannelRes>, packet: Binary<'a>) -> NifResult<Term<'a>> {
    let packet = payload::packet(&packet)?;
    Ok(accepted(env, channel.0.send(1, [packet])))
}

#[rustler::nif]
fn channel_send_signals<'a>(
    env: Env<'a>,
    channel: ResourceArc<ChannelRes>,
    signals: ListIterator<'a>,
) -> NifResult<Term<'a>> {
    lent::free();
    let signals = payload::from_terms(signals)?;
    Ok(accepted(env, channel.0.send_signals(&signals)))
}

/// Those that were held are let go: `ok`, or `busy`.
#[rustler::nif]
fn channel_let_go(env: Env<'_>, channel: ResourceArc<ChannelRes>) -> Term<'_> {
    accepted(env, channel.0.let_go())
}

fn accepted(env: Env<'_>, accepted: Accepted) -> Term<'_> {
    match accepted {
        Accepted::Busy => atoms::busy().encode(env),
        Accepted::Closed => atoms::closed().encode(env),
        Accepted::Hold(senders) => {
            let senders: Vec<_> = senders.iter().map(|sender| (sender.number, sender.serial)).collect();
            (atoms::hold(), senders).encode(env)
        }
        Accepted::Ready => atoms::ok().encode(env),
    }
}

/// What arrived, in the order in which it is to be given to the emulator.
#[rustler::nif]
fn channel_take(env: Env<'_>, channel: ResourceArc<ChannelRes>) -> Term<'_> {
    taken(env, channel.0.take(TAKE_BYTES))
}

/// The next packets of the handshake.
#[rustler::nif]
fn channel_take_first(env: Env<'_>, channel: ResourceArc<ChannelRes>) -> Term<'_> {
    taken(env, channel.0.take_first())
}

fn taken(env: Env<'_>, batch: Option<Batch>) -> Term<'_> {
    batch.map_or_else(|| atoms::none().encode(env), |batch| payload::to_binary(env, &batch))
}

#[rustler::nif]
fn channel_tick(channel: ResourceArc<ChannelRes>) -> Atom {
    channel.0.tick();
    atoms::ok()
}

#[rustler::nif]
fn channel_stat(channel: ResourceArc<ChannelRes>) -> (u64, u64, u64) {
    let stat = channel.0.stat();
    (stat.received, stat.sent, stat.pending_bytes)
}

#[rustler::nif]
fn channel_activity(channel: ResourceArc<ChannelRes>) -> (u64, u64) {
    let stat = channel.0.stat();
    (stat.received.saturating_sub(stat.received_ticks), stat.sent.saturating_sub(stat.sent_ticks))
}

#[rustler::nif]
fn channel_close(channel: ResourceArc<ChannelRes>, how: Atom) -> NifResult<Atom> {
    if how == atoms::graceful() {
        channel.0.close();
    } else if how == atoms::abort() {
        channel.0.abort();
    } else {
        return Err(Error::BadArg);
    }
    Ok(atoms::ok())
}

#[rustler::nif]
fn channel_peer(env: Env<'_>, channel: ResourceArc<ChannelRes>) -> NifResult<Term<'_>> {
    channel.0.peer().map(|peer| encode::peer(env, peer)).ok_or(Error::BadArg)
}
