// SPDX-License-Identifier: Apache-2.0
//! Scenarios over seeds on all cores.
//!
//! Keeps: the results do not depend on the number of threads. A world never crosses threads, and is dropped before its
//! thread begins another one. Leaves to others: what the results mean.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use barrel_p2p_proto::overlay::Overlay;
use barrel_p2p_proto::stack::Stack;

use crate::scenario::play::{self, Outcome};
use crate::scenario::{Composition, Scenario};

/// Which seeds, on how many threads.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Only this seed.
    pub seed: Option<u64>,
    /// At once.
    pub threads: usize,
}

/// One scenario with one seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// Index into the scenarios.
    pub scenario: usize,
    /// The seed.
    pub seed: u64,
    /// What came out.
    pub outcome: Outcome,
    /// Time that it took on this machine, in seconds.
    pub elapsed_s: f64,
}

/// Plays everything and calls `each` as runs end; the results are in the order of scenarios and seeds.
pub fn run(scenarios: &[Scenario], plan: Plan, each: &(dyn Fn(&Run) + Sync)) -> Vec<Run> {
    let mut tasks = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        let seeds = plan.seed.map_or(1..=scenario.seeds, |seed| seed..=seed);
        tasks.extend(seeds.map(|seed| (index, seed)));
    }
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..plan.threads.clamp(1, tasks.len().max(1)) {
            scope.spawn(|| {
                while let Some(&(index, seed)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let run = run_one(index, &scenarios[index], seed);
                    each(&run);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(run);
                }
            });
        }
    });
    let mut runs = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    runs.sort_by_key(|run: &Run| (run.scenario, run.seed));
    runs
}

fn run_one(index: usize, scenario: &Scenario, seed: u64) -> Run {
    let start = Instant::now();
    let outcome = match scenario.form.composition {
        Composition::Overlay => play::play::<Overlay>(&scenario.form, &scenario.steps, seed),
        Composition::Stack => play::play::<Stack>(&scenario.form, &scenario.steps, seed),
    };
    Run { scenario: index, seed, outcome, elapsed_s: start.elapsed().as_secs_f64() }
}
