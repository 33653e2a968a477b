// SPDX-License-Identifier: Apache-2.0
//! The tree as one node sees it, and what it does with each message.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::limits::{MAX_ANNOUNCEMENTS, MAX_PAYLOAD_BYTES};
use barrel_p2p_base::{NodeName, Time};
use bytes::Bytes;

use super::cache::{Cache, Seen};
use super::missing::Announced;
use super::{Announcement, Config, Message};
use crate::contact::Contact;
use crate::machine::{Event, Output, Outputs};
use crate::message::{self, MessageId};
use crate::timers::Timers;

/// The broadcasts of one node.
#[derive(Debug)]
pub struct State {
    config: Config,
    links: Vec<Link>,
    cache: Cache,
    announced: Announced,
    /// What lazy links have not been told yet.
    announcements: Vec<Announcement>,
    /// When lazy links may be told again.
    quiet_until: Time,
    timers: Timers<2>,
    stats: Stats,
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Payloads sent.
    pub gossip_sent: u64,
    /// Payloads received, repetitions included.
    pub gossip_received: u64,
    /// Announcements sent.
    pub ihave_sent: u64,
    /// Links asked for.
    pub graft_sent: u64,
    /// Links given up.
    pub prune_sent: u64,
    /// Broadcasts delivered.
    pub delivered: u64,
}

/// The link to a neighbour.
#[derive(Debug)]
struct Link {
    to: Arc<Contact>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Eager,
    Lazy,
}

const ANNOUNCE: usize = 0;
const GRAFT: usize = 1;

/// Announcements of this span travel together. A single broadcast is announced at once: a late announcement would make
/// a late question. Guess: short beside the links, long beside a burst.
const ANNOUNCE_SPACING: Duration = Duration::from_millis(10);

/// What a new neighbour is told of: as long as a node may have been without any neighbour while it found new ones.
const RECENT: Duration = Duration::from_secs(10);

