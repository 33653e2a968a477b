// SPDX-License-Identifier: Apache-2.0
//! Signs of life that travel as rumours: the backstop behind links and probes.
//!
//! Keeps: the whole cluster sends a fixed number of beats per second, because the time between two beats of one member
//! grows with the number of members. A lease that ran out makes this node probe the member; nothing else.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Random};

use super::message::Beat;
use super::probe::Purpose;
use super::table::Entry;
use super::Directory;
use crate::contact::Contact;
use crate::machine::{MemberState, Now, Outputs};

#[derive(Debug)]
pub(super) struct Lease {
    /// How often this node has renewed its own.
    beat: u32,
    /// Which part of the time until the next beat has passed, 0 to 1.
    passed: f64,
    /// The member whose lease was looked at last.
    checked: Option<NodeName>,
}

impl Lease {
    /// The first beat comes at any moment of its period, or a cluster that forms at once would beat at once for ever.
    pub(super) fn new(random: &mut Random) -> Self {
        Self { beat: 0, passed: random.below(STEPS) as f64 / STEPS as f64, checked: None }
    }
}

impl Directory {
    /// Renews this node's lease, if it is time. Called once per round.
    pub(super) fn renew_lease(&mut self, now: Now) {
        // In parts of a period, because the period grows and shrinks with the cluster.
        let period = self.lease_period(self.table.live());
        self.lease.passed += self.config.digest_period.as_secs_f64() / period.as_secs_f64();
        if self.lease.passed >= 1.0 {
            self.lease.passed = self.lease.passed.fract();
            self.lease.beat = self.lease.beat.saturating_add(1);
            let me = self.own.contact.name.clone();
            if let Some(own) = self.table.get_mut(&me) {
                own.renew(now.mono, self.lease.beat);
            }
            self.spread_beat(now, &me, None);
        }
    }

    pub(super) fn on_beats(&mut self, now: Now, from: &Arc<Contact>, beats: Vec<Beat>) {
        for Beat { name, incarnation, beat } in beats {
            let known = self.table.get_mut(&name).filter(|known| known.contact.incarnation == incarnation);
            // A suspect refutes; beats do not speak for it.
            let Some(known) = known.filter(|known| known.state == MemberState::Alive) else { continue };
            match beat.cmp(&known.beat()) {
                Ordering::Greater if name != self.own.contact.name => {
                    known.renew(now.mono, beat);
                    self.spread_beat(now, &name, Some(from));
                }
                Ordering::Equal => {
                    let by = self.bit(Some(from));
                    self.rumours.beat_again(&name, by);
                }
                Ordering::Greater | Ordering::Less => {}
            }
        }
    }

    /// Looks at the next few leases. All are looked at about once in the time between two beats of one member, so this
    /// needs no timer for each.
    pub(super) fn check_leases(&mut self, now: Now, out: &mut Outputs) {
        let most = self.lease_period(self.table.len()) * LEASE_PERIODS;
        let next: Vec<_> = self.table.after(self.lease.checked.as_ref()).take(LEASES_PER_ROUND).collect();
        let expired = |entry: &Entry| entry.state == MemberState::Alive && now.mono - entry.heard() > most;
        let expired = next.iter().filter(|entry| expired(entry) && entry.contact.name != self.own.contact.name);
        let expired: Vec<_> = expired.map(|entry| entry.contact.name.clone()).collect();
        // After the last one it starts over.
        self.lease.checked = next.get(LEASES_PER_ROUND - 1).map(|entry| entry.contact.name.clone());
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

/// Moments (count) of a period among which the first beat falls.
const STEPS: usize = 1024;

/// A lease runs out after this many beats that did not come.
const LEASE_PERIODS: u32 = 3;

/// Leases looked at in one round of two seconds: as many as there are beats in that time.
const LEASES_PER_ROUND: usize = 4;
