// SPDX-License-Identifier: Apache-2.0
//! What the actor hears of a gossip channel.

use super::inbox::Occurrence;
use barrel_p2p_net::{Owner, Peer, Reason};
use tokio::sync::mpsc::UnboundedSender;

/// Names a channel for as long as its gossip runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LineId(pub(crate) u64);

/// What happened to a channel.
#[derive(Debug)]
pub(crate) enum Heard {
    /// There is something to be taken from the channel.
    Arrived,
    Closed(Reason),
    Connected(Peer),
    Failed(Reason),
    Writable,
}

/// The owner of one channel. What arrives stays in the channel's inbox until the actor takes it.
#[derive(Debug)]
pub(crate) struct Ear {
    pub(crate) line: LineId,
    pub(crate) inbox: UnboundedSender<Occurrence>,
}

impl Ear {
    fn tell(&self, heard: Heard) {
        // Nobody listens any more when gossip has ended, which ends the channels as well.
        let _ = self.inbox.send(Occurrence::Line(self.line, heard));
    }
}

impl Owner for Ear {
    fn connected(&self, peer: &Peer) {
        self.tell(Heard::Connected(peer.clone()));
    }

    fn failed(&self, reason: Reason) {
        self.tell(Heard::Failed(reason));
    }

    fn arrived(&self) {
        self.tell(Heard::Arrived);
    }

    fn writable(&self) {
        self.tell(Heard::Writable);
    }

    fn closed(&self, reason: Reason) {
        self.tell(Heard::Closed(reason));
    }
}
