// SPDX-License-Identifier: Apache-2.0
//! A running node: endpoint and published files, which live and end together.

use crate::gossip::handle::{Gossip, StartError as GossipError};
use crate::gossip::slot::{Slot, Switch};
use crate::gossip::{self, Listener};
use crate::identity::Identity;
use crate::stores::Stores;
use barrel_p2p_base::NodeName;
use barrel_p2p_net::{Config, Endpoint, Host, StartError};
use barrel_p2p_proto::stack;
use barrel_p2p_store::{published, StoreError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NodeError(#[from] StartError);

impl NodeError {
    /// The word for Erlang, where it is an atom.
    pub fn code(&self) -> &'static str {
        match self.0 {
            StartError::Bind { .. } => "bind_failed",
            StartError::Certificate(_) => "certificate_corrupt",
            StartError::PortForbidden(_) => "port_forbidden",
            StartError::PortInUse(_) => "port_in_use",
            StartError::Thread(_) => "thread_failed",
        }
    }
}

/// An endpoint with what it published.
#[derive(Debug)]
pub struct Node {
    endpoint: Endpoint,
    name: Option<NodeName>,
    port: u16,
    slot: Arc<Slot>,
    published: Mutex<BTreeSet<PathBuf>>,
}

impl Node {
    /// Starts the endpoint.
    pub fn start(config: Config, identity: Arc<Identity>, host: Arc<dyn Host>) -> Result<Self, NodeError> {
        let name = NodeName::parse(config.name.as_bytes()).ok();
        let slot = Arc::new(Slot::default());
        let endpoint = Endpoint::start(config, identity, Arc::new(Switch { host, slot: slot.clone() }))?;
        let port = endpoint.info().map_or(0, |info| info.port);
        Ok(Self { endpoint, name, port, slot, published: Mutex::default() })
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The UDP port in use.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts membership, broadcast and the exchange of stores. `listener` makes the one who hears of events, and has to know the handle for that.
    pub fn start_gossip(
        &self,
        config: stack::Config,
        stores: Arc<Stores>,
        listener: impl FnOnce(&Arc<Gossip>) -> Arc<dyn Listener>,
    ) -> Result<Arc<Gossip>, GossipError> {
        let name = self.name.clone().ok_or(GossipError::NoName)?;
        gossip::start(&self.endpoint, &self.slot, name, config, stores, listener)
    }

    /// Writes a file that is removed when the node ends, so that nobody dials a dead port.
    pub fn publish(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        published::publish(path, content)?;
        self.files(|files| files.insert(path.to_owned()));
        Ok(())
    }

    /// Removes a published file.
    pub fn unpublish(&self, path: &Path) -> Result<(), StoreError> {
        self.files(|files| files.remove(path));
        published::withdraw(path)
    }

    /// Withdraws the files and stops the endpoint. Bounded by a second.
    pub fn stop(&self) {
        self.withdraw_all();
        self.endpoint.stop();
    }

    /// As [`Self::stop`], for a process that is about to exit.
    pub fn halt(&self) {
        self.withdraw_all();
        self.endpoint.halt();
    }

    fn withdraw_all(&self) {
        for path in self.files(std::mem::take) {
            // A file that stays costs others a dial to a dead port, which fails at once.
            let _ = published::withdraw(&path);
        }
    }

    fn files<T>(&self, act: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
        act(&mut self.published.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
