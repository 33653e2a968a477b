// SPDX-License-Identifier: Apache-2.0
//! What is played: a cluster that forms, steps that happen to it, and the goals that the measures must meet.
//!
//! Keeps: a scenario is a file; unknown words in it are errors.
//! Leaves to others: doing it ([`play`]), judging it ([`crate::report`]).

pub mod play;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::network::Weather;

/// One file under `scenarios/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// What it shows, and what was made smaller so that it fits.
    pub about: String,
    /// How many seeds it runs with: 1, 2, ...
    pub seeds: u64,
    /// How many clusters form, of which the seeds take one in turn: for those that take long to form. Scenarios of a set
    /// that form alike share them, too. Left out: each seed has its own.
    #[serde(default)]
    pub worlds: Option<u64>,
    /// How the cluster comes to be.
    pub form: Form,
    /// What happens to it then.
    pub steps: Vec<Step>,
    /// Bounds on measures, by name; the worst seed counts.
    #[serde(default)]
    pub goals: BTreeMap<String, Goal>,
}

/// How a cluster forms.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Nodes (count).
    pub nodes: u32,
    /// Which part of the engine each node runs.
    pub composition: Composition,
    /// Joins that start per second.
    pub joins_per_second: f64,
    /// Whom they join through.
    #[serde(default)]
    pub through: Through,
    /// Quiet time after the last join.
    pub settle_s: f64,
    /// What is done with the bytes of messages.
    #[serde(default)]
    pub wire: Wire,
    /// The wall clocks of nodes differ by up to this much from the true time, either way.
    #[serde(default)]
    pub skew_ms: u64,
    /// How long the tombstones of the nodes' stores live.
    #[serde(default = "five_minutes")]
    pub tombstone_ttl_ms: u64,
    /// How often the invariants that look at all nodes are checked.
    #[serde(default)]
    pub check: Check,
    /// The network.
    #[serde(default)]
    pub weather: Weather,
}

/// Which composition of `proto` is driven.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Composition {
    /// HyParView and Plumtree only: what comparable simulators run.
    Overlay,
    /// Everything that a node runs.
    Stack,
}

/// Whom a node joins through.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// Any node that has joined before.
    Any,
    /// Always node 0.
    #[default]
    First,
}

/// What is done with the bytes of messages.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Every message is encoded, and the receiver gets what the decoder makes of it.
    Coded,
    /// Every message is encoded to count its bytes.
    Counted,
    /// Messages are handed over as they are.
    #[default]
    Free,
}

/// How often all nodes are looked at.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// After every single event: for a few dozen nodes.
    EveryEvent,
    /// Once per so many milliseconds of simulated time.
    EveryMs(u64),
}

impl Default for Check {
    fn default() -> Self {
        Self::EveryMs(1000)
    }
}

