// SPDX-License-Identifier: Apache-2.0
//! The Ed25519 key pair that is a node's identity.
//!
//! Keeps: the secret is wiped when a pair is dropped, and no formatting shows it. Leaves to others: where seeds come
//! from.

use std::fmt;

use barrel_p2p_base::{Fingerprint, PublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// A secret key with its public key.
#[derive(Clone)]
pub struct KeyPair {
    secret: SigningKey,
}

/// Why two halves are not a key pair.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// The public key belongs to another secret key.
    #[error("the public key does not belong to the secret key")]
    PairMismatch,
}

/// The signature was not made with this key over this message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the signature does not fit key and message")]
pub struct BadSignature;

impl KeyPair {
    /// The pair that a seed of 32 random bytes stands for.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { secret: SigningKey::from_bytes(seed) }
    }

    /// The pair of a stored seed, checked against the stored public key.
    pub fn from_parts(seed: &[u8; 32], public: &PublicKey) -> Result<Self, KeyError> {
        let pair = Self::from_seed(seed);
        if pair.public() == *public {
            Ok(pair)
        } else {
            Err(KeyError::PairMismatch)
        }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.secret.verifying_key().to_bytes())
    }

    /// The secret half, for writing it to disk. Borrowed, so that no copy escapes being wiped.
    pub fn seed(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// Signs a message. Callers put a domain label in front of what they sign.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({:?})", self.public())
    }
}

/// Checks a signature strictly: malleable signatures and keys of small order are refused, so that one signature never
/// passes for two messages or two keys.
pub fn verify_strict(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    VerifyingKey::from_bytes(&key.0)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .map_err(|_| BadSignature)
}

/// What people compare: SHA-256 of the public key.
pub fn fingerprint(key: &PublicKey) -> Fingerprint {
    Fingerprint(Sha256::digest(key.0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_one_key_and_one_message() {
        let pair = KeyPair::from_seed(&[1; 32]);
        let other = KeyPair::from_seed(&[2; 32]);
        let signature = pair.sign(b"message");
        assert_eq!(verify_strict(&pair.public(), b"message", &signature), Ok(()));
        assert_eq!(verify_strict(&pair.public(), b"another", &signature), Err(BadSignature));
        assert_eq!(verify_strict(&other.public(), b"message", &signature), Err(BadSignature));
    }

    /// A key of small order verifies forged signatures unless checked strictly.
    #[test]
    fn the_identity_point_is_no_key() {
        let mut point = [0; 32];
        point[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert_eq!(verify_strict(&PublicKey(point), b"anything", &forged), Err(BadSignature));
    }

    #[test]
    fn halves_of_two_pairs_are_refused() {
        let pair = KeyPair::from_seed(&[1; 32]);
        let other = KeyPair::from_seed(&[2; 32]);
        assert!(KeyPair::from_parts(&[1; 32], &pair.public()).is_ok());
        assert_eq!(KeyPair::from_parts(&[1; 32], &other.public()).unwrap_err(), KeyError::PairMismatch);
    }

    /// RFC 8032, 7.1, test 1.
    #[test]
    fn public_keys_are_those_of_the_rfc() {
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        assert_eq!(
            KeyPair::from_seed(&seed).public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }

    #[test]
    fn formatting_shows_no_secret() {
        let pair = KeyPair::from_seed(&[0xaa; 32]);
        assert_eq!(format!("{pair:?}"), format!("KeyPair({:?})", pair.public()));
    }

    fn hex(text: &str) -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }
}
