// SPDX-License-Identifier: Apache-2.0
//! What a node keeps on disk.
//!
//! * [`cert_dir`]: the TLS certificate and its key
//! * [`key_dir`]: the identity's key pair, the rotation statement, the pins
//! * [`log`]: records that survive, and snapshots that keep them short; over a [`disk`]
//! * [`published`]: small files for other nodes to find us by
//!
//! Keeps: a file is either the old one or the new one, whole, whatever happens in between; it was never readable by
//! others if it holds a secret, not even while empty; and what a function has reported as written survives a power
//! loss. Leaves to others: all decisions about keys and trust (identity), and when to call.
//!
//! Keys and published files need no lock: two nodes that start in one directory at the same moment end up with one
//! identity. A log has one.
#![forbid(unsafe_code)]

mod atomic;
mod backup;
pub mod cert_dir;
pub mod disk;
pub mod error;
pub mod key_dir;
pub mod log;
pub mod published;
mod random;

pub use cert_dir::CertDir;
pub use error::{Cause, ErrorCode, StoreError};
pub use key_dir::{Contents, KeyDir, Warning};
