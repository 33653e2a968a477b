// SPDX-License-Identifier: Apache-2.0
//! The only code that sends to a process. Runs on our threads only: an owned environment must not send from a scheduler thread.

use rustler::{Env, LocalPid, OwnedEnv, Term};
use std::cell::RefCell;

thread_local! {
    /// One environment per thread, cleared by each send, saves an allocation per message.
    static ENV: RefCell<OwnedEnv> = RefCell::new(OwnedEnv::new());
}

/// Sends what `message` builds. A process that is gone is not an error: its monitor takes care of what it left behind.
pub(crate) fn send(to: &LocalPid, message: impl for<'a> FnOnce(Env<'a>) -> Term<'a>) {
    ENV.with_borrow_mut(|env| {
        let _ = env.send_and_clear(to, message);
    });
}
