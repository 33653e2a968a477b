// SPDX-License-Identifier: Apache-2.0
//! What becomes of entries that peers send.
//!
//! Keeps: no stamp from the far future gets into a store; what is new here is compared with the neighbours, so that it
//! goes on. Leaves to others: the host's judgement.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::NodeName;

use super::Replication;
use crate::contact::Contact;
use crate::machine::{Now, Output, Outputs};
use crate::store::{Entry, Staged, StoreName};

impl Replication {
    /// Hands entries of a peer to the host's judgement.
    pub(super) fn take(&mut self, now: Now, store: &StoreName, mut entries: Vec<Entry>, out: &mut Outputs) -> Staged {
        let (clock, stats) = (&self.clock, &mut self.stats);
        let count = entries.len();
        entries.retain(|entry| clock.update(entry.stamp(), now.wall_ms).is_ok());
        stats.refused_stamps += (count - entries.len()) as u64;
        let (mut staged, mut is_news) = (Staged::default(), false);
        let mut entries = entries.into_iter();
        while entries.len() > 0 {
            let mut step: Vec<Entry> = entries.by_ref().take(STEP_ENTRIES).collect();
            self.shelf.visit(store, &mut |store| {
                let had_staged = store.has_staged();
                staged.add(store.stage(std::mem::take(&mut step)));
                is_news |= !had_staged && store.has_staged();
            });
        }
        stats.taken += staged.taken as u64;
        stats.dropped += staged.dropped as u64;
        if let Some(replica) = self.replicas.get_mut(store) {
            replica.is_undrained |= staged.taken > 0;
            replica.lacks |= staged.dropped > 0;
        }
        if is_news {
            out.push(Output::Staged(store.clone()));
        }
        staged
    }

    /// What a peer has sent may lead to further comparisons.
    pub(super) fn follow_up(&mut self, now: Now, store: &StoreName, from: &Arc<Contact>, staged: Staged) {
        if staged.taken > 0 {
            self.spread(now, store, Some(&from.name));
        }
        if staged.buried > 0 {
            // What it has was removed while it was away.
            let at = now.mono + self.random.between(SPREAD_SOON, SPREAD_LATE);
            self.replicas.get_mut(store).into_iter().for_each(|replica| replica.want(from, at));
            self.arm(store);
        }
    }

    /// The neighbours may lack what this node has learnt, except for the one it has it from.
    pub(super) fn spread(&mut self, now: Now, store: &StoreName, from: Option<&NodeName>) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        let at = now.mono + self.random.between(SPREAD_SOON, SPREAD_LATE);
        for (name, contact) in &self.neighbours {
            if from != Some(name) {
                replica.want(contact, at);
            }
        }
        self.arm(store);
    }
}

/// Entries (count) that are staged while the host waits: a message may bring thousands, half a microsecond each.
const STEP_ENTRIES: usize = 256;

/// When what a comparison brought is spread: late enough that much of it goes together, at different times on different
/// nodes.
const SPREAD_SOON: Duration = Duration::from_millis(100);
const SPREAD_LATE: Duration = Duration::from_millis(400);
