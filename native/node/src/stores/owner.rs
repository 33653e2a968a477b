// SPDX-License-Identifier: Apache-2.0
//! Who writes to a store, and why it cannot.

use barrel_p2p_proto::store::{StoreNameError, TooLarge};
use barrel_p2p_store::log::{AppendError, LogError};

/// Hears what happens to its store. Called on threads of ours only, never by a call of the owner; must not block.
pub trait Owner: Send + Sync + 'static {
    /// Changes of others wait.
    fn staged(&self);
    /// What was answered with a number up to this is on the disk.
    fn synced(&self, up_to: u64);
    /// What waits for the disk cannot be written now. It is tried again.
    fn failed(&self, error: &LogError);
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The files.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Not what a store can be called.
    #[error(transparent)]
    Name(#[from] StoreNameError),
    /// It is open with files elsewhere, or with none.
    #[error("the store is open and its files are in another place")]
    OtherPlace,
}

impl OpenError {
    /// The word for Erlang, where it is an atom.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Log(error) => error.code(),
            Self::Name(_) => "invalid_name",
            Self::OtherPlace => "already_open",
        }
    }

    /// What the word does not say.
    pub fn detail(&self) -> String {
        match self {
            Self::Log(error) => error.detail(),
            Self::Name(_) | Self::OtherPlace => self.to_string(),
        }
    }
}

/// Why something was not written. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too much waits for the disk.
    Busy,
    /// The store was closed, or has another owner.
    Closed,
    /// Key or value.
    TooLarge,
}

impl From<TooLarge> for Refused {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

impl From<AppendError> for Refused {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy => Self::Busy,
            AppendError::Closed => Self::Closed,
            AppendError::TooLarge => Self::TooLarge,
        }
    }
}
