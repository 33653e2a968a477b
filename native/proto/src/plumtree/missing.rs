// SPDX-License-Identifier: Apache-2.0
//! Broadcasts that were announced and have not come (section 3.6).
//!
//! Keeps: several announcers of each, asked in turn until the payload comes, because one of them may die meanwhile.
//! Departure from the paper, which asks each announcer once: a question may be lost too.

use std::collections::BTreeMap;
use std::sync::Arc;

use barrel_p2p_base::{NodeName, Time};

use crate::contact::Contact;
use crate::message::MessageId;

/// Broadcasts awaited (count); more are left to their payloads. Each costs some 200 bytes.
const MAX_MISSING: usize = 4096;

/// Announcers remembered of each (count).
const MAX_ANNOUNCERS: usize = 8;

/// Former neighbours that each is sent to when it comes (count).
const MAX_OWED: usize = 4;

/// Questions for each (count), over all announcers.
const MAX_QUESTIONS: usize = 8;

/// One that was announced.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    /// How many links the payload would have crossed, by the first announcement.
    pub(super) hops: u16,
    /// When that came.
    pub(super) since: Time,
    /// Who has it or will have it. Once `chosen`, the first one is to send it.
    announcers: Vec<Arc<Contact>>,
    chosen: bool,
    /// Who waits for it from this node and is no neighbour any more.
    owed: Vec<Arc<Contact>>,
    /// When it is asked for next.
    due: Time,
    /// How often it was asked for.
    questions: usize,
}

impl Missing {
    /// Who is to send it, if that is decided.
    pub(super) fn source(&self) -> Option<&Arc<Contact>> {
        self.announcers.first().filter(|_| self.chosen)
    }

    /// One more has it.
    pub(super) fn add(&mut self, from: &Arc<Contact>) {
        if self.announcers.len() < MAX_ANNOUNCERS && self.announcers.iter().all(|known| known.name != from.name) {
            self.announcers.push(Arc::clone(from));
        }
    }

    /// This one, no neighbour, waits for it.
    pub(super) fn owe(&mut self, to: &Arc<Contact>) {
        if self.owed.len() < MAX_OWED && self.owed.iter().all(|known| known.name != to.name) {
            self.owed.push(Arc::clone(to));
        }
    }

    /// Who waits for it and is no neighbour.
    pub(super) fn owed(&self) -> &[Arc<Contact>] {
        &self.owed
    }

    /// This one is to send it, unasked; at `due` it is asked nevertheless.
    pub(super) fn choose(&mut self, from: &Arc<Contact>, due: Time) {
        self.announcers.retain(|known| known.name != from.name);
        self.announcers.insert(0, Arc::clone(from));
        self.chosen = true;
        self.due = due;
    }

    /// It is due now, and asked of the same one once more.
    pub(super) fn hurry(&mut self, now: Time) {
        self.due = now;
        self.questions = self.questions.saturating_sub(1);
    }
}

/// All that were announced.
#[derive(Clone, Debug, Default)]
pub(super) struct Announced(BTreeMap<MessageId, Missing>);

impl Announced {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get_mut(&mut self, id: &MessageId) -> Option<&mut Missing> {
        self.0.get_mut(id)
    }

    /// Remembers one announced at `since`, to be asked for at `due`; unless there are too many.
    pub(super) fn insert(
        &mut self,
        since: Time,
        id: MessageId,
        from: &Arc<Contact>,
        hops: u16,
        due: Time,
    ) -> Option<&mut Missing> {
        if self.0.len() >= MAX_MISSING {
            return None;
        }
        let announcers = vec![Arc::clone(from)];
        Some(self.0.entry(id).or_insert(Missing {
            hops,
            since,
            announcers,
            chosen: false,
            owed: Vec::new(),
            due,
            questions: 0,
        }))
    }

    /// It came.
    pub(super) fn take(&mut self, id: &MessageId) -> Option<Missing> {
        self.0.remove(id)
    }

    /// What is to be asked for now, and of whom. It is due again at `next`, unless it was asked for often enough.
    pub(super) fn questions(&mut self, now: Time, next: Time) -> Vec<(MessageId, Arc<Contact>)> {
        let mut questions = Vec::new();
        self.0.retain(|id, missing| {
            if missing.due > now {
                return true;
            }
            if missing.questions > 0 {
                missing.announcers.rotate_left(1);
            }
            missing.chosen = true;
            missing.questions += 1;
            missing.due = next;
            questions.extend(missing.source().map(|source| (*id, Arc::clone(source))));
            missing.questions < MAX_QUESTIONS
        });
        questions
    }

    /// What this source was to send is due now, and is asked of it once more: it may have taken the last question before
    /// it gave up the link. Is it the source of anything?
    pub(super) fn hurry(&mut self, now: Time, source: &NodeName) -> bool {
        let mut any = false;
        for missing in self.0.values_mut().filter(|missing| missing.source().is_some_and(|from| from.name == *source)) {
            any = true;
            missing.hurry(now);
        }
        any
    }

    /// This one is no neighbour any more. What it was to send is due now, of somebody else if there is one; what it was to
    /// get over an `eager` link it is owed. Was it the source of anything?
    pub(super) fn part(&mut self, now: Time, from: &Arc<Contact>, eager: bool) -> bool {
        let mut any = false;
        for missing in self.0.values_mut() {
            if missing.source().is_some_and(|source| source.name == from.name) {
                any = true;
                missing.announcers.rotate_left(1);
                missing.hurry(now);
            } else if eager {
                missing.owe(from);
            }
        }
        any
    }

    /// Is it the source of anything?
    pub(super) fn relies_on(&self, source: &NodeName) -> bool {
        self.0.values().filter_map(Missing::source).any(|from| from.name == *source)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.0.values().map(|missing| missing.due).min()
    }
}
