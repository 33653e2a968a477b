// SPDX-License-Identifier: Apache-2.0
//! One seed, one result.

use barrel_p2p_proto::stack::Stack;
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
