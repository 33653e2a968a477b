// SPDX-License-Identifier: Apache-2.0
//! The state of the views, and the only two places where somebody enters or leaves the active one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Random, Time};

use super::exchange::Trial;
use super::promotion::Request;
use super::view::{Active, Passive, Reserve};
use super::{Config, Goodbye, Message};
use crate::contact::Contact;
use crate::machine::{DownReason, Event, Output, Outputs, Why};
use crate::message;
use crate::timers::Timers;

/// The views of one node.
#[derive(Debug)]
pub struct State {
    pub(super) config: Config,
    pub(super) me: Arc<Contact>,
    pub(super) random: Random,
    pub(super) active: Active,
    pub(super) passive: Passive,
    /// Requests that nobody has answered yet.
    pub(super) requests: Vec<Request>,
    /// Who may become a neighbour in exchange for a longer link.
    pub(super) trial: Option<Trial>,
    /// How far strangers are: the longest way that was measured, a part less with each one since.
    pub(super) farthest: Duration,
    pub(super) blocked: BTreeSet<NodeName>,
    /// Has this node said goodbye?
    pub(super) left: bool,
    /// Wait until the next passive contacts are asked.
    pub(super) promotion_wait: Duration,
    /// Until when the places that were given away use up what may be given away.
    pub(super) displaced_until: Time,
    pub(super) timers: Timers<4>,
    pub(super) stats: Stats,
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Neighbours that came.
    pub peers_up: u64,
    /// Neighbours that went.
    pub peers_down: u64,
    /// Requests that were not answered in time.
    pub pending_timeouts: u64,
    /// Requests of others that were refused.
    pub rejected: u64,
    /// Shuffles begun.
    pub shuffles: u64,
}

pub(super) const EXPIRE: usize = 0;
pub(super) const KEEP_ALIVE: usize = 1;
pub(super) const PROMOTE: usize = 2;
pub(super) const SHUFFLE: usize = 3;

/// Delay after which a new neighbour hears how many others there are. Joins come in crowds: one second gathers them.
const FIRST_KEEP_ALIVE: Duration = Duration::from_secs(1);

impl State {
    /// Empty views.
    pub fn new(config: Config, me: Arc<Contact>, random: Random) -> Self {
        Self {
            promotion_wait: super::promotion::FIRST_WAIT,
            config,
            me,
            random,
            active: Active::default(),
            passive: Passive::default(),
            requests: Vec::new(),
            trial: None,
            farthest: Duration::ZERO,
            blocked: BTreeSet::new(),
            left: false,
            displaced_until: Time::ZERO,
            timers: Timers::new(),
            stats: Stats::default(),
        }
    }

    /// This node.
    pub fn me(&self) -> &Arc<Contact> {
        &self.me
    }

    /// This node can be reached in another way now.
    pub fn set_me(&mut self, me: Arc<Contact>) {
        self.me = me;
    }

    /// The active view, oldest neighbour first.
    pub fn active(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.active.contacts()
    }

    /// The neighbour of this name.
    pub fn neighbour(&self, name: &NodeName) -> Option<&Arc<Contact>> {
        self.active.get(name)
    }

