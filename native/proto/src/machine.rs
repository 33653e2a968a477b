// SPDX-License-Identifier: Apache-2.0
//! The contract between a machine and its driver: everything that goes in, everything that comes out.
//!
//! Keeps: a machine only speaks by pushing to [`Outputs`]; the driver carries them out in order. Leaves to others: how
//! a message gets to its receiver.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use barrel_p2p_base::{CloseCode, NodeName, Time};
use bytes::Bytes;

use crate::contact::Contact;
use crate::message::{Message, MessageId};
use crate::store::StoreName;

/// A state machine that the node and the simulator drive alike.
pub trait Machine {
    /// Feeds one input. `now` never goes back.
    fn handle(&mut self, now: Now, input: Input, out: &mut Outputs);

    /// Does what is due; to be called once [`Machine::next_timeout`] has come. Calling it earlier does nothing.
    fn handle_timeout(&mut self, now: Now, out: &mut Outputs);

    /// When the machine wants to be woken next. To be asked again after every call.
    fn next_timeout(&self) -> Option<Time>;
}

/// What the clocks of the driver show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The clock that never goes back.
    pub mono: Time,
    /// The time of day, in milliseconds since the Unix epoch; may be wrong and may jump.
    pub wall_ms: u64,
}

/// What happens to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Keep out of the views and refuse these from now on, in place of those blocked before. For tests of partitions.
    Block(BTreeSet<NodeName>),
    /// Broadcast a payload of at most [`MAX_PAYLOAD_BYTES`](barrel_p2p_base::limits::MAX_PAYLOAD_BYTES). It is delivered
    /// to all others, not here; an id that was seen before is dropped.
    Broadcast {
        /// What tells this broadcast from all others.
        id: MessageId,
        /// Tag and payload, opaque.
        payload: Bytes,
    },
    /// Send a payload to one member.
    Direct {
        /// Whom.
        to: NodeName,
        /// Opaque.
        payload: Bytes,
    },
    /// The host has taken everything that was staged in this store.
    Drained(StoreName),
    /// Join the cluster of this peer; the driver has a link to it.
    Join(Arc<Contact>),
    /// Leave the cluster. Everybody is refused until the next [`Input::Join`].
    Leave,
    /// The own addresses are these now.
    Moved(Box<[SocketAddr]>),
    /// The host has opened this store, or opened it anew.
    Opened(StoreName),
    /// A message came in.
    Received {
        /// Who has proved by the hello of the link that it is the sender.
        from: Arc<Contact>,
        /// What it sent.
        message: Message,
    },
    /// Refuse nobody any more.
    Unblock,
    /// A peer to whom there was a link, or to whom something was sent, cannot be reached.
    Unreachable {
        /// Who.
        name: NodeName,
        /// Why.
        why: Why,
    },
    /// The host has written into this store.
    Wrote(StoreName),
}

/// Why a peer cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The link ended for another reason.
    Closed,
    /// None of its addresses answered, or it refused the hello.
    DialFailed,
    /// The link fell silent.
    Lost,
    /// The peer said that it ends.
    Stopped,
}

/// What a driver has to do, in this order.
pub type Outputs = Vec<Output>;

/// One thing that a driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Close the link: the peer attacks.
    Close {
        /// Whose link.
        name: NodeName,
        /// What to tell it.
        code: CloseCode,
    },
    /// Tell the application.
    Event(Event),
    /// Keep the link to this neighbour open. It comes just before [`Event::PeerUp`].
    Hold(Arc<Contact>),
    /// The link may be closed once it is idle. It comes just before [`Event::PeerDown`].
    Release(NodeName),
    /// Send a message; dial the contact's addresses if there is no link. [`Input::Unreachable`] tells if that fails.
    Send {
        /// To whom.
        to: Arc<Contact>,
        /// What.
        message: Message,
    },
    /// This store had nothing that waits for the host's judgement, and now has. [`Input::Drained`] is to follow.
    Staged(StoreName),
}

/// What an application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A broadcast of another member; each once.
    Delivered {
        /// Which one.
        id: MessageId,
        /// How many links it has crossed.
        hops: u16,
        /// Tag and payload, opaque.
        payload: Bytes,
    },
    /// A payload that was sent to this node alone.
    Direct {
        /// By whom.
        from: NodeName,
        /// Opaque.
        payload: Bytes,
    },
    /// This node has a neighbour, and had none.
    Joined,
    /// This node has left.
    Left,
    /// A member is gone.
    MemberDown(NodeName, MemberState),
    /// A member is there.
    MemberUp(Arc<Contact>),
    /// A neighbour less.
    PeerDown(NodeName, DownReason),
    /// A neighbour more.
    PeerUp(NodeName),
}

/// Why somebody is no neighbour any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// It is blocked.
    Blocked,
    /// It could not be dialled.
    ConnectFailed,
    /// This node made room for another one.
    Dropped,
    /// One of the two said goodbye.
    Graceful,
    /// Its link ended, or it was started anew.
    Nodedown,
}

/// What the directory says about a member. Ordered by how strong the claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// Somebody could not reach it; it may still refute that.
    Suspect,
    /// It did not refute.
    Down,
    /// It said that it leaves.
    Left,
}
