// SPDX-License-Identifier: Apache-2.0
//! A bad network, for tests and benchmarks.
//!
//! [`Path`] is one direction of a network path as a pure state machine: a narrow place with a buffer that drops what does not fit, then delay,
//! loss, reordering and duplication. The same seed and the same offers give the same deliveries. Tests drive it in virtual time; the
//! program of this crate drives two of them between two network namespaces.

#![forbid(unsafe_code)]

mod path;

pub use path::{Counters, Path, Settings};
