// SPDX-License-Identifier: Apache-2.0
//! How an old key vouches for its successor.
//!
//! Keeps: a statement names both keys, so it can be shown by nobody but the holder of the new one. Chain length is 1: a
//! peer that missed two rotations must be told by its operator. Leaves to others: whether rotations are accepted at all
//! ([`crate::trust`]).

use barrel_p2p_base::{DecodeError, PublicKey, Reader, Writer};

use crate::key::{self, BadSignature, KeyPair};

/// `old` says: from now on I am `new`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key that signs the statement.
    pub old: PublicKey,
    /// The key that replaces it.
    pub new: PublicKey,
    signature: [u8; 64],
}

impl Rotation {
    /// Bytes of an encoded statement.
    pub const BYTES: usize = 128;

    /// Signs the new key with the old one.
    pub fn sign(old: &KeyPair, new: PublicKey) -> Self {
        let signature = old.sign(&signed_bytes(&old.public(), &new));
        Self { old: old.public(), new, signature }
    }

    /// Was the statement made by the holder of the old key?
    pub fn verify(&self) -> Result<(), BadSignature> {
        key::verify_strict(&self.old, &signed_bytes(&self.old, &self.new), &self.signature)
    }

    /// Old key, new key, signature.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    /// Reads back [`Rotation::encode`]. The signature is not checked here.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let rotation = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(rotation)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.old.0).bytes(&self.new.0).bytes(&self.signature);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { old: PublicKey(reader.array()?), new: PublicKey(reader.array()?), signature: reader.array()? })
    }
}

fn signed_bytes(old: &PublicKey, new: &PublicKey) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.short(LABEL).bytes(&old.0).bytes(&new.0);
    writer.finish()
}

/// Domain label: no other signature of a node key begins with these bytes.
const LABEL: &[u8] = b"barrel_p2p rotation v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_survives_encoding() {
        let statement = statement();
        let bytes = statement.encode();
        assert_eq!(bytes.len(), Rotation::BYTES);
        assert_eq!(Rotation::decode(&bytes), Ok(statement));
        assert_eq!(statement.verify(), Ok(()));
    }

    #[test]
    fn surplus_and_missing_bytes_are_refused() {
        let mut bytes = statement().encode();
        bytes.push(0);
        assert_eq!(Rotation::decode(&bytes), Err(DecodeError::Trailing { offset: 128 }));
        assert_eq!(Rotation::decode(&bytes[..127]), Err(DecodeError::Truncated { offset: 64 }));
    }

    #[test]
    fn a_statement_about_another_key_is_not_believed() {
        let other = KeyPair::from_seed(&[3; 32]).public();
        assert_eq!(Rotation { new: other, ..statement() }.verify(), Err(BadSignature));
        assert_eq!(Rotation { old: other, ..statement() }.verify(), Err(BadSignature));
    }

    fn statement() -> Rotation {
        Rotation::sign(&KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]).public())
    }
}
