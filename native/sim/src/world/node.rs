// SPDX-License-Identifier: Apache-2.0
//! One node of the world: its machine, which life it lives, and how busy it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::time::Time;
use barrel_p2p_proto::{Contact, Input, Now};

use crate::books::Book;

/// What waits for a node that is busy.
#[derive(Debug)]
pub(crate) enum Work {
    Input(Input),
    Timeout,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Node<S> {
    /// None while it does not run.
    pub(crate) machine: Option<S>,
    /// How it is reached in this life.
    pub(crate) contact: Arc<Contact>,
    /// Counts starts.
    pub(crate) life: u32,
    /// Where its key comes from: another number, another key.
    pub(crate) key: u64,
    /// What its host keeps.
    pub(crate) book: Arc<Book>,
    /// Which disk it has: counts those that were lost.
    pub(crate) disk: u32,
    /// What it stored: contacts that it knew when its last life ended.
    pub(crate) known: Vec<u32>,
    /// The timer that waits in the queue.
    pub(crate) armed: Option<Time>,
    /// Timers that fired at one and the same moment.
    pub(crate) fired: (Time, u32),
    /// Its wall clock minus the true time.
    pub(crate) skew_ms: i64,
    /// Since when it answers: it runs and does not stall.
    pub(crate) answers_since: Time,
    /// Until when it handles nothing.
    pub(crate) busy_until: Time,
    /// How long it is busy with each input.
    pub(crate) service: Duration,
    /// What came while it was busy.
    pub(crate) backlog: VecDeque<Work>,
    /// It has asked its contact in this life.
    pub(crate) asked: bool,
    /// It has had a neighbour in this life.
    pub(crate) joined: bool,
}

impl<S> Node<S> {
    /// One that has never run.
    pub(crate) fn new(contact: Arc<Contact>, book: Book, key: u64, skew_ms: i64) -> Self {
        Self {
            machine: None,
            contact,
            life: 0,
            key,
            book: Arc::new(book),
            disk: 0,
            known: Vec::new(),
            armed: None,
            fired: (Time::ZERO, 0),
            skew_ms,
            answers_since: Time::ZERO,
            busy_until: Time::ZERO,
            service: Duration::ZERO,
            backlog: VecDeque::new(),
            asked: false,
            joined: false,
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.machine.is_some()
    }

    /// Would it answer a packet now?
    pub(crate) fn answers(&self, now: Time) -> bool {
        self.is_alive() && self.answers_since <= now
    }
}

/// What the clocks of a node show whose wall clock is wrong by `skew_ms`.
pub(crate) fn clocks(skew_ms: i64, now: Time) -> Now {
    Now { mono: now, wall_ms: (EPOCH_MS + now.0 / 1000).saturating_add_signed(skew_ms) }
}

/// The true time of day at the start of the world, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_800_000_000_000;
