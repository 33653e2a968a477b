// SPDX-License-Identifier: Apache-2.0
//! What the log needs of a file system, and nothing more.
//!
//! [`RealDisk`] is the operating system's; the tests have one in memory that tells what is durable from what is not,
//! and fails when told. Whoever uses a [`Disk`] may rely on this alone: what a file held when [`DiskFile::sync`]
//! succeeded is durable; that a file is there, gone or renamed is durable when [`Disk::sync_dir`] has succeeded since.

#[cfg(test)]
pub(crate) mod faulty;
mod real;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;

pub use real::RealDisk;

/// A file system.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory that only its owner can enter, and missing ones above it; durable when this returns. That it
    /// is there already is fine.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// Creates a file that only its owner can read, for writing. That there is one already is an error.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file at its start.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file or directory within its directory, replacing a file that has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes durable which files a directory has.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock that a file stands for, creating the file when missing. `WouldBlock`: somebody else has it. It
    /// ends when the guard is dropped, or with the process.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send {
    /// Reads on; 0 is the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes on; fewer bytes than given is no error.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Puts zeros into a part of the file, which grows if it ends before; where the next write goes stays as it is.
    fn fill(&mut self, bytes: Range<u64>) -> io::Result<()>;

    /// Makes the content durable. After an error nobody knows what is: the system may have dropped what it could not
    /// write, so that a second call succeeds and means nothing.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// Keeps a lock until it is dropped.
pub trait DiskLock: fmt::Debug + Send {}
