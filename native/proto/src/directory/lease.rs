// SPDX-License-Identifier: Apache-2.0
//! Signs of life that travel as rumours: the backstop behind links and probes.
//!
//! Keeps: the whole cluster sends a fixed number of beats per second, because the time between two beats of one member
//! grows with the number of members. A lease that ran out makes this node probe the member; nothing else.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Time};

use super::message::Beat;
use super::probe::Purpose;
use super::table::Entry;
use super::Directory;
use crate::contact::Contact;
use crate::machine::{MemberState, Now, Outputs};

#[derive(Debug, Default)]
pub(super) struct Lease {
    /// How often this node has renewed its own.
    beat: u32,
    /// When it did so last.
    renewed: Time,
    /// The member whose lease was looked at last.
    checked: Option<NodeName>,
}

impl Directory {
    /// Renews this node's lease, if the next round would be further off the period than this one.
    pub(super) fn renew_lease(&mut self, now: Now) {
        if now.mono + self.config.digest_period / 2 >= self.lease.renewed + self.lease_period(self.table.live()) {
            self.lease.renewed = now.mono;
            self.lease.beat = self.lease.beat.saturating_add(1);
            let me = self.own.contact.name.clone();
            self.table.renew(now.mono, &me, self.lease.beat);
            self.spread_beat(now, &me, None);
        }
    }

    pub(super) fn on_beats(&mut self, now: Now, from: &Arc<Contact>, beats: Vec<Beat>) {
        for Beat { name, incarnation, beat } in beats {
            let known = self.table.get(&name);
            let is_new = known.is_some_and(|(contact, entry)| contact.incarnation == incarnation && beat > entry.beat);
            if is_new && name != self.own.contact.name {
                self.table.renew(now.mono, &name, beat);
                self.spread_beat(now, &name, Some(&from.name));
            }
        }
    }

    /// Looks at the next few leases. All are looked at about once in the time between two beats of one member, so this
    /// needs no timer for each.
    pub(super) fn check_leases(&mut self, now: Now, out: &mut Outputs) {
        let most = self.lease_period(self.table.len()) * LEASE_PERIODS;
        let next: Vec<_> = self.table.after(self.lease.checked.as_ref()).take(LEASES_PER_ROUND).collect();
        let expired = |entry: &Entry| entry.state == MemberState::Alive && now.mono - entry.heard() > most;
        let expired = next.iter().filter(|(contact, entry)| expired(entry) && contact.name != self.own.contact.name);
        let expired: Vec<_> = expired.map(|(contact, _)| contact.name.clone()).collect();
        // After the last one it starts over.
        self.lease.checked = next.get(LEASES_PER_ROUND - 1).map(|(contact, _)| contact.name.clone());
        for name in expired {
            self.probe(now, &name, Purpose::Lease, out);
        }
    }

    /// Those who expect beats count members that are gone, too: right after many have died, the others still beat as
    /// seldom as before.
    fn lease_period(&self, members: usize) -> Duration {
        let stretched = Duration::from_millis(members as u64 * 1000 / BEATS_PER_SECOND);
        stretched.max(self.config.heartbeat)
    }
}

/// Beats of all members together, per second. Each node receives and forwards each of them: some 100 bytes.
const BEATS_PER_SECOND: u64 = 2;

/// A lease runs out after this many beats that did not come.
const LEASE_PERIODS: u32 = 3;

/// Leases looked at in one round of two seconds: as many as there are beats in that time.
const LEASES_PER_ROUND: usize = 4;
