// SPDX-License-Identifier: Apache-2.0
//! Scenarios over seeds on all cores.
//!
//! Keeps: the results do not depend on the number of threads. A world never crosses threads, and is dropped before its
//! thread begins another one. Leaves to others: what the results mean.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use barrel_p2p_proto::overlay::Overlay;
use barrel_p2p_proto::stack::Stack;

use crate::branch;
use crate::scenario::play::{self, Outcome};
use crate::scenario::{Composition, Scenario};
use crate::subject::Subject;

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
    /// Time that it took on this machine, in seconds; the first one of a cluster has formed it.
    pub elapsed_s: f64,
}

/// Runs on one thread, one after the other; several if they go on from the same cluster.
struct Task {
    /// The seed of that cluster.
    world: Option<u64>,
    /// Indices of scenarios, and seeds.
    runs: Vec<(usize, u64)>,
}

/// Plays everything and calls `each` as runs end; the results are in the order of scenarios and seeds.
pub fn run(scenarios: &[Scenario], plan: Plan, each: &(dyn Fn(&Run) + Sync)) -> io::Result<Vec<Run>> {
    let tasks = tasks(scenarios, plan.seed);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..plan.threads.clamp(1, tasks.len().max(1)) {
            scope.spawn(|| {
                while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    task.run(scenarios, &|run| {
                        run.iter().for_each(each);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push(run);
                    });
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut runs = results.into_iter().collect::<io::Result<Vec<Run>>>()?;
    runs.sort_by_key(|run| (run.scenario, run.seed));
    Ok(runs)
}

fn tasks(scenarios: &[Scenario], only: Option<u64>) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        for seed in only.map_or(1..=scenario.seeds, |seed| seed..=seed) {
            let world = scenario.world(seed);
            let is_same = |task: &&mut Task| world == task.world && scenarios[task.runs[0].0].form == scenario.form;
            match world.and_then(|_| tasks.iter_mut().find(is_same)) {
                Some(task) => task.runs.push((index, seed)),
                None => tasks.push(Task { world, runs: vec![(index, seed)] }),
            }
        }
    }
    tasks
}

impl Task {
    fn run(&self, scenarios: &[Scenario], each: &dyn Fn(io::Result<Run>)) {
        match scenarios[self.runs[0].0].form.composition {
            Composition::Overlay => self.run_as::<Overlay>(scenarios, each),
            Composition::Stack => self.run_as::<Stack>(scenarios, each),
        }
    }

    fn run_as<S: Subject>(&self, scenarios: &[Scenario], each: &dyn Fn(io::Result<Run>)) {
        let mut start = Instant::now();
        let mut formed = None;
        let last = self.runs.len() - 1;
        for (at, &(index, seed)) in self.runs.iter().enumerate() {
            let Scenario { form, steps, .. } = &scenarios[index];
            let outcome = match self.world {
                None => Ok(play::play::<S>(form, steps, seed)),
                Some(world) => {
                    let world = formed.get_or_insert_with(|| play::formed::<S>(form, world));
                    let mut go_on = || play::branch(world, form, steps, seed);
                    // Nobody needs the cluster after the last run: a copy would only keep its memory twice.
                    if at == last {
                        Ok(go_on())
                    } else {
                        branch::apart(go_on)
                    }
                }
            };
            let elapsed_s = start.elapsed().as_secs_f64();
            each(outcome.map(|outcome| Run { scenario: index, seed, outcome, elapsed_s }));
            start = Instant::now();
        }
    }
}
