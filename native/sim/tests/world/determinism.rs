// SPDX-License-Identifier: Apache-2.0
//! One seed, one result.

use std::collections::BTreeSet;

use barrel_p2p_proto::stack::Stack;
use barrel_p2p_sim::runner::{self, Plan};
use barrel_p2p_sim::scenario::{play, Scenario};

use crate::probe::Probe;

const ROUGH: &str = "
about = 'everything that draws from the dice'
seeds = 1
[form]
nodes = 30
composition = 'overlay'
joins_per_second = 10.0
through = 'any'
settle_s = 3.0
skew_ms = 1000
[form.weather]
latency_ms = [20, 80]
loss = 0.01
duplicate = 0.1
reorder = 0.1
[[steps]]
do = 'broadcast'
name = 'all'
count = 3
senders = 'rotating'
[[steps]]
do = 'churn'
seconds = 5.0
per_second = 2.0
away_s = 1.0
[[steps]]
do = 'crash'
share = 0.2
[[steps]]
do = 'settle'
seconds = 10.0
";

fn digest(seed: u64) -> u64 {
    let scenario = Scenario::parse("rough", ROUGH).unwrap();
    play::play::<Probe>(&scenario.form, &scenario.steps, seed).digest
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn the_engine_itself_gives_the_same_digest() {
    let scenario = Scenario::parse("rough", ROUGH).unwrap();
    let digest = || play::play::<Stack>(&scenario.form, &scenario.steps, 1).digest;
    assert_eq!(digest(), digest());
}

#[test]
fn seeds_that_share_a_cluster_give_what_each_gives_alone() {
    let scenario = Scenario { seeds: 5, worlds: Some(2), ..Scenario::parse("rough", ROUGH).unwrap() };
    let digests = |seed: Option<u64>| -> Vec<u64> {
        let runs = runner::run(std::slice::from_ref(&scenario), Plan { seed, threads: 2 }, &|_| {}).unwrap();
        runs.iter().map(|run| run.outcome.digest).collect()
    };
    let together = digests(None);
    assert_eq!(together, (1..=5).flat_map(|seed| digests(Some(seed))).collect::<Vec<u64>>());
    assert_eq!(BTreeSet::from_iter(&together).len(), 5, "{together:?}");
}