impl State {
    /// No neighbours, nothing seen.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            links: Vec::new(),
            cache: Cache::default(),
            announced: Announced::default(),
            announcements: Vec::new(),
            quiet_until: Time::ZERO,
            timers: Timers::new(),
            stats: Stats::default(),
        }
    }

    /// The neighbours to whom payloads go.
    pub fn eager(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.of_kind(Kind::Eager)
    }

    /// The neighbours to whom announcements go.
    pub fn lazy(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.of_kind(Kind::Lazy)
    }

    /// Was it seen before?
    pub fn knows(&self, id: &MessageId) -> bool {
        self.cache.contains(id)
    }

    /// Ids remembered (count), payloads remembered (bytes), and broadcasts awaited (count).
    pub fn remembered(&self) -> (usize, usize, usize) {
        (self.cache.len(), self.cache.bytes(), self.announced.len())
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// A new neighbour. Its link is eager until a payload comes twice (section 3.7).
    ///
    /// Departure from the paper: it is told what came in the last seconds, so that a node that was cut off for a moment
    /// misses nothing.
    pub fn up(&mut self, now: Time, contact: &Arc<Contact>, out: &mut Outputs) {
        self.links.retain(|link| link.to.name != contact.name);
        self.links.push(Link { to: Arc::clone(contact), kind: Kind::Eager });
        let recent = self.cache.recent(now, RECENT).filter(|seen| seen.payload.is_some()).take(MAX_ANNOUNCEMENTS);
        let recent: Arc<[_]> = recent.map(|seen| Announcement { id: seen.id, hops: seen.hops + 1 }).collect();
        if !recent.is_empty() {
            self.stats.ihave_sent += 1;
            send(contact, Message::IHave(recent), out);
        }
    }

    /// A neighbour less. What it has announced others may have too: that stays.
    pub fn down(&mut self, name: &NodeName) {
        self.links.retain(|link| link.to.name != *name);
    }

    /// Starts a broadcast, unless its id was seen before. Larger payloads than allowed are not sent.
    pub fn broadcast(&mut self, now: Time, id: MessageId, payload: Bytes, out: &mut Outputs) {
        if payload.len() <= MAX_PAYLOAD_BYTES && !self.knows(&id) {
            self.announced.take(&id);
            self.pass_on(now, Announcement { id, hops: 0 }, payload, None, out);
        }
    }

    /// Takes a message. Its sender may be no neighbour any more, or not yet: then no link changes its kind.
    pub fn on_message(&mut self, now: Time, from: &Arc<Contact>, message: Message, out: &mut Outputs) {
        match message {
            Message::Gossip { id, hops, payload } => {
                self.on_gossip(now, from, Announcement { id, hops }, payload, out);
            }
            Message::Graft(id) => self.on_graft(from, id, out),
            Message::IHave(announcements) => self.on_ihave(now, from, &announcements),
            Message::Prune => self.set(from, Kind::Lazy),
        }
    }

    /// When something is due next.
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Outputs) {
        if self.timers.take_due(ANNOUNCE, now) {
            self.announce(now, out);
        }
        if self.timers.take_due(GRAFT, now) {
            for (id, announcer) in self.announced.questions(now, now + self.config.graft_retry) {
                self.graft(&announcer, Some(id), out);
            }
            if let Some(due) = self.announced.next_due() {
                self.timers.set(GRAFT, due);
            }
        }
    }

    /// Section 3.5.
    fn on_gossip(&mut self, now: Time, from: &Arc<Contact>, what: Announcement, payload: Bytes, out: &mut Outputs) {
        self.stats.gossip_received += 1;
        if self.knows(&what.id) {
            // Both ends, each on its own: the other one when it hears of it, this one now.
            self.prune(from, out);
            return;
        }
        self.stats.delivered += 1;
        out.push(Output::Event(Event::Delivered { id: what.id, hops: what.hops, payload: payload.clone() }));
        self.set(from, Kind::Eager);
        self.optimise(now, from, &what.id, out);
        self.pass_on(now, what, payload, Some(from), out);
    }

    fn pass_on(
        &mut self,
        now: Time,
        what: Announcement,
        payload: Bytes,
        from: Option<&Arc<Contact>>,
        out: &mut Outputs,
    ) {
        let Announcement { id, hops } = what;
        let next = hops.saturating_add(1);
        let mut lazy = false;
        for link in &self.links {
            if from.is_some_and(|from| from.name == link.to.name) {
                continue;
            }
            match link.kind {
                Kind::Eager => {
                    self.stats.gossip_sent += 1;
                    send(&link.to, Message::Gossip { id, hops: next, payload: payload.clone() }, out);
                }
                Kind::Lazy => lazy = true,
            }
        }
        let seen = Seen { id, hops, at: now, payload: Some(payload) };
        self.cache.insert(seen, self.config.cache_bytes, self.config.cache_count);
        if lazy {
            self.announcements.push(Announcement { id, hops: next });
            if now >= self.quiet_until || self.announcements.len() == MAX_ANNOUNCEMENTS {
                self.announce(now, out);
            } else if self.timers.get(ANNOUNCE).is_none() {
                self.timers.set(ANNOUNCE, self.quiet_until);
            }
        }
    }

    fn announce(&mut self, now: Time, out: &mut Outputs) {
        let announcements: Arc<[_]> = self.announcements.as_slice().into();
        self.announcements.clear();
        self.timers.cancel(ANNOUNCE);
        self.quiet_until = now + ANNOUNCE_SPACING;
        for link in self.links.iter().filter(|link| link.kind == Kind::Lazy) {
            self.stats.ihave_sent += 1;
            send(&link.to, Message::IHave(Arc::clone(&announcements)), out);
        }
    }

    /// Section 3.6: a payload that is announced and does not come is asked for.
    fn on_ihave(&mut self, now: Time, from: &Arc<Contact>, announcements: &[Announcement]) {
        for announcement in announcements {
            if self.knows(&announcement.id) {
                continue;
            }
            let due = now + self.config.graft_timeout;
            if self.announced.add(now, announcement.id, from, due) {
                let first = self.timers.get(GRAFT).map_or(due, |at| at.min(due));
                self.timers.set(GRAFT, first);
            }
        }
    }

    fn on_graft(&mut self, from: &Arc<Contact>, id: Option<MessageId>, out: &mut Outputs) {
        self.set(from, Kind::Eager);
        let Some(seen) = id.and_then(|id| self.cache.get(&id)) else {
            return;
        };
        if let Some(payload) = seen.payload.clone() {
            self.stats.gossip_sent += 1;
            send(from, Message::Gossip { id: seen.id, hops: seen.hops.saturating_add(1), payload }, out);
        }
    }

    /// Section 3.8: the tree turns to a link that was faster. Departure: the paper counts hops; here the clock decides,
    /// because a detour over near nodes is better than one long link, and it costs no repeated payload either.
    fn optimise(&mut self, now: Time, from: &Arc<Contact>, id: &MessageId, out: &mut Outputs) {
        let Some(missing) = self.announced.take(id) else {
            return;
        };
        if self.announced.len() == 0 {
            self.timers.cancel(GRAFT);
        }
        let faster = missing.announcers.first().filter(|first| first.name != from.name);
        if let Some(faster) = faster.filter(|_| now - missing.since > self.config.optimisation_threshold) {
            self.graft(faster, None, out);
            self.prune(from, out);
        }
    }

    fn graft(&mut self, to: &Arc<Contact>, id: Option<MessageId>, out: &mut Outputs) {
        self.set(to, Kind::Eager);
        self.stats.graft_sent += 1;
        send(to, Message::Graft(id), out);
    }

    fn prune(&mut self, to: &Arc<Contact>, out: &mut Outputs) {
        self.set(to, Kind::Lazy);
        self.stats.prune_sent += 1;
        send(to, Message::Prune, out);
    }

    fn set(&mut self, neighbour: &Arc<Contact>, kind: Kind) {
        if let Some(link) = self.links.iter_mut().find(|link| link.to.name == neighbour.name) {
            link.kind = kind;
        }
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Arc<Contact>> {
        self.links.iter().filter(move |link| link.kind == kind).map(|link| &link.to)
    }
}

fn send(to: &Arc<Contact>, message: Message, out: &mut Outputs) {
    out.push(Output::Send { to: Arc::clone(to), message: message::Message::Plumtree(message) });
}
