// SPDX-License-Identifier: Apache-2.0
//! How much faster 64 writers are that share their syncs than 64 that sync each for themselves: one after the other, as
//! through a process that owns the file, or all at once, when the file system shares as well as it can.
//!
//! `cargo test --release -p barrel_p2p_store --test speed -- --ignored --nocapture`, on a disk (where the target
//! directory is), not in memory.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use barrel_p2p_store::disk::RealDisk;
use barrel_p2p_store::log::{Event, Log};
use bytes::Bytes;

const WRITERS: usize = 64;
const ROUNDS: usize = 9;
const SPAN: Duration = Duration::from_millis(500);

#[test]
#[ignore = "measures the disk"]
fn shared_syncs() {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let record = Bytes::from(vec![7; 100]);
    let file = |name: &str| OpenOptions::new().append(true).create(true).open(root.path().join(name)).unwrap();
    let sync = |mut file: &File| {
        file.write_all(&record).unwrap();
        file.sync_data().unwrap();
    };
    let (queue, each) = (Mutex::new(file("queue")), file("each"));
    let log = Waited::open(root.path());

    // Turn by turn, because a disk is not as fast in one second as in the next.
    let rounds: [[f64; 3]; ROUNDS] = std::array::from_fn(|_| {
        [count(|| sync(&queue.lock().unwrap())), count(|| sync(&each)), count(|| log.append(&record))]
    });
    let [queued, each, shared] = [0, 1, 2].map(|which| rounds.map(|rates| rates[which]));
    println!("one sync each, one after the other: {:.0}/s", median(queued));
    println!("one sync each, all at once: {:.0}/s", median(each));
    let stats = log.log.stats();
    println!("the log: {:.0}/s, {:.1} per sync", median(shared), stats.synced as f64 / stats.syncs as f64);
    let ratio = |others: [f64; ROUNDS]| median(std::array::from_fn(|round| shared[round] / others[round]));
    println!("median of the ratios: {:.1} and {:.1}", ratio(queued), ratio(each));
}

/// A log whose appenders wait.
struct Waited {
    log: Log,
    synced: Arc<(Mutex<u64>, Condvar)>,
}

impl Waited {
    fn open(dir: &Path) -> Self {
        let synced: Arc<(Mutex<u64>, Condvar)> = Arc::default();
        let told = Arc::clone(&synced);
        let listener = move |event| {
            if let Event::Synced(up_to) = event {
                *told.0.lock().unwrap() = up_to;
                told.1.notify_all();
            }
        };
        let (log, _) = Log::open(Arc::new(RealDisk), dir, "log", &mut |_| {}, listener).unwrap();
        Self { log, synced }
    }

    fn append(&self, record: &Bytes) {
        let sequence = self.log.append(record.clone()).unwrap();
        let synced = self.synced.0.lock().unwrap();
        drop(self.synced.1.wait_while(synced, |synced| *synced < sequence).unwrap());
    }
}

/// How often per second all writers together can do something.
fn count(run: impl Fn() + Sync) -> f64 {
    let (done, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    run();
                    done.fetch_add(1, SeqCst);
                }
            });
        }
        thread::sleep(SPAN);
        is_over.store(true, SeqCst);
    });
    done.load(SeqCst) as f64 / start.elapsed().as_secs_f64()
}

fn median(mut values: [f64; ROUNDS]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[ROUNDS / 2]
}
