// SPDX-License-Identifier: Apache-2.0
//! Every member and its state, on every node.
//!
//! A claim about a member is a [`Record`]. Changes travel as rumours along the overlay; digests find what a rumour
//! missed, and reconciliation repairs it. Suspicion, refutation and the order of claims follow SWIM (Das, Gupta,
//! Motivala 2002, sections 4.1 and 4.2), patience of slow nodes follows Lifeguard.
//!
//! Keeps:
//! * Who answers is never declared down: the way to `Down` leads through a suspicion that this node has held for the
//!   whole of its time, or through the member's own goodbye. Somebody else's `Down` starts that time, no more.
//! * A member's record only grows; only the member itself raises its version, and by that it overrules everybody.
//! * What a node sends per second does not depend on the size of the cluster, only on how much changes.
//!
//! Leaves to others: links and their loss, who is a neighbour, and merging two overlays once the directory has found
//! that there are two (see [`Directory::take_bridge`]).
//!
//! Departures from SWIM: links already watch neighbours, so probes only go to members that are no neighbours, and there
//! are no indirect probes: a suspicion reaches the suspect through everybody who still can.
//!
//! Limits: who is inside the cluster is trusted not to forge claims. A member refutes lies about itself until its
//! version, 32 bits, is used up, and cannot refute one about a later life of itself.

mod config;
mod deadlines;
mod fingerprint;
mod health;
mod learn;
mod lease;
mod message;
mod probe;
mod reconcile;
mod record;
mod rumours;
mod state;
mod stats;
mod suspicion;
mod table;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use fingerprint::BUCKETS;
pub use message::{Beat, Buckets, Message};
pub use record::Record;
pub use state::Directory;
pub use stats::Stats;
