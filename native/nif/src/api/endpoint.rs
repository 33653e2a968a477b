// SPDX-License-Identifier: Apache-2.0
//! The endpoint. Those that wait for a socket, a thread or the disk run on dirty schedulers.

use crate::host::Listener;
use crate::resource::{EndpointRes, IdentityRes, TicketRes};
use crate::{atoms, encode, halt};
use barrel_p2p_node::{Config, Node};
use rustler::{Atom, Binary, Encoder, Env, LocalPid, NifMap, ResourceArc, Term};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(NifMap)]
struct Options {
    name: String,
    port: u16,
    listen: bool,
    hello_timeout_ms: u64,
    dial_timeout_ms: u64,
    keepalive_ms: u64,
    idle_timeout_ms: u64,
    dist_lanes: usize,
}

#[rustler::nif(schedule = "DirtyIo")]
fn endpoint_start<'a>(
    env: Env<'a>,
    identity: ResourceArc<IdentityRes>,
    listener: LocalPid,
    options: Options,
) -> Term<'a> {
    let config = Config {
        name: options.name,
        port: options.port,
        listen: options.listen,
        hello_timeout: Duration::from_millis(options.hello_timeout_ms),
        dial_timeout: Duration::from_millis(options.dial_timeout_ms),
        keepalive: Duration::from_millis(options.keepalive_ms),
        idle_timeout: Duration::from_millis(options.idle_timeout_ms),
        dist_lanes: options.dist_lanes,
        // No setting of this stage has to agree in the whole cluster.
        config_digest: [0; 32],
    };
    match Node::start(config, identity.0.clone(), Arc::new(Listener(listener))) {
        Ok(node) => {
            let node = Arc::new(node);
            halt::remember(&node);
            (atoms::ok(), ResourceArc::new(EndpointRes(node.clone())), node.port()).encode(env)
        }
        Err(error) => encode::failure(env, error.code(), &error.to_string()),
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn endpoint_stop(endpoint: ResourceArc<EndpointRes>) -> Atom {
    endpoint.0.stop();
    atoms::ok()
}

#[rustler::nif]
fn endpoint_info(env: Env<'_>, endpoint: ResourceArc<EndpointRes>) -> Term<'_> {
    let info = endpoint.0.endpoint().info();
    info.map_or_else(|| encode::map(env, &[]), |info| encode::info(env, &info))
}

#[rustler::nif]
fn hello_cookie(ticket: ResourceArc<TicketRes>, cookie: Binary<'_>) -> Atom {
    if let Some(reply) = ticket.take() {
        reply.answer(cookie.to_vec());
    }
    atoms::ok()
}

#[rustler::nif]
fn last_error<'a>(env: Env<'a>, endpoint: ResourceArc<EndpointRes>, node: &str) -> Term<'a> {
    match endpoint.0.endpoint().last_error(node) {
        Some((reason, ago)) => (encode::atom(env, reason.name()), encode::millis(ago)).encode(env),
        None => atoms::none().encode(env),
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn publish<'a>(env: Env<'a>, endpoint: ResourceArc<EndpointRes>, path: &str, content: Binary<'a>) -> Term<'a> {
    match endpoint.0.publish(Path::new(path), &content) {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => encode::failure(env, error.code(), &error.detail()),
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn unpublish<'a>(env: Env<'a>, endpoint: ResourceArc<EndpointRes>, path: &str) -> Term<'a> {
    match endpoint.0.unpublish(Path::new(path)) {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => encode::failure(env, error.code(), &error.detail()),
    }
}
