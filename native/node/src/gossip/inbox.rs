// SPDX-License-Identifier: Apache-2.0
//! What waits for the actor.
//!
//! Keeps: commands wait in a queue of bounded length whose payloads are bounded in bytes; what peers send stays in the inbox
//! of each channel (see `barrel_p2p_net::channel`), which is bounded, until the actor takes it.

use super::ear::{Heard, LineId};
use super::joins::JoinRequest;
use barrel_p2p_base::NodeName;
use barrel_p2p_net::{Channel, Peer};
use barrel_p2p_proto::MessageId;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Commands (count) that may wait. The actor takes them as fast as a hash takes, so that many is already a sign of overload.
const COMMANDS: usize = 1024;

/// Bytes of payloads that may wait: eight of the largest.
const PAYLOAD_BYTES: u32 = 8 << 20;

/// What a host asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Block(BTreeSet<NodeName>),
    Broadcast { id: MessageId, payload: Load },
    Direct { to: NodeName, payload: Load },
    Join(JoinRequest),
    Leave,
    Unblock,
}

/// A payload with its part of the budget, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) bytes: Bytes,
    _budget: OwnedSemaphorePermit,
}

/// What happens on the links.
#[derive(Debug)]
pub(crate) enum Occurrence {
    /// A peer opened a channel to us.
    Incoming(Arc<Channel>, Peer),
    /// Something on a channel that we own.
    Line(LineId, Heard),
}

/// The host's end.
#[derive(Debug)]
pub(crate) struct Commands {
    queue: Sender<Command>,
    budget: Arc<Semaphore>,
}

/// The inbox has no room, or no reader any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Full,
    Stopped,
}

impl Commands {
    pub(crate) fn push(&self, command: Command) -> Result<(), NotTaken> {
        self.queue.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotTaken::Full,
            mpsc::error::TrySendError::Closed(_) => NotTaken::Stopped,
        })
    }

    pub(crate) fn load(&self, bytes: Bytes) -> Result<Load, NotTaken> {
        let size = u32::try_from(bytes.len()).map_err(|_| NotTaken::Full)?;
        let budget = self.budget.clone().try_acquire_many_owned(size).map_err(|_| NotTaken::Full)?;
        Ok(Load { bytes, _budget: budget })
    }

    /// Commands that wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

/// The actor's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) commands: Receiver<Command>,
    pub(crate) occurrences: UnboundedReceiver<Occurrence>,
}

/// A new inbox: the host's end, the links' end, the actor's end.
pub(crate) fn inbox() -> (Commands, UnboundedSender<Occurrence>, Inbox) {
    let (queue, commands) = mpsc::channel(COMMANDS);
    let (links, occurrences) = mpsc::unbounded_channel();
    let budget = Arc::new(Semaphore::new(PAYLOAD_BYTES as usize));
    (Commands { queue, budget }, links, Inbox { commands, occurrences })
}
