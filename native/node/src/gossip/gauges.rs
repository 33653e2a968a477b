// SPDX-License-Identifier: Apache-2.0
//! What the stack counts by itself, and how large its parts are, as metrics.

use super::metrics::{Metric, Metrics};
use super::published::Member;
use crate::stores::Totals;
use barrel_p2p_proto::stack::Stack;
use barrel_p2p_proto::MemberState;

/// To be called after each turn.
pub(crate) fn set(stack: &Stack, metrics: &Metrics) {
    let overlay = stack.overlay();
    let (ids, bytes, awaited) = overlay.tree().remembered();
    let (views, directory, stores) = (overlay.views().stats(), stack.directory().stats(), stack.replication().stats());
    for (metric, value) in [
        (Metric::CachedBytes, bytes as u64),
        (Metric::CachedMessages, ids as u64),
        (Metric::EagerPeers, overlay.eager().count() as u64),
        (Metric::LazyPeers, overlay.lazy().count() as u64),
        (Metric::PendingIHaves, awaited as u64),
        (Metric::PendingTimeout, views.pending_timeouts),
        (Metric::Rejected, views.rejected),
        (Metric::DeclaredDown, directory.declared_down),
        (Metric::Impostors, directory.impostors),
        (Metric::Reconciled, directory.reconciled),
        (Metric::RefusedFuture, directory.refused_future),
        (Metric::RefusedFull, directory.refused_full),
        (Metric::RefusedRequests, directory.refused_requests),
        (Metric::RefusedStamps, directory.refused_stamps),
        (Metric::Refuted, directory.refuted),
        (Metric::Suspected, directory.suspected),
        (Metric::Reconciles, stores.begun),
        (Metric::ReconcilesAnswered, stores.answered),
        (Metric::ReconcilesFinished, stores.finished),
        (Metric::ReconcilesGivenUp, stores.given_up),
        (Metric::StoreCollected, stores.collected),
        (Metric::StoreDeltasReceived, stores.deltas_received),
        (Metric::StoreDeltasSent, stores.deltas_sent),
        (Metric::StoreDropped, stores.dropped),
        (Metric::StoreRefusedStamps, stores.refused_stamps),
        (Metric::StoreTaken, stores.taken),
        (Metric::StoreViolations, stores.violations),
    ] {
        metrics.set(metric, value);
    }
}

/// To be called with each snapshot.
pub(crate) fn set_members(members: &[Member], metrics: &Metrics) {
    for (metric, state) in [
        (Metric::DirectoryAlive, MemberState::Alive),
        (Metric::DirectoryDown, MemberState::Down),
        (Metric::DirectoryLeft, MemberState::Left),
        (Metric::DirectorySuspect, MemberState::Suspect),
    ] {
        metrics.set(metric, members.iter().filter(|member| member.state == state).count() as u64);
    }
}

/// To be called by whoever asks.
pub(crate) fn set_stores(totals: &Totals, metrics: &Metrics) {
    for (metric, value) in [
        (Metric::Stores, totals.stores),
        (Metric::StoreBytes, totals.bytes),
        (Metric::StoreEntries, totals.values),
        (Metric::StoreMerged, totals.merged),
        (Metric::StoreRejected, totals.rejected),
        (Metric::StoreStaged, totals.staged),
        (Metric::StoreTombstones, totals.tombstones),
        (Metric::StoreWrites, totals.writes),
    ] {
        metrics.set(metric, value);
    }
}
