// SPDX-License-Identifier: Apache-2.0
//! Broadcasts that were seen: payloads for those who ask, ids to tell repetitions.
//!
//! Keeps: payloads up to a number of bytes, and ids, which are far smaller, for much longer; the oldest go first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Time};
use bytes::Bytes;

use crate::contact::Contact;
use crate::message::MessageId;

/// A broadcast that was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: MessageId,
    /// How many links it had crossed.
    pub(super) hops: u16,
    /// When it came.
    pub(super) at: Time,
    /// None once newer payloads needed the room.
    pub(super) payload: Option<Bytes>,
    /// Who was faster than the neighbour that was to send it.
    pub(super) overtaken: Option<Box<Overtaken>>,
}

/// A payload that came another way than its first announcement.
#[derive(Clone, Debug)]
pub(super) struct Overtaken {
    /// Who announced it first, and was to send it.
    pub(super) source: NodeName,
    /// Who sent it first.
    pub(super) sender: Arc<Contact>,
}

/// What was seen, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    seen: VecDeque<Seen>,
    /// Number of each entry; the first one in `seen` has the number `forgotten`.
    index: BTreeMap<MessageId, u64>,
    forgotten: u64,
    /// The number of the first entry that still has a payload.
    stripped: u64,
    bytes: usize,
}

impl Cache {
    pub(super) fn get(&self, id: &MessageId) -> Option<&Seen> {
        self.seen.get(usize::try_from(self.index.get(id)? - self.forgotten).ok()?)
    }

    /// Who was faster than this source with this broadcast? Told once.
    pub(super) fn take_overtaker(&mut self, id: &MessageId, source: &NodeName) -> Option<Arc<Contact>> {
        let at = usize::try_from(self.index.get(id)? - self.forgotten).ok()?;
        let overtaken = self.seen.get_mut(at)?.overtaken.take_if(|overtaken| overtaken.source == *source)?;
        Some(overtaken.sender)
    }

    pub(super) fn contains(&self, id: &MessageId) -> bool {
        self.index.contains_key(id)
    }

    /// Remembers a broadcast that is not in it, and forgets what is beyond the bounds.
    pub(super) fn insert(&mut self, seen: Seen, most_bytes: usize, most_count: usize) {
        self.bytes += seen.payload.as_ref().map_or(0, Bytes::len);
        self.index.insert(seen.id, self.forgotten + self.seen.len() as u64);
        self.seen.push_back(seen);
        while self.seen.len() > most_count {
            self.strip_until(self.forgotten + 1);
            if let Some(oldest) = self.seen.pop_front() {
                self.index.remove(&oldest.id);
            }
            self.forgotten += 1;
        }
        while self.bytes > most_bytes {
            self.strip_until(self.stripped + 1);
        }
    }

    /// Newest first, what came within the span.
    pub(super) fn recent(&self, now: Time, span: Duration) -> impl Iterator<Item = &Seen> {
        self.seen.iter().rev().take_while(move |seen| now - seen.at <= span)
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the payloads from all entries below this number.
    fn strip_until(&mut self, number: u64) {
        while self.stripped < number {
            let at = usize::try_from(self.stripped - self.forgotten).unwrap_or(usize::MAX);
            let payload = self.seen.get_mut(at).and_then(|seen| seen.payload.take());
            self.bytes -= payload.map_or(0, |payload| payload.len());
            self.stripped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(number: u8) -> Seen {
        let payload = Some(Bytes::from(vec![number; 10]));
        Seen { id: MessageId([number; 16]), hops: 1, at: Time(number.into()), payload, overtaken: None }
    }

    #[test]
    fn payloads_go_first_and_ids_later() {
        let mut cache = Cache::default();
        for number in 0..100 {
            cache.insert(seen(number), 30, 5);
            assert!(cache.len() <= 5 && cache.bytes() <= 30);
        }
        let has = |number: u8| cache.get(&MessageId([number; 16])).map(|seen| seen.payload.is_some());
        let expected = [None, None, Some(false), Some(false), Some(true), Some(true), Some(true)];
        assert_eq!([93, 94, 95, 96, 97, 98, 99].map(has), expected);
        assert_eq!(
            cache.recent(Time(99), Duration::from_micros(1)).map(|seen| seen.id.0[0]).collect::<Vec<_>>(),
            [99, 98]
        );
    }

    #[test]
    fn a_payload_beyond_the_bound_leaves_its_id() {
        let mut cache = Cache::default();
        cache.insert(seen(1), 5, 5);
        assert!(cache.contains(&MessageId([1; 16])));
        assert_eq!(cache.bytes(), 0);
    }
}
