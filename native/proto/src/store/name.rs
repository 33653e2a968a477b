// SPDX-License-Identifier: Apache-2.0
//! What a store is called in the whole cluster.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use barrel_p2p_base::limits::MAX_STORE_NAME_BYTES;
use thiserror::Error;

/// The name of a store, validated: 1 to 255 bytes of UTF-8. A clone is a counter, not a copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreName(Arc<str>);

/// Why bytes are not the name of a store.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StoreNameError {
    /// Nothing at all.
    #[error("store name is empty")]
    Empty,
    /// Not UTF-8.
    #[error("store name is not UTF-8 at byte {offset}")]
    NotText {
        /// Where that shows.
        offset: usize,
    },
    /// More than 255 bytes.
    #[error("store name is longer than {MAX_STORE_NAME_BYTES} bytes")]
    TooLong,
}

impl StoreName {
    /// Validates bytes, usually from a peer.
    pub fn parse(bytes: &[u8]) -> Result<Self, StoreNameError> {
        match bytes.len() {
            0 => Err(StoreNameError::Empty),
            1..=MAX_STORE_NAME_BYTES => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Self(text.into())),
                Err(error) => Err(StoreNameError::NotText { offset: error.valid_up_to() }),
            },
            _ => Err(StoreNameError::TooLong),
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StoreName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_of_1_to_255_bytes_is_a_name() {
        for text in ["a", "barrel_p2p_map_replica$x", "\u{e9}\u{1f980} \n", &"x".repeat(255)] {
            assert_eq!(StoreName::parse(text.as_bytes()).unwrap().as_str(), text);
        }
        assert_eq!(StoreName::parse(b""), Err(StoreNameError::Empty));
        assert_eq!(StoreName::parse(b"ab\xff"), Err(StoreNameError::NotText { offset: 2 }));
        assert_eq!(StoreName::parse(&[b'x'; 256]), Err(StoreNameError::TooLong));
    }
}
