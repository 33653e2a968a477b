// SPDX-License-Identifier: Apache-2.0
//! What one store is to be compared with, and when.
//!
//! Keeps: one comparison at a time; a peer waits in the queue once; the queue is bounded. Leaves to others: whom to choose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Time};

use super::session::Session;
use crate::contact::Contact;

/// One store of this node.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) session: Option<Session>,
    /// With whom it is to be compared.
    due: BTreeMap<NodeName, Due>,
    /// Who has said that it has not this store.
    absent: BTreeSet<NodeName>,
    /// The next comparison with anybody.
    pub(super) next_round: Option<Time>,
    /// How many more members may be asked before the next round whether they have this store.
    pub(super) seeks: u32,
    /// When the next one is to be chosen.
    pub(super) seek: Option<Time>,
    /// Was it never compared? Then every new link is used.
    pub(super) is_fresh: bool,
    /// When the host's entries may be sent, if any wait.
    pub(super) flush: Option<Time>,
    /// When that was done last.
    pub(super) flushed: Option<Time>,
    /// Has the host been told of entries, and not yet taken all of them?
    pub(super) is_undrained: bool,
    /// Was there no room for entries? Then a comparison is due once there is.
    pub(super) lacks: bool,
    /// When a peer's word led to a comparison last.
    hinted: Option<Time>,
    /// The moment that waits in the agenda.
    pub(super) wake: Option<Time>,
    ticket: u32,
}

#[derive(Debug)]
struct Due {
    contact: Arc<Contact>,
    at: Time,
    hinted: bool,
}

impl Replica {
    /// `ticket`: where to count questions from; another one in each life, so that old answers fit no new question.
    pub(super) fn new(ticket: u32) -> Self {
        Self {
            session: None,
            due: BTreeMap::new(),
            absent: BTreeSet::new(),
            next_round: None,
            seeks: SEEKS,
            seek: None,
            is_fresh: true,
            flush: None,
            flushed: None,
            is_undrained: false,
            lacks: false,
            hinted: None,
            wake: None,
            ticket,
        }
    }

    /// It is to be compared with this peer, from this moment on.
    pub(super) fn want(&mut self, peer: &Arc<Contact>, at: Time) {
        if self.due.len() >= MAX_DUE && !self.due.contains_key(&peer.name) {
            return;
        }
        let due = Due { contact: Arc::clone(peer), at, hinted: false };
        let waiting = self.due.entry(peer.name.clone()).or_insert(due);
        waiting.at = waiting.at.min(at);
        waiting.contact = Arc::clone(peer);
    }

    /// It is compared with this peer already.
    pub(super) fn unwant(&mut self, peer: &NodeName) {
        self.due.remove(peer);
    }

    /// A peer says that it has more. It is not believed twice within a second.
    pub(super) fn hint(&mut self, peer: &Arc<Contact>, now: Time) {
        let at = self.hinted.map_or(now, |hinted| now.max(hinted + HINT_SPACING));
        self.hinted = Some(at);
        self.want(peer, at);
        if let Some(due) = self.due.get_mut(&peer.name) {
            due.hinted = true;
        }
    }

    /// Begins the comparison that is due, unless one is under way.
    pub(super) fn begin(&mut self, now: Time) -> bool {
        if self.session.is_some() {
            return false;
        }
        let first = self.due.iter().filter(|(_, due)| due.at <= now).min_by_key(|(_, due)| due.at);
        let Some(due) = first.map(|(name, _)| name.clone()).and_then(|name| self.due.remove(&name)) else {
            return false;
        };
        // Far from the tickets of the last one: it may have been given up with a question under way.
        self.ticket = self.ticket.wrapping_add(TICKETS_PER_SESSION);
        self.session = Some(Session::new(due.contact, due.hinted, self.ticket, now));
        true
    }

    /// The peer is gone.
    pub(super) fn forget(&mut self, peer: &NodeName) {
        self.due.remove(peer);
        self.session.take_if(|session| session.peer.name == *peer);
    }

    /// Nobody is to be compared with.
    pub(super) fn stop(&mut self) {
        self.due.clear();
        self.session = None;
    }

    pub(super) fn set_absent(&mut self, peer: &NodeName) {
        if self.absent.len() >= MAX_ABSENT {
            self.absent.clear();
        }
        self.absent.insert(peer.clone());
    }

    pub(super) fn set_present(&mut self, peer: &NodeName) {
        self.absent.remove(peer);
    }

    pub(super) fn is_absent(&self, peer: &NodeName) -> bool {
        self.absent.contains(peer)
    }

    /// When something is to be done next.
    pub(super) fn next(&self) -> Option<Time> {
        let comparison = match &self.session {
            Some(session) => Some(session.patience),
            None => self.due.values().map(|due| due.at).min(),
        };
        [comparison, self.next_round, self.seek, self.flush].into_iter().flatten().min()
    }

    /// Comparisons that wait (count).
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.due.len()
    }
}

/// Members (count) that are asked for a store which those asked before have not, between two rounds.
pub(super) const SEEKS: u32 = 4;

/// Peers (count) that wait for a comparison: more than anybody has neighbours.
pub(super) const MAX_DUE: usize = 32;

/// Members (count) of whom it is remembered that they have not the store.
const MAX_ABSENT: usize = 1024;

/// Time between two comparisons that a peer's word leads to.
const HINT_SPACING: Duration = Duration::from_secs(1);

/// More than the questions of one comparison.
const TICKETS_PER_SESSION: u32 = 1 << 20;
