// SPDX-License-Identifier: Apache-2.0
//! What signature and cluster proof cover.

use std::fmt;

use barrel_p2p_base::Writer;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Label for exporting keying material (RFC 8446, 7.5) that goes into [`Binding::exporter`]; the context is empty.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-barrel_p2p hello v1";

/// Which side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It was dialled.
    Acceptor,
    /// It dialled.
    Dialler,
}

impl Role {
    /// The other side.
    pub fn peer(self) -> Self {
        match self {
            Self::Acceptor => Self::Dialler,
            Self::Dialler => Self::Acceptor,
        }
    }
}

/// The place where a hello is valid: one direction of one TLS channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Who sends the hello.
    pub sender: Role,
    /// What both ends of the TLS channel derive, and nobody else.
    pub exporter: [u8; 32],
}

impl Binding {
    /// The bytes to sign and to prove. Unambiguous: label, role and exporter have fixed lengths, the body ends itself.
    pub(super) fn transcript(&self, body: &[u8]) -> Vec<u8> {
        let role = match self.sender {
            Role::Acceptor => 0,
            Role::Dialler => 1,
        };
        let mut writer = Writer::new();
        writer.short(LABEL).u8(role).bytes(&self.exporter).bytes(body);
        writer.finish()
    }
}

/// Hides the exporter: with it, a logged proof could be used to guess the cookie.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({:?})", self.sender)
    }
}

/// The cluster proof: HMAC-SHA256 with the cookie as key.
pub(super) fn prove(cookie: &[u8], transcript: &[u8]) -> [u8; 32] {
    mac(cookie, transcript).finalize().into_bytes().into()
}

/// Checks a cluster proof in constant time.
pub(super) fn proves(cookie: &[u8], transcript: &[u8], proof: &[u8; 32]) -> bool {
    mac(cookie, transcript).verify(proof.into()).is_ok()
}

fn mac(cookie: &[u8], transcript: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "invariant: HMAC takes keys of any length")]
    Hmac::<Sha256>::new_from_slice(cookie).expect("HMAC takes keys of any length").chain_update(transcript)
}

/// Domain label: no other signature of a node key begins with these bytes.
const LABEL: &[u8] = b"barrel_p2p hello v1";
