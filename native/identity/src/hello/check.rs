// SPDX-License-Identifier: Apache-2.0
//! The checks of a hello, one function per stage, in the order in which they must be called:
//!
//! 1. [`open`]: size, version, names, format
//! 2. [`check_signature`]: the sender holds the key it shows, and is at the other end of this TLS channel
//! 3. [`check_proof`]: the sender knows the cookie (which the caller may have to fetch first, for the claimed name)
//! 4. [`decide`]: the sender is whom we meant, the cluster settings agree, and its key is trusted
//!
//! They are separate only because of the wait for the cookie. A peer is let in after all four, never earlier.

use barrel_p2p_base::{CloseCode, NodeName};

use super::message::Hello;
use super::transcript::{self, Binding};
use crate::key;
use crate::trust::{AuthMode, Decision, Policy, TrustBook};

/// What the receiver knows by itself.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where the hello arrived; the sender is the peer.
    pub binding: Binding,
    /// The receiver's name; `None` while it has none.
    pub own_name: Option<NodeName>,
    /// The name that the receiver has dialled, if it dialled by name.
    pub dialled: Option<NodeName>,
    /// The receiver's own digest of the settings that must be equal in the whole cluster.
    pub config_digest: [u8; 32],
}

/// Reads the message. Fails with `hello_too_large`, `unsupported_version`, `invalid_name` or `protocol_error`.
pub fn open(bytes: &[u8]) -> Result<Hello, CloseCode> {
    Hello::decode(bytes).map_err(|error| error.close_code())
}

/// Fails with `auth_mismatch` if only one side wants signatures, with `bad_signature` if it does not fit key, content
/// or place.
pub fn check_signature(hello: &Hello, context: &Context, auth: AuthMode) -> Result<(), CloseCode> {
    match (hello.signature(), auth) {
        (None, AuthMode::ProofOnly) => Ok(()),
        (Some(signature), AuthMode::Signed) => {
            let transcript = hello.transcript(&context.binding);
            key::verify_strict(&hello.claim.public_key, &transcript, signature).map_err(|_| CloseCode::BadSignature)
        }
        (None, AuthMode::Signed) | (Some(_), AuthMode::ProofOnly) => Err(CloseCode::AuthMismatch),
    }
}

/// Fails with `wrong_cookie`. Takes the same time wherever the proof differs.
pub fn check_proof(hello: &Hello, context: &Context, cookie: &[u8]) -> Result<(), CloseCode> {
    if transcript::proves(cookie, &hello.transcript(&context.binding), hello.proof()) {
        Ok(())
    } else {
        Err(CloseCode::WrongCookie)
    }
}

/// The last stage. Rejects with `name_mismatch`, `config_mismatch`, `unknown_key` or `key_mismatch`; else says what to
/// store before the peer is let in.
pub fn decide(hello: &Hello, context: &Context, book: &TrustBook, policy: &Policy) -> Decision {
    let claim = &hello.claim;
    if !names_fit(hello, context) {
        return Decision::Reject(CloseCode::NameMismatch);
    }
    if claim.config_digest != context.config_digest {
        return Decision::Reject(CloseCode::ConfigMismatch);
    }
    book.decide(claim.name.as_ref(), &claim.public_key, claim.rotation.as_ref(), policy)
}

/// Is the peer whom we dialled, does it mean us, and is its name not our own?
fn names_fit(hello: &Hello, context: &Context) -> bool {
    let claim = &hello.claim;
    let is_dialled = context.dialled.is_none() || context.dialled == claim.name;
    let means_us = claim.peer.is_none() || claim.peer == context.own_name;
    let is_other = claim.name.is_none() || claim.name != context.own_name;
    is_dialled && means_us && is_other
}
