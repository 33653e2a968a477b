// SPDX-License-Identifier: Apache-2.0
//! quinn's tasks on tokio, with a short cut: whoever gives a connection something to send may send it too.
//!
//! A connection is driven by a task on the I/O thread. To wake that thread for a small message costs more than all the work on the message.
//! So a thread that has something to send may take the driver, change the connection, and let the driver act on the change at once.
//!
//! Keeps: one thread at a time drives a connection, and nobody waits for another one to do so; a wake is never lost; the work of one
//! [`Driver::with`] is bounded by [`ROUNDS`]; a timer that is over is left to the I/O thread, which reads the socket first (see `patience`).

use crate::patience;
use crate::socket::Socket;
use quinn::{AsyncTimer, AsyncUdpSocket};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{fence, AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

/// How often a driver is run in one [`Driver::with`]: once for the change, once for what came in meanwhile. quinn sends at most 20 datagrams
/// in one run; with 6,500 bytes each that takes some 50 us, with 65,000 (loopback) it may be ten times that (estimated).
const ROUNDS: usize = 2;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// The task that this thread has taken.
    static TAKEN: Cell<*const Task> = const { Cell::new(ptr::null()) };
    /// The task that this thread woke last; `None` while nobody wants to know.
    static WOKEN: RefCell<Option<Option<Arc<Task>>>> = const { RefCell::new(None) };
    /// When the task that this thread runs wants to be woken by time.
    static DUE: RefCell<Option<Arc<Due>>> = const { RefCell::new(None) };
}

/// What quinn needs of a runtime.
#[derive(Debug)]
pub(crate) struct QuinnRuntime;

impl quinn::Runtime for QuinnRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let due = DUE.with_borrow(Clone::clone);
        let mut timer = Box::pin(Timer { inner: Box::pin(patience::Timer::new(at)), due });
        timer.as_mut().reset(at);
        timer
    }

    fn spawn(&self, work: Work) {
        let work = Mutex::new(Some(work));
        let task = Task { work, again: AtomicBool::new(false), due: Arc::default(), waker: OnceLock::new() };
        tokio::spawn(OnIoThread(Arc::new(task)));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket::new(socket)?))
    }
}

/// The task that drives one connection.
#[derive(Clone)]
pub(crate) struct Driver(Arc<Task>);

/// Does `work`, which gives one connection something to do, and finds out who drives it. `None` when the driver was awake already.
pub(crate) fn driver_of<R>(work: impl FnOnce() -> R) -> (R, Option<Driver>) {
    WOKEN.set(Some(None));
    let result = work();
    (result, WOKEN.take().flatten().map(Driver))
}

impl Driver {
    /// Does `work` and lets the driver act on it, on this thread. `None`, and no work done, when another thread drives the connection at
    /// this moment, or the I/O thread is late.
    pub(crate) fn with<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        let task = &self.0;
        let mut taken = task.try_take()?;
        if task.due.is_over() {
            drop(taken);
            task.run_on_io_thread();
            return None;
        }
        let mark = Mark(TAKEN.replace(Arc::as_ptr(task)));
        let result = work();
        let mut done = false;
        for _ in 0..ROUNDS {
            if done || !task.again.swap(false, Ordering::AcqRel) {
                break;
            }
            done = task.poll(&mut taken);
        }
        drop(mark);
        drop(taken);
        // Pairs with the one in `OnIoThread`: either we see its mark, or it sees that the task is free.
        fence(Ordering::SeqCst);
        if done || task.again.swap(false, Ordering::AcqRel) {
            task.run_on_io_thread();
        }
        Some(result)
    }
}

/// The moment for which a task has set its timer.
#[derive(Debug, Default)]
struct Due(Mutex<Option<Instant>>);

impl Due {
    fn set(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    fn is_over(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at <= Instant::now())
    }
}

/// Tells its task for when it is set.
#[derive(Debug)]
struct Timer {
    inner: Pin<Box<patience::Timer>>,
    due: Option<Arc<Due>>,
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        if let Some(due) = &self.due {
            due.set(at);
        }
        self.inner.as_mut().reset(at);
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.inner.as_mut().poll(context)
    }
}

/// Restores what this thread had taken before.
struct Mark(*const Task);

impl Drop for Mark {
    fn drop(&mut self) {
        TAKEN.set(self.0);
    }
}

struct Task {
    /// `None` when done.
    work: Mutex<Option<Work>>,
    /// There is more to do for whoever has taken the task.
    again: AtomicBool,
    due: Arc<Due>,
    /// Runs the task on the I/O thread.
    waker: OnceLock<Waker>,
}

