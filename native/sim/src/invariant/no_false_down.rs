// SPDX-License-Identifier: Apache-2.0
//! Nobody is declared down while it answers.
//!
//! A node answers an observer if it runs, is not stalled for longer than links wait, and nothing lies between the two.
//! News of a death that has happened may still travel when the same node answers again: for [`GRACE`].

use std::time::Duration;

use barrel_p2p_base::time::Time;

use super::Violation;

/// How long after a member began to answer an old claim of its death may still arrive: suspicion (2 s), a refutation
/// that has to cross the cluster, and digests (2 s) on a path that lost the refutation, several times.
pub const GRACE: Duration = Duration::from_secs(30);

/// Judges that `observer` says that `member` is down.
pub fn check(now: Time, observer: u32, member: u32, answers_since: Option<Time>, violations: &mut Vec<Violation>) {
    if let Some(since) = answers_since.filter(|since| now - *since > GRACE) {
        let what = format!("declares {member} down, which answers since {since:?}");
        violations.push(Violation::new("no_false_down", now, observer, what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_answers_for_a_while_is_wronged() {
        let mut violations = Vec::new();
        let now = Time::ZERO + Duration::from_secs(100);
        check(now, 0, 1, None, &mut violations);
        check(now, 0, 1, Some(now), &mut violations);
        assert!(violations.is_empty());
        check(now, 0, 1, Some(Time::ZERO), &mut violations);
        assert_eq!(violations.len(), 1);
    }
}
