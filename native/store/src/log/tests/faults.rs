// SPDX-License-Identifier: Apache-2.0
//! One scenario, and something going wrong at each of its operations.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;

const STEPS: &[Step] = &[
    Step::Append(1),
    Step::Append(3),
    Step::Snapshot,
    Step::Append(2),
    Step::Reopen,
    Step::Append(2),
    Step::SnapshotAndAppend(3),
    Step::Append(1),
    Step::Reopen,
    Step::Append(1),
    Step::AppendOnly(2),
];

const CRASHES: &[Crash] = &[
    Crash::Process,
    Crash::Nothing,
    Crash::Prefix,
    Crash::Scattered,
    Crash::Scattered,
    Crash::Zeros,
    Crash::Bytes(1),
    Crash::Bytes(30),
];

/// How many operations the scenario takes when all goes well. Two threads may share them out differently: a few more
/// are tried.
fn operations() -> u64 {
    let disk = FaultyDisk::new();
    play(&disk, &mut Promises::default(), STEPS).unwrap();
    disk.operations() + 4
}

/// Opens the log of a process that has ended, uses it, and lets the power fail: all must still be there.
fn use_again(disk: &FaultyDisk, promises: &mut Promises, random: &mut Random) {
    let steps = [Step::Append(2), Step::Snapshot, Step::Append(1)];
    play(disk, promises, &steps).unwrap();
    disk.crash(Crash::Nothing, random);
    let owner = Owner::open(disk, promises).unwrap();
    assert_eq!(owner.recovery.damaged, Vec::<std::path::PathBuf>::new());
    owner.log.close().unwrap();
}

#[test]
fn nothing_acknowledged_is_lost_wherever_a_process_ends() {
    for fault in [Fault::KillBefore, Fault::KillWithin, Fault::KillAfter] {
        for operation in 0..operations() {
            for (round, crash) in CRASHES.iter().enumerate() {
                println!("{fault:?} at operation {operation}, then {crash:?}");
                let random = &mut Random::new(operation * 100 + round as u64);
                let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
                disk.fault_at(operation, fault);
                let _ = play(&disk, &mut promises, STEPS);
                disk.crash(*crash, random);
                use_again(&disk, &mut promises, random);
            }
        }
    }
}

#[test]
fn a_process_that_ends_while_recovering_loses_nothing_either() {
    for first in [Fault::KillBefore, Fault::KillWithin] {
        for operation in (0..operations()).step_by(3) {
            for second in 0..14 {
                println!("{first:?} at operation {operation}, then at {second}");
                let random = &mut Random::new(operation);
                let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
                disk.fault_at(operation, first);
                let _ = play(&disk, &mut promises, STEPS);
                disk.crash(Crash::Process, random);
                disk.fault_at(second, Fault::KillBefore);
                let _ = play(&disk, &mut promises, &[Step::Append(1)]);
                disk.crash(Crash::Scattered, random);
                use_again(&disk, &mut promises, random);
            }
        }
    }
}

#[test]
fn what_the_disk_refuses_is_told_and_made_good_when_it_works_again() {
    let refusals = [
        (ErrorKind::StorageFull, "disk_full"),
        (ErrorKind::Other, "io"),
        (ErrorKind::ReadOnlyFilesystem, "read_only"),
        (ErrorKind::PermissionDenied, "permission"),
    ];
    for (kind, code) in refusals {
        for fault in [Fault::Error(kind), Fault::ErrorsFrom(kind)] {
            let mut told = 0;
            for operation in 0..operations() {
                println!("{fault:?} at operation {operation}");
                let random = &mut Random::new(operation);
                let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
                disk.fault_at(operation, fault);
                play(&disk, &mut promises, STEPS).unwrap();
                disk.heal();
                play(&disk, &mut promises, &[Step::Append(1)]).unwrap();
                assert!(promises.errors.iter().all(|error| error.code() == code), "{:?}", promises.errors);
                told += u32::from(!promises.errors.is_empty());
                disk.crash(Crash::Nothing, random);
                use_again(&disk, &mut promises, random);
            }
            assert!(told > 20, "{fault:?}: told {told} times");
        }
    }
}

#[test]
fn short_writes_are_no_errors() {
    for operation in 0..operations() {
        println!("at operation {operation}");
        let random = &mut Random::new(operation);
        let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
        disk.fault_at(operation, Fault::Short);
        play(&disk, &mut promises, STEPS).unwrap();
        assert_eq!(promises.errors, []);
        disk.crash(Crash::Nothing, random);
        use_again(&disk, &mut promises, random);
    }
}

#[test]
fn a_tail_that_is_torn_at_any_byte_is_cut() {
    let mut cut = 0;
    for bytes in 0..200 {
        println!("{bytes} bytes are left");
        let random = &mut Random::new(bytes);
        let mut torn = torn(4, Crash::Bytes(bytes), random);
        cut += u32::from(torn.cut_bytes > 0);
        use_again(&torn.disk, &mut torn.promises, random);
    }
    assert!(cut > 20, "{cut}");
}