/// One thing that happens. `name` prefixes the measures that it yields.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Waits until the stores of all live nodes are equal, and holds them beside what was written.
    Agree {
        /// Prefix of its measure: seconds it took.
        name: String,
        /// It is a violation if it takes longer.
        within_s: f64,
        /// Do tombstones have to be equal, too? Not while they are collected.
        #[serde(default = "yes")]
        tombstones: bool,
    },
    /// One node, or always another one, broadcasts.
    Broadcast {
        /// Prefix of its measures.
        name: String,
        /// Broadcasts (count).
        count: u32,
        /// Who broadcasts.
        senders: Senders,
        /// From one to the next.
        #[serde(default = "one_second")]
        every_ms: u64,
        /// Size of each payload.
        #[serde(default = "small_payload")]
        payload_bytes: usize,
    },
    /// Nodes crash and come back at random, for a while.
    Churn {
        /// How long.
        seconds: f64,
        /// Crashes per second.
        per_second: f64,
        /// How long a crashed node stays away.
        away_s: f64,
    },
    /// Waits until every live node's directory says the same, and the truth.
    Converge {
        /// Prefix of its measure: seconds it took.
        name: String,
        /// It is a violation if it takes longer.
        within_s: f64,
    },
    /// Waits until the live nodes are one component, with nobody stale in any active view.
    Connect {
        /// Prefix of its measure: seconds it took.
        name: String,
        /// It is a violation if it takes longer.
        within_s: f64,
    },
    /// Nodes end at once, without a word.
    Crash {
        /// Which part of the live nodes, 0 to 1.
        share: f64,
    },
    /// Nodes leave with a word and end.
    Leave {
        /// Nodes (count).
        count: u32,
    },
    /// Counts the traffic of a while.
    Measure {
        /// Prefix of its measures.
        name: String,
        /// How long.
        seconds: f64,
    },
    /// Nothing passes between two parts, for a while.
    Partition {
        /// The part of the nodes on one side, 0 to 1.
        share: f64,
        /// How long.
        seconds: f64,
    },
    /// All nodes that are down start again.
    Restart {
        /// With what they still know.
        disk: Disk,
        /// The starts are spread over this time.
        over_s: f64,
        /// Do they also join through node 0, as if it were configured? Needed where nobody has stayed.
        #[serde(default)]
        through_first: bool,
    },
    /// Time passes.
    Settle {
        /// How long.
        seconds: f64,
    },
    /// Some nodes take long to handle each input, from now on.
    Slow {
        /// Which part of the live nodes, 0 to 1; 0 ends it for all.
        share: f64,
        /// Time that each input takes.
        service_ms: u64,
    },
    /// Some nodes do nothing at all for a while, then go on as if nothing had been.
    Stall {
        /// Which part of the live nodes, 0 to 1.
        share: f64,
        /// How long.
        ms: u64,
    },
    /// New nodes join, all through node 0.
    Storm {
        /// New nodes (count).
        count: u32,
        /// The joins are spread over this time.
        over_s: f64,
    },
    /// The network changes.
    Weather {
        /// The new one.
        weather: Weather,
    },
    /// From now on hosts write into their stores, whatever else happens.
    Write {
        /// Writes per second, over all nodes; zero ends them.
        per_second: f64,
        /// Keys (count) of which any is chosen.
        #[serde(default = "some_keys")]
        keys: u32,
        /// Share of writes that remove the key, 0 to 1.
        #[serde(default = "a_third")]
        removes: f64,
    },
}

/// Who broadcasts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Senders {
    /// Always the same node.
    One,
    /// Another random one each time.
    Rotating,
}

/// What a restarted node still has.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Disk {
    /// Its key, and the contacts it knew: it joins through one of them.
    Kept,
    /// Nothing: a new key, and it joins through a live node as a new one would.
    Lost,
}

/// Bounds of one measure.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The mean may not differ from that of this scenario of the same set by more than [`FLAT`].
    pub flat_with: Option<String>,
    /// The largest value of any seed may not be above it.
    pub max: Option<f64>,
    /// The smallest value of any seed may not be below it.
    pub min: Option<f64>,
}

/// Why scenarios could not be read.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// A file or folder that cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is no scenario.
    #[error("{}: {source}", path.display())]
    Parse {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
}

impl Scenario {
    /// Reads a file, or every `.toml` file of a folder in the order of their names.
    pub fn load(path: &Path) -> Result<Vec<Self>, ScenarioError> {
        let io = |source| ScenarioError::Io { path: path.to_owned(), source };
        if !path.is_dir() {
            return Ok(vec![Self::read(path)?]);
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(io)? {
            files.push(entry.map_err(io)?.path());
        }
        files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    /// Parses the text of a scenario.
    pub fn parse(name: &str, text: &str) -> Result<Self, toml::de::Error> {
        let mut scenario: Self = toml::from_str(text)?;
        scenario.name = name.to_owned();
        Ok(scenario)
    }

    /// The seed of the cluster that a seed shares with others.
    pub fn world(&self, seed: u64) -> Option<u64> {
        self.worlds.map(|worlds| 1 + seed.saturating_sub(1) % worlds.max(1))
    }

    fn read(path: &Path) -> Result<Self, ScenarioError> {
        let text = fs::read_to_string(path).map_err(|source| ScenarioError::Io { path: path.to_owned(), source })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text)
            .map_err(|source| ScenarioError::Parse { path: path.to_owned(), source: Box::new(source) })
    }
}

/// The factor within which a cost counts as flat.
pub const FLAT: f64 = 1.5;

fn a_third() -> f64 {
    0.33
}

fn five_minutes() -> u64 {
    300_000
}

fn one_second() -> u64 {
    1000
}

fn small_payload() -> usize {
    64
}

fn some_keys() -> u32 {
    500
}

fn yes() -> bool {
    true
}
