// SPDX-License-Identifier: Apache-2.0
//! Copies of files that are about to be replaced.

use std::path::Path;

use zeroize::Zeroizing;

use crate::atomic::{self, Creation};
use crate::error::{Cause, ErrorCode, StoreError};

/// Writes copies into a directory, which is made when missing. Never overwrites: a second rotation into the same
/// directory would destroy the very key that one wants back.
pub(crate) fn write(
    dir: &Path,
    copies: impl IntoIterator<Item = (&'static str, Zeroizing<Vec<u8>>)>,
) -> Result<(), StoreError> {
    atomic::create_secure_dir(dir).map_err(|error| failed(dir, error.kind()))?;
    for (name, bytes) in copies {
        let path = dir.join(name);
        match atomic::create_secure(&path, &bytes) {
            Ok(Creation::Created) => {}
            Ok(Creation::Exists) => return Err(failed(&path, std::io::ErrorKind::AlreadyExists)),
            Err(error) => return Err(failed(&path, error.kind())),
        }
    }
    Ok(())
}

fn failed(path: &Path, kind: std::io::ErrorKind) -> StoreError {
    StoreError::new(ErrorCode::BackupFailed, path, Cause::Io(kind))
}
