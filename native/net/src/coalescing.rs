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

/// Traffic is measured over so long: longer than the burst of one large message, which must not rest on its way.
const SPAN: Duration = Duration::from_millis(4);

/// Bytes of a span in one direction above which it is dense: 0.5 Gbit/s. Processes that ask and answer stay below, unless they do so with large
/// messages over a short path: 64 KiB to and fro over 0.1 ms take 1.09 ms, and would 0.88 without a rest (medians of five rounds). With less
/// than this, in both directions together, 64 KiB over 1 ms took a quarter longer. With more, the stretches of lone packets that rests are
/// to end would stay below.
const DENSE_BYTES: usize = 4 * 64 * 1024;

/// From the last read or send to the next look into the sockets, at the least; the kernel adds some 50 us. On a path of 1 ms, carried by a
/// machine of two cores, 8 MiB binaries ran at 272 MB/s instead of 207, and a ping beside bulk took 9 ms instead of 14 at the 99th percentile
/// (medians of three interleaved rounds); with 100 us a tenth less. On a path of 0.1 ms a ping beside bulk took as long as before in the
/// median, with two thirds more bulk beside it.
const REST: Duration = Duration::from_micros(200);

thread_local! {
    /// Each I/O thread has sockets of its own.
    static TRAFFIC: Cell<Option<Traffic>> = const { Cell::new(None) };
}

/// Bytes were read from a network.
pub(crate) fn read(bytes: usize) {
    passed(bytes, 0);
}

/// Bytes were sent to a network.
pub(crate) fn sent(bytes: usize) {
    passed(0, bytes);
}

fn passed(read: usize, sent: usize) {
    if read + sent > 0 {
        let now = Instant::now();
        let traffic = TRAFFIC.get().unwrap_or_else(|| Traffic::new(now));
        TRAFFIC.set(Some(traffic.passed(now, read, sent)));
    }
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
    read: usize,
    sent: usize,
    is_dense: bool,
    last: Instant,
}

impl Traffic {
    fn new(now: Instant) -> Self {
        Self { span: now, read: 0, sent: 0, is_dense: false, last: now }
    }

    #[must_use]
    fn passed(mut self, now: Instant, read: usize, sent: usize) -> Self {
        let length = now.saturating_duration_since(self.span);
        if length >= SPAN {
            let is_dense = self.read.max(self.sent) > DENSE_BYTES && length < 2 * SPAN;
            self = Self { is_dense, ..Self::new(now) };
        }
        self.read += read;
        self.sent += sent;
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

    /// So many bytes read and sent in each step, for three spans.
    fn after(now: &mut Instant, read: usize, sent: usize) -> Traffic {
        (0..120).fold(Traffic::new(*now), |traffic, _| {
            *now += STEP;
            traffic.passed(*now, read, sent)
        })
    }

    #[test]
    fn only_dense_traffic_rests_and_only_once() {
        let mut now = Instant::now();
        assert_eq!(after(&mut now, DENSE_BYTES / 50, DENSE_BYTES / 50).rest(now), Duration::ZERO);
        for (read, sent) in [(DENSE_BYTES / 30, 0), (0, DENSE_BYTES / 30)] {
            let dense = after(&mut now, read, sent);
            assert_eq!([now, now + STEP, now + REST].map(|at| dense.rest(at)), [REST, REST - STEP, Duration::ZERO]);
        }
    }

    #[test]
    fn the_first_packet_after_a_silence_is_not_dense() {
        let mut now = Instant::now();
        let dense = after(&mut now, DENSE_BYTES, 0);
        now += 2 * SPAN;
        assert_eq!(dense.passed(now, DENSE_BYTES, 0).rest(now), Duration::ZERO);
    }
}
