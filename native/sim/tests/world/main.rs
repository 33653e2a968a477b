// SPDX-License-Identifier: Apache-2.0
//! The world itself, driven with a machine that does next to nothing.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod determinism;
mod links;
mod probe;
