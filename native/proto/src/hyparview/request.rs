// SPDX-License-Identifier: Apache-2.0
//! Becoming neighbours: requests and their answers.
//!
//! Keeps: the asker counts the other only when it is accepted, and the other counts the asker when it accepts. Departure
//! from the paper (4.2, 4.3), where a joiner counts its contact unasked and an open connection makes neighbours: then a
//! view that overflows on one side is one-sided.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::limits::MAX_CONTACTS;
use barrel_p2p_base::Time;

use super::promotion::{Request, Room};
use super::state::send;
use super::{Goodbye, Message, Priority, State};
use crate::contact::Contact;
use crate::machine::{DownReason, Outputs};

/// Places of a full view that may be given away at once, and the time after which one more may be. A contact that a
/// thousand joiners ask within a second would else change its neighbours a thousand times, and each joiner would lose
/// its first neighbour at once. Guess: five in a second renew the whole view.
const DISPLACEMENTS: u32 = 5;
const DISPLACEMENT_SPACING: Duration = Duration::from_millis(200);

impl State {
    /// Asks a peer to let this node in. There is a link to it.
    pub fn join(&mut self, now: Time, contact: Arc<Contact>, out: &mut Outputs) {
        self.left = false;
        if contact.name == self.me.name || self.blocked.contains(&contact.name) {
            return;
        }
        self.learn(now, Arc::clone(&contact));
        if self.active.get(&contact.name).is_none() {
            self.ask(now, contact, Room::Made, Message::Join, out);
        }
        self.schedule_promotion(now);
    }

    /// Section 4.2: the contact takes the joiner in and sends its name on walks.
    ///
    /// Departure: not from each neighbour, because most ends of walks make room and thereby bring the joiner two
    /// neighbours (see `make_room`); and also for one who is not taken in, so that crowds spread over the cluster.
    pub(super) fn on_join(&mut self, now: Time, from: &Arc<Contact>, out: &mut Outputs) {
        let walks = match self.admit(now, from, Priority::High, out) {
            Answer::Neighbour | Answer::Refused => return,
            Answer::Accepted => self.config.active_size / 2,
            Answer::Full => self.config.active_size.div_ceil(2),
        };
        let mut neighbours: Vec<_> = self.active.contacts().filter(|contact| contact.name != from.name).collect();
        for neighbour in self.random.sample(&mut neighbours, walks) {
            let message = Message::ForwardJoin { joiner: Arc::clone(from), ttl: self.config.active_walk };
            send(neighbour, message, out);
        }
    }

    /// Section 4.2: a joiner comes by on its walk.
    pub(super) fn on_forward_join(
        &mut self,
        now: Time,
        from: &Arc<Contact>,
        joiner: Arc<Contact>,
        ttl: u8,
        out: &mut Outputs,
    ) {
        if joiner.name == self.me.name || self.left || self.blocked.contains(&joiner.name) {
            return;
        }
        // A longer walk than our own would be work that somebody else has decided on.
        let ttl = ttl.min(self.config.active_walk);
        if ttl == self.config.passive_walk {
            self.learn(now, Arc::clone(&joiner));
        }
        let known = self.active.get(&joiner.name).is_some() || self.request(&joiner.name).is_some();
        // Departure: a free place ends the walk once it is half over; there is no better one. Before, that would keep
        // newcomers near the contact, and a graph that grows in one place is long: 515 ms across instead of 430.
        let place = !known && self.active.len() + self.requests.len() < self.config.active_size;
        let ends = place && (ttl <= self.config.passive_walk || self.active.len() <= 1);
        if ttl > 0 && !ends {
            if let Some(next) = self.active.pick_except(&mut self.random, &from.name, &joiner.name) {
                return send(next, Message::ForwardJoin { joiner, ttl: ttl - 1 }, out);
            }
        }
        if place || !known && self.may_displace(now) {
            // Departure from the paper (4.3), where the end of a walk always gets in: the joiner decides whether it
            // has a place. It has, unless enough others were faster.
            self.ask(now, joiner, Room::Made, Message::Neighbour(self.priority()), out);
        } else {
            self.learn(now, joiner);
        }
    }

    /// A newcomer has this node's place, and places of its own.
    pub(super) fn follow(&mut self, now: Time, newcomer: Arc<Contact>, out: &mut Outputs) {
        let known = self.active.get(&newcomer.name).is_some() || self.request(&newcomer.name).is_some();
        if !known && newcomer.name != self.me.name && !self.blocked.contains(&newcomer.name) {
            self.ask(now, newcomer, Room::Found, Message::Neighbour(self.priority()), out);
        }
    }

