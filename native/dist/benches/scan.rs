// SPDX-License-Identifier: Apache-2.0
//! Nanoseconds per frame: `cargo bench --package barrel_p2p_dist`.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use barrel_p2p_dist::scan::Scanner;

const NODE: &[u8] = b"alpha@127.0.0.1";
const FRAMES: u32 = 10_000_000;
const ROUNDS: usize = 5;

fn main() {
    let header: &[u8] = &[131, 68, 0];
    let process = [&[88, 119, 15], NODE, &[0, 0, 0, 90, 0, 0, 0, 0, 101, 116, 97, 100]].concat();
    let reference = [&[90, 0, 3, 119, 15], NODE, &[101; 16]].concat();
    let message = [&[104, 3, 97, 22], &process[..], &process].concat();
    let reply = [&[104, 5, 97, 31], &reference[..], &process, &[97, 0], &process].concat();
    let payload: &[u8] = &[97, 1];
    let joined = [header, &message, payload].concat();
    report("message, three pieces", &[header, &message, payload]);
    report("message, one piece", &[&joined]);
    report("message, cut in the sender", &[header, &message[..12], &message[12..], payload]);
    report("spawn reply, two pieces", &[header, &reply]);
    report("later fragment", &[&[131, 70, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2], payload]);
}

/// The fastest of some rounds: whatever else runs on the machine only adds.
fn report(what: &str, pieces: &[&[u8]]) {
    let fastest = (0..ROUNDS)
        .map(|_| {
            let mut scanner = Scanner::default();
            let began = Instant::now();
            for _ in 0..FRAMES {
                black_box(scanner.scan(black_box(pieces).iter().copied()));
            }
            began.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{what}: {:.1} ns", fastest.as_secs_f64() * 1e9 / f64::from(FRAMES));
}
