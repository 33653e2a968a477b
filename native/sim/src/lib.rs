// SPDX-License-Identifier: Apache-2.0
//! A deterministic simulator of the gossip engine: the very composition that a node runs, thousands of them in one
//! process, in virtual time.
//!
//! * [`scenario`]: what is played, read from files
//! * [`world`]: nodes, virtual time, faults
//! * [`links`], [`network`]: the model of what lies between nodes
//! * [`books`], [`ledger`]: what hosts keep, and what they were told that they keep
//! * [`invariant`]: what must hold whatever happens
//! * [`measure`]: what it costs and achieves
//! * [`runner`]: scenarios over seeds on all cores; `branch`: many seeds of one formed cluster
//! * [`report`]: goals, and the comparison with the last accepted run
//!
//! Keeps: one seed, one result, on every machine. Leaves to others: QUIC, the hello, disks and the BEAM, of which only
//! the timing is modelled (see `docs/design/simulator.md`).
#![forbid(unsafe_code)]

pub mod books;
mod branch;
pub mod invariant;
pub mod ledger;
pub mod links;
pub mod measure;
pub mod network;
pub mod queue;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod subject;
pub mod world;
