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

    /// Section 4.2: the contact takes the joiner in and sends its name on a walk from each neighbour.
    pub(super) fn on_join(&mut self, now: Time, from: &Arc<Contact>, out: &mut Outputs) {
        if !self.admit(now, from, Priority::High, out) {
            return;
        }
        for neighbour in self.active.contacts().filter(|contact| contact.name != from.name) {
            let message = Message::ForwardJoin { joiner: Arc::clone(from), ttl: self.config.active_walk };
            self.send(neighbour, message, out);
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
        if ttl > 0 && self.active.len() > 1 {
            if let Some(next) = self.active.pick_except(&mut self.random, &from.name, &joiner.name) {
                return self.send(next, Message::ForwardJoin { joiner, ttl: ttl - 1 }, out);
            }
        }
        if self.active.get(&joiner.name).is_some() || self.request(&joiner.name).is_some() {
            return;
        }
        if self.active.len() < self.config.active_size || self.may_displace(now) {
            // Departure from the paper (4.3), where the end of a walk always gets in: the joiner decides whether it
            // has a place. It has, unless enough others were faster.
            self.ask(now, joiner, Room::Made, Message::Neighbour(self.priority()), out);
        } else {
            self.learn(now, joiner);
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
            Some(Room::Found) => self.active.len() < self.config.active_size,
            Some(Room::Made) => self.make_room(now, out),
        };
        if room {
            self.up(now, from, out);
        } else {
            self.send(from, Message::Disconnect(Goodbye::Full), out);
        }
    }

    pub(super) fn on_reject(&mut self, now: Time, from: &Arc<Contact>, contacts: Vec<Arc<Contact>>, out: &mut Outputs) {
        if self.take_request(&from.name).is_none() {
            return;
        }
        self.postpone(now, &from.name);
        self.learn_all(now, contacts);
        if self.active.len() == 0 {
            self.promote(now, out);
        }
    }

    /// Answers a request. Is the asker a new neighbour?
    fn admit(&mut self, now: Time, from: &Arc<Contact>, priority: Priority, out: &mut Outputs) -> bool {
        if self.active.get(&from.name).is_some() {
            // It asked before, or both asked at once. Nobody has to go for one who is there.
            self.send(from, Message::Accept, out);
            return false;
        }
        let refused = self.left || self.blocked.contains(&from.name);
        let room = !refused
            && (self.active.len() < self.config.active_size
                || priority == Priority::High && self.may_displace(now) && self.make_room(now, out));
        if room {
            self.send(from, Message::Accept, out);
            self.up(now, from, out);
            return true;
        }
        self.stats.rejected += 1;
        // Departure from the paper (4.2), where a contact never says no: who asks in a crowd is sent to others. They
        // are members that were taken in, never askers that were not, so that no cluster of refused ones can form.
        let others = if refused || priority == Priority::Low { Vec::new() } else { self.others(from) };
        self.send(from, Message::Reject(others), out);
        false
    }

    /// May a full view give a place away now? Each yes is counted.
    fn may_displace(&mut self, now: Time) -> bool {
        let until = self.displaced_until.max(now) + DISPLACEMENT_SPACING;
        let yes = until - now <= DISPLACEMENT_SPACING * DISPLACEMENTS;
        if yes {
            self.displaced_until = until;
        }
        yes
    }

    /// Makes a place if there is none: "drop a random element from the active view" (section 4.3). Departure: not a
    /// random one. Who has no other neighbour would be cut off, and who has many will not miss one.
    fn make_room(&mut self, now: Time, out: &mut Outputs) -> bool {
        if self.active.len() < self.config.active_size {
            return true;
        }
        let Some(name) = self.active.expendable().map(|contact| contact.name.clone()) else {
            return false;
        };
        if let Some(contact) = self.down(&name, DownReason::Dropped, out) {
            self.send(&contact, Message::Disconnect(Goodbye::Full), out);
            self.learn(now, contact);
            self.postpone(now, &name);
        }
        true
    }

    /// Whom one who is refused may ask.
    fn others(&mut self, from: &Arc<Contact>) -> Vec<Arc<Contact>> {
        let mut others: Vec<_> =
            self.active.contacts().chain(self.passive.contacts()).filter(|contact| contact.name != from.name).collect();
        let count = self.config.shuffle_length.min(MAX_CONTACTS);
        self.random.sample(&mut others, count).iter().map(|contact| Arc::clone(contact)).collect()
    }

    fn ask(&mut self, now: Time, to: Arc<Contact>, room: Room, message: Message, out: &mut Outputs) {
        self.take_request(&to.name);
        self.send(&to, message, out);
        self.requests.push(Request { to, asked_at: now, room });
    }
}
