// SPDX-License-Identifier: Apache-2.0
//! What the outside does to nodes: starts, joins, crashes, partitions, stalls.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::time::Time;
use barrel_p2p_proto::{Input, Why};

use super::node::clocks;
use super::wire::JOIN_RETRY;
use super::{Moment, Node, Work, World, DIAL_TIMEOUT};
use crate::books::Book;
use crate::links::Pair;
use crate::network::Weather;
use crate::scenario::Disk;
use crate::subject::{contact, Subject};

impl<S: Subject> World<S> {
    /// Adds a node that does not run yet, with a wall clock that is wrong by up to `skew_ms`.
    pub fn add(&mut self, skew_ms: u64) -> Option<u32> {
        let index = self.len();
        let key = self.dice.u64();
        let skew = self.dice.below(2 * skew_ms as usize + 1) as i64 - skew_ms as i64;
        let book = Book::new(self.tombstone_ttl_ms);
        self.nodes.push(Node::new(contact(index, 0, key)?, book, key, skew));
        Some(index)
    }

    /// Starts a node: a new life, with no neighbours.
    pub fn start(&mut self, index: u32) {
        let seed = self.dice.u64();
        let now = self.now;
        let node = &mut self.nodes[index as usize];
        let clocks = clocks(node.skew_ms, now);
        let Some(contact) = contact(index, clocks.wall_ms, node.key) else { return };
        node.machine = Some(S::start(contact.clone(), &node.book, seed, clocks));
        node.contact = contact;
        node.life += 1;
        node.armed = None;
        node.answers_since = now;
        node.busy_until = now;
        node.backlog.clear();
        node.asked = false;
        node.joined = false;
        self.transitions.on_start(index);
        self.refresh(index);
        self.views.nodes[index as usize].since = now;
        self.arm(index);
    }

    /// A node joins through another one, and tries again until it has had a neighbour.
    pub fn join(&mut self, node: u32, through: u32) {
        let life = self.nodes[node as usize].life;
        self.try_join(node, life, through);
    }

    /// Starts a node that has run before.
    pub fn restart(&mut self, index: u32, disk: Disk) {
        let alive = self.alive();
        let through = match disk {
            Disk::Kept => {
                let node = &mut self.nodes[index as usize];
                node.book = Arc::new(node.book.reopened(self.tombstone_ttl_ms));
                self.ledger.find(index, node.disk);
                let known = std::mem::take(&mut node.known);
                self.dice.pick(&known).copied().or_else(|| self.dice.pick(&alive).copied())
            }
            Disk::Lost => {
                let node = &mut self.nodes[index as usize];
                node.key = self.dice.u64();
                node.book = Arc::new(Book::new(self.tombstone_ttl_ms));
                node.disk += 1;
                self.dice.pick(&alive).copied()
            }
        };
        self.start(index);
        if let Some(through) = through {
            self.join(index, through);
        }
    }

    /// Nodes end at once, without a word.
    pub fn crash(&mut self, indices: &[u32]) {
        for &index in indices {
            self.end(index);
        }
        self.break_links();
    }

    /// A node says that it leaves; [`World::stop`] is to follow.
    pub fn leave(&mut self, index: u32) {
        self.work(index, Work::Input(Input::Leave));
    }

    /// A node ends, and its links say so.
    pub fn stop(&mut self, index: u32) {
        let life = self.nodes[index as usize].life;
        self.end(index);
        let mut told = Vec::new();
        for (pair, link) in self.links.iter_mut() {
            let peer = if pair.low == index { pair.high } else { pair.low };
            if (pair.low == index || pair.high == index) && link.lives[pair.end(index)] == life {
                told.push((peer, link.lives[pair.end(peer)]));
            }
        }
        for (peer, peer_life) in told {
            self.links.remove(Pair::new(index, peer));
            self.tell_later(peer, peer_life, index, Why::Stopped);
        }
    }

    /// Nothing passes between nodes of different sides; no sides, no partition.
    pub fn split(&mut self, sides: Vec<u8>) {
        self.network.split(sides, self.now);
        self.break_links();
    }

    /// The network changes for messages that leave from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.network.set_weather(weather);
    }

    /// Nodes take this long with each input.
    pub fn slow(&mut self, indices: &[u32], service: Duration) {
        for &index in indices {
            self.nodes[index as usize].service = service;
        }
    }

    /// Nodes do nothing and answer nothing for a while.
    pub fn stall(&mut self, indices: &[u32], span: Duration) {
        let until = self.now + span;
        for &index in indices {
            let node = &mut self.nodes[index as usize];
            node.busy_until = node.busy_until.max(until);
            node.answers_since = until;
        }
        self.queue.push(until, Moment::Recover);
        self.break_links();
    }

    /// The inputs that wait for the busiest node (count).
    pub fn longest_backlog(&self) -> usize {
        self.nodes.iter().map(|node| node.backlog.len()).max().unwrap_or(0)
    }

    pub(super) fn recover(&mut self) {
        self.break_links();
    }

    pub(super) fn try_join(&mut self, index: u32, life: u32, through: u32) {
        let node = &self.nodes[index as usize];
        if node.life != life || !node.is_alive() || (node.asked && node.joined) || index == through {
            return;
        }
        let contact = self.nodes[through as usize].contact.clone();
        let ready = self.open(index, through, &contact);
        let Some(ready) = ready else {
            self.queue.push(self.now + DIAL_TIMEOUT + JOIN_RETRY, Moment::Join { node: index, life, through });
            return;
        };
        if ready > self.now {
            self.queue.push(ready, Moment::Join { node: index, life, through });
            return;
        }
        self.queue.push(self.now + JOIN_RETRY, Moment::Join { node: index, life, through });
        // Others may have made it their neighbour before its own link stood; it asks all the same, or islands remain.
        self.nodes[index as usize].asked = true;
        self.work(index, Work::Input(Input::Join(contact)));
    }

    fn end(&mut self, index: u32) {
        self.refresh(index);
        let now: Time = self.now;
        let view = &mut self.views.nodes[index as usize];
        let known = view.active.iter().chain(&view.passive).copied().collect();
        (view.alive, view.since) = (false, now);
        let node = &mut self.nodes[index as usize];
        node.known = known;
        node.machine = None;
        node.armed = None;
        node.backlog.clear();
        // Unless it comes back with it.
        self.ledger.lose(index, node.disk, now);
    }
}
