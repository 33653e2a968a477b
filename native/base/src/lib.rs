// SPDX-License-Identifier: Apache-2.0
//! What every native crate speaks about: ids, bytes on the wire, bounds and close codes.
//!
//! * [`close`]: why a connection ends, on the wire and in words
//! * [`codec`]: reading and writing bytes without trusting them
//! * [`id`]: node names, public keys, fingerprints, incarnations
//! * [`limits`]: every bound on what a peer may send or make us hold
//! * [`random`]: choices that a seed decides
//! * [`time`]: moments on a clock that never goes back
//!
//! Keeps: nothing here reads a clock, a file, a socket or the system's randomness, and no decoder allocates
//! by a length that a peer has claimed. Leaves to others: what the bytes mean, and all cryptography.
#![forbid(unsafe_code)]

pub mod close;
pub mod codec;
pub mod id;
pub mod limits;
pub mod random;
pub mod time;

pub use close::CloseCode;
pub use codec::{DecodeError, Reader, Writer};
pub use id::{Fingerprint, Incarnation, NameError, NodeName, PublicKey};
pub use random::Random;
pub use time::Time;
