// SPDX-License-Identifier: Apache-2.0
//! What must hold whatever happens: one file each.
//!
//! * [`bounded_memory`], [`delivery`], [`no_false_down`], [`transitions`], [`view_bounds`], [`view_symmetry`]: all the time
//! * [`connectivity`], [`directory_convergence`], [`store_convergence`], [`no_lost_write`], [`no_resurrection`]: at the
//!   moments that a scenario names
//! * [`views`]: what they look at
//!
//! Keeps: an invariant only looks; it never changes the run. Leaves to others: how often it is asked ([`crate::world`]).

pub mod bounded_memory;
pub mod connectivity;
pub mod delivery;
pub mod directory_convergence;
pub mod no_false_down;
pub mod no_lost_write;
pub mod no_resurrection;
pub mod store_convergence;
pub mod transitions;
pub mod view_bounds;
pub mod view_symmetry;
pub mod views;

use std::borrow::Cow;
use std::fmt;

use barrel_p2p_base::time::Time;
use serde::{Deserialize, Serialize};

pub use views::{View, Views};

/// Something that must not be.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which invariant is broken.
    pub invariant: Cow<'static, str>,
    /// When it was seen.
    #[serde(with = "Microseconds")]
    pub at: Time,
    /// At which node; none if it is about all of them.
    pub node: Option<u32>,
    /// What was seen.
    pub what: String,
}

/// How a moment is told to another process.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Time")]
struct Microseconds(u64);

impl Violation {
    /// At one node.
    pub fn new(invariant: &'static str, at: Time, node: u32, what: String) -> Self {
        Self { invariant: invariant.into(), at, node: Some(node), what }
    }

    /// Of all nodes together.
    pub fn everywhere(invariant: &'static str, at: Time, what: String) -> Self {
        Self { invariant: invariant.into(), at, node: None, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} s: ", self.invariant, self.at.0 as f64 / 1e6)?;
        match self.node {
            Some(node) => write!(f, "node {node} {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}