    /// The passive view.
    pub fn passive(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.passive.contacts()
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Takes a message from the peer that the link has proved it to be.
    pub fn on_message(&mut self, now: Time, from: &Arc<Contact>, message: Message, out: &mut Outputs) {
        if from.name == self.me.name || !self.meet(now, from, out) {
            return;
        }
        match message {
            Message::Accept => self.on_accept(now, from, out),
            Message::Disconnect(goodbye) => self.on_disconnect(now, from, goodbye, out),
            Message::Exchange { old } => self.on_exchange(now, from, &old, out),
            Message::ForwardJoin { joiner, ttl } => self.on_forward_join(now, from, joiner, ttl, out),
            Message::Join => self.on_join(now, from, out),
            Message::KeepAlive { neighbours } => self.on_keep_alive(now, from, neighbours, out),
            Message::Measure => self.on_measure(from, out),
            Message::Measured { longest_us } => self.on_measured(now, from, longest_us, out),
            Message::Neighbour(priority) => self.on_neighbour(now, from, priority, out),
            Message::Reject(contacts) => self.on_reject(now, from, contacts),
            Message::Shuffle { origin, ttl, contacts } => self.on_shuffle(now, from, (origin, ttl, contacts), out),
            Message::ShuffleReply(contacts) => {
                self.learn_all(now, contacts);
                self.measure(now, from, out);
            }
        }
        self.schedule_promotion(now);
    }

    /// A peer cannot be reached.
    pub fn on_unreachable(&mut self, now: Time, name: &NodeName, why: Why, out: &mut Outputs) {
        let asked = self.take_request(name).is_some();
        let reason = if why == Why::DialFailed { DownReason::ConnectFailed } else { DownReason::Nodedown };
        let lost = self.down(name, reason, out);
        if why == Why::Stopped {
            self.passive.remove(name);
        } else if let Some(contact) = lost {
            // Departure from the paper (4.5), which forgets failed neighbours: a link that blinks must not cut a
            // cluster of two in halves. The backoff forgets those that stay away.
            self.learn(now, contact);
            self.fail(now, name);
        } else if asked || why == Why::DialFailed {
            self.fail(now, name);
        }
        self.promote(now, out);
    }

    /// Says goodbye to everybody and forgets them.
    pub fn leave(&mut self, out: &mut Outputs) {
        self.left = true;
        for contact in self.active.contacts().cloned().collect::<Vec<_>>() {
            send(&contact, Message::Disconnect(Goodbye::Leaving), out);
            self.down(&contact.name, DownReason::Graceful, out);
        }
        self.requests.clear();
        self.passive.clear();
        self.timers = Timers::new();
        out.push(Output::Event(Event::Left));
    }

    /// Keeps these, and only these, out of both views.
    pub fn block(&mut self, now: Time, names: BTreeSet<NodeName>, out: &mut Outputs) {
        for name in &names {
            self.take_request(name);
            self.passive.remove(name);
            if let Some(contact) = self.down(name, DownReason::Blocked, out) {
                send(&contact, Message::Disconnect(Goodbye::Full), out);
            }
        }
        self.blocked = names;
        self.promote(now, out);
    }

    /// Forgets a passive contact that is known to be gone.
    pub fn forget(&mut self, name: &NodeName) {
        self.passive.remove(name);
    }

    /// When something is due next.
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Outputs) {
        if self.timers.take_due(KEEP_ALIVE, now) {
            self.keep_alive(now, out);
        }
        if self.timers.take_due(SHUFFLE, now) {
            self.shuffle(now, out);
        }
        if self.timers.take_due(EXPIRE, now) {
            self.promote(now, out);
        }
        if self.timers.take_due(PROMOTE, now) {
            self.promotion_wait = self.next_promotion_wait();
            self.promote(now, out);
        }
    }

    /// A message whose sender is in a newer life shows that the old one is over, whoever was told of its end. Is the
    /// message to be heard?
    fn meet(&mut self, now: Time, from: &Arc<Contact>, out: &mut Outputs) -> bool {
        let Some(neighbour) = self.active.get_mut(&from.name) else {
            return true;
        };
        if from.incarnation == neighbour.contact.incarnation {
            if !Arc::ptr_eq(from, &neighbour.contact) {
                neighbour.contact = Arc::clone(from);
            }
        } else if from.incarnation > neighbour.contact.incarnation {
            self.down(&from.name, DownReason::Nodedown, out);
            self.promote(now, out);
        } else {
            return false;
        }
        true
    }

    fn on_disconnect(&mut self, now: Time, from: &Arc<Contact>, goodbye: Goodbye, out: &mut Outputs) {
        let lost = self.down(&from.name, DownReason::Graceful, out).is_some();
        match goodbye {
            Goodbye::Leaving => {
                self.take_request(&from.name);
                self.passive.remove(&from.name);
            }
            Goodbye::Exchanged | Goodbye::Full | Goodbye::Replaced(_) if !lost => {}
            // Somebody is about to ask: no need to look for anybody before the next round of questions.
            Goodbye::Exchanged => return self.part(now, from),
            Goodbye::Full => self.part(now, from),
            Goodbye::Replaced(newcomer) => {
                self.part(now, from);
                self.follow(now, newcomer, out);
            }
        }
        if lost {
            self.promote(now, out);
        }
    }

