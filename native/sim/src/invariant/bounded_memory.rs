// SPDX-License-Identifier: Apache-2.0
//! Whatever a node keeps has a bound, and stays within it.

use barrel_p2p_base::time::Time;

use super::Violation;

/// One thing that a node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name, for the report.
    pub what: &'static str,
    /// How much of it there is.
    pub count: usize,
    /// How much there may be.
    pub limit: usize,
}

/// Looks at everything that one node keeps.
pub fn check(now: Time, node: u32, held: &[Held], violations: &mut Vec<Violation>) {
    for held in held.iter().filter(|held| held.count > held.limit) {
        violations.push(Violation::new("bounded_memory", now, node, format!("{held:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let mut violations = Vec::new();
        check(Time(0), 0, &[Held { what: "ids", count: 5, limit: 5 }], &mut violations);
        assert!(violations.is_empty());
        check(Time(0), 0, &[Held { what: "ids", count: 6, limit: 5 }], &mut violations);
        assert_eq!(violations.len(), 1);
    }
}
