// SPDX-License-Identifier: Apache-2.0
//! Why a log does not take a record, and why the disk does not take what the log has.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

/// The log did not take something.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AppendError {
    /// Too much waits for the disk, or a snapshot is being written already.
    #[error("the disk is behind")]
    Busy,
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
    /// The record is larger than [`MAX_RECORD_BYTES`](super::MAX_RECORD_BYTES).
    #[error("the record is too large")]
    TooLarge,
}

/// The disk refused something.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}: {cause}", path.display())]
pub struct LogError {
    /// Which kind of failure: what programs look at.
    pub reason: Reason,
    /// The file or directory concerned.
    pub path: PathBuf,
    /// What the system said, for people.
    pub cause: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No room on the disk, or in the quota.
    DiskFull,
    /// Somebody else has this log open: another node, or this one.
    InUse,
    /// The log has no name.
    InvalidName,
    /// Any other failure of the disk.
    Io,
    /// The files were written by a newer version.
    NewerFiles,
    /// The directory is not there, or is no directory.
    NoDirectory,
    /// The node may not.
    Permission,
    /// The file system is read-only.
    ReadOnly,
    /// The process or the system has no file handles left.
    TooManyFiles,
}

impl AppendError {
    /// The word for Erlang, where it is an atom.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Closed => "closed",
            Self::TooLarge => "too_large",
        }
    }
}

impl LogError {
    /// The word for Erlang, where it is an atom.
    pub fn code(&self) -> &'static str {
        self.reason.name()
    }

    /// Path and cause, for people.
    pub fn detail(&self) -> String {
        self.to_string()
    }

    pub(super) fn new(reason: Reason, path: &Path, cause: &str) -> Self {
        Self { reason, path: path.to_owned(), cause: cause.to_owned() }
    }

    /// What the disk said about a path.
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        Self { reason: Reason::of(error), path: path.to_owned(), cause: error.to_string() }
    }
}

impl Reason {
    /// The word for Erlang, where it is an atom.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::InUse => "in_use",
            Self::InvalidName => "invalid_name",
            Self::Io => "io",
            Self::NewerFiles => "newer_files",
            Self::NoDirectory => "no_directory",
            Self::Permission => "permission",
            Self::ReadOnly => "read_only",
            Self::TooManyFiles => "too_many_files",
        }
    }

    fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = error.kind();
        let is_errno = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
        if is_errno(Errno::MFILE) || is_errno(Errno::NFILE) {
            Self::TooManyFiles
        } else if matches!(kind, Kind::FileTooLarge | Kind::QuotaExceeded | Kind::StorageFull) {
            Self::DiskFull
        } else if matches!(kind, Kind::NotADirectory | Kind::NotFound) {
            Self::NoDirectory
        } else if kind == Kind::PermissionDenied {
            Self::Permission
        } else if kind == Kind::ReadOnlyFilesystem {
            Self::ReadOnly
        } else {
            Self::Io
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_one_word_for_erlang() {
        for (errno, code) in [
            (Errno::ACCESS, "permission"),
            (Errno::DQUOT, "disk_full"),
            (Errno::FBIG, "disk_full"),
            (Errno::IO, "io"),
            (Errno::MFILE, "too_many_files"),
            (Errno::NFILE, "too_many_files"),
            (Errno::NOENT, "no_directory"),
            (Errno::NOSPC, "disk_full"),
            (Errno::NOTDIR, "no_directory"),
            (Errno::PERM, "permission"),
            (Errno::ROFS, "read_only"),
        ] {
            let error = LogError::io(Path::new("data/x"), &errno.into());
            assert_eq!(error.code(), code, "{errno:?}");
            assert!(error.detail().starts_with("data/x: "), "{}", error.detail());
        }
    }
}
