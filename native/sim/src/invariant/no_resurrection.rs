// SPDX-License-Identifier: Apache-2.0
//! A key that was removed is not there, unless somebody has written it later.

use barrel_p2p_base::time::Time;
use barrel_p2p_proto::store::Entry;

use super::Violation;
use crate::ledger::{is_later, Verdict};

/// Judges what a node has for a key.
pub fn check(
    now: Time,
    node: u32,
    key: u32,
    verdict: &Verdict<'_>,
    has: Option<&Entry>,
    violations: &mut Vec<Violation>,
) {
    let Some(removal) = verdict.last.filter(|last| last.origin().is_none()) else { return };
    let Some(value) = has.filter(|has| has.origin().is_some()) else { return };
    if !is_later(value, removal) {
        let what = format!("has {value:?} for key {key} again, which was {removal:?}");
        violations.push(Violation::new("no_resurrection", now, node, what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::entry;

    #[test]
    fn only_a_later_value_may_follow_a_removal() {
        let is_dead = |last: Entry, has: Option<Entry>| {
            let mut violations = Vec::new();
            let verdict = Verdict { last: Some(&last), all: vec![&last] };
            check(Time(0), 0, 0, &verdict, has.as_ref(), &mut violations);
            violations.is_empty()
        };
        assert!(!is_dead(entry(5, None), Some(entry(4, Some(4)))));
        assert!(is_dead(entry(5, None), Some(entry(6, Some(4)))));
        assert!(is_dead(entry(5, None), Some(entry(4, None))) && is_dead(entry(5, None), None));
        assert!(is_dead(entry(5, Some(5)), Some(entry(4, Some(4)))), "that is a lost write");
    }
}
