// SPDX-License-Identifier: Apache-2.0
//! The hybrid logical clock.

use crate::{atoms, hlc};
use rustler::{Encoder, Env, Term};

#[rustler::nif]
fn hlc_now() -> (u64, u32) {
    hlc::now()
}

#[rustler::nif]
fn hlc_update(env: Env<'_>, wall_ms: u64, logical: u32) -> Term<'_> {
    match hlc::update(wall_ms, logical) {
        Some(stamp) => (atoms::ok(), stamp).encode(env),
        None => (atoms::error(), atoms::too_far_ahead()).encode(env),
    }
}
