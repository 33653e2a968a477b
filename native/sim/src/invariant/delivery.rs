// SPDX-License-Identifier: Apache-2.0
//! A broadcast is delivered at most once per node, never to its sender, and to all who lived all the while.

use barrel_p2p_base::time::Time;

use super::{Views, Violation};

/// One broadcast.
#[derive(Clone, Debug)]
pub struct Delivery {
    sender: u32,
    started: Time,
    delivered: Vec<bool>,
}

impl Delivery {
    /// Of one that `sender` starts now.
    pub fn new(sender: u32, started: Time, nodes: usize) -> Self {
        Self { sender, started, delivered: vec![false; nodes] }
    }

    /// Notes that a node has it.
    pub fn on_delivered(&mut self, now: Time, node: u32, violations: &mut Vec<Violation>) {
        if self.delivered.len() <= node as usize {
            self.delivered.resize(node as usize + 1, false);
        }
        if node == self.sender {
            violations.push(Violation::new("delivery", now, node, "got its own broadcast".into()));
        } else if std::mem::replace(&mut self.delivered[node as usize], true) {
            violations.push(Violation::new("delivery", now, node, "got a broadcast twice".into()));
        }
    }

    /// Nodes that live since it started (the sender not counted), and how many of them have it.
    pub fn reached(&self, views: &Views) -> Reached {
        let mut reached = Reached { due: 0, delivered: 0, missing: None };
        for node in views.alive() {
            if node == self.sender || views.nodes[node as usize].since > self.started {
                continue;
            }
            reached.due += 1;
            if self.delivered.get(node as usize).copied().unwrap_or(false) {
                reached.delivered += 1;
            } else {
                reached.missing = Some(node);
            }
        }
        reached
    }

    /// Says who is missing, at a time when nobody should be.
    pub fn check(&self, now: Time, views: &Views, violations: &mut Vec<Violation>) {
        let reached = self.reached(views);
        if let Some(node) = reached.missing {
            let what = format!(
                "and {} others lack the broadcast of {} from {:?}",
                reached.due - reached.delivered - 1,
                self.sender,
                self.started
            );
            violations.push(Violation::new("delivery", now, node, what));
        }
    }
}

/// How far a broadcast came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Who should have it (count).
    pub due: usize,
    /// Who has it (count).
    pub delivered: usize,
    /// One who should and has not.
    pub missing: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::super::views::tests::views;
    use super::*;

    #[test]
    fn only_those_who_lived_all_the_while_are_due() {
        let mut views = views(&[&[], &[], &[], &[]]);
        views.nodes[2].since = Time(11);
        views.nodes[3].alive = false;
        let (mut delivery, mut violations) = (Delivery::new(0, Time(10), 4), Vec::new());
        assert_eq!(delivery.reached(&views), Reached { due: 1, delivered: 0, missing: Some(1) });
        delivery.check(Time(12), &views, &mut violations);
        assert_eq!(violations.len(), 1);
        delivery.on_delivered(Time(12), 1, &mut violations);
        delivery.check(Time(12), &views, &mut violations);
        assert_eq!(violations.len(), 1);
    }

    #[test]
    fn twice_is_once_too_often() {
        let (mut delivery, mut violations) = (Delivery::new(0, Time(10), 2), Vec::new());
        delivery.on_delivered(Time(11), 1, &mut violations);
        assert!(violations.is_empty());
        delivery.on_delivered(Time(12), 1, &mut violations);
        delivery.on_delivered(Time(12), 0, &mut violations);
        assert_eq!(violations.len(), 2);
    }
}
