// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with files: a closed set of codes, each with the path and the cause.

use std::io;
use std::path::{Path, PathBuf};

use barrel_p2p_identity::CertificateError;
use thiserror::Error;

use crate::atomic;

/// An operation on disk failed.
#[derive(Debug, Error)]
#[error("{}: {cause}", path.display())]
pub struct StoreError {
    /// Which kind of failure: what programs look at.
    pub code: ErrorCode,
    /// The file or directory concerned.
    pub path: PathBuf,
    /// What was wrong with it.
    pub cause: Cause,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A copy of the old files could not be made (or would overwrite an earlier copy); nothing was changed.
    BackupFailed,
    /// Certificate or key cannot be read as such, or do not belong together, and are not ours to replace.
    CertificateCorrupt,
    /// A certificate could not be made.
    CertificateFailed,
    /// Certificate or key could not be written.
    CertificateWriteFailed,
    /// A directory cannot be created or written.
    DirUnwritable,
    /// A file is there and cannot be read.
    FileUnreadable,
    /// A published file could not be written or removed.
    FileWriteFailed,
    /// A key file does not hold 32 bytes.
    KeyFileCorrupt,
    /// `node.pub` is there, `node.key` is not: the secret is lost.
    KeyFileIncomplete,
    /// `node.key` and `node.pub` are of two pairs.
    KeyPairMismatch,
    /// A key file could not be written.
    KeyWriteFailed,
    /// A pin does not hold 32 bytes. Ignoring it would let any key take the name.
    PinFileCorrupt,
    /// A pin could not be written or removed.
    PinWriteFailed,
    /// The system gave no random bytes.
    RandomFailed,
}

/// What was wrong with the path.
#[derive(Debug, Error)]
pub enum Cause {
    /// About a certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The operating system refused.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// It is not there, though its counterpart is.
    #[error("missing")]
    Missing,
    /// No random bytes.
    #[error("no random bytes from the operating system")]
    NoRandom,
    /// It does not belong to its counterpart.
    #[error("does not belong to the secret key beside it")]
    PairMismatch,
    /// Another size was expected.
    #[error("does not hold {expected} bytes")]
    WrongSize {
        /// What it should hold.
        expected: usize,
    },
}

impl StoreError {
    /// The word for Erlang, where it is an atom.
    pub fn code(&self) -> &'static str {
        self.code.name()
    }

    /// Path and cause, for people.
    pub fn detail(&self) -> String {
        self.to_string()
    }

    pub(crate) fn new(code: ErrorCode, path: &Path, cause: impl Into<Cause>) -> Self {
        Self { code, path: path.to_owned(), cause: cause.into() }
    }

    /// Something could not be written. If that is a matter of its directory, says so.
    pub(crate) fn write(code: ErrorCode, path: &Path, error: &io::Error) -> Self {
        let is_about_dir = matches!(
            error.kind(),
            io::ErrorKind::NotADirectory
                | io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
        );
        if is_about_dir {
            Self::dir(atomic::parent(path), error)
        } else {
            Self::new(code, path, Cause::Io(error.kind()))
        }
    }

    /// A directory cannot be made.
    pub(crate) fn dir(path: &Path, error: &io::Error) -> Self {
        Self::new(ErrorCode::DirUnwritable, path, Cause::Io(error.kind()))
    }

    /// A file is there, but cannot be read.
    pub(crate) fn read(path: &Path, error: &io::Error) -> Self {
        Self::new(ErrorCode::FileUnreadable, path, Cause::Io(error.kind()))
    }
}

impl ErrorCode {
    /// The word for Erlang, where it is an atom.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BackupFailed => "backup_failed",
            Self::CertificateCorrupt => "certificate_corrupt",
            Self::CertificateFailed => "certificate_failed",
            Self::CertificateWriteFailed => "certificate_write_failed",
            Self::DirUnwritable => "dir_unwritable",
            Self::FileUnreadable => "file_unreadable",
            Self::FileWriteFailed => "file_write_failed",
            Self::KeyFileCorrupt => "key_file_corrupt",
            Self::KeyFileIncomplete => "key_file_incomplete",
            Self::KeyPairMismatch => "key_pair_mismatch",
            Self::KeyWriteFailed => "key_write_failed",
            Self::PinFileCorrupt => "pin_file_corrupt",
            Self::PinWriteFailed => "pin_write_failed",
            Self::RandomFailed => "random_failed",
        }
    }
}
