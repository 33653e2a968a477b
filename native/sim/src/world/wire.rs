// SPDX-License-Identifier: Apache-2.0
//! Sending, dialling, and what a node is told when a link ends.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::Time;
use barrel_p2p_proto::{plumtree, Contact, Input, Message, Why};
use bytes::Bytes;

use super::{Moment, Work, World, DIAL_TIMEOUT};
use crate::invariant::Violation;
use crate::links::{Link, Pair, State, LINK_LOSS};
use crate::measure;
use crate::network::Fate;
use crate::scenario::Wire;
use crate::subject::{addressed, named, Subject};

impl<S: Subject> World<S> {
    pub(super) fn send(&mut self, from: u32, to: &Arc<Contact>, message: Message) {
        let Some(target) = addressed(to).filter(|target| *target != from && (*target as usize) < self.nodes.len())
        else {
            return;
        };
        let Some(message) = self.count(from, message) else { return };
        let pair = Pair::new(from, target);
        let Some(ready) = self.open(from, target, to) else { return };
        let start = ready.max(self.now) + self.network.latency(pair.low, pair.high);
        let (late, again) = match self.network.fate(&mut self.dice) {
            Fate::Lost => return,
            Fate::Arrives { late } => (late, None),
            Fate::ArrivesTwice { late, again } => (late, Some(again)),
        };
        let life = self.nodes[target as usize].life;
        let contact = &self.nodes[from as usize].contact;
        if let Some(again) = again {
            let twin = Moment::Arrive { from: contact.clone(), to: target, life, message: message.clone() };
            self.queue.push(start + again, twin);
        }
        self.queue.push(start + late, Moment::Arrive { from: contact.clone(), to: target, life, message });
    }

    /// Counts a message and its bytes; what the receiver will get of it, if it can be decoded.
    fn count(&mut self, from: u32, message: Message) -> Option<Message> {
        let kind = measure::kind(&message);
        self.traffic.messages[kind] += 1;
        if self.wire == Wire::Free {
            return Some(message);
        }
        let frame = message.encode();
        self.traffic.bytes[kind] += (frame.len() + LENGTH_BYTES) as u64;
        if self.wire == Wire::Counted {
            return Some(message);
        }
        let decoded = Message::decode(&Bytes::from(frame));
        if decoded.as_ref() != Ok(&message) {
            let what = format!("sends {message:?}, which arrives as {decoded:?}");
            self.violations.push(Violation::new("codec", self.now, from, what));
        }
        decoded.ok()
    }

    /// When a message on the link can leave. None if it is lost, be it that the link is dead and nobody knows yet, or
    /// that nobody answers the dial.
    pub(super) fn open(&mut self, from: u32, to: u32, contact: &Contact) -> Option<Time> {
        let pair = Pair::new(from, to);
        let (now, ends) = (self.now, [pair.low, pair.high]);
        let lives = ends.map(|end| self.nodes[end as usize].life);
        if let Some(link) = self.links.at(pair) {
            let own_life = link.lives[pair.end(from)] == lives[pair.end(from)];
            // What a stalled node is sent waits in its socket.
            let passes = link.lives == lives && self.nodes[to as usize].is_alive() && self.network.connects(from, to);
            if own_life && !link.is_idle(now) {
                link.used = now;
                return match link.state {
                    State::Open { ready } if passes => Some(ready),
                    State::Open { .. } | State::Dialling => None,
                };
            }
            let was = link.lives[pair.end(to)];
            if !own_life && was == lives[pair.end(to)] {
                // A newer life takes the place of the former one: the peer's old link is superseded.
                self.tell_later(to, was, from, Why::Closed);
            }
            self.links.remove(pair);
        }
        self.traffic.dials += 1;
        let node = &self.nodes[to as usize];
        // A stalled node answers when it goes on, if the dialler still waits.
        let answers = node.answers_since.max(now);
        let right = named(&contact.name) == Some(to);
        if right && node.is_alive() && answers - now < DIAL_TIMEOUT && self.network.connects(from, to) {
            let ready = answers + self.network.latency(from, to) * DIAL_WAYS;
            self.links.insert(pair, Link::new(State::Open { ready }, now, lives));
            return Some(ready);
        }
        self.links.insert(pair, Link::new(State::Dialling, now, lives));
        let life = self.nodes[from as usize].life;
        self.queue.push(now + DIAL_TIMEOUT, Moment::DialFails { from, life, to });
        None
    }

