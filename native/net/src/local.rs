// SPDX-License-Identifier: Apache-2.0
//! The endpoint as a task on its own I/O thread sees it. Such a task ends with the endpoint, so nothing here can fail for a stopped one.

use crate::channel::Channel;
use crate::core::Core;
use crate::dial::Request;
use crate::endpoint;
use barrel_p2p_base::{CloseCode, Incarnation, NodeName, PublicKey};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Held by tasks on the I/O thread only: it keeps the socket.
#[derive(Clone)]
pub struct Local(Arc<Core>);

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("name", &self.0.config.name).finish_non_exhaustive()
    }
}

impl Local {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self(core)
    }

    /// The name of this node; `None` when it is dynamic.
    pub fn name(&self) -> Option<NodeName> {
        self.0.own_name()
    }

    /// How long a dial may take.
    pub fn dial_timeout(&self) -> Duration {
        self.0.config.dial_timeout
    }

    /// This start of the node.
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    /// The key of this node, as of now.
    pub fn public_key(&self) -> PublicKey {
        self.0.keeper.credentials().keys.public()
    }

    /// Where peers can dial this node, best first.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.own_addresses()
    }

    /// Opens a channel to a peer, dialling it where there is no link. The channel's owner hears the result.
    pub fn connect(&self, channel: Arc<Channel>, request: Request, timeout: Duration) {
        tokio::spawn(endpoint::connect(self.0.clone(), channel, request, timeout));
    }

    /// Closes every link to a peer and answers how many that were.
    pub fn close_links(&self, name: &NodeName, code: CloseCode) -> usize {
        let links = self.0.links();
        let up = links.of(name).iter().filter(|link| link.connection.close_reason().is_none());
        up.inspect(|link| link.close(code)).count()
    }
}
