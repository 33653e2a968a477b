// SPDX-License-Identifier: Apache-2.0
//! The directory of the identity.
//!
//! ```text
//! node.key             32 bytes: Ed25519 seed (secret)
//! node.pub             32 bytes: its public key
//! node.rotation        128 bytes, after a rotation: the previous key's statement for this one
//! trusted/<node>.pub   32 bytes: the key pinned for that name
//! ```
//!
//! Keeps: `node.key` alone says who the node is; `node.pub` is derived from it. So a crash leaves one of these states:
//!
//! * first start, between the two files: `node.key` without `node.pub`; [`KeyDir::open`] writes `node.pub`.
//! * rotation, before `node.key`: a statement by the current key for a key that never came; `open` removes it.
//!   (The statement of an earlier rotation is then lost here; it is still in the backup.)
//! * rotation, between `node.key` and `node.pub`: `node.pub` is the old key, and the statement names both; `open`
//!   writes `node.pub`.
//!
//! Anything else that does not fit was not done by us, and is reported. Leaves to others: whom to pin.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use barrel_p2p_base::{NodeName, PublicKey};
use barrel_p2p_identity::{KeyPair, Pin, PinLevel, Rotation, TrustBook};
use zeroize::{Zeroize, Zeroizing};

use crate::atomic::{self, Creation};
use crate::error::{Cause, ErrorCode, StoreError};
use crate::random;

/// An open key directory.
#[derive(Clone, Debug)]
pub struct KeyDir {
    path: PathBuf,
}

/// What was in it.
#[derive(Debug)]
pub struct Contents {
    /// The identity; made when there was none.
    pub keys: KeyPair,
    /// The previous key's statement, to be sent in every hello.
    pub rotation: Option<Rotation>,
    /// The pins, all of them permanent.
    pub trust: TrustBook,
    /// What the operator should know, though it keeps nothing from working.
    pub warnings: Vec<Warning>,
}

/// Something odd in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A file in `trusted/` whose name is no node name: no peer can ever match it.
    NoNodeName(PathBuf),
    /// A secret that users other than the owner can read.
    ReadableByOthers(PathBuf),
    /// A rotation statement that does not vouch for the current key: not used.
    UselessRotation(PathBuf),
}

