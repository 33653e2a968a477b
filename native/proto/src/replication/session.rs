// SPDX-License-Identifier: Apache-2.0
//! One comparison of a store with a peer, as the one who asks sees it.
//!
//! Keeps: one question is under way at a time; what is still to be asked is bounded; an answer that does not fit its
//! question is told from one that does. Leaves to others: sending, and taking what came into the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::limits::{MAX_CHUNK_BYTES, MAX_RANGES, MAX_WANTED};
use barrel_p2p_base::Time;

use super::message::{Answer, Content, Question};
use crate::contact::Contact;
use crate::store::{Cursor, Entry, Prefix, Store, FANOUT};

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) peer: Arc<Contact>,
    /// The peer has said that this node is behind: it need not be told the same.
    pub(super) hinted: bool,
    pub(super) awaits: Awaits,
    /// How long what is awaited may take.
    pub(super) patience: Time,
    /// How long all of it may take.
    end: Time,
    ticket: u32,
    begun: bool,
    /// Is there reason to compare once more at the end?
    again: bool,
    /// Does the peer lack more than it was offered?
    pub(super) peer_is_behind: bool,
    /// To be described; the last ones first, so that what is open stays little.
    ranges: Vec<Prefix>,
    wanted: VecDeque<(Prefix, u64)>,
    loads: Vec<(Prefix, Option<Cursor>)>,
    /// What the peer has said it has, to be held beside what is here.
    told: VecDeque<(Prefix, Content)>,
    /// What it lacks of that.
    offer: Offer,
}

/// What has to come before it goes on.
#[derive(Debug)]
pub(super) enum Awaits {
    /// The answer to this.
    Answer(Question),
    /// Nothing: it may go on.
    Nothing,
    /// The host's judgement of what came before.
    Room,
}

/// How it goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Ask(u32, Question),
    Wait,
    Finish,
}

/// What an answer amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The peer has not this store.
    Absent,
    /// Entries that this node lacked.
    Brought(Vec<Entry>),
    /// Differences were found; the peer lacks these.
    Lacks(Vec<Entry>),
    /// The peer has told what it has: [`Session::compare`] goes on.
    Told,
    /// It is no answer to the last question. It may be late.
    Stray,
    /// No honest peer says so.
    Violation,
}

impl Session {
    pub(super) fn new(peer: Arc<Contact>, hinted: bool, ticket: u32, now: Time) -> Self {
        Self {
            peer,
            hinted,
            awaits: Awaits::Nothing,
            patience: now + ROOM_PATIENCE,
            end: now + SESSION_PATIENCE,
            ticket,
            begun: false,
            again: false,
            peer_is_behind: false,
            ranges: Vec::new(),
            wanted: VecDeque::new(),
            loads: Vec::new(),
            told: VecDeque::new(),
            offer: Offer::default(),
        }
    }

    /// Chooses what to do next. `has_room`: has the host taken everything that came?
    pub(super) fn step(&mut self, now: Time, store: &Store, has_room: bool) -> Step {
        match (&self.awaits, has_room) {
            (Awaits::Answer(_), _) | (Awaits::Room, false) => return Step::Wait,
            (Awaits::Nothing, false) => {
                self.wait(now, Awaits::Room, ROOM_PATIENCE);
                return Step::Wait;
            }
            (Awaits::Nothing | Awaits::Room, true) => {}
        }
        let Some(question) = self.next_question(store) else { return Step::Finish };
        self.ticket = self.ticket.wrapping_add(1);
        self.wait(now, Awaits::Answer(question.clone()), ANSWER_PATIENCE);
        Step::Ask(self.ticket, question)
    }

    /// Entries before ranges: the fewer questions wait, the less has to be remembered.
    fn next_question(&mut self, store: &Store) -> Option<Question> {
        if !self.begun {
            self.begun = true;
            return Some(Question::Compare(store.root()));
        }
        if !self.wanted.is_empty() {
            let count = self.wanted.len().min(MAX_WANTED);
            return Some(Question::Fetch(self.wanted.drain(..count).collect()));
        }
        if let Some((range, after)) = self.loads.pop() {
            return Some(Question::Load(range, after));
        }
        if !self.ranges.is_empty() {
            let mut ranges = self.ranges.split_off(self.ranges.len().saturating_sub(MAX_RANGES));
            ranges.sort_unstable();
            ranges.dedup();
            return Some(Question::Describe(ranges));
        }
        self.again.then(|| {
            self.again = false;
            Question::Compare(store.root())
        })
    }

    fn wait(&mut self, now: Time, awaits: Awaits, patience: Duration) {
        self.awaits = awaits;
        self.patience = self.end.min(now + patience);
    }

