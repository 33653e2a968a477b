// SPDX-License-Identifier: Apache-2.0
//! What all tasks of one endpoint share.

use crate::addresses;
use crate::config::Config;
use crate::host::{Direction, Host, Keeper, Refused};
use crate::links::Links;
use crate::reason::Reason;
use crate::refusals::Refusals;
use crate::settings::Settings;
use crate::strangers::Strangers;
use barrel_p2p_base::{Incarnation, NodeName};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) keeper: Arc<dyn Keeper>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) quinn: quinn::Endpoint,
    pub(crate) settings: Settings,
    pub(crate) incarnation: Incarnation,
    pub(crate) port: u16,
    links: Mutex<Links>,
    strangers: Mutex<Strangers>,
    refusals: Mutex<Refusals>,
}

impl Core {
    pub(crate) fn new(
        config: Config,
        keeper: Arc<dyn Keeper>,
        host: Arc<dyn Host>,
        quinn: (quinn::Endpoint, Settings),
        port: u16,
    ) -> Self {
        Self {
            incarnation: keeper.incarnation(),
            config,
            keeper,
            host,
            quinn: quinn.0,
            settings: quinn.1,
            port,
            links: Mutex::default(),
            strangers: Mutex::default(),
            refusals: Mutex::new(Refusals::new(Instant::now())),
        }
    }

    /// The name that this endpoint was started with; `None` when it is dynamic.
    pub(crate) fn own_name(&self) -> Option<NodeName> {
        NodeName::parse(self.config.name.as_bytes()).ok()
    }

    /// Where peers can dial us.
    pub(crate) fn own_addresses(&self) -> Vec<SocketAddr> {
        let name = self.own_name();
        let host = name.as_ref().map_or("", NodeName::host);
        if self.config.listen {
            addresses::own(self.port, host)
        } else {
            Vec::new()
        }
    }

    // Each of these is consistent between any two statements, so a poisoned lock is still good.
    pub(crate) fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers why a node was not reached or not let in, and reports it within bounds.
    pub(crate) fn refused(&self, direction: Direction, node: &str, address: Option<SocketAddr>, reason: Reason) {
        let report = self.refusals().record(node, reason, Instant::now());
        if report {
            self.host.refused(&Refused { direction, node: node.to_owned(), address, reason });
        }
    }
}
