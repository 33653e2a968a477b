// SPDX-License-Identifier: Apache-2.0
//! What can be set about a node.

use crate::{directory, overlay, replication};

/// The configuration of each part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// About the directory.
    pub directory: directory::Config,
    /// About views and broadcasts.
    pub overlay: overlay::Config,
    /// About stores.
    pub replication: replication::Config,
}
