// SPDX-License-Identifier: Apache-2.0
//! How much faster 64 writers are that share their syncs than 64 that sync each for themselves.
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
const SPAN: Duration = Duration::from_secs(3);

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
    let one = file("one");
    report("one writer, one sync each", count(1, || sync(&one)), None);
    let shared = file("shared");
    let alone = count(WRITERS, || sync(&shared));
    report("64 writers, one sync each, one file", alone, None);
    let locked = Mutex::new(file("locked"));
    let queued = count(WRITERS, || sync(&locked.lock().unwrap()));
    report("64 writers, one sync each, one after the other", queued, None);

    let (grouped, syncs) = group(root.path(), &record);
    report("64 writers, the log", grouped, Some(syncs));
    println!("ratio {:.1} and {:.1}", grouped / alone, grouped / queued);
}

/// Appends per second through the log, and per sync.
fn group(dir: &Path, record: &Bytes) -> (f64, f64) {
    let synced = Arc::new((Mutex::new(0), Condvar::new()));
    let told = Arc::clone(&synced);
    let listener = move |event| {
        if let Event::Synced(up_to) = event {
            *told.0.lock().unwrap() = up_to;
            told.1.notify_all();
        }
    };
    let (log, _) = Log::open(Arc::new(RealDisk), dir, "log", &mut |_| {}, listener).unwrap();
    let rate = count(WRITERS, || {
        let sequence = log.append(record.clone()).unwrap();
        drop(synced.1.wait_while(synced.0.lock().unwrap(), |synced| *synced < sequence).unwrap());
    });
    let stats = log.stats();
    (rate, stats.synced as f64 / stats.syncs as f64)
}

/// How often per second so many threads together can do something.
fn count(threads: usize, run: impl Fn() + Sync) -> f64 {
    let (done, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
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

fn report(what: &str, rate: f64, per_sync: Option<f64>) {
    let syncs = per_sync.map_or(String::new(), |per_sync| format!(", {per_sync:.1} per sync"));
    println!("{what}: {rate:.0}/s{syncs}");
}
