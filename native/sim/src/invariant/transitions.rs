// SPDX-License-Identifier: Apache-2.0
//! No transition event is lost: ups and downs alternate, and what they add up to is the active view.
//!
//! For neighbours (`PeerUp`, `PeerDown`), for the node itself (`Joined` when the first neighbour comes) and for members
//! (`MemberUp`, `MemberDown`).

use std::collections::BTreeSet;

use barrel_p2p_base::time::Time;

use super::{Views, Violation};

/// A change that a node reports; peers and members by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The first neighbour after having none.
    Joined,
    /// The node has left.
    Left,
    /// A member is gone.
    MemberDown(u32),
    /// A member is there.
    MemberUp(u32),
    /// A neighbour is gone.
    PeerDown(u32),
    /// A neighbour is there.
    PeerUp(u32),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Transitions {
    nodes: Vec<Said>,
}

/// What one node's events add up to in this life.
#[derive(Clone, Debug, Default)]
struct Said {
    peers: BTreeSet<u32>,
    members: BTreeSet<u32>,
    /// A `PeerUp` made the first neighbour, and no `Joined` has come since.
    joined_due: bool,
}

impl Transitions {
    /// A node starts a life: it has said nothing.
    pub fn on_start(&mut self, node: u32) {
        *self.said(node) = Said::default();
    }

    /// Notes one event.
    pub fn on_event(&mut self, now: Time, node: u32, event: Transition, violations: &mut Vec<Violation>) {
        let said = self.said(node);
        let follows = match event {
            Transition::Joined => std::mem::replace(&mut said.joined_due, false),
            Transition::Left => true,
            Transition::MemberDown(peer) => said.members.remove(&peer),
            Transition::MemberUp(peer) => said.members.insert(peer),
            Transition::PeerDown(peer) => {
                let known = said.peers.remove(&peer);
                said.joined_due &= !said.peers.is_empty();
                known
            }
            Transition::PeerUp(peer) => {
                said.joined_due |= said.peers.is_empty();
                said.peers.insert(peer)
            }
        };
        if !follows {
            violations.push(Violation::new("transitions", now, node, format!("says {event:?} out of turn")));
        }
    }

    /// Holds what one node has said beside its view.
    pub fn check(&mut self, now: Time, node: u32, views: &Views, violations: &mut Vec<Violation>) {
        let view: BTreeSet<u32> = views.nodes[node as usize].active.iter().copied().collect();
        let said = self.said(node);
        if said.peers != view {
            let what = format!("has neighbours {view:?}, its events say {:?}", said.peers);
            violations.push(Violation::new("transitions", now, node, what));
        }
        if said.joined_due {
            violations.push(Violation::new("transitions", now, node, "has a first neighbour and no Joined".into()));
        }
    }

    fn said(&mut self, node: u32) -> &mut Said {
        let node = node as usize;
        if self.nodes.len() <= node {
            self.nodes.resize_with(node + 1, Said::default);
        }
        &mut self.nodes[node]
    }
}

#[cfg(test)]
mod tests {
    use super::super::views::tests::views;
    use super::*;

    /// Violations after these events of node 0, whose view is `[1]`.
    fn count(events: &[Transition]) -> usize {
        let (mut transitions, mut violations) = (Transitions::default(), Vec::new());
        transitions.on_start(0);
        for event in events {
            transitions.on_event(Time(1), 0, *event, &mut violations);
        }
        transitions.check(Time(1), 0, &views(&[&[1], &[0]]), &mut violations);
        violations.len()
    }

    #[test]
    fn the_right_order_passes() {
        use Transition::{Joined, PeerDown, PeerUp};
        assert_eq!(count(&[PeerUp(1), Joined]), 0);
        assert_eq!(count(&[PeerUp(2), Joined, PeerUp(1), PeerDown(2)]), 0);
        assert_eq!(count(&[PeerUp(1), Joined, PeerDown(1), PeerUp(1), Joined]), 0);
    }

    #[test]
    fn a_lost_event_is_seen() {
        use Transition::{Joined, PeerDown, PeerUp};
        assert_eq!(count(&[]), 1, "no PeerUp");
        assert_eq!(count(&[PeerUp(1)]), 1, "no Joined");
        assert_eq!(count(&[PeerUp(1), Joined, PeerUp(1)]), 1, "up twice");
        assert_eq!(count(&[PeerUp(1), Joined, PeerDown(2)]), 1, "down without up");
        assert_eq!(count(&[PeerUp(1), Joined, PeerUp(2)]), 1, "no PeerDown");
        assert_eq!(count(&[PeerUp(1), Joined, Joined]), 1, "joined twice");
    }
}
