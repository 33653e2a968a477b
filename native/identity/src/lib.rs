// SPDX-License-Identifier: Apache-2.0
//! Who a node is, how it proves that, and whom it believes.
//!
//! * [`certificate`]: the self-signed certificate that TLS needs; nobody trusts it
//! * [`hello`]: the one message by which a peer proves name, key and cluster membership
//! * [`key`]: the Ed25519 key pair that is the node's identity
//! * [`rotation`]: how an old key vouches for its successor
//! * [`trust`]: which keys are pinned, and what follows for a peer
//!
//! Keeps: every function here is a function of its arguments. Time, seeds and the TLS exporter come in as values; what
//! must be written to disk goes out as values. One exception: the certificate's key comes from the crypto provider's
//! own generator. Leaves to others: files (store), connections (net), and asking for the cookie.
#![forbid(unsafe_code)]

pub mod certificate;
pub mod hello;
pub mod key;
pub mod rotation;
pub mod trust;

pub use certificate::{Certificate, CertificateError, CertificateFacts};
pub use hello::{Binding, Claim, Context, Hello, HelloError, Role};
pub use key::{BadSignature, KeyError, KeyPair};
pub use rotation::Rotation;
pub use trust::{AuthMode, Decision, Pattern, Pin, PinLevel, Policy, TrustBook, TrustMode};
