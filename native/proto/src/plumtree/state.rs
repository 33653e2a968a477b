// SPDX-License-Identifier: Apache-2.0
//! The tree as one node sees it, and what it does with each message.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::limits::{MAX_ANNOUNCEMENTS, MAX_BROADCAST_BYTES};
use barrel_p2p_base::{NodeName, Time};
use bytes::Bytes;

use super::cache::{Cache, Overtaken, Seen};
use super::missing::{Announced, Missing};
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
    /// When neighbours may be told of more.
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
    /// What the neighbour will be told of.
    untold: Vec<Announcement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Eager,
    /// Given up at that time.
    Lazy {
        since: Time,
    },
}

const TELL: usize = 0;
const GRAFT: usize = 1;

/// Announcements of this span travel together. A single broadcast is announced at once: a late announcement would make
/// a late question. Guess: short beside the links, long beside a burst.
const TELL_SPACING: Duration = Duration::from_millis(10);

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
            quiet_until: Time::ZERO,
            timers: Timers::new(),
            stats: Stats::default(),
        }
    }

    /// The neighbours to whom payloads go.
    pub fn eager(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.links.iter().filter(|link| link.kind == Kind::Eager).map(|link| &link.to)
    }

    /// The neighbours to whom announcements go.
    pub fn lazy(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.links.iter().filter(|link| link.kind != Kind::Eager).map(|link| &link.to)
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
        self.links.push(Link { to: Arc::clone(contact), kind: Kind::Eager, untold: Vec::new() });
        let recent = self.cache.recent(now, RECENT).filter(|seen| seen.payload.is_some()).take(MAX_ANNOUNCEMENTS);
        let recent: Arc<[_]> = recent.map(|seen| Announcement { id: seen.id, hops: seen.hops + 1 }).collect();
        if !recent.is_empty() {
            self.stats.ihave_sent += 1;
            send(contact, Message::IHave { pushed: false, announcements: recent }, out);
        }
    }

    /// A neighbour less. What it has announced others may have too: that stays. What it was to send is asked for now.
    pub fn down(&mut self, now: Time, name: &NodeName) {
        let Some(at) = self.links.iter().position(|link| link.to.name == *name) else { return };
        let link = self.links.remove(at);
        if self.announced.part(now, &link.to, link.kind == Kind::Eager) {
            self.timers.set(GRAFT, now);
        }
    }

    /// Starts a broadcast, unless its id was seen before. Larger payloads than allowed are not sent.
    pub fn broadcast(&mut self, now: Time, id: MessageId, payload: Bytes, out: &mut Outputs) {
        if payload.len() <= MAX_BROADCAST_BYTES && !self.knows(&id) {
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
            Message::IHave { pushed, announcements } => self.on_ihave(now, from, pushed, &announcements, out),
            Message::Prune => self.on_prune(now, from, out),
        }
    }

    /// When something is due next.
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Outputs) {
        if self.timers.take_due(TELL, now) {
            self.tell_untold(now, out);
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
            self.on_repetition(now, from, &what.id, out);
            return;
        }
        self.stats.delivered += 1;
        out.push(Output::Event(Event::Delivered { id: what.id, hops: what.hops, payload: payload.clone() }));
        if self.lazy().any(|contact| contact.name == from.name) {
            // The other end was told to make the link lazy while this was on its way.
            self.graft(from, None, out);
        }
        self.pass_on(now, what, payload, Some(from), out);
    }

    /// A link too many (section 3.5), given up at both ends: the other one when it hears of it, this one now.
    ///
    /// Departure: which of the two links is decided by announcements. A source that was to send the payload and was
    /// overtaken stays, because it was late only for having had to ask. Otherwise both would meet again each time.
    fn on_repetition(&mut self, now: Time, from: &Arc<Contact>, id: &MessageId, out: &mut Outputs) {
        match self.cache.take_overtaker(id, &from.name) {
            Some(sender) if self.eager().any(|contact| contact.name == sender.name) => self.prune(now, &sender, out),
            Some(_) => {}
            None => self.prune(now, from, out),
        }
    }

    /// Each neighbour gets the payload or hears of it, once.
    fn pass_on(
        &mut self,
        now: Time,
        what: Announcement,
        payload: Bytes,
        from: Option<&Arc<Contact>>,
        out: &mut Outputs,
    ) {
        let Announcement { id, hops } = what;
        let next = Announcement { id, hops: hops.saturating_add(1) };
        let missing = self.announced.take(&id);
        if self.announced.len() == 0 {
            self.timers.cancel(GRAFT);
        }
        let source = missing.as_ref().and_then(Missing::source).map(|source| source.name.clone());
        let told = missing.as_ref().map(|missing| missing.since);
        for link in self.links.iter().filter(|link| from.is_none_or(|from| from.name != link.to.name)) {
            // Who was to send it has it, or waits for it as this node did.
            if link.kind == Kind::Eager && source.as_ref() != Some(&link.to.name) {
                self.stats.gossip_sent += 1;
                send(&link.to, Message::Gossip { id, hops: next.hops, payload: payload.clone() }, out);
            }
        }
        for to in missing.iter().flat_map(Missing::owed).filter(|to| from.is_none_or(|from| from.name != to.name)) {
            self.stats.gossip_sent += 1;
            send(to, Message::Gossip { id, hops: next.hops, payload: payload.clone() }, out);
        }
        let overtaken = match (&source, from) {
            (Some(source), Some(from)) if *source != from.name => {
                Some(Box::new(Overtaken { source: source.clone(), sender: Arc::clone(from) }))
            }
            _ => None,
        };
        let seen = Seen { id, hops, at: now, payload: Some(payload), overtaken };
        self.cache.insert(seen, self.config.cache_bytes, self.config.cache_count);
        self.tell(now, next, out, |link| {
            let sender = from.is_some_and(|from| from.name == link.to.name);
            // Over a link given up since it was told, the neighbour may rely on what it was promised.
            let news = matches!(link.kind, Kind::Lazy { since } if told.is_none_or(|told| since >= told));
            !sender && (source.as_ref() == Some(&link.to.name) || news)
        });
    }

    /// Announces a broadcast to some neighbours: at once, or soon if it is one of many.
    ///
    /// Only what is still awaited will be sent unasked. What is here has gone to whom it was to go already: who is told of
    /// it now was passed over, and would wait for it in vain.
    fn tell(&mut self, now: Time, what: Announcement, out: &mut Outputs, whom: impl Fn(&Link) -> bool) {
        let at_once = now >= self.quiet_until;
        let is_awaited = !self.knows(&what.id);
        let mut shared = None;
        for link in self.links.iter_mut().filter(|link| whom(link)) {
            if at_once {
                let announcements = Arc::clone(shared.get_or_insert_with(|| Arc::from([what])));
                self.stats.ihave_sent += 1;
                let pushed = is_awaited && link.kind == Kind::Eager;
                send(&link.to, Message::IHave { pushed, announcements }, out);
            } else if link.untold.len() < MAX_ANNOUNCEMENTS {
                link.untold.push(what);
                self.timers.set(TELL, self.quiet_until);
            }
        }
        if shared.is_some() {
            self.quiet_until = now + TELL_SPACING;
        }
    }

    fn tell_untold(&mut self, now: Time, out: &mut Outputs) {
        self.quiet_until = now + TELL_SPACING;
        for link in &mut self.links {
            let pushed = |what: &Announcement| link.kind == Kind::Eager && !self.cache.contains(&what.id);
            let (awaited, others): (Vec<_>, Vec<_>) = link.untold.drain(..).partition(pushed);
            for (pushed, announcements) in [(true, awaited), (false, others)] {
                if !announcements.is_empty() {
                    self.stats.ihave_sent += 1;
                    send(&link.to, Message::IHave { pushed, announcements: announcements.into() }, out);
                }
            }
        }
    }

    /// Section 3.6: a payload that is announced and does not come is asked for.
    ///
    /// Departure from the paper: the announcement is passed on before the payload has come. So announcements run ahead
    /// of payloads, over all links, and the tree turns to each sender while its payload is still on the way: who hears
    /// of it over a lazy link asks at once, and gives up the eager link that would bring the payload later. The paper's
    /// tree has the shape that suited its first sender, and counts hops to improve it for one sender (section 3.8).
    fn on_ihave(
        &mut self,
        now: Time,
        from: &Arc<Contact>,
        pushed: bool,
        announcements: &[Announcement],
        out: &mut Outputs,
    ) {
        let eager = pushed && self.eager().any(|contact| contact.name == from.name);
        let patience = now + self.config.graft_retry;
        for announcement in announcements {
            let Announcement { id, hops } = *announcement;
            if self.knows(&id) {
                continue;
            }
            let Some(missing) = self.announced.get_mut(&id) else {
                self.on_first_ihave(now, from, *announcement, eager, out);
                continue;
            };
            missing.add(from);
            if !pushed && missing.source().is_some_and(|source| source.name == from.name) {
                // It was to send it, and has got it from elsewhere.
                missing.hurry(now);
                self.timers.set(GRAFT, now);
            } else if !eager || hops > missing.hops.saturating_add(1) {
                // Not a link of the tree, or one further down.
            } else if hops == missing.hops.saturating_add(1) {
                // As far from the sender as this node: neither needs the other.
                self.prune(now, from, out);
            } else if missing.source().is_none() {
                missing.choose(from, patience);
            } else {
                self.prune(now, from, out);
            }
        }
    }

    fn on_first_ihave(&mut self, now: Time, from: &Arc<Contact>, what: Announcement, eager: bool, out: &mut Outputs) {
        let (soon, late) = (now + self.config.graft_timeout, now + self.config.graft_retry);
        let Some(missing) = self.announced.insert(now, what.id, from, what.hops, soon) else {
            return;
        };
        if eager {
            missing.choose(from, late);
        }
        let due = if eager { late } else { soon };
        self.timers.set(GRAFT, self.timers.get(GRAFT).map_or(due, |at| at.min(due)));
        let next = Announcement { id: what.id, hops: what.hops.saturating_add(1) };
        self.tell(now, next, out, |link| link.to.name != from.name);
    }

    fn on_graft(&mut self, from: &Arc<Contact>, id: Option<MessageId>, out: &mut Outputs) {
        self.set(from, Kind::Eager);
        let Some(id) = id else { return };
        let Some(seen) = self.cache.get(&id) else {
            if self.links.iter().all(|link| link.to.name != from.name) {
                if let Some(missing) = self.announced.get_mut(&id) {
                    missing.owe(from);
                }
            }
            return;
        };
        if let Some(payload) = seen.payload.clone() {
            self.stats.gossip_sent += 1;
            send(from, Message::Gossip { id: seen.id, hops: seen.hops.saturating_add(1), payload }, out);
        }
    }

    /// Section 3.5. A link on which this node relies stays eager: either the question is on its way, or it is time to
    /// ask, because the payload will not come unasked. (Departure; without it the two ends come to differ.)
    ///
    /// The last eager link is asked back. (Departure: many senders at once give up each other's links, until nodes are
    /// left that have to ask for everything. Four nodes that send a thousand a second took twice as long, in a model.)
    fn on_prune(&mut self, now: Time, from: &Arc<Contact>, out: &mut Outputs) {
        if self.announced.hurry(now, &from.name) {
            self.timers.set(GRAFT, now);
        } else if self.is_last_eager(&from.name) {
            self.graft(from, None, out);
        } else {
            self.set(from, Kind::Lazy { since: now });
        }
    }

    fn graft(&mut self, to: &Arc<Contact>, id: Option<MessageId>, out: &mut Outputs) {
        self.set(to, Kind::Eager);
        self.stats.graft_sent += 1;
        send(to, Message::Graft(id), out);
    }

    /// Not while a payload is to come over this link: given up, it would bring that only when asked. Nor the last one.
    fn prune(&mut self, now: Time, to: &Arc<Contact>, out: &mut Outputs) {
        if self.announced.relies_on(&to.name) || self.is_last_eager(&to.name) {
            return;
        }
        self.set(to, Kind::Lazy { since: now });
        self.stats.prune_sent += 1;
        send(to, Message::Prune, out);
    }

    fn set(&mut self, neighbour: &Arc<Contact>, kind: Kind) {
        if let Some(link) = self.links.iter_mut().find(|link| link.to.name == neighbour.name) {
            link.kind = kind;
        }
    }

    fn is_last_eager(&self, name: &NodeName) -> bool {
        let mut eager = self.eager();
        eager.next().is_some_and(|contact| contact.name == *name) && eager.next().is_none()
    }
}

fn send(to: &Arc<Contact>, message: Message, out: &mut Outputs) {
    out.push(Output::Send { to: Arc::clone(to), message: message::Message::Plumtree(message) });
}
