// SPDX-License-Identifier: Apache-2.0
//! The scenario files themselves: the large ones are played seldom, and shall not be found broken only then.

use std::error::Error;
use std::path::Path;

use barrel_p2p_sim::scenario::Scenario;

#[test]
fn every_scenario_can_be_read_and_compares_itself_with_one_that_exists() -> Result<(), Box<dyn Error>> {
    for set in ["full", "small", "speed"] {
        let scenarios = Scenario::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(set))?;
        assert!(!scenarios.is_empty());
        for goal in scenarios.iter().flat_map(|scenario| scenario.goals.values()) {
            let exists = |other: &String| scenarios.iter().any(|scenario| scenario.name == *other);
            assert!(goal.flat_with.as_ref().is_none_or(exists), "{set}: {:?}", goal.flat_with);
        }
    }
    Ok(())
}
