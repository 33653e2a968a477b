// SPDX-License-Identifier: Apache-2.0
//! A channel's two processes: the controller hears of its state, the input process gets the frames and the end.

use crate::{atoms, encode, mailbox};
use barrel_p2p_node::{Owner, Peer, Reason};
use rustler::{Encoder, LocalPid};

/// The process pair. Each process serves one channel, so messages need not name it.
pub(crate) struct ProcessPair {
    pub(crate) controller: LocalPid,
    pub(crate) input: LocalPid,
}

impl Owner for ProcessPair {
    fn connected(&self, peer: &Peer) {
        mailbox::send(&self.controller, |env| (atoms::barrel_p2p_connected(), encode::peer(env, peer)).encode(env));
    }

    fn failed(&self, reason: Reason) {
        mailbox::send(&self.controller, |env| {
            (atoms::barrel_p2p_failed(), encode::atom(env, reason.name())).encode(env)
        });
    }

    fn arrived(&self) {
        mailbox::note(&self.input, atoms::barrel_p2p_frames());
    }

    fn writable(&self) {
        mailbox::note(&self.controller, atoms::barrel_p2p_writable());
    }

    fn closed(&self, reason: Reason) {
        mailbox::send(&self.input, |env| (atoms::barrel_p2p_closed(), encode::atom(env, reason.name())).encode(env));
    }
}
