// SPDX-License-Identifier: Apache-2.0
//! Broadcasts that were announced and have not come (section 3.6).
//!
//! Keeps: several announcers of each, asked in turn until one answers, because one of them may die meanwhile. Departure
//! from the paper, which asks each announcer once: a question may be lost too.

use std::collections::BTreeMap;
use std::sync::Arc;

use barrel_p2p_base::Time;

use crate::contact::Contact;
use crate::message::MessageId;

/// Broadcasts awaited (count); more are left to their payloads. Each costs up to 100 bytes and four shared contacts.
const MAX_MISSING: usize = 4096;

/// Announcers remembered of each (count).
const MAX_ANNOUNCERS: usize = 4;

/// Questions for each (count): every announcer is asked twice.
const MAX_QUESTIONS: usize = 2 * MAX_ANNOUNCERS;

/// One that was announced.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    /// Who has it; the fastest first.
    pub(super) announcers: Vec<Arc<Contact>>,
    /// When it was announced first.
    pub(super) since: Time,
    /// When it is asked for next.
    due: Time,
    /// How often it was asked for.
    questions: usize,
}

/// All that were announced.
#[derive(Clone, Debug, Default)]
pub(super) struct Announced(BTreeMap<MessageId, Missing>);

impl Announced {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Somebody has a broadcast. Is it the first one to say so?
    pub(super) fn add(&mut self, now: Time, id: MessageId, from: &Arc<Contact>, due: Time) -> bool {
        if let Some(missing) = self.0.get_mut(&id) {
            if missing.announcers.len() < MAX_ANNOUNCERS
                && missing.announcers.iter().all(|known| known.name != from.name)
            {
                missing.announcers.push(Arc::clone(from));
            }
            return false;
        }
        if self.0.len() >= MAX_MISSING {
            return false;
        }
        self.0.insert(id, Missing { announcers: vec![Arc::clone(from)], since: now, due, questions: 0 });
        true
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
            let turn = missing.questions % missing.announcers.len();
            questions.push((*id, Arc::clone(&missing.announcers[turn])));
            missing.questions += 1;
            missing.due = next;
            missing.questions < MAX_QUESTIONS
        });
        questions
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.0.values().map(|missing| missing.due).min()
    }
}
