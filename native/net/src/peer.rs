// SPDX-License-Identifier: Apache-2.0
//! What is known of the other end of a link.

use barrel_p2p_base::{Incarnation, NodeName, PublicKey};
use std::net::SocketAddr;

/// Which end opened the QUIC connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The peer dialled us.
    Accepted,
    /// We dialled the peer.
    Dialled,
}

/// An authenticated peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `None` while the peer's name is dynamic.
    pub name: Option<NodeName>,
    /// The identity it proved.
    pub key: PublicKey,
    /// Its start.
    pub incarnation: Incarnation,
    /// Where its packets come from.
    pub address: SocketAddr,
    /// Where it says that it can be dialled, best first.
    pub claimed: Vec<SocketAddr>,
    /// Which end dialled.
    pub role: Role,
}
