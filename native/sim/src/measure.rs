// SPDX-License-Identifier: Apache-2.0
//! What a run costs and achieves: traffic by kind, and the course of each broadcast.
//!
//! The measures of broadcasts are those of the Plumtree paper (Leitao, Pereira, Rodrigues 2007, section 4): relative
//! message redundancy is (payload messages received) / (receivers) - 1, so 0 is a perfect tree; last delivery hop is
//! the longest path that a payload took.

use std::collections::BTreeMap;
use std::time::Duration;

use barrel_p2p_base::time::Time;
use barrel_p2p_proto::{Message, MessageId};

use crate::invariant::delivery::Delivery;
use crate::invariant::{Views, Violation};

/// Messages and bytes by kind, and what links have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages sent, by [`KINDS`].
    pub messages: [u64; 5],
    /// Bytes of these with the length in front, by [`KINDS`]; zero if messages are not encoded.
    pub bytes: [u64; 5],
    /// Dials, answered or not.
    pub dials: u64,
    /// Inputs that machines have handled.
    pub handled: u64,
}

/// What the messages are about.
pub const KINDS: [&str; 5] = ["hyparview", "plumtree", "directory", "direct", "store"];

/// The kind of a message, as an index into [`KINDS`].
pub fn kind(message: &Message) -> usize {
    match message {
        Message::HyParView(_) => 0,
        Message::Plumtree(_) => 1,
        Message::Directory(_) => 2,
        Message::Direct(_) => 3,
        Message::Store(_) => 4,
    }
}

impl Traffic {
    /// What has come since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            messages: std::array::from_fn(|kind| self.messages[kind] - earlier.messages[kind]),
            bytes: std::array::from_fn(|kind| self.bytes[kind] - earlier.bytes[kind]),
            dials: self.dials - earlier.dials,
            handled: self.handled - earlier.handled,
        }
    }
}

/// Broadcasts under way and done.
#[derive(Clone, Debug, Default)]
pub struct Broadcasts {
    by_id: BTreeMap<MessageId, Broadcast>,
    started: u128,
}

/// The course of one broadcast.
#[derive(Clone, Debug)]
pub struct Broadcast {
    /// Who has it.
    pub delivery: Delivery,
    started: Time,
    last: Time,
    hops: u16,
    payloads: u64,
}

/// How one broadcast went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// Share of those who should have it and have it.
    pub reached: f64,
    /// Relative message redundancy.
    pub redundancy: f64,
    /// Links that the longest path crossed.
    pub hops: u16,
    /// From the start to the last delivery.
    pub took: Duration,
}

impl Broadcasts {
    /// Starts one; the ids of a run are numbers from 1.
    pub fn start(&mut self, sender: u32, now: Time, nodes: usize) -> MessageId {
        self.started += 1;
        let id = MessageId(self.started.to_be_bytes());
        let delivery = Delivery::new(sender, now, nodes);
        self.by_id.insert(id, Broadcast { delivery, started: now, last: now, hops: 0, payloads: 0 });
        id
    }

    /// A payload has come to a node, new to it or not.
    pub fn on_payload(&mut self, id: MessageId) {
        if let Some(broadcast) = self.by_id.get_mut(&id) {
            broadcast.payloads += 1;
        }
    }

    /// A node has it now.
    pub fn on_delivered(&mut self, now: Time, node: u32, id: MessageId, hops: u16, violations: &mut Vec<Violation>) {
        if let Some(broadcast) = self.by_id.get_mut(&id) {
            broadcast.last = now;
            broadcast.hops = broadcast.hops.max(hops);
            broadcast.delivery.on_delivered(now, node, violations);
        }
    }

    /// How one went so far.
    pub fn course(&self, id: MessageId, views: &Views) -> Option<Course> {
        let broadcast = self.by_id.get(&id)?;
        let reached = broadcast.delivery.reached(views);
        Some(Course {
            reached: reached.delivered as f64 / reached.due.max(1) as f64,
            redundancy: broadcast.payloads as f64 / reached.delivered.max(1) as f64 - 1.0,
            hops: broadcast.hops,
            took: broadcast.last - broadcast.started,
        })
    }

    /// Forgets one and judges its delivery: at a time when all should have it.
    pub fn finish(&mut self, now: Time, id: MessageId, views: &Views, violations: &mut Vec<Violation>) {
        if let Some(broadcast) = self.by_id.remove(&id) {
            broadcast.delivery.check(now, views, violations);
        }
    }
}
