// SPDX-License-Identifier: Apache-2.0
//! Long links are exchanged for shorter ones (Leitão, Marques, Pereira, Rodrigues: "X-BOT: a protocol for resilient
//! optimization of unstructured overlay networks", IEEE TPDS 23(11), 2012).
//!
//! ```text
//! us -- Measure --> candidate            candidate -- Measured --> us            candidate: who has just sent us a sample
//! us -- Exchange(old) --> candidate      candidate -- Accept | Reject --> us     old: the neighbour that we give up
//! candidate -- Disconnect(Replaced(old)) --> the neighbour that it gives up, who asks old
//! us -- Disconnect(Exchanged) --> old, who waits for that
//! ```
//!
//! Keeps: two links become two links of the same four nodes, so each has as many neighbours as before; the only link of a
//! node that leads far is not given up, by neither end, so that a far place is not cut off (the paper keeps some links
//! unbiased for that); where no link is longer than [`WORTH`], as within one place, nothing happens. Far is at least half as
//! far as the farthest of those whom the node has measured.
//!
//! Departures: the fourth link is not measured before it is made. It is one at random, as long links go, and is
//! exchanged in its turn. And four messages of the paper are answers and goodbyes that the views have anyway.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Time};

use super::promotion::{Request, Room};
use super::state::send;
use super::{Goodbye, Message, State};
use crate::contact::Contact;
use crate::machine::{DownReason, Outputs};

/// By how much a link has to be shorter, in time for a message and its answer: what load alone makes of a short one.
const WORTH: Duration = Duration::from_millis(2);

/// The same as a part of the shorter one: of two that are nearly as long none is worth the exchange.
const WORTH_PART: u32 = 8;

/// By what part of it the farthest way is shorter after each measurement, so that eleven of them make half of one slow
/// answer, or of a place that has gone. Guess; a node measures one stranger in some ten seconds.
const FORGET_PART: u32 = 16;

/// A candidate whose answer is awaited.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    to: Arc<Contact>,
    asked_at: Time,
}

impl State {
    /// There is a link to one who is no neighbour: how long is it?
    ///
    /// Departure from the paper, which asks passive contacts: to dial them would cost more than everything else, and
    /// brings the same (10,000 nodes after twenty minutes, one seed).
    pub(super) fn measure(&mut self, now: Time, candidate: &Arc<Contact>, out: &mut Outputs) {
        if self.longest_given_up().is_some_and(|longest| longest > WORTH) && self.may_ask(candidate) {
            self.trial = Some(Trial { to: Arc::clone(candidate), asked_at: now });
            send(candidate, Message::Measure, out);
        }
    }

    pub(super) fn on_measure(&self, from: &Arc<Contact>, out: &mut Outputs) {
        let longest = self.longest_given_up().unwrap_or_default();
        let longest_us = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
        send(from, Message::Measured { longest_us }, out);
    }

    pub(super) fn on_measured(&mut self, now: Time, from: &Arc<Contact>, longest_us: u32, out: &mut Outputs) {
        let Some(trial) = self.trial.take_if(|trial| trial.to.name == from.name) else {
            return;
        };
        let length = now - trial.asked_at;
        self.farthest = length.max(self.farthest - self.farthest / FORGET_PART);
        let bound = length + length / WORTH_PART + WORTH;
        let theirs = Duration::from_micros(longest_us.into());
        let Some((old, ours)) = self.active.given_up(self.farthest).filter(|_| self.may_ask(from)) else {
            return;
        };
        if bound < ours && bound < theirs {
            let room = Room::Exchanged(old.name.clone());
            send(from, Message::Exchange { old: Arc::clone(old) }, out);
            self.requests.push(Request { to: Arc::clone(from), asked_at: now, room });
        }
    }

    pub(super) fn on_exchange(&mut self, now: Time, from: &Arc<Contact>, old: &Arc<Contact>, out: &mut Outputs) {
        let known = self.active.get(&from.name).is_some() || self.request(&from.name).is_some();
        let refused = known || self.left || self.blocked.contains(&from.name) || old.name == self.me.name;
        if refused || !self.make_exchange(now, old, out) {
            self.stats.rejected += 1;
            return send(from, Message::Reject(Vec::new()), out);
        }
        send(from, Message::Accept, out);
        self.up(now, from, out);
    }

    /// Makes a place for somebody who has given up `old`.
    fn make_exchange(&mut self, now: Time, old: &Arc<Contact>, out: &mut Outputs) -> bool {
        if self.active.len() < self.config.active_size {
            return true;
        }
        let given_up = self.active.given_up(self.farthest).map(|(contact, _)| contact.name.clone());
        // One that both give up would have lost two neighbours.
        let Some(name) = given_up.filter(|name| *name != old.name && self.may_displace(now)) else {
            return false;
        };
        if let Some(contact) = self.down(&name, DownReason::Dropped, out) {
            send(&contact, Message::Disconnect(Goodbye::Replaced(Arc::clone(old))), out);
            self.part(now, &contact);
        }
        true
    }

    /// The candidate has accepted: its place is that of the old neighbour.
    pub(super) fn give_up(&mut self, now: Time, old: &NodeName, out: &mut Outputs) -> bool {
        if self.active.len() < self.config.active_size {
            return true;
        }
        let Some(contact) = self.down(old, DownReason::Dropped, out) else {
            return false;
        };
        send(&contact, Message::Disconnect(Goodbye::Exchanged), out);
        self.part(now, &contact);
        true
    }

    /// The neighbour that nobody else could be in place of, because no other one is far.
    pub(super) fn only_far(&self) -> Option<&Arc<Contact>> {
        self.active.only_far(self.farthest).filter(|(_, length)| *length > WORTH).map(|(contact, _)| contact)
    }

    /// How long the link is that this node would give up.
    fn longest_given_up(&self) -> Option<Duration> {
        let full = self.active.len() >= self.config.active_size && self.requests.is_empty();
        self.active.given_up(self.farthest).filter(|_| full && !self.left).map(|(_, longest)| longest)
    }

    fn may_ask(&self, candidate: &Contact) -> bool {
        let name = &candidate.name;
        self.active.get(name).is_none() && self.requests.is_empty() && !self.left && !self.blocked.contains(name)
    }
}
