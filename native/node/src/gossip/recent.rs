// SPDX-License-Identifier: Apache-2.0
//! Broadcasts of late, so that a host that repeats an id is told so at once.

use barrel_p2p_proto::MessageId;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Ids (count) remembered: about a mebibyte. The stack remembers more, and drops what is repeated later in silence.
const REMEMBERED: usize = 16_384;

#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Ids>);

#[derive(Debug, Default)]
struct Ids {
    known: BTreeSet<MessageId>,
    order: VecDeque<MessageId>,
}

impl Recent {
    /// False when it is known.
    pub(crate) fn insert(&self, id: MessageId) -> bool {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ids.known.insert(id) {
            return false;
        }
        ids.order.push_back(id);
        if ids.order.len() > REMEMBERED {
            if let Some(oldest) = ids.order.pop_front() {
                ids.known.remove(&oldest);
            }
        }
        true
    }

    /// It did not happen after all.
    pub(crate) fn forget(&self, id: MessageId) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.known.remove(&id) {
            ids.order.retain(|other| *other != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_until_many_others_came() {
        let recent = Recent::default();
        let id = |n: usize| MessageId((n as u128).to_be_bytes());
        assert!(recent.insert(id(0)));
        assert!(!recent.insert(id(0)));
        recent.forget(id(0));
        assert!((0..=REMEMBERED).all(|n| recent.insert(id(n))));
        assert!(recent.insert(id(0)));
    }
}
