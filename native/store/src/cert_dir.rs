// SPDX-License-Identifier: Apache-2.0
//! The directory of the TLS certificate: `node.crt` and `node.key`, both PEM.
//!
//! Keeps: a certificate that the operator has put here is never replaced without being asked; one that we made
//! ([`CertificateFacts::self_made`]) is nobody's loss, so it is made again when it has expired or will within 30 days,
//! when its key is missing, or when a crash between the two files has left halves of two pairs. Leaves to others:
//! handing it to TLS.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use barrel_p2p_identity::{Certificate, CertificateError, CertificateFacts};
use zeroize::Zeroizing;

use crate::error::{ErrorCode, StoreError};
use crate::{atomic, backup, random};

/// An open certificate directory.
#[derive(Clone, Debug)]
pub struct CertDir {
    path: PathBuf,
}

impl CertDir {
    /// Opens a directory, creating it and the certificate when needed. `now_s` is Unix time in seconds.
    pub fn open(path: &Path, common_name: &str, now_s: u64) -> Result<(Self, Certificate), StoreError> {
        let dir = Self { path: path.to_owned() };
        atomic::create_secure_dir(path).map_err(|error| StoreError::dir(path, &error))?;
        let certificate = match dir.load(now_s)? {
            Some(certificate) => certificate,
            None => dir.generate(common_name, now_s)?,
        };
        Ok((dir, certificate))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the certificate, whoever made it. The old files are first copied to `backup`, a directory of this
    /// rotation alone: existing copies there are never overwritten.
    pub fn rotate(&self, common_name: &str, now_s: u64, backup: &Path) -> Result<Certificate, StoreError> {
        let mut copies = Vec::new();
        for (name, path) in [("node.crt", self.cert_file()), ("node.key", self.key_file())] {
            if let Some(bytes) = read(&path)? {
                copies.push((name, bytes));
            }
        }
        backup::write(backup, copies)?;
        self.generate(common_name, now_s)
    }

    /// The certificate on disk; `None` if one is to be made.
    fn load(&self, now_s: u64) -> Result<Option<Certificate>, StoreError> {
        let Some(cert_pem) = read_text(&self.cert_file())? else {
            return Ok(None);
        };
        let facts = CertificateFacts::from_pem(&cert_pem).map_err(|error| corrupt(&self.cert_file(), error))?;
        if facts.self_made && facts.is_due(now_s) {
            return Ok(None);
        }
        let key_pem = read_text(&self.key_file())?.unwrap_or_default();
        match Certificate::parse_pem(&cert_pem, &key_pem) {
            Ok(certificate) => Ok(Some(certificate)),
            Err(_) if facts.self_made => Ok(None),
            Err(error) => Err(corrupt(&self.key_file(), error)),
        }
    }

    fn generate(&self, common_name: &str, now_s: u64) -> Result<Certificate, StoreError> {
        let random = random::bytes(&self.cert_file())?;
        let certificate = Certificate::generate(common_name, now_s, *random)
            .map_err(|error| StoreError::new(ErrorCode::CertificateFailed, &self.cert_file(), error))?;
        // The certificate first: if a crash comes before the key, the pair does not match and is seen to be ours.
        let written = |result: io::Result<()>, path: &Path| {
            result.map_err(|error| StoreError::write(ErrorCode::CertificateWriteFailed, path, &error))
        };
        written(atomic::write_public(&self.cert_file(), certificate.cert_pem.as_bytes()), &self.cert_file())?;
        written(atomic::write_secure(&self.key_file(), certificate.key_pem.as_bytes()), &self.key_file())?;
        Ok(certificate)
    }

    fn cert_file(&self) -> PathBuf {
        self.path.join("node.crt")
    }

    fn key_file(&self) -> PathBuf {
        self.path.join("node.key")
    }
}

/// Reads a file. `Ok(None)`: there is none.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::read(path, &error)),
    }
}

/// Reads a file as text. Bytes that are no text are replaced: no PEM parser will find anything in them.
fn read_text(path: &Path) -> Result<Option<Zeroizing<String>>, StoreError> {
    Ok(read(path)?.map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())))
}

fn corrupt(path: &Path, error: CertificateError) -> StoreError {
    StoreError::new(ErrorCode::CertificateCorrupt, path, error)
}

#[cfg(test)]
mod tests;
