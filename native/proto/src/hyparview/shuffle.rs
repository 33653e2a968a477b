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

/// A newcomer shuffles so many times (count) so much more often, because whoever knows two or three contacts is lost when
/// half of the cluster dies. Five answers of eight contacts fill a passive view of thirty within ten seconds.
const EARLY_SHUFFLES: u64 = 5;
const EARLY_FACTOR: u32 = 5;

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
        let early = self.stats.shuffles < EARLY_SHUFFLES;
        let period = if early { self.config.shuffle_period / EARLY_FACTOR } else { self.config.shuffle_period };
        self.timers.set(SHUFFLE, now + self.random.jitter(period));
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
        // Departure from the paper, which answers with as many as it got, from the passive view alone: a newcomer has
        // little to send, and in a crowd of newcomers nobody has.
        send(&origin, Message::ShuffleReply(self.others(&origin)), out);
        self.learn_all(now, contacts);
        self.learn(now, origin);
    }
}
