// SPDX-License-Identifier: Apache-2.0
//! Small files for other nodes to find us by.
//!
//! Keeps: a reader sees the old content or the new one, never half of it. Leaves to others: withdrawing at the right
//! moment.

use std::path::Path;

use crate::atomic;
use crate::error::{ErrorCode, StoreError};

/// Writes a file that everybody may read; its directory is made when missing.
pub fn publish(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let dir = atomic::parent(path);
    atomic::create_public_dir(dir).map_err(|error| StoreError::dir(dir, &error))?;
    atomic::write_public(path, content).map_err(|error| StoreError::write(ErrorCode::FileWriteFailed, path, &error))
}

/// Removes a published file. That it is gone already is fine.
pub fn withdraw(path: &Path) -> Result<(), StoreError> {
    atomic::remove(path).map_err(|error| StoreError::write(ErrorCode::FileWriteFailed, path, &error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_published_file_can_be_read_replaced_and_withdrawn() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data/discovery/a@h.endpoint");
        publish(&path, b"one").unwrap();
        publish(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        withdraw(&path).unwrap();
        withdraw(&path).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        publish(&file, b"").unwrap();
        let error = publish(&file.join("dir/a@h.endpoint"), b"").unwrap_err();
        assert_eq!((error.code(), error.path.as_path()), ("dir_unwritable", file.join("dir").as_path()));
    }
}
