// SPDX-License-Identifier: Apache-2.0
//! A machine that does next to nothing and remembers what happened to it, and when.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::Time;
use barrel_p2p_proto::{plumtree, Contact, Event, Input, Machine, MemberState, Message, Now, Output, Outputs, Why};
use barrel_p2p_sim::books::Book;
use barrel_p2p_sim::invariant::bounded_memory::Held;
use barrel_p2p_sim::invariant::view_bounds::ViewBounds;
use barrel_p2p_sim::scenario::{Form, Scenario};
use barrel_p2p_sim::subject::Subject;
use barrel_p2p_sim::world::World;
use bytes::Bytes;

/// Whoever joins, or sends a direct message, is a neighbour for ever; broadcasts are flooded.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// What came in: milliseconds and words.
    pub(crate) log: Vec<(u64, String)>,
    neighbours: Vec<Arc<Contact>>,
    seen: Vec<plumtree::Message>,
    next_ping: Time,
}

impl Probe {
    fn meet(&mut self, peer: &Arc<Contact>, out: &mut Outputs) {
        if self.neighbours.iter().any(|neighbour| neighbour.name == peer.name) {
            return;
        }
        self.neighbours.push(peer.clone());
        out.push(Output::Hold(peer.clone()));
        out.push(Output::Event(Event::PeerUp(peer.name.clone())));
        if self.neighbours.len() == 1 {
            out.push(Output::Event(Event::Joined));
        }
    }

    fn flood(&mut self, gossip: plumtree::Message, out: &mut Outputs) {
        for to in &self.neighbours {
            out.push(Output::Send { to: to.clone(), message: Message::Plumtree(gossip.clone()) });
        }
        self.seen.push(gossip);
    }

    fn note(&mut self, now: Now, word: String) {
        self.log.push((now.mono.0 / 1000, word));
    }
}

impl Machine for Probe {
    fn handle(&mut self, now: Now, input: Input, out: &mut Outputs) {
        match input {
            Input::Broadcast { id, payload } => self.flood(plumtree::Message::Gossip { id, hops: 1, payload }, out),
            Input::Join(peer) => {
                self.meet(&peer, out);
                out.push(Output::Send { to: peer, message: Message::Direct(Bytes::from_static(b"hello")) });
            }
            Input::Received { from, message: Message::Plumtree(gossip) } => {
                let plumtree::Message::Gossip { id, hops, payload } = &gossip else { return };
                let same = |seen: &plumtree::Message| matches!(seen, plumtree::Message::Gossip { id: other, .. } if other == id);
                if self.seen.iter().any(same) {
                    return;
                }
                self.note(now, format!("gossip from {}", from.name));
                let (id, hops, payload) = (*id, *hops, payload.clone());
                out.push(Output::Event(Event::Delivered { id, hops, payload: payload.clone() }));
                self.flood(plumtree::Message::Gossip { id, hops: hops + 1, payload }, out);
            }
            Input::Received { from, message } => {
                if message == Message::Direct(Bytes::from_static(b"hello")) {
                    self.meet(&from, out);
                    self.note(now, format!("hello from {}", from.name));
                }
            }
            Input::Unreachable { name, why } => {
                let known = self.neighbours.len();
                self.neighbours.retain(|neighbour| neighbour.name != name);
                if self.neighbours.len() < known {
                    out.push(Output::Release(name.clone()));
                    let reason = barrel_p2p_proto::DownReason::Nodedown;
                    out.push(Output::Event(Event::PeerDown(name.clone(), reason)));
                }
                let why = match why {
                    Why::Closed => "closed",
                    Why::DialFailed => "dial failed",
                    Why::Lost => "lost",
                    Why::Stopped => "stopped",
                };
                self.note(now, format!("{name} {why}"));
            }
            Input::Block(_)
            | Input::Direct { .. }
            | Input::Drained(_)
            | Input::Leave
            | Input::Moved(_)
            | Input::Opened(_)
            | Input::Unblock
            | Input::Wrote(_) => {}
        }
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Outputs) {
        if now.mono < self.next_ping {
            return;
        }
        self.next_ping = now.mono + Duration::from_secs(1);
        for to in &self.neighbours {
            out.push(Output::Send { to: to.clone(), message: Message::Direct(Bytes::from_static(b"ping")) });
        }
    }

    fn next_timeout(&self) -> Option<Time> {
        Some(self.next_ping)
    }
}

impl Subject for Probe {
    const HAS_DIRECTORY: bool = false;

    fn start(_me: Arc<Contact>, _book: &Arc<Book>, _seed: u64, now: Now) -> Self {
        let next_ping = now.mono + Duration::from_secs(1);
        Self { log: Vec::new(), neighbours: Vec::new(), seen: Vec::new(), next_ping }
    }

    fn active(&self, each: &mut dyn FnMut(&Contact)) {
        self.neighbours.iter().for_each(|contact| each(contact));
    }

    fn passive(&self, _each: &mut dyn FnMut(&Contact)) {}

    fn members(&self, _each: &mut dyn FnMut(&Contact, MemberState)) {}

    fn held(&self) -> Vec<Held> {
        Vec::new()
    }
}

/// A form whose latency is 50 ms everywhere.
pub(crate) fn form(nodes: u32) -> Form {
    let text = format!(
        "about = ''\nseeds = 1\nsteps = []\n[form]\nnodes = {nodes}\ncomposition = 'overlay'\n\
         joins_per_second = 10.0\nthrough = 'any'\nsettle_s = 3.0\ncheck = 'every_event'\n\
         [form.weather]\nlatency_ms = [50, 50]\n"
    );
    Scenario::parse("test", &text).unwrap().form
}

/// Nodes that run, and know nobody.
pub(crate) fn world(nodes: u32, seed: u64) -> World<Probe> {
    let mut world = World::new(&form(0), seed, ViewBounds { active_size: 100, passive_size: 0 });
    for _ in 0..nodes {
        let node = world.add(0).unwrap();
        world.start(node);
    }
    world
}
