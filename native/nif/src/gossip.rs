// SPDX-License-Identifier: Apache-2.0
//! Gossip as Erlang knows it: its options, its events, its members.

use crate::resource::GossipRes;
use crate::{atoms, encode, hlc, mailbox};
use barrel_p2p_node::gossip::Member;
use barrel_p2p_node::proto::stack::Config;
use barrel_p2p_node::proto::{DownReason, Event, MemberState};
use barrel_p2p_node::Listener;
use rustler::{Atom, Encoder, Env, LocalPid, ResourceArc, Term};
use std::time::Duration;

/// The process that hears of events. It holds the handle, so gossip lives until that process or the endpoint ends.
pub(crate) struct EventsProcess {
    pub(crate) gossip: ResourceArc<GossipRes>,
    pub(crate) process: LocalPid,
}

impl Listener for EventsProcess {
    fn events(&self, events: Vec<Event>) {
        mailbox::send(&self.process, |env| {
            let events: Vec<Term<'_>> = events.iter().map(|at| event(env, at)).collect();
            (atoms::barrel_p2p_gossip(), self.gossip.clone(), events).encode(env)
        });
    }

    fn stopped(&self) {
        mailbox::send(&self.process, |env| (atoms::barrel_p2p_gossip_stopped(), self.gossip.clone()).encode(env));
    }
}

fn event<'a>(env: Env<'a>, event: &Event) -> Term<'a> {
    match event {
        Event::Delivered { payload, .. } => (atoms::broadcast(), encode::binary(env, payload)).encode(env),
        Event::Direct { from, payload } => {
            (atoms::direct(), encode::name(env, from), encode::binary(env, payload)).encode(env)
        }
        Event::Joined => atoms::joined().encode(env),
        Event::Left => atoms::left().encode(env),
        Event::MemberDown(name, now) => (atoms::member_down(), encode::name(env, name), state(*now)).encode(env),
        Event::MemberUp(contact) => (atoms::member_up(), encode::name(env, &contact.name)).encode(env),
        Event::PeerDown(name, why) => (atoms::peer_down(), encode::name(env, name), reason(*why)).encode(env),
        Event::PeerUp(name) => (atoms::peer_up(), encode::name(env, name)).encode(env),
    }
}

fn reason(reason: DownReason) -> Atom {
    match reason {
        DownReason::Blocked => atoms::blocked(),
        DownReason::ConnectFailed => atoms::connect_failed(),
        DownReason::Dropped => atoms::dropped(),
        DownReason::Graceful => atoms::graceful(),
        DownReason::Nodedown => atoms::nodedown(),
    }
}

fn state(state: MemberState) -> Atom {
    match state {
        MemberState::Alive => atoms::alive(),
        MemberState::Down => atoms::down(),
        MemberState::Left => atoms::left(),
        MemberState::Suspect => atoms::suspect(),
    }
}

pub(crate) fn member<'a>(env: Env<'a>, member: &Member) -> Term<'a> {
    let contact = &member.contact;
    let addresses: Vec<Term<'a>> = contact.addresses.iter().map(|at| encode::address(env, *at)).collect();
    encode::map(
        env,
        &[
            (atoms::state(), state(member.state).encode(env)),
            (atoms::addresses(), addresses.encode(env)),
            (atoms::incarnation(), (contact.incarnation.started_ms, contact.incarnation.random).encode(env)),
            (atoms::remembers_since_ms(), contact.incarnation.remembers_since_ms().encode(env)),
            (atoms::public_key(), encode::binary(env, &contact.key.0)),
        ],
    )
}

/// Takes one option over; false when there is no such option.
pub(crate) fn set(config: &mut Config, key: &str, value: u32) -> bool {
    let views = &mut config.overlay.hyparview;
    let (count, span) = (value as usize, Duration::from_millis(value.into()));
    let steps = u8::try_from(value).unwrap_or(u8::MAX);
    match key {
        "active_size" => views.active_size = count,
        "arwl" => views.active_walk = steps,
        "base_backoff_ms" => views.base_backoff = span,
        "max_clock_skew_ms" => hlc::clock().set_max_skew_ms(value.into()),
        "max_fail_count" => views.max_failures = value,
        "member_heartbeat_ms" => config.directory.heartbeat = span,
        "passive_max_age_ms" => views.passive_max_age = span,
        "passive_size" => views.passive_size = count,
        // A limit: links tell sooner than that whether an answer can still come.
        "pending_timeout_ms" => views.request_timeout = views.request_timeout.min(span),
        "replica_anti_entropy_ms" => config.replication.anti_entropy = span,
        "tombstone_max_age_ms" => config.replication.tombstone_max_age = span,
        "prwl" => views.passive_walk = steps,
        "shuffle_length" => views.shuffle_length = count,
        "shuffle_period_ms" => views.shuffle_period = span,
        _ => return false,
    }
    true
}
