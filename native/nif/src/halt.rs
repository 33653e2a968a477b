// SPDX-License-Identifier: Apache-2.0
//! Farewell at exit. `erlang:halt/0` ends the process without a word to anybody: the kernel closes TCP connections on its own, but UDP has
//! none. A handler of the C library says goodbye to the peers and removes the published files; it costs the exit a few milliseconds.
//!
//! A process that is killed runs no handler: its peers notice by the idle timeout.

use barrel_p2p_node::Node;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, Once, Weak};

static RUNNING: Mutex<Vec<Weak<Node>>> = Mutex::new(Vec::new());

/// Registers the handler, once per process: a library may be loaded again.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    // SAFETY: `at_exit` is a function without arguments that neither unwinds nor returns a value, as atexit(3) asks for. The library is
    // never unloaded while the process lives, since it keeps its resource types and an I/O thread.
    INSTALLED.call_once(|| unsafe {
        libc::atexit(at_exit);
    });
}

/// This node is to say goodbye.
pub(crate) fn remember(node: &Arc<Node>) {
    if let Ok(mut running) = RUNNING.lock() {
        running.retain(|other| other.strong_count() > 0);
        running.push(Arc::downgrade(node));
    }
}

extern "C" fn at_exit() {
    // An exit must come to its end: skip rather than wait for a lock or unwind into C.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Ok(running) = RUNNING.try_lock() {
            running.iter().filter_map(Weak::upgrade).for_each(|node| node.halt());
        }
    }));
}
