// SPDX-License-Identifier: Apache-2.0
//! Packets that come thick and fast are read together, for the reason that network cards moderate their interrupts.
//!
//! An I/O thread that is a little faster than the network sleeps after every packet. Each packet then costs two threads a wake, and every
//! second one an acknowledgement of its own: far more than all the work on it. So while much passes over networks, the thread rests for a
//! moment before it waits for its sockets. It does so only when it has nothing left to do, and nobody has to wake it: when it looks again,
//! what came meanwhile is one batch.
//!
//! Loopback does not count: there the sender works on the same machine and has to be read empty (see `socket`).

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Traffic is measured over so long.
const SPAN: Duration = Duration::from_millis(1);

/// Bytes of a span, read and sent, above which it is dense: 0.4 Gbit/s. Processes that ask and answer stay below unless there are dozens
/// of them, and never wait for a rest otherwise.
const DENSE_BYTES: usize = 48 * 1024;

/// From reading the sockets to reading them again, at the least; the kernel adds some 50 us. On a path of 1 ms, carried by a machine of two
/// cores, 8 MiB binaries ran at 290 MB/s instead of 205, with 100 us at 265 (medians of three interleaved rounds); a ping beside 1 MiB
/// binaries took 9 ms instead of 13 at the 99th percentile. On a path of 0.1 ms a ping beside bulk took 2.6 ms instead of 3.9 in the
/// median, and alone 0.31 ms in both cases.
const REST: Duration = Duration::from_micros(200);

thread_local! {
    /// Each I/O thread has sockets of its own.
    static TRAFFIC: Cell<Option<Traffic>> = const { Cell::new(None) };
}

/// Bytes were read from a network or sent to it.
pub(crate) fn passed(bytes: usize) {
    if bytes == 0 {
        return;
    }
    let now = Instant::now();
    let traffic = TRAFFIC.get().unwrap_or(Traffic { span: now, bytes: 0, is_dense: false, last: now });
    TRAFFIC.set(Some(traffic.passed(now, bytes)));
}

/// To be called when the thread is about to wait for its sockets.
pub(crate) fn rest() {
    let rest = TRAFFIC.get().map_or(Duration::ZERO, |traffic| traffic.rest(Instant::now()));
    if !rest.is_zero() {
        std::thread::sleep(rest);
    }
}

#[derive(Clone, Copy, Debug)]
struct Traffic {
    span: Instant,
    bytes: usize,
    is_dense: bool,
    last: Instant,
}

impl Traffic {
    #[must_use]
    fn passed(mut self, now: Instant, bytes: usize) -> Self {
        let length = now.saturating_duration_since(self.span);
        if length >= SPAN {
            self.is_dense = self.bytes > DENSE_BYTES && length < 2 * SPAN;
            (self.span, self.bytes) = (now, 0);
        }
        self.bytes += bytes;
        self.last = now;
        self
    }

    fn rest(&self, now: Instant) -> Duration {
        if self.is_dense {
            REST.saturating_sub(now.saturating_duration_since(self.last))
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_micros(100);

    /// So many bytes in each step, for three spans.
    fn after(now: &mut Instant, bytes: usize) -> Traffic {
        let mut traffic = Traffic { span: *now, bytes: 0, is_dense: false, last: *now };
        for _ in 0..30 {
            *now += STEP;
            traffic = traffic.passed(*now, bytes);
        }
        traffic
    }

    #[test]
    fn only_dense_traffic_rests_and_only_once() {
        let mut now = Instant::now();
        assert_eq!(after(&mut now, DENSE_BYTES / 20).rest(now), Duration::ZERO);
        let dense = after(&mut now, DENSE_BYTES / 5);
        assert_eq!([now, now + STEP, now + REST].map(|at| dense.rest(at)), [REST, REST - STEP, Duration::ZERO]);
    }

    #[test]
    fn the_first_packet_after_a_silence_is_not_dense() {
        let mut now = Instant::now();
        let dense = after(&mut now, DENSE_BYTES);
        now += 2 * SPAN;
        assert_eq!(dense.passed(now, DENSE_BYTES).rest(now), Duration::ZERO);
    }
}
