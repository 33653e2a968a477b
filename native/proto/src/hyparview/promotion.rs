// SPDX-License-Identifier: Apache-2.0
//! Filling the active view from the passive one (section 4.3), and what becomes of requests that nobody answers.
//!
//! Departures from the paper: as many contacts are asked at once as neighbours are missing, and one that takes long is
//! not waited for, because after a large failure most of them are dead and a dial takes seconds to fail. Who fails is
//! asked again after a backoff, because a failed dial is no proof of death.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Time};

use super::state::{send, EXPIRE, PROMOTE};
use super::{Message, Priority, State};
use crate::contact::Contact;
use crate::machine::Outputs;

/// A request that nobody has answered yet.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) to: Arc<Contact>,
    pub(super) asked_at: Time,
    pub(super) room: Room,
}

/// Where an accepted request gets its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// From this neighbour.
    Exchanged(NodeName),
    /// From one that is free, or nowhere.
    Found,
    /// From a neighbour if need be.
    Made,
}

/// First wait between two rounds of questions, and how long an asked one counts as about to answer: well above a dial
/// and a round trip between continents.
pub(super) const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Who has lost all neighbours asks so many times more than are missing. After four of five nodes have died at once,
/// fifteen questions find somebody alive in 96 of 100 cases, five in 67.
const ALONE_FACTOR: usize = 3;

/// No backoff is longer. Source: the documented behaviour of `base_backoff_ms`.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

impl State {
    /// Is a neighbour missing, and nobody left to ask?
    pub fn wants_contacts(&self, now: Time) -> bool {
        !self.left
            && self.gap(now) > 0
            && self.passive.next_retry(|contact| self.is_asked(contact)).is_none_or(|at| at > now)
    }

    /// Contacts from a source outside: they are asked if a neighbour is missing.
    pub fn offer(&mut self, now: Time, contacts: &[Arc<Contact>], out: &mut Outputs) {
        contacts.iter().for_each(|contact| self.learn(now, Arc::clone(contact)));
        self.promote(now, out);
    }

    /// Asks as many passive contacts as neighbours are missing.
    pub(super) fn promote(&mut self, now: Time, out: &mut Outputs) {
        self.expire_requests(now);
        if !self.left {
            let priority = self.priority();
            let gap = self.gap(now);
            let count = match priority {
                Priority::High if self.active.len() == 0 => gap * ALONE_FACTOR,
                Priority::High => gap,
                Priority::Low => gap.div_ceil(2),
            };
            for _ in 0..count {
                let asked = |contact: &Contact| self.requests.iter().any(|request| request.to.name == contact.name);
                let Some(to) = self.passive.candidate(now, &mut self.random, asked) else {
                    break;
                };
                let to = Arc::clone(to);
                send(&to, Message::Neighbour(priority), out);
                self.requests.push(Request { to, asked_at: now, room: Room::Found });
            }
        }
        self.timers.cancel(PROMOTE);
        self.schedule_promotion(now);
    }

    /// Sees to it that the next round comes if there is somebody to ask, and that requests are given up.
    pub(super) fn schedule_promotion(&mut self, now: Time) {
        match self.requests.iter().map(|request| request.asked_at + self.config.request_timeout).min() {
            Some(at) => self.timers.set(EXPIRE, at),
            None => self.timers.cancel(EXPIRE),
        }
        if self.left || self.active.len() >= self.config.active_size || self.timers.get(PROMOTE).is_some() {
            return;
        }
        if let Some(at) = self.passive.next_retry(|contact| self.is_asked(contact)) {
            self.timers.set(PROMOTE, at.max(now + self.promotion_wait));
        }
    }

    /// Who has enough neighbours can wait: full clusters have nothing to give, and asking them costs all the time.
    pub(super) fn next_promotion_wait(&self) -> Duration {
        if self.active.len() * 2 < self.config.active_size {
            FIRST_WAIT
        } else {
            (self.promotion_wait * 2).min(self.config.shuffle_period)
        }
    }

    /// Section 4.3 asks urgently only without any neighbour. Departure: also with two places free, because then the
    /// neighbour that has to go finds a place right here.
    pub(super) fn priority(&self) -> Priority {
        if self.active.len() == 0 || self.active.len() + 2 <= self.config.active_size {
            Priority::High
        } else {
            Priority::Low
        }
    }

    pub(super) fn request(&self, name: &NodeName) -> Option<&Request> {
        self.requests.iter().find(|request| request.to.name == *name)
    }

    pub(super) fn take_request(&mut self, name: &NodeName) -> Option<Request> {
        let at = self.requests.iter().position(|request| request.to.name == *name)?;
        Some(self.requests.remove(at))
    }

    /// A contact could not be reached, or did not answer.
    pub(super) fn fail(&mut self, now: Time, name: &NodeName) {
        let base = self.config.base_backoff;
        let Some(reserve) = self.passive.get_mut(name) else {
            return;
        };
        let backoff = base.saturating_mul(1 << reserve.failures.min(16)).min(MAX_BACKOFF);
        reserve.failures += 1;
        reserve.retry_at = now + self.random.jitter(backoff);
        if reserve.failures >= self.config.max_failures {
            self.passive.remove(name);
        }
    }

    /// A contact has no place for us: others first.
    pub(super) fn postpone(&mut self, now: Time, name: &NodeName) {
        if let Some(reserve) = self.passive.get_mut(name) {
            reserve.failures = 0;
            reserve.retry_at = now + self.random.jitter(self.config.base_backoff);
        }
    }

    /// Neighbours that are missing and not about to answer.
    fn gap(&self, now: Time) -> usize {
        let awaited = self.requests.iter().filter(|request| now - request.asked_at < FIRST_WAIT).count();
        self.config.active_size.saturating_sub(self.active.len() + awaited)
    }

    fn is_asked(&self, contact: &Contact) -> bool {
        self.request(&contact.name).is_some()
    }

    fn expire_requests(&mut self, now: Time) {
        let timeout = self.config.request_timeout;
        while let Some(at) = self.requests.iter().position(|request| now - request.asked_at >= timeout) {
            let request = self.requests.remove(at);
            self.stats.pending_timeouts += 1;
            self.fail(now, &request.to.name);
        }
    }
}