impl KeyDir {
    /// Opens a directory, creating it and the key pair when missing, and finishing what a crash has interrupted.
    pub fn open(path: &Path) -> Result<(Self, Contents), StoreError> {
        let dir = Self { path: path.to_owned() };
        for needed in [path, &dir.trusted()] {
            atomic::create_secure_dir(needed).map_err(|error| StoreError::dir(needed, &error))?;
        }
        let mut warnings = Vec::new();
        let statement = dir.load_statement(&mut warnings)?;
        let keys = dir.load_or_create_pair(statement.as_ref())?;
        let rotation = dir.usable_rotation(statement, &keys, &mut warnings)?;
        let trust = dir.load_pins(&mut warnings)?;
        if is_readable_by_others(&dir.key_file()) {
            warnings.push(Warning::ReadableByOthers(dir.key_file()));
        }
        Ok((dir, Contents { keys, rotation, trust, warnings }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a pin, replacing an earlier one.
    pub fn store_pin(&self, node: &NodeName, key: &PublicKey) -> Result<(), StoreError> {
        let path = self.pin_file(node);
        atomic::write_secure(&path, &key.0).map_err(|error| StoreError::write(ErrorCode::PinWriteFailed, &path, &error))
    }

    /// Removes a pin, if there is one.
    pub fn delete_pin(&self, node: &NodeName) -> Result<(), StoreError> {
        let path = self.pin_file(node);
        atomic::remove(&path).map_err(|error| StoreError::write(ErrorCode::PinWriteFailed, &path, &error))
    }

    /// Replaces the identity `current` by a fresh one, which `current` vouches for. The old files are first copied to
    /// `backup`, a directory of this rotation alone: existing copies there are never overwritten. After an error the
    /// old identity still holds.
    pub fn rotate(&self, current: &KeyPair, backup: &Path) -> Result<(KeyPair, Rotation), StoreError> {
        self.back_up(current, backup)?;
        let fresh = KeyPair::from_seed(&*random::bytes(&self.key_file())?);
        let rotation = Rotation::sign(current, fresh.public());
        self.write_key_file(&self.rotation_file(), &rotation.encode())?;
        self.write_key_file(&self.key_file(), fresh.seed())?;
        if let Err(error) = self.write_key_file(&self.pub_file(), &fresh.public().0) {
            // Should this fail too, the next start finishes the rotation instead.
            let _ = self.write_key_file(&self.key_file(), current.seed());
            return Err(error);
        }
        Ok((fresh, rotation))
    }

    fn load_or_create_pair(&self, statement: Option<&Rotation>) -> Result<KeyPair, StoreError> {
        // The public half first: another node that starts right now writes it last.
        let public = read_key::<32>(&self.pub_file(), ErrorCode::KeyFileCorrupt)?.map(|bytes| PublicKey(*bytes));
        let seed = read_key::<32>(&self.key_file(), ErrorCode::KeyFileCorrupt)?;
        match (seed, public) {
            (Some(seed), Some(public)) => self.match_pair(&seed, public, statement),
            (Some(seed), None) => self.derive_public(KeyPair::from_seed(&seed)),
            (None, Some(_)) => Err(StoreError::new(ErrorCode::KeyFileIncomplete, &self.key_file(), Cause::Missing)),
            (None, None) => self.create_pair(),
        }
    }

    fn create_pair(&self) -> Result<KeyPair, StoreError> {
        let path = self.key_file();
        let seed = random::bytes(&path)?;
        match atomic::create_secure(&path, &*seed) {
            Ok(Creation::Created) => self.derive_public(KeyPair::from_seed(&seed)),
            // Another node was faster: the identity in this directory is the one that it made.
            Ok(Creation::Exists) => match read_key::<32>(&path, ErrorCode::KeyFileCorrupt)? {
                Some(seed) => self.derive_public(KeyPair::from_seed(&seed)),
                None => Err(StoreError::new(ErrorCode::KeyFileIncomplete, &path, Cause::Missing)),
            },
            Err(error) => Err(StoreError::write(ErrorCode::KeyWriteFailed, &path, &error)),
        }
    }

    fn match_pair(
        &self,
        seed: &[u8; 32],
        public: PublicKey,
        statement: Option<&Rotation>,
    ) -> Result<KeyPair, StoreError> {
        let pair = KeyPair::from_seed(seed);
        let is_interrupted = |rotation: &Rotation| rotation.old == public && rotation.new == pair.public();
        if pair.public() == public {
            Ok(pair)
        } else if statement.is_some_and(is_interrupted) {
            self.derive_public(pair)
        } else {
            Err(StoreError::new(ErrorCode::KeyPairMismatch, &self.pub_file(), Cause::PairMismatch))
        }
    }

    fn derive_public(&self, pair: KeyPair) -> Result<KeyPair, StoreError> {
        self.write_key_file(&self.pub_file(), &pair.public().0)?;
        Ok(pair)
    }

    fn load_statement(&self, warnings: &mut Vec<Warning>) -> Result<Option<Rotation>, StoreError> {
        let path = self.rotation_file();
        let bytes = match atomic::read_exactly::<{ Rotation::BYTES }>(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::read(&path, &error)),
        };
        let statement =
            bytes.and_then(|bytes| Rotation::decode(&*bytes).ok()).filter(|statement| statement.verify().is_ok());
        if statement.is_none() {
            warnings.push(Warning::UselessRotation(path));
        }
        Ok(statement)
    }

    fn usable_rotation(
        &self,
        statement: Option<Rotation>,
        keys: &KeyPair,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Rotation>, StoreError> {
        let path = self.rotation_file();
        match statement {
            Some(statement) if statement.new == keys.public() => Ok(Some(statement)),
            Some(statement) if statement.old == keys.public() => atomic::remove(&path)
                .map(|()| None)
                .map_err(|error| StoreError::write(ErrorCode::KeyWriteFailed, &path, &error)),
            Some(_) => {
                warnings.push(Warning::UselessRotation(path));
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn load_pins(&self, warnings: &mut Vec<Warning>) -> Result<TrustBook, StoreError> {
        let dir = self.trusted();
        let unreadable = |error: io::Error| StoreError::read(&dir, &error);
        let mut trust = TrustBook::new();
        for entry in fs::read_dir(&dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_none_or(|extension| extension != "pub") {
                continue;
            }
            let stem = path.file_stem().unwrap_or_default().as_encoded_bytes();
            match NodeName::parse(stem) {
                Ok(node) => {
                    // A file that was removed since the directory was read is no pin any more.
                    if let Some(key) = read_key::<32>(&path, ErrorCode::PinFileCorrupt)? {
                        let pin = Pin { key: PublicKey(*key), level: PinLevel::Permanent, added_ms: added_ms(&path) };
                        trust.put(node, pin);
                    }
                }
                Err(_) => warnings.push(Warning::NoNodeName(path)),
            }
        }
        Ok(trust)
    }

    fn back_up(&self, current: &KeyPair, backup: &Path) -> Result<(), StoreError> {
        let mut copies = vec![("node.key", current.seed().to_vec()), ("node.pub", current.public().0.to_vec())];
        if let Some(statement) = self.load_statement(&mut Vec::new())? {
            copies.push(("node.rotation", statement.encode()));
        }
        let copies = copies.into_iter().map(|(name, bytes)| (name, Zeroizing::new(bytes)));
        crate::backup::write(backup, copies)
    }

    fn write_key_file(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        atomic::write_secure(path, bytes).map_err(|error| StoreError::write(ErrorCode::KeyWriteFailed, path, &error))
    }

    fn key_file(&self) -> PathBuf {
        self.path.join("node.key")
    }

    fn pub_file(&self) -> PathBuf {
        self.path.join("node.pub")
    }

    fn rotation_file(&self) -> PathBuf {
        self.path.join("node.rotation")
    }

    fn trusted(&self) -> PathBuf {
        self.path.join("trusted")
    }

    fn pin_file(&self, node: &NodeName) -> PathBuf {
        // Not `with_extension`, which would cut the name at its last dot.
        self.trusted().join(format!("{node}.pub"))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNodeName(path) => write!(f, "{}: the file name is no node name, ignored", path.display()),
            Self::ReadableByOthers(path) => {
                write!(f, "{}: other users can read this secret, use mode 0600", path.display())
            }
            Self::UselessRotation(path) => {
                write!(f, "{}: does not vouch for the current key, ignored", path.display())
            }
        }
    }
}

/// Reads a key. `Ok(None)`: there is no such file.
fn read_key<const N: usize>(path: &Path, corrupt: ErrorCode) -> Result<Option<Zeroizing<[u8; N]>>, StoreError>
where
    [u8; N]: Zeroize,
{
    match atomic::read_exactly(path) {
        Ok(Some(bytes)) => Ok(Some(bytes)),
        Ok(None) => Err(StoreError::new(corrupt, path, Cause::WrongSize { expected: N })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::read(path, &error)),
    }
}

fn is_readable_by_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// When a pin was made, as well as the file system knows: 0 when it does not.
fn added_ms(path: &Path) -> u64 {
    fs::metadata(path).and_then(|metadata| metadata.modified()).map_or(0, since_epoch_ms)
}

fn since_epoch_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