    /// Section 4.3: somebody wants to be a neighbour.
    pub(super) fn on_neighbour(&mut self, now: Time, from: &Arc<Contact>, priority: Priority, out: &mut Outputs) {
        self.admit(now, from, priority, out);
    }

    pub(super) fn on_accept(&mut self, now: Time, from: &Arc<Contact>, out: &mut Outputs) {
        let request = self.take_request(&from.name);
        if self.active.get(&from.name).is_some() {
            return;
        }
        let room = match request.map(|request| request.room) {
            None => false,
            Some(Room::Exchanged(old)) => self.give_up(now, &old, out),
            Some(Room::Found) => self.active.len() < self.config.active_size,
            Some(Room::Made) => self.make_room(now, from, out),
        };
        if room {
            self.up(now, from, out);
            // At once: the other one counts the time since it accepted.
            self.greet(from, out);
        } else {
            send(from, Message::Disconnect(Goodbye::Full), out);
        }
    }

    pub(super) fn on_reject(&mut self, now: Time, from: &Arc<Contact>, contacts: Vec<Arc<Contact>>) {
        if self.take_request(&from.name).is_none() {
            return;
        }
        self.postpone(now, &from.name);
        self.learn_all(now, contacts);
    }

    /// Answers a request.
    fn admit(&mut self, now: Time, from: &Arc<Contact>, priority: Priority, out: &mut Outputs) -> Answer {
        if self.active.get(&from.name).is_some() {
            // It asked before, or both asked at once. Nobody has to go for one who is there.
            send(from, Message::Accept, out);
            return Answer::Neighbour;
        }
        if self.left || self.blocked.contains(&from.name) {
            self.stats.rejected += 1;
            send(from, Message::Reject(Vec::new()), out);
            return Answer::Refused;
        }
        let urgent = priority == Priority::High;
        if self.active.len() < self.config.active_size
            || urgent && self.may_displace(now) && self.make_room(now, from, out)
        {
            send(from, Message::Accept, out);
            self.up(now, from, out);
            return Answer::Accepted;
        }
        self.stats.rejected += 1;
        // Departure from the paper (4.2), where a contact never says no: who asks in a crowd is told of others. They
        // are members that were taken in, never askers that were not, so that no cluster of refused ones can form.
        let others = if urgent { self.others(from) } else { Vec::new() };
        send(from, Message::Reject(others), out);
        Answer::Full
    }

    /// May a full view give a place away now? Each yes is counted.
    pub(super) fn may_displace(&mut self, now: Time) -> bool {
        let until = self.displaced_until.max(now) + DISPLACEMENT_SPACING;
        let yes = until - now <= DISPLACEMENT_SPACING * DISPLACEMENTS;
        if yes {
            self.displaced_until = until;
        }
        yes
    }

    /// Makes a place if there is none: "drop a random element from the active view" (section 4.3).
    ///
    /// Departure: not one who is known to have no other neighbour, and not with empty hands. It is told of the newcomer,
    /// who has places. So a newcomer is put into a link instead of ending it: nobody has fewer neighbours than before.
    /// Departure: the longest link is the one that is cut in two (Leitão and others 2009, "X-BOT", trade links for
    /// shorter ones all the time). Whatever two parts it connected are still connected, so a far region is never cut off.
    fn make_room(&mut self, now: Time, newcomer: &Arc<Contact>, out: &mut Outputs) -> bool {
        if self.active.len() < self.config.active_size {
            return true;
        }
        let Some(name) = self.active.expendable(&mut self.random).map(|contact| contact.name.clone()) else {
            return false;
        };
        if let Some(contact) = self.down(&name, DownReason::Dropped, out) {
            send(&contact, Message::Disconnect(Goodbye::Replaced(Arc::clone(newcomer))), out);
            self.part(now, &contact);
        }
        true
    }

    /// Some of those this node knows, for one who knows too few.
    pub(super) fn others(&mut self, from: &Arc<Contact>) -> Vec<Arc<Contact>> {
        let mut others: Vec<_> =
            self.active.contacts().chain(self.passive.contacts()).filter(|contact| contact.name != from.name).collect();
        let count = self.config.shuffle_length.min(MAX_CONTACTS);
        self.random.sample(&mut others, count).iter().map(|contact| Arc::clone(contact)).collect()
    }

    fn ask(&mut self, now: Time, to: Arc<Contact>, room: Room, message: Message, out: &mut Outputs) {
        self.take_request(&to.name);
        send(&to, message, out);
        self.requests.push(Request { to, asked_at: now, room });
    }
}

/// What became of a request.
enum Answer {
    /// The asker is a new neighbour.
    Accepted,
    /// There was no place.
    Full,
    /// The asker is a neighbour already.
    Neighbour,
    /// The asker is not wanted.
    Refused,
}