    /// Two are no neighbours any more, in friendship (section 4.3): the other one becomes a passive contact.
    pub(super) fn part(&mut self, now: Time, from: &Arc<Contact>) {
        self.learn(now, Arc::clone(from));
        self.postpone(now, &from.name);
    }

    /// Departure from the paper, whose views are as good as its links: an answer may be lost while its link lives. The
    /// first one is answered, and so both ends learn how long their link is.
    fn on_keep_alive(&mut self, now: Time, from: &Arc<Contact>, neighbours: u8, out: &mut Outputs) {
        if let Some(neighbour) = self.active.get_mut(&from.name) {
            neighbour.degree = neighbours;
            if neighbour.is_first_sign(now) {
                self.greet(from, out);
            }
        } else if self.request(&from.name).is_none() {
            send(from, Message::Disconnect(Goodbye::Full), out);
        }
    }

    /// Tells a neighbour how many there are.
    pub(super) fn greet(&self, neighbour: &Arc<Contact>, out: &mut Outputs) {
        let neighbours = u8::try_from(self.active.len()).unwrap_or(u8::MAX);
        let alone = self.only_far().is_some_and(|far| far.name == neighbour.name);
        send(neighbour, Message::KeepAlive { neighbours: if alone { 1 } else { neighbours } }, out);
    }

    fn keep_alive(&mut self, now: Time, out: &mut Outputs) {
        for contact in self.active.contacts() {
            self.greet(contact, out);
        }
        if self.active.len() > 0 {
            self.timers.set(KEEP_ALIVE, now + self.random.jitter(self.config.keep_alive_period));
        }
    }

    /// Somebody enters the active view, which has a place.
    pub(super) fn up(&mut self, now: Time, contact: &Arc<Contact>, out: &mut Outputs) {
        self.passive.remove(&contact.name);
        self.active.push(now, Arc::clone(contact));
        self.stats.peers_up += 1;
        out.push(Output::Hold(Arc::clone(contact)));
        out.push(Output::Event(Event::PeerUp(contact.name.clone())));
        if self.active.len() == 1 {
            out.push(Output::Event(Event::Joined));
        }
        self.promotion_wait = super::promotion::FIRST_WAIT;
        let soon = now + FIRST_KEEP_ALIVE;
        self.timers.set(KEEP_ALIVE, self.timers.get(KEEP_ALIVE).map_or(soon, |at| at.min(soon)));
        if self.timers.get(SHUFFLE).is_none() {
            self.timers.set(SHUFFLE, now + self.random.between(FIRST_KEEP_ALIVE, self.config.shuffle_period));
        }
    }

    /// Somebody leaves the active view, if it was there.
    pub(super) fn down(&mut self, name: &NodeName, reason: DownReason, out: &mut Outputs) -> Option<Arc<Contact>> {
        let contact = self.active.remove(name)?;
        self.stats.peers_down += 1;
        out.push(Output::Release(contact.name.clone()));
        out.push(Output::Event(Event::PeerDown(contact.name.clone(), reason)));
        self.promotion_wait = super::promotion::FIRST_WAIT;
        Some(contact)
    }

    /// A contact was mentioned: it enters the passive view, or is fresh there.
    pub(super) fn learn(&mut self, now: Time, contact: Arc<Contact>) {
        if contact.name == self.me.name || self.active.get(&contact.name).is_some() {
            return;
        }
        if let Some(reserve) = self.passive.get_mut(&contact.name) {
            reserve.heard_at = now;
            if contact.incarnation > reserve.contact.incarnation {
                *reserve = Reserve { contact, failures: 0, retry_at: now, heard_at: now };
            }
        } else if !self.blocked.contains(&contact.name) && !self.left {
            let reserve = Reserve { contact, failures: 0, retry_at: now, heard_at: now };
            self.passive.push(reserve, self.config.passive_size, &mut self.random);
        }
    }

    pub(super) fn learn_all(&mut self, now: Time, contacts: Vec<Arc<Contact>>) {
        contacts.into_iter().for_each(|contact| self.learn(now, contact));
    }
}

pub(super) fn send(to: &Arc<Contact>, message: Message, out: &mut Outputs) {
    out.push(Output::Send { to: Arc::clone(to), message: message::Message::HyParView(message) });
}
