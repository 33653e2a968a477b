// SPDX-License-Identifier: Apache-2.0
//! Who counts me as a neighbour is one I count, apart from a bounded time.
//!
//! Two nodes cannot change their views at one moment, so a pair is one-sided while a message travels, until the link of
//! a dead neighbour is reported lost, and, where a message was lost for good, until the next keep-alive is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use barrel_p2p_base::time::Time;

use super::{Views, Violation};

/// How long a pair may be one-sided. Keep-alives come every 5 s; three of them in a row may be lost or wait in a slow
/// node before it is a fault of the protocol.
pub const BOUND: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct ViewSymmetry {
    /// Who counts whom without being counted, and since when.
    one_sided: BTreeMap<(u32, u32), Time>,
}

impl ViewSymmetry {
    /// Looks at all pairs.
    pub fn check(&mut self, now: Time, views: &Views, violations: &mut Vec<Violation>) {
        let mut still = BTreeMap::new();
        for node in views.alive() {
            for &peer in &views.nodes[node as usize].active {
                if !views.counts(peer, node) {
                    let since = self.one_sided.get(&(node, peer)).copied().unwrap_or(now);
                    still.insert((node, peer), since);
                }
            }
        }
        for (&(node, peer), &since) in &still {
            if now - since > BOUND {
                violations.push(Violation::new(
                    "view_symmetry",
                    now,
                    node,
                    format!("has {peer}, one-sided since {since:?}"),
                ));
            }
        }
        self.one_sided = still;
    }
}

#[cfg(test)]
mod tests {
    use super::super::views::tests::views;
    use super::*;

    #[test]
    fn a_pair_may_be_one_sided_for_a_while_only() {
        let (mut symmetry, mut violations) = (ViewSymmetry::default(), Vec::new());
        let lopsided = views(&[&[1], &[]]);
        symmetry.check(Time(0), &lopsided, &mut violations);
        symmetry.check(Time(0) + BOUND, &lopsided, &mut violations);
        assert!(violations.is_empty());
        symmetry.check(Time(1) + BOUND, &lopsided, &mut violations);
        assert_eq!(violations.len(), 1);
    }

    #[test]
    fn being_whole_in_between_starts_the_clock_again() {
        let (mut symmetry, mut violations) = (ViewSymmetry::default(), Vec::new());
        symmetry.check(Time(0), &views(&[&[1], &[]]), &mut violations);
        symmetry.check(Time(1), &views(&[&[1], &[0]]), &mut violations);
        symmetry.check(Time(1) + BOUND, &views(&[&[1], &[]]), &mut violations);
        assert!(violations.is_empty());
    }
}
