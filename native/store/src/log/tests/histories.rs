// SPDX-License-Identifier: Apache-2.0
//! Random histories: many lives of a process, anything failing at any time.

use std::io::ErrorKind;

use super::*;

const HISTORIES: u64 = 400;
const LIVES: usize = 5;

#[test]
fn random_histories_keep_every_promise() {
    let first = getrandom::u64().unwrap();
    for seed in first..first.saturating_add(HISTORIES) {
        println!("seed {seed}");
        live(seed);
    }
}

/// Seeds that found something once.
#[test]
fn histories_that_went_wrong_once_go_well() {
    for seed in [] {
        println!("seed {seed}");
        live(seed);
    }
}

fn live(seed: u64) {
    let random = &mut Random::new(seed);
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    for _ in 0..LIVES {
        let steps: Vec<Step> = (0..=random.below(12)).map(|_| step(random)).collect();
        if random.below(4) > 0 {
            let (operation, fault) = (random.below(50) as u64, fault(random));
            println!("{fault:?} at {operation}");
            disk.fault_at(operation, fault);
        }
        println!("{steps:?}");
        let died = play(&disk, &mut promises, &steps).is_err();
        let crash = crash(random);
        println!("died: {died}, {crash:?}");
        disk.crash(crash, random);
    }
    play(&disk, &mut promises, &[Step::Append(1), Step::Snapshot]).unwrap();
    disk.crash(Crash::Nothing, random);
    Owner::open(&disk, &mut promises).unwrap().log.close().unwrap();
}

fn step(random: &mut Random) -> Step {
    let count = random.below(6);
    let steps = [
        Step::Append(count),
        Step::Append(count),
        Step::AppendOnly(count),
        Step::Snapshot,
        Step::SnapshotAndAppend(count),
        Step::Reopen,
    ];
    *random.pick(&steps).unwrap()
}

fn fault(random: &mut Random) -> Fault {
    let kinds = [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::Interrupted];
    let kind = *random.pick(&kinds).unwrap();
    let faults = [
        Fault::Error(kind),
        Fault::ErrorsFrom(ErrorKind::Other),
        Fault::KillAfter,
        Fault::KillBefore,
        Fault::KillWithin,
        Fault::Short,
    ];
    *random.pick(&faults).unwrap()
}

fn crash(random: &mut Random) -> Crash {
    let bytes = random.below(300) as u64;
    let crashes = [Crash::Process, Crash::Nothing, Crash::Prefix, Crash::Scattered, Crash::Zeros, Crash::Bytes(bytes)];
    *random.pick(&crashes).unwrap()
}
