// SPDX-License-Identifier: Apache-2.0
//! The listener process, which speaks for the BEAM to the endpoint.

use crate::resource::{ChannelRes, TicketRes};
use crate::{atoms, encode, mailbox};
use barrel_p2p_node::{Channel, CookieReply, Direction, Host, Peer, Refused};
use rustler::{Encoder, LocalPid, ResourceArc};
use std::sync::Arc;

pub(crate) struct Listener(pub(crate) LocalPid);

impl Host for Listener {
    fn cookie_wanted(&self, node: &str, reply: CookieReply) {
        let ticket = ResourceArc::new(TicketRes::new(reply));
        mailbox::send(&self.0, |env| {
            (atoms::barrel_p2p_hello(), ticket, encode::binary(env, node.as_bytes())).encode(env)
        });
    }

    fn incoming(&self, channel: Arc<Channel>, peer: &Peer) {
        let channel = ResourceArc::new(ChannelRes(channel));
        mailbox::send(&self.0, |env| (atoms::barrel_p2p_incoming(), channel, encode::peer(env, peer)).encode(env));
    }

    fn refused(&self, refused: &Refused) {
        let direction = match refused.direction {
            Direction::Inbound => atoms::inbound(),
            Direction::Outbound => atoms::outbound(),
        };
        mailbox::send(&self.0, |env| {
            let reason = encode::atom(env, refused.reason.name());
            (atoms::barrel_p2p_refused(), direction, encode::refused(env, refused), reason).encode(env)
        });
    }
}
