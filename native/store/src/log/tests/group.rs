// SPDX-License-Identifier: Apache-2.0
//! One sync for all that wait.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::thread;

use super::*;

const WRITERS: u64 = 64;
const EACH: u64 = 50;
const TOTAL: u64 = WRITERS * EACH;

/// How far appenders and acknowledgements are.
#[derive(Default)]
struct Progress {
    appended: AtomicU64,
    /// Writers that have nothing left to append.
    finished: AtomicU64,
    synced: Mutex<u64>,
    changed: Condvar,
}

impl Progress {
    fn wait_for(&self, sequence: u64) {
        let synced = self.synced.lock().unwrap();
        let waited = self.changed.wait_timeout_while(synced, DEADLINE, |synced| *synced < sequence).unwrap();
        assert!(!waited.1.timed_out(), "no acknowledgement of {sequence}");
    }
}

#[test]
fn sixty_four_writers_share_their_syncs() {
    let progress = Arc::new(Progress::default());
    let seen = Arc::clone(&progress);
    // A sync that takes until everybody who can append has appended: nobody waits for the disk to do that.
    let disk = FaultyDisk::with_hook(move || {
        let synced = *seen.synced.lock().unwrap();
        while seen.appended.load(SeqCst) + seen.finished.load(SeqCst) < synced + WRITERS {
            thread::yield_now();
        }
    });
    let told = Arc::clone(&progress);
    let listener = move |event| {
        if let Event::Synced(up_to) = event {
            *told.synced.lock().unwrap() = up_to;
            told.changed.notify_all();
        }
    };
    let shared: Arc<FaultyDisk> = Arc::new(disk.clone());
    let (log, _) = Log::open(shared, Path::new("/data"), "log", &mut |_| {}, listener).unwrap();
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for number in 0..EACH {
                    let sequence = log.append(record(number)).unwrap();
                    progress.appended.fetch_add(1, SeqCst);
                    progress.wait_for(sequence);
                }
                progress.finished.fetch_add(1, SeqCst);
            });
        }
    });
    println!("{TOTAL} appends, {} syncs", disk.syncs());
    assert!(TOTAL >= 20 * disk.syncs(), "{TOTAL} appends took {} syncs", disk.syncs());
    assert_eq!(log.stats().synced, TOTAL);
}
