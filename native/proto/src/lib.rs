// SPDX-License-Identifier: Apache-2.0
//! Membership and broadcast of a cluster, as state machines that nobody else drives.
//!
//! ```text
//!          driver: the node's gossip actor, or the simulator
//!             | Input, timeouts               ^ Output
//!             v                               |
//!   stack     the whole of one node  ----------------  directory, replication of stores, hlc
//!   overlay   who talks to whom, and how a broadcast travels
//!             hyparview (views)   plumtree (tree)
//! ```
//!
//! * [`contact`]: how a member can be reached
//! * [`directory`]: every member and its state
//! * [`hlc`]: hybrid logical clock
//! * [`hyparview`]: active and passive view
//! * [`machine`]: what goes into a machine and what comes out of it; the contract with drivers
//! * [`message`]: what travels on gossip channels, and its bytes
//! * [`overlay`]: HyParView and Plumtree, wired
//! * [`plumtree`]: how a broadcast travels
//! * [`replication`]: stores kept equal
//! * [`stack`]: everything, wired
//! * [`store`]: what the cluster remembers, one store at a time
//! * [`timers`]: when a machine wants to be woken
//!
//! Keeps: the same inputs at the same times with the same seed give the same outputs. Nothing here reads a clock, opens
//! a socket, or walks a collection in the order of hashes. Leaves to others: links, disks, and the time.
#![forbid(unsafe_code)]

pub mod contact;
pub mod directory;
#[cfg(test)]
mod fuzz;
pub mod hlc;
pub mod hyparview;
pub mod machine;
pub mod message;
pub mod overlay;
pub mod plumtree;
pub mod replication;
mod search;
pub mod stack;
pub mod store;
pub mod timers;

pub use contact::Contact;
pub use machine::{DownReason, Event, Input, Machine, MemberState, Now, Output, Outputs, Why};
pub use message::{Message, MessageId};
