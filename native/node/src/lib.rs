// SPDX-License-Identifier: Apache-2.0
//! One node: its identity on disk, its endpoint, its gossip, its stores, and the files it publishes while it runs.
//!
//! * [`identity`]: keys, pins and certificate, in memory and on disk, and the policy over them
//! * [`gossip`]: membership and broadcast over the links
//! * [`clock`]: the time of day
//! * [`node`]: an identity with a running endpoint
//! * [`stores`]: what the cluster remembers, as far as this process has opened it
//!
//! Everything that a host (the Erlang boundary, a test) needs is exported here. Knows no Erlang.
#![forbid(unsafe_code)]

pub mod clock;
pub mod gossip;
pub mod identity;
pub mod node;
pub mod stores;

pub use barrel_p2p_base::{Fingerprint, NodeName, PublicKey};
pub use barrel_p2p_identity::key::fingerprint;
pub use barrel_p2p_identity::{AuthMode, Pattern, Pin, PinLevel, Policy, TrustMode};
pub use barrel_p2p_net::{
    Accepted, Batch, Channel, Config, CookieReply, Direction, Host, Info, Kind, LinkInfo, Owner, Peer, Reason, Refused,
    Request, Role, Signals, TooLong,
};
pub use barrel_p2p_proto as proto;
pub use barrel_p2p_store::{disk, log};
pub use gossip::{Gossip, JoinFailure, Listener, Refusal, Target};
pub use identity::{Identity, IdentityError};
pub use node::{Node, NodeError};
