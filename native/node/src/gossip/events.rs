// SPDX-License-Identifier: Apache-2.0
//! What the host is told, in order, in batches, on credit.
//!
//! Keeps: at most [`EVENTS_ON_THE_WAY`] events and [`BYTES_ON_THE_WAY`] bytes are with the host and not yet given back. Meanwhile payloads
//! wait up to [`WAITING_BYTES`], then new ones are dropped and counted. News of peers and members is never dropped; if much of it waits,
//! what was overtaken by newer news of the same name is left out.

use barrel_p2p_base::NodeName;
use barrel_p2p_proto::Event;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use tokio::sync::Notify;

/// Events (count) that the host may hold: enough to keep it busy, few enough not to fill a mailbox.
pub(crate) const EVENTS_ON_THE_WAY: usize = 1000;

/// Bytes of payloads that the host may hold.
const BYTES_ON_THE_WAY: usize = 4 << 20;

/// Bytes of payloads that wait for a slow host.
const WAITING_BYTES: usize = 8 << 20;

/// News (count) above which overtaken ones are left out: a thousand nodes that come and go ten times.
const NEWS: usize = 20_000;

/// Hears of events. Called on the I/O thread only; must not block.
pub trait Listener: Send + Sync + 'static {
    /// Some more; they are owed back through [`Gossip::ack`](super::Gossip::ack).
    fn events(&self, events: Vec<Event>);
    /// The end. Nothing follows.
    fn stopped(&self);
}

/// What the host gives back, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    count: AtomicUsize,
    changed: Notify,
}

impl Acks {
    pub(crate) fn add(&self, count: usize) {
        let sum = |before: usize| Some(before.saturating_add(count));
        let _ = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, sum);
        self.changed.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The queue, at the actor.
#[derive(Debug, Default)]
pub(crate) struct Events {
    waiting: VecDeque<Event>,
    waiting_bytes: usize,
    /// Sizes of the events that the host has, oldest first.
    with_host: VecDeque<usize>,
    bytes_with_host: usize,
    acks: Arc<Acks>,
    collapse_above: usize,
}

impl Events {
    pub(crate) fn new(acks: Arc<Acks>) -> Self {
        Self { acks, collapse_above: NEWS, ..Self::default() }
    }

    /// Events that wait for credit.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// False when it is a payload for which there is no room.
    pub(crate) fn push(&mut self, event: Event) -> bool {
        let size = size(&event);
        if size > 0 && self.waiting_bytes + size > WAITING_BYTES {
            return false;
        }
        self.waiting_bytes += size;
        self.waiting.push_back(event);
        if self.waiting.len() > self.collapse_above {
            self.collapse();
            self.collapse_above = NEWS.max(2 * self.waiting.len());
        }
        true
    }

    /// What may be told now; empty when nothing waits or the credit is used up.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        self.collect_acks();
        let mut batch = Vec::new();
        while self.with_host.len() < EVENTS_ON_THE_WAY && self.bytes_with_host < BYTES_ON_THE_WAY {
            let Some(event) = self.waiting.pop_front() else { break };
            let size = size(&event);
            self.waiting_bytes -= size;
            self.bytes_with_host += size;
            self.with_host.push_back(size);
            batch.push(event);
        }
        batch
    }

    fn collect_acks(&mut self) {
        for _ in 0..self.acks.count.swap(0, Ordering::AcqRel) {
            let Some(size) = self.with_host.pop_front() else { break };
            self.bytes_with_host -= size;
        }
    }

    /// Leaves out what newer news of the same kind about the same name has overtaken.
    fn collapse(&mut self) {
        let mut seen = BTreeSet::new();
        let mut kept = VecDeque::new();
        while let Some(event) = self.waiting.pop_back() {
            if subject(&event).is_none_or(|subject| seen.insert(subject)) {
                kept.push_front(event);
            }
        }
        self.waiting = kept;
    }
}

/// Bytes of a payload that a peer made us hold. An empty payload weighs as much as the event around it, so that it is not free.
fn size(event: &Event) -> usize {
    match event {
        Event::Delivered { payload, .. } | Event::Direct { payload, .. } => payload.len() + size_of::<Event>(),
        Event::Joined
        | Event::Left
        | Event::MemberDown(..)
        | Event::MemberUp(_)
        | Event::PeerDown(..)
        | Event::PeerUp(_) => 0,
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Member(NodeName),
    Peer(NodeName),
    This,
}

fn subject(event: &Event) -> Option<Subject> {
    match event {
        Event::Delivered { .. } | Event::Direct { .. } => None,
        Event::Joined | Event::Left => Some(Subject::This),
        Event::MemberDown(name, _) => Some(Subject::Member(name.clone())),
        Event::MemberUp(contact) => Some(Subject::Member(contact.name.clone())),
        Event::PeerDown(name, _) | Event::PeerUp(name) => Some(Subject::Peer(name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barrel_p2p_proto::DownReason;
    use bytes::Bytes;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text.as_bytes()).unwrap()
    }

    fn direct(bytes: usize) -> Event {
        Event::Direct { from: name("a@h"), payload: Bytes::from(vec![0; bytes]) }
    }

    #[test]
    fn a_host_that_gives_nothing_back_gets_no_more() {
        let acks = Arc::new(Acks::default());
        let mut events = Events::new(acks.clone());
        (0..EVENTS_ON_THE_WAY + 5).for_each(|_| assert!(events.push(Event::Joined)));
        assert_eq!(events.take().len(), EVENTS_ON_THE_WAY);
        assert_eq!(events.take(), []);
        acks.add(2);
        assert_eq!(events.take().len(), 2);
    }

    #[test]
    fn payloads_for_a_slow_host_are_bounded_and_news_is_kept() {
        let mut events = Events::new(Arc::default());
        let pushed = (0..100).filter(|_| events.push(direct(1 << 20))).count();
        assert!(pushed < 9, "{pushed} MiB wait");
        assert!(events.push(Event::PeerUp(name("a@h"))));
        assert!(events.take().len() <= 4);
    }

    #[test]
    fn overtaken_news_makes_room() {
        let mut events = Events::new(Arc::default());
        for _ in 0..3 * NEWS {
            events.push(Event::PeerUp(name("a@h")));
            events.push(Event::PeerDown(name("a@h"), DownReason::Nodedown));
        }
        assert!(events.len() <= NEWS);
        assert_eq!(events.waiting.back(), Some(&Event::PeerDown(name("a@h"), DownReason::Nodedown)));
    }
}
