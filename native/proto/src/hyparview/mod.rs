// SPDX-License-Identifier: Apache-2.0
//! HyParView.

mod config;
mod message;

pub use config::Config;
pub use message::{Goodbye, Message, Priority};