    /// Takes an answer.
    pub(super) fn on_answer(&mut self, ticket: u32, answer: Answer) -> Outcome {
        if ticket != self.ticket {
            return Outcome::Stray;
        }
        let Awaits::Answer(question) = std::mem::replace(&mut self.awaits, Awaits::Nothing) else {
            return Outcome::Stray;
        };
        match (question, answer) {
            (_, Answer::Absent) => Outcome::Absent,
            (Question::Compare(_), Answer::Equal) => Outcome::Lacks(Vec::new()),
            (Question::Compare(_), Answer::Contents(contents)) => self.hear(vec![Prefix::ALL], contents),
            (Question::Describe(ranges), Answer::Contents(contents)) => self.hear(ranges, contents),
            (Question::Fetch(mut wanted), Answer::Entries { about, entries }) => {
                let about = usize::from(about);
                if !(1..=wanted.len()).contains(&about) || entries.len() > about {
                    return Outcome::Violation;
                }
                wanted.drain(about..).rev().for_each(|rest| self.wanted.push_front(rest));
                Outcome::Brought(entries)
            }
            (Question::Load(range, after), Answer::Chunk { entries, more }) => {
                if more {
                    let last = entries.last().map(|last| Cursor::new(last.key()));
                    // It has to come forward.
                    if last.is_none() || last == after {
                        return Outcome::Violation;
                    }
                    self.loads.push((range, last));
                }
                Outcome::Brought(entries)
            }
            (
                Question::Compare(_) | Question::Describe(_) | Question::Fetch(_) | Question::Load(..),
                Answer::Chunk { .. } | Answer::Contents(_) | Answer::Entries { .. } | Answer::Equal,
            ) => Outcome::Violation,
        }
    }

    fn hear(&mut self, mut ranges: Vec<Prefix>, contents: Vec<Content>) -> Outcome {
        if !(1..=ranges.len()).contains(&contents.len()) {
            return Outcome::Violation;
        }
        self.ranges.append(&mut ranges.split_off(contents.len()));
        self.told = ranges.into_iter().zip(contents).collect();
        Outcome::Told
    }

    /// Holds what the peer has in one range beside what is here. One at a time: there may be much here to look through,
    /// and the host wants the store as well.
    pub(super) fn compare(&mut self, store: &Store) -> Outcome {
        match self.told.pop_front() {
            Some((range, Content::Few(theirs))) => {
                let lacked = store.lacked(range, &theirs);
                self.wanted.extend(lacked.into_iter().map(|fingerprint| (range, fingerprint)));
                self.offer.add(store, range, &theirs);
            }
            Some((range, Content::Many { .. })) if range.levels() >= Prefix::MAX_LEVELS => return Outcome::Violation,
            Some((range, Content::Many { count, parts })) => self.compare_parts(store, range, count, &parts),
            None => {}
        }
        if !self.told.is_empty() {
            return Outcome::Told;
        }
        if self.ranges.len() > MAX_OPEN_RANGES {
            self.ranges.drain(..self.ranges.len() - MAX_OPEN_RANGES);
            self.again = true;
        }
        let offer = std::mem::take(&mut self.offer);
        self.peer_is_behind |= offer.is_cut;
        Outcome::Lacks(offer.entries)
    }

    fn compare_parts(&mut self, store: &Store, range: Prefix, count: u32, parts: &[u64; FANOUT]) {
        let ours = store.children(range);
        let our_count: u64 = ours.iter().map(|part| u64::from(part.count)).sum();
        if u64::from(count) > our_count.saturating_mul(FAR_MORE) {
            self.again |= our_count > 0;
            self.loads.push((range, None));
            return;
        }
        for (nibble, (ours, theirs)) in (0..).zip(ours.iter().zip(parts)) {
            let Some(part) = range.child(nibble).filter(|_| ours.fingerprint != *theirs) else { continue };
            if *theirs == 0 {
                self.offer.add(store, part, &[]);
            } else if ours.count == 0 {
                self.loads.push((part, None));
            } else {
                self.ranges.push(part);
            }
        }
    }
}

/// Entries that a peer lacks.
#[derive(Debug, Default)]
struct Offer {
    entries: Vec<Entry>,
    bytes: usize,
    /// It lacks more.
    is_cut: bool,
}

impl Offer {
    /// Adds what is here in a range and not among theirs.
    fn add(&mut self, store: &Store, range: Prefix, theirs: &[u64]) {
        if store.summary(range).count > MAX_OFFERED_RANGE {
            self.is_cut = true;
            return;
        }
        for fingerprint in store.versions(range) {
            if theirs.contains(&fingerprint) {
                continue;
            }
            // What the host has rejected counts as known and is not there.
            let Some(entry) = store.find(range, fingerprint, &mut 0) else { continue };
            if self.bytes + entry.size() > MAX_CHUNK_BYTES && !self.entries.is_empty() {
                self.is_cut = true;
                return;
            }
            self.bytes += entry.size();
            self.entries.push(entry.clone());
        }
    }
}

/// How long an answer may take: a dial (5 s) and a busy peer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(8);

/// How long the host may take to judge a chunk.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);

/// How long a comparison may take. What it has brought stays, so the next one, with whomever, goes on where it ended.
const SESSION_PATIENCE: Duration = Duration::from_secs(60);

/// A peer that has so many times more in a range is asked for all of it: finding the few that are here already would
/// cost more than they are.
const FAR_MORE: u64 = 8;

/// Entries (count) of a range beyond which the peer is told to ask for them itself, at its own pace.
const MAX_OFFERED_RANGE: u32 = 64;

/// Ranges (count) still to be described, 16 bytes each. Two honest stores without anything in common leave fewer:
/// fifteen times [`MAX_RANGES`] on each of the first levels.
const MAX_OPEN_RANGES: usize = 8192;
