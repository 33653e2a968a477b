// SPDX-License-Identifier: Apache-2.0
//! The state that anybody may read at any time, without asking the actor.
//!
//! Keeps: it is published before the events that follow from it are told, so whoever hears of a change also sees it.

use barrel_p2p_base::NodeName;
use barrel_p2p_proto::{Contact, MemberState};
use std::sync::{Arc, Mutex, PoisonError};

/// Whom this node knows directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// The neighbours.
    pub active: Vec<NodeName>,
    /// Contacts kept for later.
    pub passive: Vec<NodeName>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// How to reach it.
    pub contact: Arc<Contact>,
    /// What the directory says about it.
    pub state: MemberState,
}

/// Whole values, replaced as a whole: readers hold a lock for the time of one count.
#[derive(Debug, Default)]
pub(crate) struct Published {
    views: Mutex<Arc<Views>>,
    members: Mutex<Arc<Vec<Member>>>,
}

impl Published {
    pub(crate) fn views(&self) -> Arc<Views> {
        read(&self.views)
    }

    pub(crate) fn set_views(&self, views: Views) {
        replace(&self.views, Arc::new(views));
    }

    /// All members that are remembered, by name.
    pub(crate) fn members(&self) -> Arc<Vec<Member>> {
        read(&self.members)
    }

    pub(crate) fn set_members(&self, members: Vec<Member>) {
        replace(&self.members, Arc::new(members));
    }
}

fn read<T: Clone>(place: &Mutex<T>) -> T {
    place.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The old value is dropped after the lock is free.
fn replace<T>(place: &Mutex<T>, value: T) {
    let old = std::mem::replace(&mut *place.lock().unwrap_or_else(PoisonError::into_inner), value);
    drop(old);
}
