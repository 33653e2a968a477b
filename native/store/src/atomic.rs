// SPDX-License-Identifier: Apache-2.0
//! Writing a file whole or not at all.
//!
//! Temporary file in the same directory with its final mode from the start, content, fsync, rename, fsync of the
//! directory. A crash leaves at most a temporary file under a random name, which nobody ever reads; a failure leaves
//! nothing.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

/// What became of a file that was only to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    /// It is ours.
    Created,
    /// Somebody else was there before; nothing was changed.
    Exists,
}

/// Replaces a file by one that only its owner can read.
pub(crate) fn write_secure(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, 0o600)
}

/// Replaces a file by one that everybody can read.
pub(crate) fn write_public(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, 0o644)
}

/// Creates a file that only its owner can read, unless there is one already. Of several processes that try, one wins.
pub(crate) fn create_secure(path: &Path, bytes: &[u8]) -> io::Result<Creation> {
    let temporary = Temporary::write(path, bytes, 0o600)?;
    match fs::hard_link(&temporary.path, path) {
        Ok(()) => sync_dir(parent(path)).map(|()| Creation::Created),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Creation::Exists),
        // A file system without hard links: renaming differs only when two processes do this at the same moment.
        Err(_) if !path.try_exists()? => temporary.rename(path).map(|()| Creation::Created),
        Err(_) => Ok(Creation::Exists),
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a directory that only its owner can enter; missing ones above it get the usual mode.
pub(crate) fn create_secure_dir(path: &Path) -> io::Result<()> {
    create_dir(path, 0o700)
}

/// Makes a directory, and missing ones above it, with the usual mode.
pub(crate) fn create_public_dir(path: &Path) -> io::Result<()> {
    create_dir(path, 0o777)
}

/// Reads a file that must hold exactly `N` bytes. `Ok(None)`: it does not. The bytes are wiped when dropped.
pub(crate) fn read_exactly<const N: usize>(path: &Path) -> io::Result<Option<Zeroizing<[u8; N]>>>
where
    [u8; N]: Zeroize,
{
    let mut file = File::open(path)?;
    let mut bytes = Zeroizing::new([0; N]);
    match file.read_exact(&mut *bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let is_whole = file.read(&mut [0])? == 0;
    Ok(is_whole.then_some(bytes))
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    Temporary::write(path, bytes, mode)?.rename(path)
}

/// A temporary file that is removed unless it was renamed.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    /// Writes a synced file beside `target`.
    fn write(target: &Path, bytes: &[u8], mode: u32) -> io::Result<Self> {
        let temporary = Self { path: parent(target).join(random_name()?) };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary.path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(temporary)
    }

    fn rename(self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        sync_dir(parent(target))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; otherwise the error that led here says more than this one could.
        let _ = fs::remove_file(&self.path);
    }
}

/// Random, so that neither a leftover nor another process (process ids repeat in containers) is ever in the way.
fn random_name() -> io::Result<String> {
    let number = getrandom::u64().map_err(|_| io::ErrorKind::Other)?;
    Ok(format!(".tmp-{number:016x}"))
}

fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    let create = || DirBuilder::new().mode(mode).create(path);
    let created = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent(path) != path => {
            create_dir(parent(path), 0o777)?;
            create()
        }
        other => other,
    };
    match created {
        Ok(()) => sync_dir(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes renames and removals in a directory survive a power loss.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The directory of a file, also for a bare file name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str() != OsStr::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
