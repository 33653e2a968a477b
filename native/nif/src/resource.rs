// SPDX-License-Identifier: Apache-2.0
//! The handles that Erlang holds. A handle that is forgotten, or whose process died, closes what it stands for.

use barrel_p2p_node::log::{AppendError, Log};
use barrel_p2p_node::stores::Handle;
use barrel_p2p_node::{Channel, CookieReply, Gossip, Identity, Node};
use rustler::{Env, LocalPid, Monitor, Resource};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct IdentityRes(pub(crate) Arc<Identity>);

#[rustler::resource_impl]
impl Resource for IdentityRes {}

pub(crate) struct EndpointRes(pub(crate) Arc<Node>);

#[rustler::resource_impl]
impl Resource for EndpointRes {}

/// A channel, monitored for its controller: an untrappable kill must not leave the peer waiting.
pub(crate) struct ChannelRes(pub(crate) Arc<Channel>);

#[rustler::resource_impl]
impl Resource for ChannelRes {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        self.0.abandon();
    }
}

impl Drop for ChannelRes {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// A running gossip, monitored for its events process.
pub(crate) struct GossipRes(pub(crate) Arc<Gossip>);

#[rustler::resource_impl]
impl Resource for GossipRes {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        self.0.stop();
    }
}

/// A hello that waits for its cookie.
pub(crate) struct TicketRes(Mutex<Option<CookieReply>>);

#[rustler::resource_impl]
impl Resource for TicketRes {}

impl TicketRes {
    pub(crate) fn new(reply: CookieReply) -> Self {
        Self(Mutex::new(Some(reply)))
    }

    pub(crate) fn take(&self) -> Option<CookieReply> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A store, monitored for its owner: it waits for the next one, and nobody is told in vain.
pub(crate) struct StoreRes {
    pub(crate) handle: Arc<Handle>,
    pub(crate) owner: LocalPid,
}

#[rustler::resource_impl]
impl Resource for StoreRes {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        self.handle.abandon();
    }
}

/// A log until it is closed, monitored for its owner.
pub(crate) struct LogRes(pub(crate) Mutex<Option<Log>>);

#[rustler::resource_impl]
impl Resource for LogRes {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        drop(self.take());
    }
}

impl LogRes {
    pub(crate) fn take(&self) -> Option<Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&Log) -> Result<T, AppendError>) -> Result<T, AppendError> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.as_ref().map_or(Err(AppendError::Closed), act)
    }
}
