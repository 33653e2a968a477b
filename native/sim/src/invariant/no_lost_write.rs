// SPDX-License-Identifier: Apache-2.0
//! No acknowledged write is lost, except to a later one, and nothing is there that nobody wrote.

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
    let mut say = |what: String| violations.push(Violation::new("no_lost_write", now, node, what));
    if let Some(invented) = has.filter(|has| !verdict.all.contains(has)) {
        say(format!("has {invented:?} for key {key}, which nobody wrote"));
    }
    let Some(last) = verdict.last else { return };
    let is_kept = match has {
        Some(has) => has == last || is_later(has, last) || [has, last].iter().all(|entry| is_tombstone(entry)),
        // A tombstone may be forgotten, and then nothing is there.
        None => verdict.all.iter().any(|write| is_tombstone(write) && (write == &last || is_later(write, last))),
    };
    if !is_kept {
        say(format!("has {has:?} for key {key}, the last write was {last:?}"));
    }
}

/// Of two removals either will do: the key is not there. An old one is told to others only when it is needed.
fn is_tombstone(entry: &Entry) -> bool {
    entry.origin().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::entry;

    fn is_kept(last: &Entry, has: Option<&Entry>) -> bool {
        let (early, late, removed) = (entry(1, Some(1)), entry(9, Some(9)), entry(4, None));
        let all = vec![&early, last, &late, &removed];
        let mut violations = Vec::new();
        check(Time(0), 0, 0, &Verdict { last: Some(last), all }, has, &mut violations);
        violations.is_empty()
    }

    #[test]
    fn only_a_later_write_may_be_in_its_place() {
        let last = entry(5, Some(5));
        assert!(is_kept(&last, Some(&last)) && is_kept(&last, Some(&entry(9, Some(9)))));
        assert!(!is_kept(&last, Some(&entry(1, Some(1)))));
        assert!(!is_kept(&last, None), "the removal was earlier");
        assert!(is_kept(&entry(3, Some(3)), None), "it was removed, and that forgotten");
        assert!(!is_kept(&last, Some(&entry(7, Some(7)))), "nobody wrote that");
        assert!(is_kept(&entry(5, None), Some(&entry(4, None))) && !is_kept(&last, Some(&entry(4, None))));
    }
}
