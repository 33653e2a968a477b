// SPDX-License-Identifier: Apache-2.0
//! What happens by the clock: comparisons with anybody, comparisons that do not end, and tombstones.

use std::time::Duration;

use barrel_p2p_base::{NodeName, Time};

use super::replica::SEEKS;
use super::session::Awaits;
use super::Replication;
use crate::directory::Directory;
use crate::machine::{Now, Outputs};
use crate::store::{Collected, StoreName};

impl Replication {
    /// Does what is due. The directory knows whom else to ask, and who is away.
    pub fn handle_timeout(&mut self, now: Now, directory: &mut Directory, out: &mut Outputs) {
        while let Some((at, store)) = self.agenda.first().cloned() {
            if at > now.mono {
                break;
            }
            self.agenda.pop_first();
            if let Some(replica) = self.replicas.get_mut(&store) {
                replica.wake = None;
            }
            self.look_after(now, &store, directory, out);
        }
        if self.next_collection <= now.mono {
            self.next_collection = now.mono + COLLECTION_PERIOD;
            self.collect(now, directory);
        }
    }

    /// When something is to be done next.
    pub fn next_timeout(&self) -> Option<Time> {
        let next_collection = (!self.replicas.is_empty()).then_some(self.next_collection);
        self.agenda.first().map(|(at, _)| *at).into_iter().chain(next_collection).min()
    }

    fn look_after(&mut self, now: Now, store: &StoreName, directory: &mut Directory, out: &mut Outputs) {
        let mut has_staged = false;
        if !self.shelf.visit(store, &mut |store| has_staged = store.has_staged()) {
            self.replicas.remove(store);
            return;
        }
        let round = self.next_round(now);
        let Some(replica) = self.replicas.get_mut(store) else { return };
        if let Some(session) = replica.session.take_if(|session| session.patience <= now.mono) {
            self.stats.given_up += 1;
            // The host may have taken everything without a word: when it was started anew.
            replica.is_undrained &= has_staged || !matches!(session.awaits, Awaits::Room);
        }
        let is_round = replica.next_round.is_some_and(|at| at <= now.mono);
        if is_round {
            replica.next_round = round;
            replica.seeks = SEEKS;
        }
        if is_round | replica.seek.take().is_some() {
            self.ask_anybody(now, store, directory);
        }
        if self.replicas.get(store).and_then(|replica| replica.flush).is_some_and(|at| at <= now.mono) {
            self.flush(now, store, out);
        } else {
            self.advance(now, store, out);
        }
    }

    /// The moment of the next comparison with anybody.
    pub(super) fn next_round(&mut self, now: Now) -> Option<Time> {
        let period = self.config.anti_entropy;
        (!period.is_zero()).then(|| now.mono + self.random.between(period * 3 / 4, period * 5 / 4))
    }

    /// Chooses a neighbour to compare a store with; or any member, if no neighbour has the store.
    fn ask_anybody(&mut self, now: Now, store: &StoreName, directory: &mut Directory) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        let mut candidates: Vec<_> = self.neighbours.values().cloned().collect();
        candidates.retain(|candidate| !replica.is_absent(&candidate.name));
        if candidates.is_empty() {
            candidates = directory.suggest(SUGGESTED);
            candidates.retain(|candidate| !replica.is_absent(&candidate.name));
        }
        if let Some(peer) = self.random.pick(&candidates) {
            replica.want(peer, now.mono);
        }
    }

    /// A member that was asked has not this store: another one may.
    pub(super) fn seek(&mut self, now: Now, store: &StoreName) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        if replica.seeks > 0 {
            replica.seeks -= 1;
            // At once, when the directory is at hand.
            replica.seek = Some(now.mono);
        }
    }

    /// Tombstones are collected while nobody is away who could bring back what they bury: who returns gets the time of
    /// two rounds to hear of them, and a minute at least.
    fn collect(&mut self, now: Now, directory: &Directory) {
        let is_complete = directory.suspects() + directory.departed() == 0;
        self.complete_since = if is_complete { self.complete_since.or(Some(now.mono)) } else { None };
        let settled = (self.config.anti_entropy * 2).max(LEAST_SETTLED);
        let may_collect = self.complete_since.is_some_and(|since| now.mono - since >= settled);
        let max_age_ms = u64::try_from(self.config.tombstone_max_age.as_millis()).unwrap_or(u64::MAX);
        for store in self.replicas.keys() {
            let mut collected = Collected::default();
            self.shelf.visit(store, &mut |store| collected = store.collect(now.wall_ms, may_collect, max_age_ms));
            self.stats.collected += collected.forgotten as u64;
            if collected.more {
                self.next_collection = now.mono + COLLECTION_PAUSE;
            }
        }
    }

    /// Is a comparison of this store under way, and with whom?
    pub fn compares(&self, store: &StoreName) -> Option<&NodeName> {
        Some(&self.replicas.get(store)?.session.as_ref()?.peer.name)
    }

    /// Peers that wait for a comparison of this store (count).
    #[cfg(test)]
    pub(super) fn waiting(&self, store: &StoreName) -> usize {
        self.replicas.get(store).map_or(0, super::replica::Replica::waiting)
    }
}

/// The least time that everybody has to be there before tombstones are forgotten: rounds may be short, or switched off.
const LEAST_SETTLED: Duration = Duration::from_secs(60);

/// Time between two looks at the tombstones; a look costs nothing where none is old enough.
const COLLECTION_PERIOD: Duration = Duration::from_secs(1);

/// The same while there are more than one look may take.
const COLLECTION_PAUSE: Duration = Duration::from_millis(10);

/// Members (count) from whom one is chosen: a few, as some may have been asked before.
const SUGGESTED: usize = 16;
