// SPDX-License-Identifier: Apache-2.0
//! How far this node may trust its own judgement (Dadgar, Phillips, Currey 2017, "Lifeguard", section IV.A).
//!
//! Keeps: who is slow itself gives others more time. Leaves to others: what is done with the time.
//! Departure from the paper: the score rises by late timers, by late answers and by suspicions of this node that it had
//! to refute, not by missed answers: after many deaths those would only make the rest slow.

use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Health {
    score: u32,
}

impl Health {
    /// A timer fired so late that the node cannot have been running: time of its peers has passed unseen.
    pub(super) fn was_stalled(&mut self, late: Duration) -> bool {
        let stalled = late >= STALL;
        if stalled {
            self.worsen();
        }
        stalled
    }

    /// A probe was answered after so long. Where a dial takes seconds, a refutation does, too.
    pub(super) fn was_answered(&mut self, after: Duration) {
        if after >= LATE {
            self.worsen();
        }
    }

    /// Something speaks against this node's own health.
    pub(super) fn worsen(&mut self) {
        self.score = (self.score + 1).min(WORST);
    }

    /// A while has passed without.
    pub(super) fn recover(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// The span, longer the worse it stands.
    pub(super) fn stretch(&self, span: Duration) -> Duration {
        span * (self.score + 1)
    }
}

/// A timer this late is no jitter of a scheduler. Guess: half of the shortest time that anything here waits for.
const STALL: Duration = Duration::from_millis(500);

/// An answer this late comes from an overloaded machine or network: a dial and its hello take three round trips, which
/// is below a second between any two places of the earth.
const LATE: Duration = Duration::from_secs(1);

/// Suspects get at most five times their time. The paper allows eight; five keeps a death below 15 s even here.
const WORST: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_answers_come_late_suspects_get_more_time() {
        let mut health = Health::default();
        health.was_answered(Duration::from_millis(999));
        assert_eq!(health.stretch(Duration::from_secs(2)).as_secs(), 2);
        health.was_answered(Duration::from_millis(1000));
        assert_eq!(health.stretch(Duration::from_secs(2)).as_secs(), 4);
    }

    #[test]
    fn a_stalled_node_waits_longer_and_recovers() {
        let mut health = Health::default();
        let wait = |health: &Health| health.stretch(Duration::from_secs(2)).as_secs();
        assert_eq!(wait(&health), 2);
        assert!(!health.was_stalled(Duration::from_millis(499)));
        assert_eq!(wait(&health), 2);
        for seconds in [4, 6, 8, 10, 10] {
            assert!(health.was_stalled(Duration::from_millis(500)));
            assert_eq!(wait(&health), seconds);
        }
        for seconds in [8, 6, 4, 2, 2] {
            health.recover();
            assert_eq!(wait(&health), seconds);
        }
    }
}
