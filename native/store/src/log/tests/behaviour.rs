// SPDX-License-Identifier: Apache-2.0
//! What a log does when nothing goes wrong.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::Mutex;

use super::*;
use crate::disk::RealDisk;
use crate::log::frame::{FILE_HEADER_BYTES, HEADER_BYTES};
use crate::log::{Stats, MAX_RECORD_BYTES, MAX_WAITING_BYTES};

fn open(disk: &FaultyDisk, listener: impl Fn(Event) + Send + Sync + 'static) -> (Log, Vec<Bytes>) {
    let mut read = Vec::new();
    let mut each = |record| read.push(record);
    let log = Log::open(Arc::new(disk.clone()), Path::new("/data"), "log", &mut each, listener).unwrap().0;
    (log, read)
}

#[test]
fn records_come_back_as_they_were_and_in_order() {
    let disk = FaultyDisk::new();
    let large = Bytes::from(vec![7; MAX_RECORD_BYTES]);
    let records = [Bytes::new(), Bytes::from_static(b"one"), large, Bytes::from_static(b"two")];
    let (log, _) = open(&disk, |_| {});
    for record in &records {
        log.append(record.clone()).unwrap();
    }
    log.close().unwrap();
    assert_eq!(open(&disk, |_| {}).1, records);
}

#[test]
fn a_snapshot_takes_the_place_of_what_was_before_it() {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    owner.take(Step::Append(3), &mut promises).unwrap();
    let segment = disk.files();
    owner.log.snapshot(source(&[2, 3])).unwrap();
    owner.wait_for_snapshot(&mut promises, 1).unwrap();
    owner.take(Step::Append(1), &mut promises).unwrap();
    owner.log.close().unwrap();
    promises.durable.remove(&1);
    assert!(disk.files().iter().all(|path| path.ends_with("lock") || !segment.contains(path)), "{:?}", disk.files());
    assert_eq!(Owner::open(&disk, &mut promises).unwrap().known, [2, 3, 4]);
}

#[test]
fn few_syncs_find_the_segment_larger_than_before() {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    let size = || {
        let mut size = 0;
        disk.rot(&segment(&disk), |content| size = content.len());
        size
    };
    let sizes: Vec<usize> = (0..1000)
        .map(|_| {
            owner.take(Step::Append(1), &mut promises).unwrap();
            size()
        })
        .collect();
    owner.log.close().unwrap();
    let grown = sizes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(grown <= 12, "it has grown {grown} times to {} bytes", sizes[999]);
    assert!(size() < sizes[999], "what was not used is given back");
    let written: usize = (1..=1000).map(|number| 2 * HEADER_BYTES + record(number).len()).sum();
    assert_eq!(size(), FILE_HEADER_BYTES + written);
}

fn segment(disk: &FaultyDisk) -> PathBuf {
    disk.files().into_iter().find(|path| path.extension().is_some_and(|found| found == "segment")).unwrap()
}

#[test]
fn a_record_that_is_too_large_is_refused() {
    let (log, _) = open(&FaultyDisk::new(), |_| {});
    assert_eq!(log.append(Bytes::from(vec![0; MAX_RECORD_BYTES + 1])), Err(AppendError::TooLarge));
    assert_eq!(log.ready(MAX_RECORD_BYTES + 1), Err(AppendError::TooLarge));
    assert_eq!(log.append(Bytes::new()), Ok(1));
}

#[test]
fn a_disk_that_hangs_makes_the_log_busy_and_nobody_wait() {
    let (go, gate) = sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    // Ends when the sender is gone.
    let disk = FaultyDisk::with_hook(move || gate.lock().unwrap().recv().unwrap_or_default());
    let (log, _) = open(&disk, |_| {});
    let record = Bytes::from(vec![1; 1024]);
    let mut taken = 0;
    let mut append = |bytes: &Bytes| log.append(bytes.clone()).inspect(|_| taken += 1);
    while log.ready(record.len()).is_ok() {
        append(&record).unwrap();
    }
    // Whoever was told that there is room may come with pieces, each of which costs more than its bytes.
    for _ in 0..1000 {
        append(&record.slice(..1)).unwrap();
    }
    while append(&record).is_ok() {}
    assert_eq!(append(&record), Err(AppendError::Busy));
    assert!(taken <= MAX_WAITING_BYTES / 1024 + 1024);
    drop(go);
    log.close().unwrap();
    assert_eq!(log.append(record), Err(AppendError::Closed));
    assert_eq!(open(&disk, |_| {}).1.len(), taken);
}

#[test]
fn a_log_is_open_once() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk, |_| {});
    let again = Log::open(Arc::new(disk.clone()), Path::new("/data"), "log", &mut |_| {}, |_| {});
    assert_eq!(again.unwrap_err().code(), "in_use");
    assert_eq!(Log::delete(&disk, Path::new("/data"), "log").unwrap_err().code(), "in_use");
    log.close().unwrap();
    open(&disk, |_| {});
}

