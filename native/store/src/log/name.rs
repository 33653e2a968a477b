// SPDX-License-Identifier: Apache-2.0
//! Names of the directory and the files of a log.
//!
//! A file is named `<number>-<salt>.<kind>`. Numbers only grow; a snapshot stands for everything with a smaller number.
//! The salt is random and part of every checksum in the file: what a record holds, or what a deleted file has left on
//! the disk, is never taken for a record of this file, and that does not depend on any byte inside it.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use super::error::{LogError, Reason};

/// The file that stands for the lock of a log.
pub(super) const LOCK: &str = "lock";

/// Bytes of a directory's name that show the log's. File systems take 255, the rest is for a hash and a suffix.
const SHOWN_BYTES: usize = 200;

const TEMPORARY: &str = ".tmp";
const DAMAGED: &str = ".damaged";
const DELETED: &str = ".deleted";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Segment,
    Snapshot,
}

/// How far a file got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Set aside: somebody may want to look at it, we do not.
    Damaged,
    /// A snapshot that was never finished.
    Unfinished,
    Valid,
}

/// The name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) salt: u32,
}

impl FileName {
    pub(super) fn parse(name: &OsStr) -> Option<(Self, Status)> {
        let name = name.to_str()?;
        let (name, status) = if let Some(name) = name.strip_suffix(TEMPORARY) {
            (name, Status::Unfinished)
        } else if let Some(name) = name.strip_suffix(DAMAGED) {
            (name, Status::Damaged)
        } else {
            (name, Status::Valid)
        };
        let (stem, extension) = name.split_once('.')?;
        let kind = [Kind::Segment, Kind::Snapshot].into_iter().find(|kind| kind.extension() == extension)?;
        let (number, salt) = stem.split_once('-')?;
        let (number, salt) = (u64::from_str_radix(number, 16).ok()?, u32::from_str_radix(salt, 16).ok()?);
        let parsed = Self { number, kind, salt };
        // One file, one name: what does not look exactly like ours is not ours.
        (parsed.to_string() == name).then_some((parsed, status))
    }

    pub(super) fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    /// Its path while it is being written.
    pub(super) fn temporary(self, dir: &Path) -> PathBuf {
        dir.join(format!("{self}{TEMPORARY}"))
    }

    /// Its path when it has been set aside.
    pub(super) fn damaged(self, dir: &Path) -> PathBuf {
        dir.join(format!("{self}{DAMAGED}"))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:08x}.{}", self.number, self.salt, self.kind.extension())
    }
}

impl Kind {
    const fn extension(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Snapshot => "snapshot",
        }
    }
}

/// The directory of a log: another one for every name, also where the file system does not tell `A` from `a`.
pub(super) fn directory(dir: &Path, name: &str) -> Result<PathBuf, LogError> {
    if name.is_empty() {
        return Err(LogError::new(Reason::InvalidName, dir, "a log needs a name"));
    }
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02x}");
        }
    }
    if escaped.len() > SHOWN_BYTES {
        escaped.truncate(SHOWN_BYTES);
        let _ = write!(escaped, "+{:032x}", hash(name));
    }
    Ok(dir.join(escaped))
}

/// Where the directory of a log goes before it is removed.
pub(super) fn deleted(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(DELETED);
    dir.with_file_name(name)
}

/// FNV-1a. Names come from this node's own program: nobody looks for two that collide.
fn hash(name: &str) -> u128 {
    let mix = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    name.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_read_as_they_were_written() {
        let name = FileName { number: 0x1f, kind: Kind::Snapshot, salt: 0xab };
        assert_eq!(name.to_string(), "000000000000001f-000000ab.snapshot");
        for (path, status) in [
            (name.path(Path::new("d")), Status::Valid),
            (name.temporary(Path::new("d")), Status::Unfinished),
            (name.damaged(Path::new("d")), Status::Damaged),
        ] {
            assert_eq!(FileName::parse(path.file_name().unwrap()), Some((name, status)));
        }
    }

    #[test]
    fn other_files_are_not_ours() {
        let close = ["1f-ab.snapshot", "000000000000001f-000000ab.other", "+00000000000001f-000000ab.segment"];
        for name in close.into_iter().chain(["lock", "", "."]) {
            assert_eq!(FileName::parse(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn every_name_gets_its_own_directory_below_the_given_one() {
        let dir = |name: &str| directory(Path::new("d"), name).map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(dir("map_1").unwrap(), "d/map_1");
        assert_eq!(dir("A").unwrap(), "d/%41");
        assert_eq!(dir("../x").unwrap(), "d/%2e%2e%2fx");
        assert_eq!(dir("").unwrap_err().code(), "invalid_name");
    }

    #[test]
    fn long_names_that_differ_at_their_end_get_different_directories() {
        let dir = |name: String| directory(Path::new("d"), &name).unwrap();
        let long = dir("A".repeat(254) + "b");
        assert_ne!(long, dir("A".repeat(254) + "c"));
        assert!(deleted(&long).file_name().unwrap().len() <= 255);
    }
}
