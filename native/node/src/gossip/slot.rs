// SPDX-License-Identifier: Apache-2.0
//! Where a node keeps its gossip, and where peers' channels are led to whom they are for.

use super::handle::Gossip;
use super::inbox::Occurrence;
use barrel_p2p_net::{Channel, CookieReply, Host, Kind, Peer, Refused};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::UnboundedSender;

/// At most one gossip runs on a node.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Option<Tenant>>);

#[derive(Debug)]
struct Tenant {
    gossip: Arc<Gossip>,
    links: UnboundedSender<Occurrence>,
}

impl Tenant {
    fn is_running(&self) -> bool {
        !self.links.is_closed() && !self.gossip.is_stopping()
    }
}

impl Slot {
    /// Leads peers to a new gossip; false when one runs already.
    pub(crate) fn take(&self, gossip: &Arc<Gossip>, links: &UnboundedSender<Occurrence>) -> bool {
        let mut tenant = self.tenant();
        let free = !tenant.as_ref().is_some_and(Tenant::is_running);
        if free {
            *tenant = Some(Tenant { gossip: gossip.clone(), links: links.clone() });
        }
        free
    }

    fn offer(&self, channel: Arc<Channel>, peer: &Peer) {
        let incoming = Occurrence::Incoming(channel.clone(), peer.clone());
        let offered = self.tenant().as_ref().is_some_and(|tenant| tenant.links.send(incoming).is_ok());
        if !offered {
            // Gossip has not started yet, or has ended: the peer hears that nobody is there.
            channel.abort();
        }
    }

    // Replaced as a whole, so a poisoned lock is still good.
    fn tenant(&self) -> MutexGuard<'_, Option<Tenant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host of the endpoint: gossip channels go to the slot, everything else to the host of the node.
pub(crate) struct Switch {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) slot: Arc<Slot>,
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl Host for Switch {
    fn cookie_wanted(&self, node: &str, reply: CookieReply) {
        self.host.cookie_wanted(node, reply);
    }

    fn incoming(&self, channel: Arc<Channel>, peer: &Peer) {
        match channel.kind() {
            Kind::Dist => self.host.incoming(channel, peer),
            Kind::Gossip => self.slot.offer(channel, peer),
        }
    }

    fn refused(&self, refused: &Refused) {
        self.host.refused(refused);
    }
}
