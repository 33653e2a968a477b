// SPDX-License-Identifier: Apache-2.0
//! The whole of one node: overlay, directory, stores and clock, wired. The simulator and the node drive this and nothing else.
//!
//! Keeps: the directory hears of every neighbour that the overlay wins or loses, in that order; what the directory finds
//! out about a split goes to the overlay as a join.
//! Leaves to others: the rules, which are those of its parts, and links.

mod broadcast;
mod config;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::limits::MAX_PAYLOAD_BYTES;
use barrel_p2p_base::{CloseCode, NodeName, Random, Time};
use bytes::Bytes;

use broadcast::Broadcast;
pub use config::Config;

use crate::contact::Contact;
use crate::directory::Directory;
use crate::hlc::Clock;
use crate::hyparview;
use crate::machine::{Event, Input, Machine, MemberState, Now, Output, Outputs};
use crate::message::{Message, MessageId};
use crate::overlay::Overlay;
use crate::plumtree;
use crate::replication::{Replication, Shelf};

/// One node.
#[derive(Debug)]
pub struct Stack {
    overlay: Overlay,
    directory: Directory,
    replication: Replication,
    random: Random,
    blocked: BTreeSet<NodeName>,
    has_left: bool,
    /// Before that, the overlay is offered no more contacts.
    next_offer: Time,
}

impl Stack {
    /// A node that knows nobody. The clock may be shared with whoever else stamps, and so may the stores.
    pub fn new(
        config: Config,
        me: Arc<Contact>,
        clock: Arc<Clock>,
        shelf: Arc<dyn Shelf>,
        seed: u64,
        now: Now,
    ) -> Self {
        let mut random = Random::new(seed);
        let name = me.name.clone();
        let (overlay, directory, replication) = (random.u64(), random.u64(), random.u64());
        Self {
            overlay: Overlay::new(config.overlay, Arc::clone(&me), overlay),
            directory: Directory::new(config.directory, me, Arc::clone(&clock), directory, now),
            replication: Replication::new(config.replication, name, clock, shelf, replication, now),
            random,
            blocked: BTreeSet::new(),
            has_left: false,
            next_offer: Time::ZERO,
        }
    }

    /// Views and broadcast tree, to be read.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The members, to be read.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What keeps the stores equal, to be read.
    pub fn replication(&self) -> &Replication {
        &self.replication
    }

    fn on_received(&mut self, now: Now, from: Arc<Contact>, message: Message, out: &mut Outputs) {
        if self.has_left || self.blocked.contains(&from.name) {
            return;
        }
        match message {
            Message::Directory(message) => self.directory.on_message(now, &from, message, out),
            Message::Direct(payload) => out.push(Output::Event(Event::Direct { from: from.name.clone(), payload })),
            Message::Plumtree(plumtree::Message::Gossip { id, hops, payload }) if !self.overlay.knows(&id) => {
                self.on_broadcast(now, &from, plumtree::Message::Gossip { id, hops, payload }, out);
            }
            Message::HyParView(_) | Message::Plumtree(_) => {
                if matches!(message, Message::HyParView(hyparview::Message::Neighbour(_))) {
                    // It may be refused, and then nothing else tells it that it has to refute.
                    self.directory.correct(&from, out);
                }
                self.overlay.handle(now, Input::Received { from, message }, out);
            }
            Message::Store(message) => self.replication.on_message(now, &from, message, out),
        }
    }

    /// A broadcast that was not seen before. It is passed on if it is well-formed, so that whoever sends one that is not
    /// has made it.
    fn on_broadcast(&mut self, now: Now, from: &Arc<Contact>, gossip: plumtree::Message, out: &mut Outputs) {
        let plumtree::Message::Gossip { payload, .. } = &gossip else { return };
        let Ok(broadcast) = Broadcast::open(payload) else {
            out.push(Output::Close { name: from.name.clone(), code: CloseCode::ProtocolError });
            return;
        };
        let begin = out.len();
        let input = Input::Received { from: Arc::clone(from), message: Message::Plumtree(gossip) };
        self.overlay.handle(now, input, out);
        let delivered = |output: &Output| matches!(output, Output::Event(Event::Delivered { .. }));
        let Some(at) = out.iter().skip(begin).position(delivered).map(|at| begin + at) else { return };
        match broadcast {
            Broadcast::Application(payload) => {
                if let Output::Event(Event::Delivered { payload: whole, .. }) = &mut out[at] {
                    *whole = payload;
                }
            }
            Broadcast::Delta(delta) => {
                out.remove(at);
                self.replication.on_delta(now, delta, out);
            }
        }
    }

    fn broadcast(&mut self, now: Now, id: MessageId, payload: &Bytes, out: &mut Outputs) {
        if payload.len() <= MAX_PAYLOAD_BYTES {
            let payload = broadcast::application(payload);
            self.overlay.handle(now, Input::Broadcast { id, payload }, out);
        }
    }

    /// Broadcasts what the host has written into stores.
    fn broadcast_deltas(&mut self, now: Now, out: &mut Outputs) {
        for delta in self.replication.take_deltas() {
            let id = MessageId(self.random.bytes());
            self.overlay.handle(now, Input::Broadcast { id, payload: broadcast::delta(&delta) }, out);
        }
    }

