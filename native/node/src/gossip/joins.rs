// SPDX-License-Identifier: Apache-2.0
//! Joins whose caller waits for the result.
//!
//! A join first needs a channel to its contact. Then the contact is asked, and the join has succeeded with the next neighbour: the contact
//! itself, or whomever it sent us to.

use super::ear::LineId;
use barrel_p2p_base::NodeName;
use barrel_p2p_net::Reason;
use std::fmt;
use std::time::Instant;

/// Joins (count) that may wait at once.
pub(crate) const WAITING: usize = 64;

/// Whom to join through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name; `None` to learn it from its hello.
    pub name: Option<NodeName>,
    /// Hosts (names or IP literals) and UDP ports, best first. May be empty when the name is that of a member.
    pub addresses: Vec<(String, u16)>,
}

/// Why a join has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinFailure {
    /// Too much waits already.
    Busy,
    /// The contact was not reached, or was lost before it answered.
    Contact(Reason),
    /// Gossip has ended.
    Stopped,
    /// No neighbour within the time.
    Timeout,
}

impl JoinFailure {
    /// The atom that Erlang sees.
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Contact(reason) => reason.name(),
            Self::Stopped => Reason::Stopped.name(),
            Self::Timeout => "timeout",
        }
    }
}

/// Told on the I/O thread, once.
pub(crate) type Reply = Box<dyn FnOnce(Result<(), JoinFailure>) + Send>;

pub(crate) struct JoinRequest {
    pub(crate) target: Target,
    pub(crate) deadline: Instant,
    pub(crate) reply: Reply,
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest").field("target", &self.target).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(crate) struct Joins(Vec<Join>);

struct Join {
    line: LineId,
    asked: bool,
    deadline: Instant,
    reply: Reply,
}

impl Joins {
    /// Waits for the channel to the contact.
    pub(crate) fn push(&mut self, line: LineId, deadline: Instant, reply: Reply) {
        if self.0.len() < WAITING {
            self.0.push(Join { line, asked: false, deadline, reply });
        } else {
            reply(Err(JoinFailure::Busy));
        }
    }

    /// The channel is there. True when somebody waited for it: then the contact is to be asked.
    pub(crate) fn connected(&mut self, line: LineId) -> bool {
        let mut asked = false;
        for join in self.0.iter_mut().filter(|join| join.line == line && !join.asked) {
            join.asked = true;
            asked = true;
        }
        asked
    }

    /// The contact was reached over another channel than was dialled.
    pub(crate) fn moved(&mut self, from: LineId, to: LineId) {
        self.0.iter_mut().filter(|join| join.line == from).for_each(|join| join.line = to);
    }

    /// There is a neighbour.
    pub(crate) fn accepted(&mut self) {
        self.answer(|join| join.asked, Ok(()));
    }

    /// The channel to the contact failed or ended.
    pub(crate) fn lost(&mut self, line: LineId, reason: Reason) {
        self.answer(|join| join.line == line, Err(JoinFailure::Contact(reason)));
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        self.answer(|join| join.deadline <= now, Err(JoinFailure::Timeout));
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|join| join.deadline).min()
    }

    pub(crate) fn stop(&mut self) {
        self.answer(|_| true, Err(JoinFailure::Stopped));
    }

    fn answer(&mut self, which: impl Fn(&Join) -> bool, result: Result<(), JoinFailure>) {
        let (answered, waiting) = std::mem::take(&mut self.0).into_iter().partition(|join| which(join));
        self.0 = waiting;
        answered.into_iter().for_each(|join: Join| (join.reply)(result));
    }
}
