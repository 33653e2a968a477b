// SPDX-License-Identifier: Apache-2.0
//! The native transport of barrel_p2p: one QUIC endpoint per node, one authenticated link per peer, channels on the links.
//!
//! * [`endpoint`]: start, stop, connect, state
//! * [`channel`]: one conversation, bounded in both directions
//! * [`local`]: the same for tasks that live on the I/O thread
//! * [`host`]: the two traits through which identity and the BEAM are reached
//! * `accept`, `dial`, `hello`, `strangers`: how a connection becomes a link, and what it costs a stranger to try
//! * `link`, `links`: the links and which one serves a name
//!
//! Keeps: nothing of a peer is believed before its hello passed; no queue is unbounded; no call from the host blocks.
//! Leaves to others: keys and pins on disk (`node`), Erlang terms (`nif`), what frames mean.
#![forbid(unsafe_code)]

mod accept;
mod addresses;
mod bucket;
pub mod channel;
mod coalescing;
pub mod config;
mod congestion;
mod core;
mod dial;
pub mod endpoint;
mod guarded;
mod hello;
pub mod host;
mod link;
mod links;
pub mod local;
mod patience;
pub mod peer;
pub mod reason;
mod refusals;
mod runtime;
mod settings;
mod socket;
mod strangers;
pub mod tls;

pub use channel::{Accepted, Batch, Channel, Kind, Owner, Signals, Stat, TooLong};
pub use config::Config;
pub use dial::Request;
pub use endpoint::{Endpoint, Info, LinkInfo, StartError};
pub use host::{CookieReply, Credentials, Direction, Host, Keeper, Refused};
pub use local::Local;
pub use peer::{Peer, Role};
pub use reason::Reason;
pub use tls::LiveCertificate;
