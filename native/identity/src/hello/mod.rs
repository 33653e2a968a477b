// SPDX-License-Identifier: Apache-2.0
//! The one message by which a peer proves who it is.
//!
//! ```text
//! dialler                                        acceptor
//!    |  TLS 1.3 handshake, both derive the exporter  |
//!    |  HELLO  ------------------------------------> |  open, signature, (ask for the cookie,) proof, names, pin
//!    |  <------------------------------------ HELLO  |  only when all of them passed
//!    |  the same checks                              |
//! ```
//!
//! Signature and cluster proof cover the same bytes: a label, the role of the sender, the TLS exporter and everything
//! else that the message says. The exporter makes a hello worthless on any other TLS channel, so there is
//! nothing to replay and nothing to relay; the role makes it worthless in the other direction of the same channel.
//!
//! Keeps: nothing of a message is believed, stored or turned into an atom before the checks have passed in the order
//! of [`check`]. Leaves to others: bytes on a stream, deadlines, and fetching the cookie.

pub mod check;
mod message;
mod transcript;

pub use check::Context;
pub use message::{Claim, Hello, HelloError, VERSION};
pub use transcript::{Binding, Role, EXPORTER_LABEL};

#[cfg(test)]
mod tests;
