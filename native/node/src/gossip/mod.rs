// SPDX-License-Identifier: Apache-2.0
//! Membership and broadcast over the links of this node: the driver of `barrel_p2p_proto`'s stack.
//!
//! ```text
//!   host's threads                    I/O thread
//!   Gossip ---- inbox ------------->  actor --- stack (proto)
//!     ^                                 |  \
//!     +------ published state ----------+   lines ---- channels (net)
//!   Listener <---- events --------------+
//! ```
//!
//! * [`handle`]: what the host holds
//! * `inbox`: what waits for the actor, bounded in bytes
//! * `actor`: the loop: takes inputs, drives the stack, carries out what it says
//! * `lines`: which gossip channels there are, and to whom
//! * `ear`: what the actor hears of a channel
//! * `frames`: messages in and out of a channel's bytes
//! * `joins`: joins whose caller waits for the result
//! * `events`: what the host is told, on credit
//! * `published`: the state that anybody may read at any time
//! * `metrics`, `gauges`: what is counted, and what the stack counts by itself
//! * `recent`: ids of broadcasts of late
//! * `slot`: where a node keeps its gossip, and where peers' channels are led to it
//!
//! Keeps: every queue is bounded; nothing here decides anything about membership or broadcast; the stack is touched by the actor only.
//! Leaves to others: every rule of the protocols (`proto`), links (`net`), processes (`nif`).

mod actor;
mod ear;
mod events;
mod frames;
mod gauges;
pub mod handle;
mod inbox;
mod joins;
mod lines;
mod metrics;
mod published;
mod recent;
pub(crate) mod slot;

pub use events::Listener;
pub use handle::{Gossip, Refusal, StartError};
pub use joins::{JoinFailure, Target};
pub use published::{Member, Views};

use crate::stores::Stores;
use actor::{Actor, Parts};
use barrel_p2p_base::NodeName;
use barrel_p2p_net::Endpoint;
use barrel_p2p_proto::stack;
use slot::Slot;
use std::sync::Arc;

/// Starts the actor on the endpoint's thread.
pub(crate) fn start(
    endpoint: &Endpoint,
    slot: &Slot,
    name: NodeName,
    config: stack::Config,
    stores: Arc<Stores>,
    listener: impl FnOnce(&Arc<Gossip>) -> Arc<dyn Listener>,
) -> Result<Arc<Gossip>, StartError> {
    let (commands, links, inbox) = inbox::inbox();
    let gossip = Arc::new(Gossip::new(commands, stores.clone()));
    if !slot.take(&gossip, &links) {
        return Err(StartError::AlreadyStarted);
    }
    let listener = listener(&gossip);
    let parts = Parts { name, config, stores, gossip: gossip.clone(), listener, inbox, links };
    let started = endpoint.spawn(move |local| Actor::new(parts, local).run());
    started.map(|()| gossip).map_err(|_| StartError::NotStarted)
}
