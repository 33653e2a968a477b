// SPDX-License-Identifier: Apache-2.0
//! The only code that sends to a process. Runs on our threads only: an owned environment must not send from a scheduler thread.

use rustler::thread::is_scheduler_thread;
use rustler::{Atom, Env, LocalPid, OwnedEnv, Term};
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

/// Sends `{Note}`. For news that come as often as packets do.
///
/// What one of our threads has allocated belongs to the allocator that the emulator's auxiliary thread looks after, and a scheduler that frees it has
/// to wake that thread. A bare atom is freed as soon as it is received; a tuple only by the next garbage collection, with many others. A ping
/// of 16 bytes woke the auxiliary thread of both nodes, now one in fifteen to fifty does: 50 us instead of 59 in the median, 34 to 40 when all goes
/// well; a GB beside a ping takes 1.03 s of CPU instead of 1.17 (two nodes on two cores, medians of four and of five interleaved runs).
///
/// Sent without an environment of its own the tuple is copied to where it takes two words, not the 200 that an environment begins with.
pub(crate) fn note(to: &LocalPid, note: Atom) {
    // As loud as `send` there: a note that is lost leaves a channel waiting for ever.
    assert!(!is_scheduler_thread(), "a note from a scheduler thread");
    ENV.with_borrow_mut(|env| {
        let _ = env.run(|env| env.send(to, (note,)));
        env.clear();
    });
}
