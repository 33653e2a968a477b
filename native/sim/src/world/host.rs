// SPDX-License-Identifier: Apache-2.0
//! What the hosts of nodes do: they write, and they take what came from peers.

use std::time::Duration;

use barrel_p2p_proto::Input;

use super::{node, Moment, Work, World, MAX_VIOLATIONS};
use crate::invariant::store_convergence::Content;
use crate::invariant::{no_lost_write, no_resurrection};
use crate::network::happens;
use crate::subject::Subject;

/// Writes that go on in the background.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    /// Writes per second, over all nodes; zero ends them.
    pub per_second: f64,
    /// Keys (count) of which any is chosen.
    pub keys: u32,
    /// Share of writes that remove the key, 0 to 1.
    pub removes: f64,
}

impl<S: Subject> World<S> {
    /// From now on random hosts write like this.
    pub fn set_workload(&mut self, workload: Workload) {
        self.workload = workload;
        self.workloads += 1;
        self.next_write(self.workloads);
    }

    /// Writes that were acknowledged (count).
    pub fn writes(&self) -> u64 {
        self.ledger.len()
    }

    /// A node whose store is not that of the first one, and how it differs.
    pub fn store_fault(&self, with_tombstones: bool) -> Option<(u32, String)> {
        let mut alive = self.alive().into_iter();
        let first = &self.nodes[alive.next()? as usize].book;
        let root = first.store().root();
        let mut content = None;
        for node in alive {
            let book = &self.nodes[node as usize].book;
            if with_tombstones && book.store().root() != root {
                return Some((node, "has another fingerprint than the first one".into()));
            }
            let content = content.get_or_insert_with(|| Content::of(&first.store(), with_tombstones));
            let other = Content::of(&book.store(), with_tombstones);
            if let Some(fault) = content.fault(&other) {
                return Some((node, fault));
            }
        }
        None
    }

    /// Holds the stores beside what was written.
    pub fn check_stores(&mut self) {
        let (now, violations) = (self.now, &mut self.violations);
        for (key, verdict) in self.ledger.verdicts() {
            for (index, node) in (0..).zip(&self.nodes).filter(|(_, node)| node.is_alive()) {
                let store = node.book.store();
                let has = store.get(&key.to_be_bytes());
                no_lost_write::check(now, index, key, &verdict, has, violations);
                no_resurrection::check(now, index, key, &verdict, has, violations);
            }
        }
        violations.truncate(MAX_VIOLATIONS);
    }

    /// The time for a write of this workload.
    pub(super) fn write(&mut self, workload: u32) {
        if workload != self.workloads {
            return;
        }
        let Workload { keys, removes, .. } = self.workload;
        let alive = self.alive();
        if let Some(&index) = self.dice.pick(&alive) {
            let key = self.dice.below(keys as usize) as u32;
            let value = (!happens(&mut self.dice, removes)).then(|| self.dice.u64());
            let node = &self.nodes[index as usize];
            let clocks = node::clocks(node.skew_ms, self.now);
            if let Some(entry) = node.book.write(key, value, &node.contact.name, clocks.wall_ms) {
                self.ledger.note(self.now, index, node.disk, key, entry);
            }
            if let Some(name) = node.book.name().cloned() {
                self.work(index, Work::Input(Input::Wrote(name)));
            }
        }
        self.next_write(workload);
    }

    /// The host looks at what has been staged a little later.
    pub(super) fn staged(&mut self, node: u32) {
        let life = self.nodes[node as usize].life;
        self.queue.push(self.now + JUDGEMENT, Moment::Judge { node, life });
    }

    pub(super) fn judge(&mut self, index: u32, life: u32) {
        let node = &self.nodes[index as usize];
        if node.life != life || !node.is_alive() {
            return;
        }
        node.book.take_staged();
        if let Some(name) = node.book.name().cloned() {
            self.work(index, Work::Input(Input::Drained(name)));
        }
    }

    fn next_write(&mut self, workload: u32) {
        let rate = self.workload.per_second;
        if rate > 0.0 {
            let gap = Duration::from_secs_f64(1.0 / rate);
            let at = self.now + self.dice.between(Duration::ZERO, gap * 2);
            self.queue.push(at, Moment::Write { workload });
        }
    }
}

/// From being told to having taken what was staged.
const JUDGEMENT: Duration = Duration::from_millis(5);