    fn send_direct(&self, to: &NodeName, payload: Bytes, out: &mut Outputs) {
        // The contact of a neighbour is the one that its link was made with.
        let contact = self.overlay.neighbour(to).or_else(|| self.directory.member(to).map(|(contact, _)| contact));
        if let Some(contact) = contact {
            out.push(Output::Send { to: Arc::clone(contact), message: Message::Direct(payload) });
        }
    }

    /// Nobody is blocked any more. If this block had split the cluster without anybody having died, nothing else would
    /// ever show it: so one of those who were blocked is joined.
    fn unblock(&mut self, now: Now, out: &mut Outputs) {
        let live = |name: &NodeName| {
            let member = self.directory.member(name);
            member.filter(|(_, state)| matches!(state, MemberState::Alive | MemberState::Suspect))
        };
        let live: Vec<_> = self.blocked.iter().filter_map(live).map(|(contact, _)| Arc::clone(contact)).collect();
        self.blocked.clear();
        self.overlay.handle(now, Input::Unblock, out);
        if let Some(contact) = self.random.pick(&live) {
            self.overlay.handle(now, Input::Join(Arc::clone(contact)), out);
        }
    }

    /// Carries what one part has found out to the other. `from` is where the outputs of this call begin.
    fn settle(&mut self, now: Now, from: usize, out: &mut Outputs) {
        let mut seen = from;
        loop {
            while let Some(output) = out.get(seen) {
                match output {
                    Output::Hold(contact) => {
                        let contact = Arc::clone(contact);
                        self.directory.neighbour_up(now, &contact, out);
                        self.replication.neighbour_up(now, &contact);
                    }
                    Output::Release(name) => {
                        self.directory.neighbour_down(name);
                        self.replication.neighbour_down(name);
                    }
                    Output::Event(Event::MemberDown(name, _)) => self.overlay.forget(name),
                    Output::Close { .. } | Output::Event(_) | Output::Send { .. } | Output::Staged(_) => {}
                }
                seen += 1;
            }
            if let Some(contact) = self.directory.take_bridge() {
                self.overlay.handle(now, Input::Join(contact), out);
            } else if !self.has_left && self.overlay.wants_contacts(now) && now.mono >= self.next_offer {
                self.next_offer = now.mono + OFFER_PERIOD;
                let contacts = self.directory.suggest(OFFERED_CONTACTS);
                self.overlay.offer(now, &contacts, out);
            } else {
                break;
            }
        }
        if self.directory.flush_due(now) {
            let overlay = &self.overlay;
            self.directory.flush(now, |name| overlay.eager().any(|contact| contact.name == *name), out);
        }
        if !self.blocked.is_empty() {
            let blocked = &self.blocked;
            out.retain(|output| {
                let Output::Send { to, message: Message::Directory(_) | Message::Store(_) } = output else {
                    return true;
                };
                !blocked.contains(&to.name)
            });
        }
    }
}

impl Machine for Stack {
    fn handle(&mut self, now: Now, input: Input, out: &mut Outputs) {
        let from = out.len();
        match input {
            Input::Received { from, message } => self.on_received(now, from, message, out),
            Input::Unreachable { ref name, why } => {
                self.directory.unreachable(now, name, why, out);
                self.replication.unreachable(name);
                self.overlay.handle(now, input, out);
            }
            Input::Direct { to, payload } => self.send_direct(&to, payload, out),
            Input::Join(_) => {
                self.has_left = false;
                self.directory.join(now);
                self.overlay.handle(now, input, out);
            }
            Input::Leave => {
                // Before the overlay says goodbye: neighbours pass on why.
                self.directory.leave(now, out);
                self.overlay.handle(now, input, out);
                self.replication.leave();
                self.has_left = true;
            }
            Input::Moved(ref addresses) => {
                self.directory.moved(now, addresses.clone());
                self.overlay.handle(now, input, out);
            }
            Input::Block(ref names) => {
                self.blocked.clone_from(names);
                self.overlay.handle(now, input, out);
            }
            Input::Unblock => self.unblock(now, out),
            Input::Broadcast { id, payload } => self.broadcast(now, id, &payload, out),
            Input::Drained(store) => self.replication.drained(now, &store, out),
            Input::Opened(store) => self.replication.opened(now, &store),
            Input::Wrote(store) => self.replication.wrote(now, &store, out),
        }
        self.broadcast_deltas(now, out);
        self.settle(now, from, out);
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Outputs) {
        let from = out.len();
        self.overlay.handle_timeout(now, out);
        self.directory.handle_timeout(now, out);
        self.replication.handle_timeout(now, &mut self.directory, out);
        self.broadcast_deltas(now, out);
        self.settle(now, from, out);
    }

    fn next_timeout(&self) -> Option<Time> {
        let timeouts = [self.overlay.next_timeout(), self.directory.next_timeout(), self.replication.next_timeout()];
        timeouts.into_iter().flatten().min()
    }
}

/// Time between two offers to an overlay that has nobody to ask.
const OFFER_PERIOD: Duration = Duration::from_secs(1);

/// Contacts (count) in one offer: as many as a shuffle brings.
const OFFERED_CONTACTS: usize = 8;
