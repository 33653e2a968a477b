// SPDX-License-Identifier: Apache-2.0
//! The HELLO message and its bytes.
//!
//! ```text
//! version:8 (1)  auth:8 (0 proof only, 1 signed)  name:short  peer:short  public_key:32
//! started_ms:64  random:64  count:8 (family:8 (4 | 6)  ip:4 | 16  port:16)*  config_digest:32
//! rotated:8 (0 | 1)  [old:32  new:32  signature:64]
//! [signature:64, when signed]  proof:32
//! ```
//!
//! `short` is a length byte and that many bytes. There is exactly one encoding of each message.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use barrel_p2p_base::limits::{MAX_ADDRESSES, MAX_HELLO_BYTES};
use barrel_p2p_base::{CloseCode, DecodeError, Incarnation, NameError, NodeName, PublicKey, Reader, Writer};
use thiserror::Error;

use super::transcript::{self, Binding};
use crate::key::KeyPair;
use crate::rotation::Rotation;
use crate::trust::AuthMode;

/// The protocol version this code speaks.
pub const VERSION: u8 = 1;

/// What the sender says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name; `None` while it has none (dynamic node names).
    pub name: Option<NodeName>,
    /// Whom it believes to talk to: the name it dialled, or the name in the hello that it answers. `None` when it
    /// dialled by address alone, or the peer has no name.
    pub peer: Option<NodeName>,
    /// Its key.
    pub public_key: PublicKey,
    /// Which life of the node this is.
    pub incarnation: Incarnation,
    /// Where it can be dialled, best first; at most [`MAX_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// Digest of the settings that must be equal in the whole cluster.
    pub config_digest: [u8; 32],
    /// Statement of the key that the node had before, if its key was rotated.
    pub rotation: Option<Rotation>,
}

/// A claim with its proofs, as it travels.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// What is claimed. Not to be believed before the checks have passed.
    pub claim: Claim,
    signature: Option<[u8; 64]>,
    proof: [u8; 32],
}

/// Why bytes are not a hello.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HelloError {
    /// The bytes do not follow the format.
    #[error("malformed hello: {0}")]
    Malformed(#[from] DecodeError),
    /// One of the names is none.
    #[error("invalid name in hello: {0}")]
    Name(#[from] NameError),
    /// Longer than the limit.
    #[error("hello is longer than {MAX_HELLO_BYTES} bytes")]
    TooLarge,
    /// Another protocol version. Nothing behind the version was looked at.
    #[error("unsupported hello version {0}")]
    Version(u8),
}

impl Hello {
    /// Signs a claim (unless authentication is off, `signer` being `None`) and proves the cookie, for one place.
    /// Addresses beyond the limit are left out.
    pub fn seal(mut claim: Claim, binding: &Binding, signer: Option<&KeyPair>, cookie: &[u8]) -> Self {
        claim.addresses.truncate(MAX_ADDRESSES);
        let transcript = binding.transcript(&body(&claim, mode(signer.is_some())));
        Self {
            claim,
            signature: signer.map(|pair| pair.sign(&transcript)),
            proof: transcript::prove(cookie, &transcript),
        }
    }

    /// The bytes to send; never more than [`MAX_HELLO_BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(&body(&self.claim, self.auth()));
        if let Some(signature) = &self.signature {
            writer.bytes(signature);
        }
        writer.bytes(&self.proof);
        writer.finish()
    }

    /// Reads one whole message: version first, then the names, then the rest.
    pub fn decode(bytes: &[u8]) -> Result<Self, HelloError> {
        if bytes.len() > MAX_HELLO_BYTES {
            return Err(HelloError::TooLarge);
        }
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(HelloError::Version(version));
        }
        let auth = mode(read_flag(&mut reader)?);
        let claim = read_claim(&mut reader)?;
        let signature = match auth {
            AuthMode::ProofOnly => None,
            AuthMode::Signed => Some(reader.array()?),
        };
        let proof = reader.array()?;
        reader.finish()?;
        Ok(Self { claim, signature, proof })
    }

    /// Did the sender sign?
    pub fn auth(&self) -> AuthMode {
        mode(self.signature.is_some())
    }

    pub(super) fn signature(&self) -> Option<&[u8; 64]> {
        self.signature.as_ref()
    }

    pub(super) fn proof(&self) -> &[u8; 32] {
        &self.proof
    }

    pub(super) fn transcript(&self, binding: &Binding) -> Vec<u8> {
        binding.transcript(&body(&self.claim, self.auth()))
    }
}

