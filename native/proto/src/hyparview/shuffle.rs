// SPDX-License-Identifier: Apache-2.0
//! Keeping the passive view fresh (section 4.4).
//!
//! A sample carries whole contacts, addresses and keys included, so that whoever gets one can dial. Departure from the
//! paper: a full view gives up contacts that have failed, then any, and not first those it has just sent; that would
//! mean to remember each sample until its answer comes.

use std::sync::Arc;

use barrel_p2p_base::limits::MAX_CONTACTS;
use barrel_p2p_base::Time;

use super::state::{send, SHUFFLE};
use super::{Message, State};
use crate::contact::Contact;
use crate::machine::Outputs;

/// Neighbours in a sample (the paper's ka, section 5.1).
const ACTIVE_SHARE: usize = 3;

impl State {
    pub(super) fn shuffle(&mut self, now: Time, out: &mut Outputs) {
        self.passive.expire(now, self.config.passive_max_age);
        let me = Arc::clone(&self.me);
        let Some(to) = self.active.pick_except(&mut self.random, &me.name, &me.name).cloned() else {
            return;
        };
        let length = self.config.shuffle_length.min(MAX_CONTACTS);
        let mut neighbours: Vec<_> = self.active.contacts().filter(|contact| contact.name != to.name).collect();
        let mut contacts = Vec::with_capacity(length);
        contacts.extend(self.random.sample(&mut neighbours, ACTIVE_SHARE.min(length)).iter().copied().cloned());
        let mut reserves: Vec<_> = self.passive.contacts().collect();
        let rest = length - contacts.len();
        contacts.extend(self.random.sample(&mut reserves, rest).iter().copied().cloned());
        send(&to, Message::Shuffle { origin: me, ttl: self.config.passive_walk, contacts }, out);
        self.stats.shuffles += 1;
        self.timers.set(SHUFFLE, now + self.random.jitter(self.config.shuffle_period));
    }

    /// The walk carries its origin along, and the answer goes there and not to the last one on the way.
    pub(super) fn on_shuffle(
        &mut self,
        now: Time,
        from: &Arc<Contact>,
        (origin, ttl, contacts): (Arc<Contact>, u8, Vec<Arc<Contact>>),
        out: &mut Outputs,
    ) {
        if origin.name == self.me.name || self.left || self.blocked.contains(&origin.name) {
            return;
        }
        let ttl = ttl.min(self.config.passive_walk).saturating_sub(1);
        if ttl > 0 && self.active.len() > 1 {
            if let Some(next) = self.active.pick_except(&mut self.random, &from.name, &origin.name) {
                return send(next, Message::Shuffle { origin, ttl, contacts }, out);
            }
        }
        let mut reserves: Vec<_> = self.passive.contacts().filter(|contact| contact.name != origin.name).collect();
        let sample: Vec<_> = self.random.sample(&mut reserves, contacts.len()).iter().copied().cloned().collect();
        send(&origin, Message::ShuffleReply(sample), out);
        self.learn_all(now, contacts);
        self.learn(now, origin);
    }
}
