// SPDX-License-Identifier: Apache-2.0
//! Memory of the emulator that native code is done with, on its way back to a thread of the emulator.
//!
//! Freed on the I/O thread it would wake the scheduler that had allocated it, which then looks for work for some 0.3 ms before it sleeps
//! again. A stream of large messages kept a scheduler of the sender awake for nothing else. So the I/O thread collects it, and the next call
//! that brings signals frees it.
//!
//! Keeps: nothing waits here for longer than [`AT_MOST`].

use rustler::OwnedEnv;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// A stream calls every 0.1 ms or so.
const AT_MOST: Duration = Duration::from_millis(5);

static BACK: Mutex<Vec<OwnedEnv>> = Mutex::new(Vec::new());

/// Somebody will look after [`BACK`] in time.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Native code is done with this. On a thread of the emulator it is freed at once.
pub(crate) fn done_with(env: OwnedEnv) {
    let Ok(io_thread) = Handle::try_current() else { return };
    BACK.lock().unwrap_or_else(PoisonError::into_inner).push(env);
    if !WATCHED.swap(true, Ordering::AcqRel) {
        let watch = Watch;
        io_thread.spawn(async move {
            tokio::time::sleep(AT_MOST).await;
            drop(watch);
        });
    }
}

/// Frees what came back. For threads of the emulator, or at last for the I/O thread.
pub(crate) fn free() {
    let back = std::mem::take(&mut *BACK.lock().unwrap_or_else(PoisonError::into_inner));
    drop(back);
}

/// Ends with its time, or with the runtime.
struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::Release);
        free();
    }
}
