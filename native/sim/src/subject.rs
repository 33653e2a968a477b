// SPDX-License-Identifier: Apache-2.0
//! What the world runs: a composition of `proto`, unchanged, with questions that only the simulator asks.
//!
//! Keeps: the questions only read. Leaves to others: everything a node does, which is [`Machine`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use barrel_p2p_base::limits::{MAX_DEPARTED, MAX_MEMBERS};
use barrel_p2p_base::{Incarnation, NodeName, PublicKey};
use barrel_p2p_proto::overlay::{self, Overlay};
use barrel_p2p_proto::replication::Shelf;
use barrel_p2p_proto::stack::{self, Stack};
use barrel_p2p_proto::{plumtree, Contact, Machine, MemberState, Now};

use crate::books::Book;
use crate::invariant::bounded_memory::Held;
use crate::network::mix;

/// A machine that the world can start and look into.
pub trait Subject: Machine {
    /// Does it know all members?
    const HAS_DIRECTORY: bool;

    /// A node that starts, with everything as configured by default.
    fn start(me: Arc<Contact>, book: &Arc<Book>, seed: u64, now: Now) -> Self;

    /// Its neighbours.
    fn active(&self, each: &mut dyn FnMut(&Contact));

    /// The contacts it keeps for later.
    fn passive(&self, each: &mut dyn FnMut(&Contact));

    /// What it says of members.
    fn members(&self, each: &mut dyn FnMut(&Contact, MemberState));

    /// What it keeps, beside the limits.
    fn held(&self) -> Vec<Held>;
}

impl Subject for Overlay {
    const HAS_DIRECTORY: bool = false;

    fn start(me: Arc<Contact>, _book: &Arc<Book>, seed: u64, _now: Now) -> Self {
        Self::new(overlay::Config::default(), me, seed)
    }

    fn active(&self, each: &mut dyn FnMut(&Contact)) {
        self.neighbours().for_each(|contact| each(contact));
    }

    fn passive(&self, each: &mut dyn FnMut(&Contact)) {
        Self::passive(self).for_each(|contact| each(contact));
    }

    fn members(&self, _each: &mut dyn FnMut(&Contact, MemberState)) {}

    fn held(&self) -> Vec<Held> {
        let config = plumtree::Config::default();
        let (ids, bytes, awaited) = self.tree().remembered();
        vec![
            Held { what: "remembered ids", count: ids, limit: config.cache_count },
            Held { what: "remembered bytes", count: bytes, limit: config.cache_bytes },
            Held { what: "awaited broadcasts", count: awaited, limit: MAX_AWAITED },
        ]
    }
}

impl Subject for Stack {
    const HAS_DIRECTORY: bool = true;

    fn start(me: Arc<Contact>, book: &Arc<Book>, seed: u64, now: Now) -> Self {
        let (clock, shelf) = (Arc::clone(book.clock()), Arc::clone(book) as Arc<dyn Shelf>);
        Self::new(stack::Config::default(), me, clock, shelf, seed, now)
    }

    fn active(&self, each: &mut dyn FnMut(&Contact)) {
        self.overlay().active(each);
    }

    fn passive(&self, each: &mut dyn FnMut(&Contact)) {
        Subject::passive(self.overlay(), each);
    }

    fn members(&self, each: &mut dyn FnMut(&Contact, MemberState)) {
        self.directory().members().for_each(|(contact, state)| each(contact, state));
    }

    fn held(&self) -> Vec<Held> {
        let mut held = self.overlay().held();
        let (live, departed) = (self.directory().live(), self.directory().departed());
        held.push(Held { what: "members", count: live + departed, limit: MAX_MEMBERS });
        held.push(Held { what: "departed members", count: departed, limit: MAX_DEPARTED });
        held
    }
}

/// How the node of an index is reached in one of its lives. The address is the index, so that dialling follows the
/// address that a contact claims and not its name.
pub(crate) fn contact(node: u32, started_ms: u64, key: u64) -> Option<Arc<Contact>> {
    let name = NodeName::parse(format!("n{node}@sim").as_bytes()).ok()?;
    let mut bytes = [0; 32];
    for (number, part) in (0..).zip(bytes.chunks_mut(8)) {
        part.copy_from_slice(&mix(key ^ mix(u64::from(node) << 8 | number)).to_be_bytes());
    }
    Some(Arc::new(Contact {
        name,
        incarnation: Incarnation { started_ms, random: mix(started_ms ^ u64::from(node)) },
        addresses: Box::new([SocketAddr::new(IpAddr::V4(Ipv4Addr::from(NETWORK | node)), PORT)]),
        key: PublicKey(bytes),
    }))
}

/// The node at the first address of a contact.
pub(crate) fn addressed(contact: &Contact) -> Option<u32> {
    match contact.addresses.first()?.ip() {
        IpAddr::V4(ip) => Some(u32::from(ip) ^ NETWORK),
        IpAddr::V6(_) => None,
    }
}

/// The node of a name.
pub(crate) fn named(name: &NodeName) -> Option<u32> {
    name.as_str().strip_prefix('n')?.strip_suffix("@sim")?.parse().ok()
}

/// 10.0.0.0.
const NETWORK: u32 = 10 << 24;
const PORT: u16 = 4433;
/// Broadcasts (count) that Plumtree may await at once: far above what any scenario has under way.
const MAX_AWAITED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_lead_back_to_the_index() {
        for node in [0, 7, 9_999] {
            let contact = contact(node, 1, 2).unwrap();
            assert_eq!((named(&contact.name), addressed(&contact)), (Some(node), Some(node)));
        }
    }
}
