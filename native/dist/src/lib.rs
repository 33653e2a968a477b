// SPDX-License-Identifier: Apache-2.0
//! Erlang distribution, as far as its order can be read from its bytes, and streams side by side that keep it.
//!
//! * [`scan`]: what the order of one frame depends on
//! * [`lanes`]: several streams for one conversation, with no order lost
//!
//! Keeps: every function here is a function of its arguments, and no byte of a frame makes it panic, allocate or loop beyond a
//! fixed bound. Leaves to others: moving the frames (net), and what the signals mean (the emulator).
#![forbid(unsafe_code)]

pub mod lanes;
pub mod scan;