#[test]
fn a_snapshot_is_asked_for_when_the_segments_have_outgrown_the_last_one() {
    const MIB: usize = 1024 * 1024;
    let disk = FaultyDisk::new();
    let (send, events) = channel();
    let (log, _) = open(&disk, move |event| send.send(event).unwrap_or_default());
    let next = || events.recv_timeout(DEADLINE).unwrap();
    let block = Bytes::from(vec![1; MIB]);
    let append = |count: u64| {
        let last = (0..count).map(|_| log.append(block.clone()).unwrap()).last().unwrap();
        while next() != Event::Synced(last) {}
    };
    append(3);
    append(1);
    assert_eq!(next(), Event::SnapshotDue, "after 4 MiB");
    log.snapshot(Box::new(vec![block.clone(); 5].into_iter())).unwrap();
    assert!(matches!(next(), Event::SnapshotDone { records: 5, bytes } if bytes > 5 * MIB as u64));
    append(9);
    // Nothing but this is told in between.
    append(2);
    assert_eq!(next(), Event::SnapshotDue, "after twice the snapshot");
    log.close().unwrap();
    let recovery = Log::open(Arc::new(disk), Path::new("/data"), "log", &mut |_| {}, |_| {}).unwrap().1;
    assert_eq!(recovery, Recovery { records: 16, snapshot_due: true, ..Recovery::default() });
}

#[test]
fn a_snapshot_that_fails_or_panics_is_told_leaves_nothing_and_the_next_one_works() {
    let unfinished = |disk: &FaultyDisk| disk.files().iter().any(|path| path.extension() == Some("tmp".as_ref()));
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    owner.take(Step::Append(3), &mut promises).unwrap();
    // The segment ends: written, cut, synced. The snapshot is created, then written.
    disk.fault_at(4, Fault::Error(ErrorKind::StorageFull));
    owner.take(Step::Snapshot, &mut promises).unwrap();
    assert_eq!(promises.errors[0].code(), "disk_full");
    assert!(!unfinished(&disk));
    owner.log.snapshot(Box::new(std::iter::from_fn(|| panic!("by intention")))).unwrap();
    owner.wait_for_snapshot(&mut promises, 2).unwrap();
    assert_eq!(promises.errors[1].code(), "io");
    owner.take(Step::Snapshot, &mut promises).unwrap();
    assert_eq!(promises.errors.len(), 2);
    assert!(!unfinished(&disk));
    owner.take(Step::Reopen, &mut promises).unwrap();
    assert_eq!(owner.known, [1, 2, 3]);
}

#[test]
fn closing_ends_a_snapshot_that_would_take_for_ever() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk, |_| {});
    log.append(record(1)).unwrap();
    log.snapshot(Box::new(std::iter::repeat_with(|| record(1)))).unwrap();
    assert_eq!(log.snapshot(source(&[])), Err(AppendError::Busy));
    log.close().unwrap();
    assert_eq!(open(&disk, |_| {}).1, [record(1)]);
}

#[test]
fn a_deleted_log_is_empty_when_opened_again() {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    play(&disk, &mut promises, &[Step::Append(3), Step::Snapshot, Step::Append(1)]).unwrap();
    Log::delete(&disk, Path::new("/data"), "log").unwrap();
    Log::delete(&disk, Path::new("/data"), "log").unwrap();
    assert_eq!(disk.files(), Vec::<PathBuf>::new());
    let owner = Owner::open(&disk, &mut Promises::default()).unwrap();
    assert_eq!(owner.recovery, Recovery::default());
}

#[test]
fn a_real_disk_keeps_records_and_secrets() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data/maps");
    let open = |read: &mut Vec<Bytes>| {
        let mut each = |record| read.push(record);
        Log::open(Arc::new(RealDisk), &dir, "log", &mut each, |_| {}).map(|(log, _)| log)
    };
    let log = open(&mut Vec::new()).unwrap();
    for number in 1..=3 {
        log.append(record(number)).unwrap();
    }
    assert_eq!(open(&mut Vec::new()).unwrap_err().code(), "in_use");
    log.close().unwrap();
    let files: Vec<_> =
        std::fs::read_dir(dir.join("log")).unwrap().map(|file| file.unwrap().metadata().unwrap()).collect();
    assert!(!files.is_empty() && files.iter().all(|file| file.permissions().mode() & 0o777 == 0o600));
    assert_eq!(std::fs::metadata(dir.join("log")).unwrap().permissions().mode() & 0o777, 0o700);
    let mut read = Vec::new();
    let log = open(&mut read).unwrap();
    assert_eq!(read, [record(1), record(2), record(3)]);
    assert_eq!(log.stats(), Stats { segment_bytes: log.stats().segment_bytes, ..Stats::default() });
    log.close().unwrap();
    Log::delete(&RealDisk, &dir, "log").unwrap();
    assert!(!dir.join("log").exists());
}
