// SPDX-License-Identifier: Apache-2.0
//! Hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva, Leone 2014, "Logical Physical Clocks").
//!
//! Keeps: the stamps of one clock strictly increase, whoever asks and however the wall clock jumps; a stamp made after
//! another one was seen is larger than it; a remote stamp moves the clock at most by the allowed skew.
//! Leaves to others: reading the wall clock.
//! Departure from the paper: the two parts share one 64-bit number, so the clock is one atomic and the carry of a full
//! logical part into the milliseconds needs no case of its own.

mod clock;
mod timestamp;

pub use clock::{Clock, TooFarAhead, DEFAULT_MAX_SKEW_MS};
pub use timestamp::Timestamp;
