// SPDX-License-Identifier: Apache-2.0
//! Views stay within their sizes, name nobody twice and never the node itself.

use barrel_p2p_base::time::Time;

use super::{Views, Violation};

/// See the module.
#[derive(Clone, Debug)]
pub struct ViewBounds {
    /// Neighbours at most.
    pub active_size: usize,
    /// Contacts kept for later, at most.
    pub passive_size: usize,
}

impl ViewBounds {
    /// Looks at one node.
    pub fn check(&self, now: Time, node: u32, views: &Views, violations: &mut Vec<Violation>) {
        let view = &views.nodes[node as usize];
        let mut all: Vec<u32> = view.active.iter().chain(&view.passive).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        let wrong = if view.active.len() > self.active_size || view.passive.len() > self.passive_size {
            "has a view that is too large"
        } else if all.binary_search(&node).is_ok() {
            "has itself in a view"
        } else if all.len() < count {
            "has somebody twice in its views"
        } else {
            return;
        };
        violations.push(Violation::new("view_bounds", now, node, format!("{wrong}: {view:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::views::tests::views;
    use super::*;

    #[test]
    fn each_bound_is_seen() {
        let bounds = ViewBounds { active_size: 2, passive_size: 1 };
        let mut views = views(&[&[1, 2], &[0, 2, 3], &[2], &[0, 0], &[0], &[0]]);
        views.nodes[4].passive = vec![0];
        views.nodes[5].passive = vec![1, 2];
        let wrong: Vec<u32> = (0..6)
            .filter(|&node| {
                let mut violations = Vec::new();
                bounds.check(Time(0), node, &views, &mut violations);
                !violations.is_empty()
            })
            .collect();
        assert_eq!(wrong, [1, 2, 3, 4, 5]);
    }
}
