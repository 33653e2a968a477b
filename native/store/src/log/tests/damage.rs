// SPDX-License-Identifier: Apache-2.0
//! Bytes that have gone bad on the disk.

use std::ops::Range;
use std::path::PathBuf;

use super::*;
use crate::log::frame::{Header, Seed, FILE_HEADER_BYTES, HEADER_BYTES};
use crate::log::name::FileName;

/// A log with one snapshot of `1..=snapshot` (none if 0) and one segment with the numbers after that, up to `last`.
fn filled(snapshot: usize, last: usize) -> (FaultyDisk, Promises) {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    if snapshot > 0 {
        owner.take(Step::Append(snapshot), &mut promises).unwrap();
        owner.take(Step::Snapshot, &mut promises).unwrap();
    }
    owner.take(Step::Append(last - snapshot), &mut promises).unwrap();
    owner.log.close().unwrap();
    (disk, promises)
}

fn file(disk: &FaultyDisk, extension: &str) -> PathBuf {
    disk.files().into_iter().find(|path| path.extension().is_some_and(|found| found == extension)).unwrap()
}

/// Which records a file has, and where their frames are. How many marks are between them depends on who was faster.
fn frames(disk: &FaultyDisk, path: &Path) -> Vec<(u64, Range<usize>)> {
    let mut content = Vec::new();
    disk.rot(path, |bytes| content.clone_from(bytes));
    let seed = Seed::new(FileName::parse(path.file_name().unwrap()).unwrap().0);
    let mut at = FILE_HEADER_BYTES;
    let mut frames = Vec::new();
    while let Some(header) = content[at..].first_chunk().and_then(|header| seed.read_header(header)) {
        let start = at;
        at += HEADER_BYTES;
        if let Header::Record { bytes, .. } = header {
            at += bytes;
            frames.push((number(&Bytes::copy_from_slice(&content[at - bytes..at])), start..at));
        }
    }
    frames
}

fn size(disk: &FaultyDisk, path: &Path) -> usize {
    let mut size = 0;
    disk.rot(path, |content| size = content.len());
    size
}

/// The record whose frame a byte is in, if any.
fn hit(disk: &FaultyDisk, path: &Path, byte: usize) -> Vec<u64> {
    let is_in = |(number, frame): (u64, Range<usize>)| frame.contains(&byte).then_some(number);
    frames(disk, path).into_iter().filter_map(is_in).collect()
}

/// Spoils a byte, opens the log and expects all records but those whose frames it was in. Then a snapshot is made, and
/// the file must be aside.
fn spoil(disk: &FaultyDisk, promises: &mut Promises, path: &Path, bytes: Range<usize>, hit: &[u64]) {
    disk.rot(path, |content| content[bytes].iter_mut().for_each(|byte| *byte ^= 0x55));
    for number in hit {
        promises.durable.remove(number);
    }
    let expected = promises.durable.clone();
    let mut owner = Owner::open(disk, promises).unwrap();
    assert_eq!(owner.known, Vec::from_iter(expected.iter().copied()));
    let aside = PathBuf::from(format!("{}.damaged", path.display()));
    assert_eq!(owner.recovery.damaged, std::slice::from_ref(&aside));
    assert_eq!(owner.recovery.cut_bytes, 0);
    assert!(owner.recovery.snapshot_due);
    owner.take(Step::Append(1), promises).unwrap();
    assert_eq!(owner.snapshots, 1);
    owner.log.close().unwrap();
    assert!(disk.files().contains(&aside), "{:?}", disk.files());
    assert!(!disk.files().contains(&path.to_owned()));
    let owner = Owner::open(disk, promises).unwrap();
    assert_eq!(owner.recovery.damaged, Vec::<PathBuf>::new());
    owner.log.close().unwrap();
}

#[test]
fn a_bad_byte_anywhere_in_a_segment_costs_the_record_that_it_is_in() {
    for byte in 0.. {
        println!("byte {byte}");
        let (disk, mut promises) = filled(0, 6);
        let path = file(&disk, "segment");
        // The mark at the end has nothing to tell about itself.
        if byte == size(&disk, &path) - HEADER_BYTES {
            break;
        }
        let hit = hit(&disk, &path, byte);
        spoil(&disk, &mut promises, &path, byte..byte + 1, &hit);
    }
}