    pub(super) fn arrive(&mut self, from: Arc<Contact>, to: u32, life: u32, message: Message) {
        let node = &self.nodes[to as usize];
        let passes = named(&from.name).is_some_and(|from| self.network.connects(from, to));
        if node.life != life || !node.is_alive() || !passes {
            return;
        }
        if let Message::Plumtree(plumtree::Message::Gossip { id, .. }) = &message {
            self.broadcasts.on_payload(*id);
        }
        self.work(to, Work::Input(Input::Received { from, message }));
    }

    pub(super) fn dial_fails(&mut self, from: u32, life: u32, to: u32) {
        let pair = Pair::new(from, to);
        if self.links.at(pair).is_some_and(|link| link.state == State::Dialling) {
            self.links.remove(pair);
            self.tell(from, life, to, Why::DialFailed);
        }
    }

    pub(super) fn silence(&mut self, pair: Pair) {
        let now = self.now;
        let silent = self.links.at(pair).and_then(|link| link.broken).is_some_and(|since| now - since >= LINK_LOSS);
        if !silent {
            return; // Packets pass again, or the link was broken anew and its own moment will come.
        }
        if let Some(link) = self.links.remove(pair) {
            self.tell(pair.low, link.lives[0], pair.high, Why::Lost);
            self.tell(pair.high, link.lives[1], pair.low, Why::Lost);
        }
    }

    /// Says that a link has ended, if it is still the same life that had it.
    pub(super) fn tell(&mut self, node: u32, life: u32, about: u32, why: Why) {
        let name = self.nodes[about as usize].contact.name.clone();
        let to = &self.nodes[node as usize];
        if to.life == life && to.is_alive() {
            self.work(node, Work::Input(Input::Unreachable { name, why }));
        }
    }

    /// As [`World::tell`], once the packet that says so has crossed.
    pub(super) fn tell_later(&mut self, node: u32, life: u32, about: u32, why: Why) {
        let at = self.now + self.network.latency(node, about);
        self.queue.push(at, Moment::Tell { node, life, about, why });
    }

    pub(super) fn close(&mut self, node: u32, peer: u32) {
        let pair = Pair::new(node, peer);
        if let Some(link) = self.links.remove(pair) {
            self.tell_later(peer, link.lives[pair.end(peer)], node, Why::Closed);
        }
    }

    pub(super) fn set_held(&mut self, node: u32, peer: Option<u32>, held: bool) {
        let Some(peer) = peer else { return };
        let pair = Pair::new(node, peer);
        let (now, life) = (self.now, self.nodes[node as usize].life);
        if let Some(link) = self.links.at(pair).filter(|link| link.lives[pair.end(node)] == life) {
            if held && link.is_idle(now) {
                link.used = now; // It was not closed yet: holding came first.
            }
            link.held[pair.end(node)] = held;
        }
    }

    /// Links between nodes that cannot reach each other fall silent.
    pub(super) fn break_links(&mut self) {
        let (now, nodes, network) = (self.now, &self.nodes, &self.network);
        let mut silent = Vec::new();
        for (pair, link) in self.links.iter_mut() {
            let ends = [pair.low, pair.high];
            let there = (0..2).all(|end| {
                let node = &nodes[ends[end] as usize];
                node.life == link.lives[end] && node.answers(now)
            });
            let passes = there && network.connects(pair.low, pair.high);
            if passes {
                link.broken = None;
            } else if link.broken.is_none() && matches!(link.state, State::Open { .. }) && !link.is_idle(now) {
                link.broken = Some(now);
                silent.push(pair);
            }
        }
        for pair in silent {
            self.queue.push(now + LINK_LOSS, Moment::Silence { pair });
        }
    }
}

/// Ways between the nodes that a dial takes until the first message can leave: a round trip for QUIC and TLS, and one
/// for the hello.
const DIAL_WAYS: u32 = 4;

/// The length in front of each frame.
const LENGTH_BYTES: usize = 4;

/// How long a node that could not join waits until it tries again: the default of `contact_retry_ms`.
pub(super) const JOIN_RETRY: Duration = Duration::from_secs(5);
