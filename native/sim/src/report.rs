// SPDX-License-Identifier: Apache-2.0
//! What the runs of a set amount to: measures over seeds, goals, violations, and what has changed since the last
//! accepted report.
//!
//! Keeps: apart from the measures named `host.`, a report follows from the scenarios and the code alone.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::runner::Run;
use crate::scenario::{Goal, Scenario, FLAT};

/// All scenarios of a set, by name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// By the scenario's name.
    pub scenarios: BTreeMap<String, Verdict>,
}

/// One scenario over its seeds.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Verdict {
    /// Seeds (count).
    pub seeds: usize,
    /// By name.
    pub measures: BTreeMap<String, Spread>,
    /// Goals missed and invariants violated, each with the command that shows it again.
    pub faults: Vec<String>,
}

/// One measure over seeds.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Spread {
    /// Of any seed.
    pub min: f64,
    /// Of all seeds.
    pub mean: f64,
    /// Of any seed.
    pub max: f64,
}

impl Report {
    /// Sums up runs. `peak_mb` is the most memory that the process ever had.
    pub fn new(scenarios: &[Scenario], runs: &[Run], peak_mb: f64) -> Self {
        let verdict = |(index, scenario): (usize, &Scenario)| {
            let runs: Vec<&Run> = runs.iter().filter(|run| run.scenario == index).collect();
            (scenario.name.clone(), Verdict::new(scenario, &runs, peak_mb))
        };
        let mut report = Self { scenarios: scenarios.iter().enumerate().map(verdict).collect() };
        for scenario in scenarios {
            let uneven: Vec<String> =
                scenario.goals.iter().filter_map(|(name, goal)| report.uneven(scenario, name, goal)).collect();
            if let Some(verdict) = report.scenarios.get_mut(&scenario.name) {
                verdict.faults.extend(uneven);
            }
        }
        report
    }

    /// Says that a measure is not as large as in the scenario that a goal names.
    fn uneven(&self, scenario: &Scenario, name: &str, goal: &Goal) -> Option<String> {
        let mean = |scenario: &str| Some(self.scenarios.get(scenario)?.measures.get(name)?.mean);
        let (here, other) = (mean(&scenario.name)?, goal.flat_with.as_deref()?);
        let Some(there) = mean(other) else { return Some(format!("{other}, to compare {name} with, has not run")) };
        let even = here <= there * FLAT && there <= here * FLAT;
        (!even).then(|| format!("{name} is {} and in {other} {}, wanted within {FLAT}", number(here), number(there)))
    }

    /// Was every goal met and every invariant kept?
    pub fn is_good(&self) -> bool {
        self.scenarios.values().all(|verdict| verdict.faults.is_empty())
    }

    /// Without what belongs to the machine that it ran on: so that it can be committed.
    pub fn portable(&self) -> Self {
        let mut report = self.clone();
        for verdict in report.scenarios.values_mut() {
            verdict.measures.retain(|name, _| !name.starts_with(HOST));
        }
        report
    }

    /// A table to read, with the change against an accepted report.
    pub fn table(&self, scenarios: &[Scenario], accepted: &Self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        for scenario in scenarios {
            let Some(verdict) = self.scenarios.get(&scenario.name) else { continue };
            let good = if verdict.faults.is_empty() { "good" } else { "BAD" };
            let form = &scenario.form;
            writeln!(
                text,
                "\n{}: {good} ({} nodes, {:?}, {} seeds)",
                scenario.name, form.nodes, form.composition, verdict.seeds
            )?;
            let before = accepted.scenarios.get(&scenario.name);
            for (name, spread) in &verdict.measures {
                let goal = scenario.goals.get(name).map(Goal::to_string).unwrap_or_default();
                let was = before.and_then(|before| before.measures.get(name));
                let change = match was {
                    Some(was) => spread.change_from(was),
                    None if name.starts_with(HOST) => String::new(),
                    None => "new".to_owned(),
                };
                writeln!(
                    text,
                    "  {name:<42} {:>11} {:>11} {:>11}  {goal:<12} {change}",
                    number(spread.min),
                    number(spread.mean),
                    number(spread.max)
                )?;
            }
            for fault in &verdict.faults {
                writeln!(text, "  !! {fault}")?;
            }
        }
        Ok(text)
    }
}

impl Verdict {
    fn new(scenario: &Scenario, runs: &[&Run], peak_mb: f64) -> Self {
        let mut measures: BTreeMap<String, Spread> = BTreeMap::new();
        let mut faults = Vec::new();
        for run in runs {
            let host = [(format!("{HOST}elapsed_s"), run.elapsed_s), (format!("{HOST}peak_mb"), peak_mb)];
            for (name, value) in run.outcome.measures.clone().into_iter().chain(host) {
                let spread = measures.entry(name).or_insert(Spread { min: value, mean: 0.0, max: value });
                spread.min = spread.min.min(value);
                spread.max = spread.max.max(value);
                spread.mean += value / runs.len() as f64;
            }
            for violation in &run.outcome.violations {
                faults.push(format!("{violation} (repeat with --seed {})", run.seed));
            }
        }
        for (name, goal) in &scenario.goals {
            faults.extend(goal.fault(name, measures.get(name)));
        }
        Self { seeds: runs.len(), measures, faults }
    }
}

impl Goal {
    fn fault(&self, name: &str, spread: Option<&Spread>) -> Option<String> {
        let Some(spread) = spread else { return Some(format!("{name} was never measured")) };
        let above = self.max.is_some_and(|max| spread.max > max);
        let below = self.min.is_some_and(|min| spread.min < min);
        (above || below).then(|| format!("{name} is {} to {}, wanted {self}", number(spread.min), number(spread.max)))
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(max) = self.max {
            write!(f, "<= {max}")?;
        }
        if let Some(min) = self.min {
            write!(f, ">= {min}")?;
        }
        if self.flat_with.is_some() {
            write!(f, "x {FLAT}")?;
        }
        Ok(())
    }
}

impl Spread {
    /// The change of the mean in words; nothing if there is none to speak of.
    fn change_from(&self, was: &Self) -> String {
        let change = 100.0 * (self.mean - was.mean) / was.mean.abs().max(1e-9);
        if change.abs() < 0.5 {
            String::new()
        } else {
            format!("{change:+.0} % from {}", number(was.mean))
        }
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value}")
    } else {
        format!("{value:.3}")
    }
}

/// What the names of measures begin with that depend on the machine.
const HOST: &str = "host.";

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(min: f64, max: f64) -> Spread {
        Spread { min, mean: (min + max) / 2.0, max }
    }

    #[test]
    fn the_worst_seed_decides_a_goal() {
        let most = Goal { max: Some(0.1), ..Goal::default() };
        assert_eq!(most.fault("rmr", Some(&spread(0.0, 0.1))), None);
        assert!(most.fault("rmr", Some(&spread(0.0, 0.11))).is_some());
        let least = Goal { min: Some(1.0), ..Goal::default() };
        assert_eq!(least.fault("reached", Some(&spread(1.0, 1.0))), None);
        assert!(least.fault("reached", Some(&spread(0.99, 1.0))).is_some());
    }

    #[test]
    fn a_goal_without_a_measure_is_missed() {
        assert!(Goal { max: Some(1.0), ..Goal::default() }.fault("typo", None).is_some());
    }

    #[test]
    fn a_change_is_said_in_per_cent() {
        assert_eq!(spread(2.0, 4.0).change_from(&spread(1.0, 3.0)), "+50 % from 2");
        assert_eq!(spread(2.0, 2.0).change_from(&spread(2.0, 2.0)), "");
    }
}