#[test]
fn a_full_disk_is_told_and_takes_everything_when_there_is_room_again() {
    for capacity in (0..600).step_by(7) {
        println!("room for {capacity} bytes");
        let random = &mut Random::new(capacity);
        let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
        disk.set_capacity(capacity);
        let mut owner = Owner::open(&disk, &mut promises).unwrap();
        while promises.errors.is_empty() {
            owner.append(&mut promises);
            while owner.synced < owner.appended.len() && !owner.next(&mut promises).unwrap() {}
        }
        assert_eq!(promises.errors[0].code(), "disk_full");
        let refused = owner.appended[owner.synced];
        disk.set_capacity(u64::MAX);
        owner.take(Step::Append(1), &mut promises).unwrap();
        assert!(promises.durable.contains(&refused));
        assert_eq!(owner.snapshots, 1, "all is written again");
        owner.log.close().unwrap();
        disk.crash(Crash::Nothing, random);
        use_again(&disk, &mut promises, random);
    }
}

#[test]
fn a_disk_that_stays_full_leaves_no_files_behind() {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    owner.take(Step::Append(1), &mut promises).unwrap();
    let files = disk.files().len();
    disk.set_capacity(0);
    let mut failures = 0;
    // At first there is room left in the segment.
    while failures < 10 {
        owner.append(&mut promises);
        while owner.synced < owner.appended.len() && !owner.next(&mut promises).unwrap() {}
        failures = promises.errors.len();
    }
    assert_eq!(disk.files().len(), files);
}

/// Each attempt writes all that waits, and each failure is told to the owner.
#[test]
fn appends_to_a_disk_that_stays_full_do_not_write_everything_again_each() {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    disk.set_capacity(0);
    let mut failures = 0;
    while failures < 9 {
        owner.append(&mut promises);
        failures += usize::from(owner.next(&mut promises).unwrap());
    }
    // From here on the disk is left alone for a hundred times as long as an append waits for news.
    let mut attempt = || {
        owner.append(&mut promises);
        owner.events.recv_timeout(Duration::from_millis(1)).is_ok()
    };
    let attempts = (0..300).filter(|_| attempt()).count();
    assert!(attempts <= 100, "{attempts} attempts");
    disk.set_capacity(u64::MAX);
    owner.take(Step::Append(1), &mut promises).unwrap();
}

#[test]
fn a_disk_that_has_recovered_is_tried_without_an_append() {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    disk.fault_at(0, Fault::Error(ErrorKind::Other));
    owner.append(&mut promises);
    assert!(owner.next(&mut promises).unwrap(), "the disk refuses");
    while owner.synced == 0 {
        assert!(!owner.next(&mut promises).unwrap(), "it was one failure");
    }
}

#[test]
fn after_a_failed_sync_the_segment_is_never_touched_again() {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    owner.take(Step::Append(2), &mut promises).unwrap();
    let before = disk.files();
    // The write comes first, then the sync; only the cache has what was written.
    disk.fault_at(1, Fault::Error(ErrorKind::Other));
    owner.append(&mut promises);
    assert!(owner.next(&mut promises).unwrap(), "the disk refuses");
    owner.append(&mut promises);
    owner.wait(&mut promises).unwrap();
    let after = disk.files();
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
    owner.log.close().unwrap();
    disk.crash(Crash::Nothing, &mut Random::new(1));
    Owner::open(&disk, &mut promises).unwrap();
}

#[test]
fn a_deletion_that_is_interrupted_leaves_all_or_nothing() {
    let (mut whole, mut gone) = (0, 0);
    for operation in 0..12 {
        for (round, crash) in CRASHES.iter().enumerate() {
            println!("at operation {operation}, then {crash:?}");
            let random = &mut Random::new(round as u64);
            let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
            play(&disk, &mut promises, &[Step::Append(3), Step::Snapshot, Step::Append(2)]).unwrap();
            disk.fault_at(operation, Fault::KillAfter);
            let _ = Log::delete(&disk, Path::new("/data"), "log");
            disk.crash(*crash, random);
            let mut found = 0;
            let each = &mut |_| found += 1;
            let (log, _) = Log::open(Arc::new(disk.clone()), Path::new("/data"), "log", each, |_| {}).unwrap();
            log.close().unwrap();
            assert!(disk.files().iter().all(|path| path.starts_with("/data/log/")), "{:?}", disk.files());
            match found {
                0 => gone += 1,
                5 => whole += 1,
                _ => panic!("{found} records of five"),
            }
        }
    }
    assert!(whole > 0 && gone > 0, "{whole} and {gone}");
}
