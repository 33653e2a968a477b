// SPDX-License-Identifier: Apache-2.0
//! Moments of members, earliest first.
//!
//! Keeps: adding costs little, and finding what is due nothing for what is not. Leaves to others: which of the moments
//! added for a member still counts. The owner knows, and asks when one comes due; so cancelling costs nothing at all.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use barrel_p2p_base::Time;

use crate::contact::Contact;

#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<Deadline>>);

#[derive(Debug)]
struct Deadline {
    at: Time,
    of: Arc<Contact>,
}

impl Deadlines {
    pub(super) fn add(&mut self, at: Time, of: &Arc<Contact>) {
        self.0.push(Reverse(Deadline { at, of: Arc::clone(of) }));
    }

    /// The earliest moment, whether it still counts or not.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.peek().map(|Reverse(deadline)| deadline.at)
    }

    /// The earliest one, if it is not after `until`.
    pub(super) fn take(&mut self, until: Time) -> Option<(Time, Arc<Contact>)> {
        self.next().filter(|at| *at <= until)?;
        let Reverse(Deadline { at, of }) = self.0.pop()?;
        if self.0.is_empty() && self.0.capacity() > SLACK {
            // Half a cluster may have been in it for a moment.
            self.0 = BinaryHeap::new();
        }
        Some((at, of))
    }

    /// Nothing comes due before `earliest`. `counts` says for each that would whether it still counts.
    pub(super) fn postpone(&mut self, earliest: Time, mut counts: impl FnMut(&Contact, Time) -> bool) {
        let mut postponed = Vec::new();
        while let Some((at, of)) = self.take(earliest) {
            if counts(&of, at) {
                postponed.push(of);
            }
        }
        postponed.iter().for_each(|of| self.add(earliest, of));
    }

    /// Drops what does not count any more, once that is more than half.
    pub(super) fn tidy(&mut self, counting: usize, mut counts: impl FnMut(&Contact, Time) -> bool) {
        if self.0.len() > 2 * counting + SLACK {
            self.0.retain(|Reverse(deadline)| counts(&deadline.of, deadline.at));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at).then_with(|| self.of.name.cmp(&other.of.name))
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Deadline {}

/// Outdated moments (count) that are not worth a look at all of them.
const SLACK: usize = 64;
