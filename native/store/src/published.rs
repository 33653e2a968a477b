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
    if let Some(dir) = path.parent() {
        atomic::create_public_dir(dir).map_err(|error| StoreError::dir(dir, &error))?;
    }
    atomic::write_public(path, content).map_err(|error| StoreError::write(ErrorCode::FileWriteFailed, path, &error))
}

/// Removes a published file. That it is gone already is fine.
pub fn withdraw(path: &Path) -> Result<(), StoreError> {
    atomic::remove(path).map_err(|error| StoreError::write(ErrorCode::FileWriteFailed, path, &error))
}
