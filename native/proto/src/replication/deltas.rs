// SPDX-License-Identifier: Apache-2.0
//! Broadcasts of what the host has written.
//!
//! Keeps: a write is sent at once if it is alone; many go together, so that broadcasts stay few and of a bounded size.

use std::time::Duration;

use barrel_p2p_base::limits::MAX_CHUNK_BYTES;
use barrel_p2p_base::Writer;
use bytes::Bytes;

use super::message::Delta;
use super::Replication;
use crate::machine::{Now, Outputs};
use crate::store::StoreName;

impl Replication {
    /// The host has written something.
    pub fn wrote(&mut self, now: Now, store: &StoreName, out: &mut Outputs) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        if replica.flush.is_some() {
            return;
        }
        match replica.flushed.map(|flushed| flushed + FLUSH_SPACING) {
            Some(at) if at > now.mono => {
                replica.flush = Some(at);
                self.arm(store);
            }
            Some(_) | None => self.flush(now, store, out),
        }
    }

    /// Sends what the host has written, as much as one broadcast takes.
    pub(super) fn flush(&mut self, now: Now, store: &StoreName, out: &mut Outputs) {
        let Some(replica) = self.replicas.get_mut(store) else { return };
        let (mut entries, mut has_more, mut overflowed) = (Vec::new(), false, false);
        self.shelf.visit(store, &mut |store| {
            entries = store.take_outgoing(MAX_CHUNK_BYTES);
            has_more = store.has_outgoing();
            overflowed = store.take_overflow();
        });
        replica.flush = has_more.then(|| now.mono + FLUSH_SPACING);
        if overflowed {
            // Too much was written to be told one by one.
            self.neighbours.values().for_each(|peer| replica.want(peer, now.mono));
        }
        if !entries.is_empty() {
            replica.flushed = Some(now.mono);
            self.stats.deltas_sent += 1;
            let mut writer = Writer::new();
            Delta { store: store.clone(), entries }.write(&mut writer);
            self.deltas.push(writer.finish().into());
        }
        self.advance(now, store, out);
    }

    /// What is to be broadcast.
    pub fn take_deltas(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.deltas)
    }

    /// A broadcast of another member came.
    pub fn on_delta(&mut self, now: Now, delta: Delta, out: &mut Outputs) {
        let Delta { store, entries } = delta;
        if !self.replicas.contains_key(&store) {
            return;
        }
        self.stats.deltas_received += 1;
        if self.take(now, &store, entries, out).buried > 0 {
            // Who has written that did not know that it was removed later, and others do not know it either now.
            self.spread(now, &store, None);
        }
        self.arm(&store);
    }
}

/// Time between two broadcasts of one store. Guess: far below what anybody notices, long beside a burst of writes.
const FLUSH_SPACING: Duration = Duration::from_millis(2);
