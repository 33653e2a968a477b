// SPDX-License-Identifier: Apache-2.0
//! How often memory is asked for because of a message, both ends of it and all threads together, with the five times or so that the test itself
//! does for each call. Counted and not timed, so that a busy machine changes little; printed with `--nocapture`.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

mod support;

use barrel_p2p_node::Signals;
use bytes::Bytes;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use support::{End, TestNode};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A message of process `<0.1.0>` as the emulator encodes it.
fn message(payload: usize) -> Vec<u8> {
    let pid = |id: u32| [&[88, 119, 1, b'n'][..], &id.to_be_bytes(), &[0; 4], &[0, 0, 0, 1]].concat();
    [&[131, 68, 0, 104, 3, 97, 22][..], &pid(1), &pid(2), &vec![7; payload]].concat()
}

fn send(end: &End, count: usize, message: &[u8], payload: Option<&Bytes>) {
    let mut signals = Signals::default();
    for _ in 0..count {
        signals.begin();
        signals.copy(message).unwrap();
        if let Some(payload) = payload {
            signals.reference(payload.clone()).unwrap();
        }
    }
    end.channel.send_signals(&signals);
}

/// Allocations of `work` for each of so many messages, after it was done once to warm up.
fn each(messages: usize, mut work: impl FnMut()) -> f64 {
    work();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work();
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / messages as f64
}

/// One test, since other threads would be counted as well.
#[test]
fn messages_cost_few_allocations() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (at_a, at_b) = a.connect(&b);
    let small = message(16);
    let frame = small.len() + 4;
    let ping = each(2 * 500, || {
        for _ in 0..500 {
            send(&at_a, 1, &small, None);
            at_b.expect_bytes(frame);
            send(&at_b, 1, &small, None);
            at_a.expect_bytes(frame);
        }
    });
    let stream = each(64 * 100, || {
        for _ in 0..100 {
            send(&at_a, 64, &small, None);
            at_b.expect_bytes(64 * frame);
        }
    });
    let payload = Bytes::from(vec![7; 64 * 1024]);
    let large = each(500, || {
        for _ in 0..500 {
            send(&at_a, 1, &small, Some(&payload));
            at_b.expect_bytes(frame + payload.len());
        }
    });
    println!("allocations: {ping:.1} for a small message alone, {stream:.2} in a stream of them, {large:.1} for one of 64 KiB");
    // Half as much again as was counted: 14.0, 0.35 and 20.6.
    assert!(ping < 21.0 && stream < 0.55 && large < 31.0, "{ping} {stream} {large}");
}