impl Task {
    fn try_take(&self) -> Option<MutexGuard<'_, Option<Work>>> {
        match self.work.try_lock() {
            Ok(work) => Some(work),
            // quinn keeps its own state behind locks of its own, and stops a connection of which one is poisoned.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn run_on_io_thread(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// True when done.
    fn poll(self: &Arc<Self>, work: &mut Option<Work>) -> bool {
        let waker = Waker::from(self.clone());
        let context = &mut Context::from_waker(&waker);
        let outer = DUE.replace(Some(self.due.clone()));
        let done = work.as_mut().is_none_or(|work| work.as_mut().poll(context).is_ready());
        DUE.set(outer);
        if done {
            *work = None;
        }
        done
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        WOKEN.with_borrow_mut(|woken| {
            if let Some(woken) = woken {
                *woken = Some(self.clone());
            }
        });
        if ptr::eq(TAKEN.get(), Arc::as_ptr(self)) {
            self.again.store(true, Ordering::Release);
        } else {
            self.run_on_io_thread();
        }
    }
}

struct OnIoThread(Arc<Task>);

impl Future for OnIoThread {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let task = &self.0;
        let _ = task.waker.get_or_init(|| context.waker().clone());
        let taken = task.try_take().or_else(|| {
            // Whoever has it looks for the mark after giving it up. It may just have done so.
            task.again.store(true, Ordering::Release);
            fence(Ordering::SeqCst);
            task.try_take()
        });
        if taken.is_some_and(|mut work| task.poll(&mut work)) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for OnIoThread {
    /// The work holds the socket, which must be free when the runtime has ended, whoever still knows the driver.
    fn drop(&mut self) {
        *self.0.work.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::Runtime as _;
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::time::Duration;
    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::Notify;

    /// A task that counts its runs, can be woken, and is known by its driver.
    struct Counted {
        runs: Arc<AtomicUsize>,
        notify: Arc<Notify>,
        driver: Driver,
        runtime: Runtime,
    }

    impl Counted {
        fn runs(&self) -> usize {
            self.runs.load(Ordering::SeqCst)
        }
    }

    /// Each wake makes the task run once, and then so many times more.
    fn counted(more: usize) -> Counted {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (runs, notify) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (counter, waiting) = (runs.clone(), notify.clone());
        let entered = runtime.enter();
        QuinnRuntime.spawn(Box::pin(async move {
            loop {
                waiting.notified().await;
                for _ in 0..more {
                    counter.fetch_add(1, Ordering::SeqCst);
                    wake_myself().await;
                }
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }));
        drop(entered);
        settle(&runtime);
        let ((), driver) = driver_of(|| notify.notify_one());
        settle(&runtime);
        assert_eq!(runs.swap(0, Ordering::SeqCst), more + 1);
        Counted { runs, notify, driver: driver.unwrap(), runtime }
    }

    async fn wake_myself() {
        let mut first = true;
        poll_fn(|context| {
            if std::mem::take(&mut first) {
                context.waker().wake_by_ref();
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Lets the I/O thread do all that it has to do.
    fn settle(runtime: &Runtime) {
        runtime.block_on(async {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn what_a_thread_wakes_it_also_runs() {
        let task = counted(0);
        assert_eq!(task.driver.with(|| task.notify.notify_one()), Some(()));
        assert_eq!(task.runs(), 1);
        assert_eq!(task.driver.with(|| {}), Some(()));
        assert_eq!(task.runs(), 1);
    }

    #[test]
    fn what_is_too_much_for_one_call_is_left_to_the_io_thread() {
        let task = counted(10);
        assert_eq!(task.driver.with(|| task.notify.notify_one()), Some(()));
        assert_eq!(task.runs(), ROUNDS);
        settle(&task.runtime);
        assert_eq!(task.runs(), 11);
    }

    #[test]
    fn a_wake_while_another_thread_has_the_task_is_not_lost() {
        let task = counted(0);
        let (entered, has_entered) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let driver = task.driver.clone();
        let other = std::thread::spawn(move || {
            driver.with(|| {
                entered.send(()).unwrap();
                may_leave.recv().unwrap();
            })
        });
        has_entered.recv().unwrap();
        task.notify.notify_one();
        // The I/O thread finds the task taken, and does not wait for it.
        settle(&task.runtime);
        assert_eq!(task.runs(), 0);
        leave.send(()).unwrap();
        assert_eq!(other.join().unwrap(), Some(()));
        assert_eq!(task.runs(), 1);
    }

    #[test]
    fn no_wake_is_lost_while_another_thread_takes_and_gives_back() {
        let Counted { runs, notify, driver, runtime } = counted(0);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let io = std::thread::spawn(move || runtime.block_on(stopped));
        let busy = Arc::new(AtomicBool::new(true));
        let goes_on = busy.clone();
        let other = std::thread::spawn(move || {
            while goes_on.load(Ordering::SeqCst) {
                driver.with(|| {});
            }
        });
        let all = (0..20_000).all(|_| {
            let before = runs.load(Ordering::SeqCst);
            notify.notify_one();
            let deadline = Instant::now() + Duration::from_secs(5);
            while runs.load(Ordering::SeqCst) == before && Instant::now() < deadline {
                std::thread::yield_now();
            }
            runs.load(Ordering::SeqCst) > before
        });
        busy.store(false, Ordering::SeqCst);
        other.join().unwrap();
        stop.send(()).unwrap();
        io.join().unwrap().unwrap();
        assert!(all, "a wake was lost");
    }

    /// Whoever sent first after the machine had slept took all links for dead, with their packets still in the socket.
    #[test]
    fn a_timer_that_is_over_is_left_to_the_io_thread() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (notify, at) = (Arc::new(Notify::new()), Instant::now() + Duration::from_millis(100));
        let waiting = notify.clone();
        let entered = runtime.enter();
        QuinnRuntime.spawn(Box::pin(async move {
            let _timer = QuinnRuntime.new_timer(at);
            loop {
                waiting.notified().await;
            }
        }));
        drop(entered);
        settle(&runtime);
        let driver = driver_of(|| notify.notify_one()).1.unwrap();
        settle(&runtime);
        let before = driver.with(|| {});
        assert!(before.is_some() || Instant::now() >= at);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        assert_eq!(driver.with(|| {}), None);
    }

    #[test]
    fn a_driver_at_work_is_not_waited_for() {
        let driver = counted(0).driver;
        assert_eq!(driver.with(|| driver.with(|| {})), Some(None));
    }

    #[test]
    fn the_end_of_the_runtime_ends_the_work() {
        let Counted { notify, driver, runtime, runs } = counted(0);
        assert_eq!(Arc::strong_count(&notify), 2);
        drop(runtime);
        assert_eq!(Arc::strong_count(&notify), 1);
        assert_eq!(driver.with(|| {}), Some(()));
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    }
}
