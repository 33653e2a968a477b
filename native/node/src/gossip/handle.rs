// SPDX-License-Identifier: Apache-2.0
//! What the host holds of a running gossip. Every call answers at once, from any thread.

use super::events::Acks;
use super::gauges;
use super::inbox::{Command, Commands, Load, NotTaken};
use super::joins::{JoinFailure, JoinRequest, Target};
use super::metrics::{Metric, Metrics};
use super::published::{Member, Published, Views};
use super::recent::Recent;
use crate::stores::Stores;
use barrel_p2p_base::limits::MAX_PAYLOAD_BYTES;
use barrel_p2p_base::NodeName;
use barrel_p2p_proto::{MemberState, MessageId};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Why gossip did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// It runs already.
    #[error("gossip runs already on this node")]
    AlreadyStarted,
    /// Membership is about names, and the name of this node is dynamic.
    #[error("the node has no name of its own")]
    NoName,
    /// The endpoint was stopped.
    #[error("the endpoint does not run")]
    NotStarted,
}

impl StartError {
    /// The word for Erlang, where it is an atom.
    pub fn code(self) -> &'static str {
        match self {
            Self::AlreadyStarted => "already_started",
            Self::NoName => "no_name",
            Self::NotStarted => "not_started",
        }
    }
}

/// Why something was not taken. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too much waits already.
    Busy,
    /// A broadcast of this id was made or received before.
    Duplicate,
    /// Gossip has ended.
    Stopped,
    /// Longer than 1 MiB.
    TooLarge,
    /// No member of this name is alive.
    Unknown,
}

impl From<NotTaken> for Refusal {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Full => Self::Busy,
            NotTaken::Stopped => Self::Stopped,
        }
    }
}

impl From<NotTaken> for JoinFailure {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Full => Self::Busy,
            NotTaken::Stopped => Self::Stopped,
        }
    }
}

/// A running gossip.
#[derive(Debug)]
pub struct Gossip {
    commands: Commands,
    stores: Arc<Stores>,
    pub(crate) acks: Arc<Acks>,
    pub(crate) metrics: Metrics,
    pub(crate) published: Published,
    pub(crate) recent: Recent,
    pub(crate) stop: Notify,
    is_stopping: AtomicBool,
}

impl Gossip {
    pub(crate) fn new(commands: Commands, stores: Arc<Stores>) -> Self {
        Self {
            commands,
            stores,
            acks: Arc::default(),
            metrics: Metrics::default(),
            published: Published::default(),
            recent: Recent::default(),
            stop: Notify::new(),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Joins a cluster. The result comes later and on the I/O thread, once; it does not come when this call fails.
    pub fn join(
        &self,
        target: Target,
        timeout: Duration,
        reply: impl FnOnce(Result<(), JoinFailure>) + Send + 'static,
    ) -> Result<(), JoinFailure> {
        let request = JoinRequest { target, deadline: Instant::now() + timeout, reply: Box::new(reply) };
        Ok(self.commands.push(Command::Join(request))?)
    }

    /// Leaves the cluster.
    pub fn leave(&self) -> Result<(), Refusal> {
        Ok(self.commands.push(Command::Leave)?)
    }

    /// Keeps these out from now on, in place of those blocked before.
    pub fn block(&self, names: BTreeSet<NodeName>) -> Result<(), Refusal> {
        Ok(self.commands.push(Command::Block(names))?)
    }

    /// Keeps nobody out any more.
    pub fn unblock(&self) -> Result<(), Refusal> {
        Ok(self.commands.push(Command::Unblock)?)
    }

    /// Sends to everybody. Without an id it gets a random one.
    pub fn broadcast(&self, id: Option<MessageId>, payload: Bytes) -> Result<(), Refusal> {
        let payload = self.load(payload)?;
        let id = id.unwrap_or_else(random_id);
        if !self.recent.insert(id) {
            return Err(Refusal::Duplicate);
        }
        let pushed = self.commands.push(Command::Broadcast { id, payload });
        if pushed.is_err() {
            self.recent.forget(id);
        }
        Ok(pushed?)
    }

    /// Sends to one member.
    pub fn send(&self, to: NodeName, payload: Bytes) -> Result<(), Refusal> {
        let payload = self.load(payload)?;
        match self.member(&to) {
            Some(member) if is_here(&member) => Ok(self.commands.push(Command::Direct { to, payload })?),
            Some(_) | None => Err(Refusal::Unknown),
        }
    }

    fn load(&self, payload: Bytes) -> Result<Load, Refusal> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(Refusal::TooLarge);
        }
        Ok(self.commands.load(payload)?)
    }

    /// The host has handled so many events.
    pub fn ack(&self, events: usize) {
        self.acks.add(events);
    }

    /// Ends it without a word to the neighbours, in the background. Another one may be started at once.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.stop.notify_one();
    }

    /// Its place is free for another one.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Whom this node knows directly.
    pub fn views(&self) -> Arc<Views> {
        self.published.views()
    }

    /// The names of all members that are here, this node's included, sorted.
    pub fn members(&self) -> Vec<NodeName> {
        let members = self.published.members();
        members.iter().filter(|member| is_here(member)).map(|member| member.contact.name.clone()).collect()
    }

    /// What the directory says about a name.
    pub fn member(&self, name: &NodeName) -> Option<Member> {
        let members = self.published.members();
        let at = members.binary_search_by(|member| member.contact.name.cmp(name)).ok()?;
        members.get(at).cloned()
    }

    /// All counters and gauges.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        self.metrics.set(Metric::InboxCommands, self.commands.len() as u64);
        gauges::set_stores(&self.stores.totals(), &self.metrics);
        self.metrics.read().collect()
    }
}

fn is_here(member: &Member) -> bool {
    member.state <= MemberState::Suspect
}

fn random_id() -> MessageId {
    let mut id = [0; 16];
    // Without random bytes the next broadcast is taken for this one; a kernel that has none is not one that OTP starts on.
    let _ = getrandom::fill(&mut id);
    MessageId(id)
}
