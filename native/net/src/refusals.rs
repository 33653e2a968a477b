// SPDX-License-Identifier: Apache-2.0
//! Memory of failures: the last reason per node, and a brake on how many refusals are reported.

use crate::bucket::{Bucket, Rate};
use crate::reason::Reason;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Nodes whose last failure is remembered. A stranger may claim any name, so the oldest entry makes room.
const REMEMBERED_NODES: usize = 1024;

/// A node that fails again for the same reason is not reported again so soon: whoever sends to a dead node in a loop dials in a loop.
const SILENT_FOR: Duration = Duration::from_secs(10);

/// Refusals reported at once before the brake works, and how often one more is reported then. A flood of strangers must not become a
/// flood of log lines.
const REPORTS: Rate = Rate { burst: 50, refill_every: Duration::from_millis(500) };

#[derive(Clone, Copy, Debug)]
struct Failure {
    reason: Reason,
    at: Instant,
    reported_at: Instant,
}

#[derive(Debug)]
pub(crate) struct Refusals {
    last: BTreeMap<String, Failure>,
    total: u64,
    reports: Bucket,
}

impl Refusals {
    pub(crate) fn new(now: Instant) -> Self {
        Self { last: BTreeMap::new(), total: 0, reports: Bucket::new(REPORTS, now) }
    }

    /// Remembers a failure; true when it is to be reported too.
    pub(crate) fn record(&mut self, node: &str, reason: Reason, now: Instant) -> bool {
        self.total += 1;
        let reported_at = self.last.get(node).filter(|last| last.reason == reason).map(|last| last.reported_at);
        let is_news = reported_at.is_none_or(|at| now.duration_since(at) >= SILENT_FOR);
        let report = is_news && self.reports.spend(now);
        if !node.is_empty() {
            self.make_room(node);
            let reported_at = if report { now } else { reported_at.unwrap_or(now) };
            self.last.insert(node.to_owned(), Failure { reason, at: now, reported_at });
        }
        report
    }

    fn make_room(&mut self, node: &str) {
        if self.last.len() >= REMEMBERED_NODES && !self.last.contains_key(node) {
            let oldest = self.last.iter().min_by_key(|(_, failure)| failure.at).map(|(name, _)| name.clone());
            if let Some(name) = oldest {
                self.last.remove(&name);
            }
        }
    }

    /// A link to the node is up: what failed before no longer matters.
    pub(crate) fn forget(&mut self, node: &str) {
        self.last.remove(node);
    }

    pub(crate) fn last(&self, node: &str) -> Option<(Reason, Instant)> {
        self.last.get(node).map(|failure| (failure.reason, failure.at))
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_remembered_but_not_reported() {
        let start = Instant::now();
        let mut refusals = Refusals::new(start);
        let reported = (0..5_000).filter(|n| refusals.record(&format!("n{n}@h"), Reason::Refused, start)).count();
        assert_eq!(reported, REPORTS.burst as usize);
        assert_eq!(refusals.last.len(), REMEMBERED_NODES);
        assert_eq!(refusals.total(), 5_000);
        assert!(refusals.record("late@h", Reason::Refused, start + REPORTS.refill_every));
        assert_eq!(refusals.last("late@h"), Some((Reason::Refused, start + REPORTS.refill_every)));
    }

    #[test]
    fn the_same_failure_again_and_again_is_reported_now_and_then() {
        let start = Instant::now();
        let mut refusals = Refusals::new(start);
        let mut record = |reason, after| refusals.record("n@h", reason, start + after);
        assert!(record(Reason::Refused, Duration::ZERO));
        assert!(!record(Reason::Refused, SILENT_FOR / 2));
        assert!(record(Reason::Refused, SILENT_FOR));
        assert!(record(Reason::DialTimeout, SILENT_FOR));
    }

    #[test]
    fn success_clears_the_last_failure() {
        let now = Instant::now();
        let mut refusals = Refusals::new(now);
        refusals.record("n@h", Reason::DialTimeout, now);
        refusals.forget("n@h");
        assert_eq!(refusals.last("n@h"), None);
    }
}
