// SPDX-License-Identifier: Apache-2.0
//! Plumtree.

mod config;
mod message;

pub use config::Config;
pub use message::{Announcement, Message};
