// SPDX-License-Identifier: Apache-2.0
//! Moments by name, earliest first.
//!
//! Keeps: one moment per name; setting replaces, so nothing outdated ever comes due. Finding what is due costs nothing
//! for what is not.

use std::collections::{BTreeMap, BTreeSet};

use barrel_p2p_base::{NodeName, Time};

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    by_name: BTreeMap<NodeName, Time>,
    by_time: BTreeSet<(Time, NodeName)>,
}

impl Deadlines {
    pub(super) fn set(&mut self, name: &NodeName, at: Time) {
        self.cancel(name);
        self.by_name.insert(name.clone(), at);
        self.by_time.insert((at, name.clone()));
    }

    pub(super) fn cancel(&mut self, name: &NodeName) {
        if let Some((name, at)) = self.by_name.remove_entry(name) {
            self.by_time.remove(&(at, name));
        }
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The earliest one, if its time has come.
    pub(super) fn take_due(&mut self, now: Time) -> Option<NodeName> {
        self.next().filter(|at| *at <= now)?;
        self.take_first()
    }

    pub(super) fn take_first(&mut self) -> Option<NodeName> {
        let (_, name) = self.by_time.pop_first()?;
        self.by_name.remove(&name);
        Some(name)
    }

    /// Nothing comes due before `earliest`.
    pub(super) fn postpone(&mut self, earliest: Time) {
        while let Some((at, name)) = self.by_time.first().cloned() {
            if at >= earliest {
                break;
            }
            self.set(&name, earliest);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn clear(&mut self) {
        self.by_name.clear();
        self.by_time.clear();
    }
}
