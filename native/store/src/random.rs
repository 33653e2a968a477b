// SPDX-License-Identifier: Apache-2.0
//! Fresh secrets, from the operating system.

use std::path::Path;

use zeroize::{Zeroize, Zeroizing};

use crate::error::{Cause, ErrorCode, StoreError};

/// Random bytes for what is going to be written to `path`.
pub(crate) fn bytes<const N: usize>(path: &Path) -> Result<Zeroizing<[u8; N]>, StoreError>
where
    [u8; N]: Zeroize,
{
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|_| StoreError::new(ErrorCode::RandomFailed, path, Cause::NoRandom))?;
    Ok(bytes)
}