/// Leaves the proofs out: they are noise, and a logged cluster proof is something to guess cookies with.
impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello").field("claim", &self.claim).field("auth", &self.auth()).finish_non_exhaustive()
    }
}

impl HelloError {
    /// What the peer is told.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Malformed(_) => CloseCode::ProtocolError,
            Self::Name(_) => CloseCode::InvalidName,
            Self::TooLarge => CloseCode::HelloTooLarge,
            Self::Version(_) => CloseCode::UnsupportedVersion,
        }
    }
}

/// Everything before the signature: the part that is signed and proven.
fn body(claim: &Claim, auth: AuthMode) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(VERSION).u8(u8::from(auth == AuthMode::Signed));
    write_name(&mut writer, claim.name.as_ref());
    write_name(&mut writer, claim.peer.as_ref());
    writer.bytes(&claim.public_key.0);
    writer.u64(claim.incarnation.started_ms).u64(claim.incarnation.random);
    write_addresses(&mut writer, &claim.addresses);
    writer.bytes(&claim.config_digest);
    writer.u8(u8::from(claim.rotation.is_some()));
    if let Some(rotation) = &claim.rotation {
        rotation.write(&mut writer);
    }
    writer.finish()
}

fn read_claim(reader: &mut Reader<'_>) -> Result<Claim, HelloError> {
    Ok(Claim {
        name: read_name(reader)?,
        peer: read_name(reader)?,
        public_key: PublicKey(reader.array()?),
        incarnation: Incarnation { started_ms: reader.u64()?, random: reader.u64()? },
        addresses: read_addresses(reader)?,
        config_digest: reader.array()?,
        rotation: if read_flag(reader)? { Some(Rotation::read(reader)?) } else { None },
    })
}

fn write_name(writer: &mut Writer, name: Option<&NodeName>) {
    writer.short(name.map_or("", NodeName::as_str).as_bytes());
}

fn read_name(reader: &mut Reader<'_>) -> Result<Option<NodeName>, HelloError> {
    match reader.short()? {
        [] => Ok(None),
        bytes => Ok(Some(NodeName::parse(bytes)?)),
    }
}

fn write_addresses(writer: &mut Writer, addresses: &[SocketAddr]) {
    // `seal` and `decode` keep the count below 256.
    writer.u8(addresses.len() as u8);
    for address in addresses {
        match address.ip() {
            IpAddr::V4(ip) => writer.u8(4).bytes(&ip.octets()),
            IpAddr::V6(ip) => writer.u8(6).bytes(&ip.octets()),
        };
        writer.u16(address.port());
    }
}

fn read_addresses(reader: &mut Reader<'_>) -> Result<Vec<SocketAddr>, DecodeError> {
    let offset = reader.offset();
    let count = usize::from(reader.u8()?);
    if count > MAX_ADDRESSES {
        return Err(DecodeError::BadValue { offset });
    }
    (0..count).map(|_| read_address(reader)).collect()
}

fn read_address(reader: &mut Reader<'_>) -> Result<SocketAddr, DecodeError> {
    let offset = reader.offset();
    let ip = match reader.u8()? {
        4 => IpAddr::from(reader.array::<4>()?),
        6 => IpAddr::from(reader.array::<16>()?),
        _ => return Err(DecodeError::BadValue { offset }),
    };
    Ok(SocketAddr::new(ip, reader.u16()?))
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let offset = reader.offset();
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::BadValue { offset }),
    }
}

fn mode(signed: bool) -> AuthMode {
    if signed {
        AuthMode::Signed
    } else {
        AuthMode::ProofOnly
    }
}
