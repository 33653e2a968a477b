// SPDX-License-Identifier: Apache-2.0
//! Timers that do not blame a peer for our own sleep.
//!
//! After the I/O thread was kept from running, the timers of all links are over at once, while the packets that would have restarted them
//! wait unread in the socket: every peer would be declared silent. So a timer that comes late waits a moment longer, in which the
//! socket is read.

use quinn::AsyncTimer;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{sleep_until, Sleep};

/// A timer that is over by more than this says that the thread was not running. Far above what a busy machine costs every day.
const LATE: Duration = Duration::from_millis(250);

/// Time to read the socket: some ten thousand packets.
const MOMENT: Duration = Duration::from_millis(50);

/// Moments (count) granted in a row to a thread that is kept from running again and again.
const MOMENTS: u32 = 4;

/// A patient timer of tokio.
#[derive(Debug)]
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    granted: u32,
}

impl Timer {
    /// To be called within a runtime.
    pub(crate) fn new(at: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(at.into())), granted: 0 }
    }
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.granted = 0;
        self.sleep.as_mut().reset(at.into());
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while Future::poll(self.sleep.as_mut(), context).is_ready() {
            let now = Instant::now();
            if self.granted == MOMENTS || now.saturating_duration_since(self.sleep.deadline().into_std()) < LATE {
                return Poll::Ready(());
            }
            self.granted += 1;
            self.sleep.as_mut().reset((now + MOMENT).into());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;

    /// Links to live peers timed out all at once when the machine had been suspended.
    #[test]
    fn a_timer_that_comes_late_leaves_time_to_read_the_socket() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let waited = runtime.block_on(async {
            let mut timer = pin!(Timer::new(Instant::now()));
            // Nothing runs meanwhile, not even this thread.
            std::thread::sleep(LATE * 2);
            let woken = Instant::now();
            poll_fn(|context| timer.as_mut().poll(context)).await;
            woken.elapsed()
        });
        assert!(waited >= MOMENT, "fired {waited:?} after the thread came back");
    }

    #[test]
    fn a_timer_that_comes_in_time_fires_in_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let waited = runtime.block_on(async {
            let started = Instant::now();
            let mut timer = pin!(Timer::new(started + Duration::from_millis(20)));
            poll_fn(|context| timer.as_mut().poll(context)).await;
            started.elapsed()
        });
        assert!(waited >= Duration::from_millis(20));
    }
}