#[test]
fn a_bad_byte_anywhere_in_a_snapshot_costs_the_record_that_it_is_in() {
    for byte in 0.. {
        println!("byte {byte}");
        let (disk, mut promises) = filled(6, 9);
        let path = file(&disk, "snapshot");
        if byte == size(&disk, &path) {
            break;
        }
        let hit = hit(&disk, &path, byte);
        spoil(&disk, &mut promises, &path, byte..byte + 1, &hit);
    }
}

#[test]
fn a_bad_stretch_costs_the_records_in_it() {
    let (disk, mut promises) = filled(0, 9);
    let path = file(&disk, "segment");
    let frames = frames(&disk, &path);
    spoil(&disk, &mut promises, &path, frames[2].1.start + 3..frames[5].1.start + 1, &[3, 4, 5, 6]);
}

#[test]
fn a_snapshot_that_was_cut_between_two_records_is_damaged() {
    let (disk, mut promises) = filled(6, 9);
    let path = file(&disk, "snapshot");
    let frames = frames(&disk, &path);
    disk.rot(&path, |content| content.truncate(frames[3].1.end));
    promises.durable.remove(&5);
    promises.durable.remove(&6);
    let owner = Owner::open(&disk, &mut promises).unwrap();
    assert_eq!(owner.known, [1, 2, 3, 4, 7, 8, 9]);
    assert_eq!(owner.recovery.damaged.len(), 1);
}

/// The pages of a write may reach the disk in any order.
#[test]
fn a_last_write_of_which_any_part_is_missing_is_no_damage() {
    let mut with_gap = 0;
    for seed in 0..200 {
        println!("seed {seed}");
        let torn = torn(9, Crash::Scattered, &mut Random::new(seed));
        with_gap += u32::from(torn.known.windows(2).any(|pair| pair[1] != pair[0] + 1));
    }
    assert!(with_gap > 20, "{with_gap}");
}

#[test]
fn damage_before_the_last_batch_is_seen_after_a_crash_too() {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    owner.take(Step::Append(1), &mut promises).unwrap();
    owner.take(Step::Append(1), &mut promises).unwrap();
    disk.crash(Crash::Nothing, &mut Random::new(1));
    drop(owner);
    let path = file(&disk, "segment");
    let frames = frames(&disk, &path);
    spoil(&disk, &mut promises, &path, frames[0].1.clone(), &[1]);
}

#[test]
fn a_segment_that_is_something_else_altogether_is_set_aside() {
    let (disk, mut promises) = filled(3, 6);
    let path = file(&disk, "segment");
    disk.rot(&path, |content| content.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(7).wrapping_add(1)));
    promises.durable.retain(|number| *number <= 3);
    let owner = Owner::open(&disk, &mut promises).unwrap();
    assert_eq!(owner.known, [1, 2, 3]);
    assert_eq!(owner.recovery.damaged.len(), 1);
}

#[test]
fn a_record_that_holds_the_bytes_of_a_log_brings_nothing_back_to_life() {
    let (disk, mut promises) = filled(0, 2);
    let path = file(&disk, "segment");
    let (name, _) = FileName::parse(path.file_name().unwrap()).unwrap();
    // What a guest might put into a value: a frame, for the number that this segment is likely to have.
    let mut bait = Vec::new();
    Seed::new(FileName { salt: name.salt ^ 1, ..name }).write_record(&mut bait, &record(77));
    let mut content = Vec::new();
    Seed::new(name).write_file_header(&mut content);
    Seed::new(name).write_record(&mut content, &bait);
    Seed::new(name).write_record(&mut content, &record(2));
    // The header of the outer record goes bad, so that the reader looks for the next one inside of it.
    content[FILE_HEADER_BYTES] ^= 1;
    disk.rot(&path, |bytes| *bytes = content);
    promises.durable.remove(&1);
    let owner = Owner::open(&disk, &mut promises).unwrap();
    assert_eq!(owner.known, [2]);
}

#[test]
fn files_of_a_newer_version_are_refused_and_left_alone() {
    let (disk, mut promises) = filled(0, 2);
    let path = file(&disk, "segment");
    let (name, _) = FileName::parse(path.file_name().unwrap()).unwrap();
    disk.rot(&path, |content| {
        let mut header = Vec::new();
        Seed::new(name).write_versioned_file_header(&mut header, 3);
        content[..FILE_HEADER_BYTES].copy_from_slice(&header);
    });
    let before = disk.files();
    assert_eq!(Owner::open(&disk, &mut promises).err().unwrap().code(), "newer_files");
    assert_eq!(disk.files(), before);
}
