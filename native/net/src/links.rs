// SPDX-License-Identifier: Apache-2.0
//! All links of an endpoint, by peer name, and the dials in flight.
//!
//! Keeps: of the links to one name all are of its newest known incarnation. Two nodes that dial each other at once may end with two
//! links; both sides then prefer the one that the greater name dialled, and the other closes when its last channel is gone. No channel
//! is ever cut to settle that, so a settlement cannot fail a connect.

use crate::link::Link;
use crate::peer::Role;
use crate::reason::Reason;
use barrel_p2p_base::{CloseCode, NodeName};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The result of a dial, once there is one. A link that the peer dialled meanwhile counts as well.
pub(crate) type Dialled = Option<Result<Arc<Link>, Reason>>;

/// How to get a link to a peer.
pub(crate) enum Route {
    /// Nobody dials it yet: the caller must.
    Dial(watch::Sender<Dialled>),
    /// Use this one.
    Ready(Arc<Link>),
    /// Somebody is dialling.
    Wait(watch::Receiver<Dialled>),
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    named: BTreeMap<NodeName, Vec<Arc<Link>>>,
    /// Peers whose name is dynamic.
    unnamed: Vec<Arc<Link>>,
    dials: BTreeMap<NodeName, watch::Sender<Dialled>>,
}

impl Links {
    pub(crate) fn route(&mut self, me: &str, name: &NodeName) -> Route {
        if let Some(link) = self.preferred(me, name) {
            return Route::Ready(link);
        }
        if let Some(dial) = self.dials.get(name) {
            return Route::Wait(dial.subscribe());
        }
        let dial = watch::Sender::new(None);
        self.dials.insert(name.clone(), dial.clone());
        Route::Dial(dial)
    }

    fn preferred(&self, me: &str, name: &NodeName) -> Option<Arc<Link>> {
        let greater_dials = if me > name.as_str() { Role::Dialled } else { Role::Accepted };
        let usable = || self.named.get(name).into_iter().flatten().filter(|link| link.is_usable());
        usable().find(|link| link.peer.role == greater_dials).or_else(|| usable().next()).cloned()
    }

    /// Ends a dial; whoever waits for it learns the result.
    pub(crate) fn dialled(
        &mut self,
        name: &NodeName,
        dial: &watch::Sender<Dialled>,
        result: Result<Arc<Link>, Reason>,
    ) {
        if self.dials.get(name).is_some_and(|current| current.same_channel(dial)) {
            self.dials.remove(name);
        }
        dial.send_if_modified(|dialled| {
            let first = dialled.is_none();
            if first {
                *dialled = Some(result);
            }
            first
        });
    }

    /// Adds a link whose peer has proved itself. A newer incarnation takes the place of an older one, an older one is refused.
    pub(crate) fn add(&mut self, link: &Arc<Link>) -> Result<(), CloseCode> {
        let Some(name) = &link.peer.name else {
            self.unnamed.push(link.clone());
            return Ok(());
        };
        let links = self.named.entry(name.clone()).or_default();
        let is_up = |other: &&Arc<Link>| other.connection.close_reason().is_none();
        if links.iter().filter(is_up).any(|other| other.peer.incarnation > link.peer.incarnation) {
            return Err(CloseCode::StaleIncarnation);
        }
        for old in links.iter().filter(|other| other.peer.incarnation < link.peer.incarnation) {
            old.close(CloseCode::Superseded);
        }
        links.retain(|other| other.peer.incarnation == link.peer.incarnation);
        links.push(link.clone());
        if let Some(dial) = self.dials.get(name) {
            dial.send_if_modified(|dialled| {
                let first = dialled.is_none();
                if first {
                    *dialled = Some(Ok(link.clone()));
                }
                first
            });
        }
        Ok(())
    }

    pub(crate) fn of(&self, name: &NodeName) -> &[Arc<Link>] {
        self.named.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn remove(&mut self, link: &Arc<Link>) {
        let Some(name) = &link.peer.name else {
            self.unnamed.retain(|other| !Arc::ptr_eq(other, link));
            return;
        };
        if let Some(links) = self.named.get_mut(name) {
            links.retain(|other| !Arc::ptr_eq(other, link));
            if links.is_empty() {
                self.named.remove(name);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.named.values().flatten().chain(&self.unnamed)
    }
}
