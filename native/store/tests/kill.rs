// SPDX-License-Identifier: Apache-2.0
//! A process that writes as fast as it can is killed at a random moment, again and again: every record that it was told
//! to be durable must be there.
//!
//! The program starts itself as the writer. The writer puts ever growing numbers under 512 keys, makes snapshots all
//! the time, and prints what is acknowledged. `BARREL_P2P_KILL_ROUNDS=500` makes it take longer.

#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use barrel_p2p_store::disk::RealDisk;
use barrel_p2p_store::log::{AppendError, Event, Log, Recovery};
use bytes::Bytes;

const KEYS: u64 = 512;

/// Records (count) between two snapshots.
const SNAPSHOT_EVERY: u64 = 700;

type State = BTreeMap<u64, u64>;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, word, dir] if word == "writer" => write(Path::new(dir)),
        // Asked for the names of its tests, or for others.
        [_, rest @ ..] if rest.iter().any(|word| word == "--list" || !word.starts_with('-')) => {}
        _ => survive(rounds()),
    }
}

#[allow(clippy::disallowed_methods)]
fn rounds() -> u64 {
    std::env::var("BARREL_P2P_KILL_ROUNDS").map_or(25, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Kills writers and checks what they leave.
fn survive(rounds: u64) {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (mut acknowledged, mut cut, mut twice) = (0, 0, 0);
    let mut last = 0;
    for round in 0..rounds {
        let told = kill(root.path(), Duration::from_micros(getrandom::u64().expect("random") % 60_000));
        let mut state = State::new();
        let (log, recovery) = open(root.path(), &mut state, |_| {});
        // Dropping it would leave it locked for a moment.
        log.close().expect("an end");
        assert_eq!(recovery.damaged, Vec::<std::path::PathBuf>::new());
        for number in last + 1..=told {
            let found = state.get(&(number % KEYS)).copied().unwrap_or(0);
            assert!(found >= number, "round {round}: {number} was acknowledged, {found} is there");
        }
        acknowledged += told.saturating_sub(last);
        cut += u64::from(recovery.cut_bytes > 0);
        twice += recovery.records.saturating_sub(state.len() as u64);
        // Numbers that were written and never acknowledged may be there: the next writer goes on behind them.
        last = state.values().copied().max().unwrap_or(0);
    }
    println!(
        "{rounds} kills: {acknowledged} acknowledged records, none lost; {cut} torn tails, {twice} records replaced"
    );
    assert!(acknowledged > 10 * rounds, "the writers hardly wrote");
}

/// Runs a writer for a while after it has opened the log, and says what its last acknowledgement was.
fn kill(dir: &Path, after: Duration) -> u64 {
    let program = std::env::current_exe().expect("this program");
    let mut writer = Command::new(program).arg("writer").arg(dir).stdout(Stdio::piped()).spawn().expect("a writer");
    let lines = BufReader::new(writer.stdout.take().expect("its output"));
    let mut lines = lines.lines().map_while(Result::ok);
    // The last line may be torn, as the writer was: then it was not told.
    let number = |line: String| line.strip_suffix('.').and_then(|number| number.parse().ok());
    let first = lines.next().and_then(number).expect("a first line");
    let reader = thread::spawn(move || lines.map_while(number).last().unwrap_or(first));
    #[allow(clippy::disallowed_methods)]
    thread::sleep(after);
    writer.kill().expect("a kill");
    writer.wait().expect("its end");
    reader.join().expect("the reader")
}

/// Writes until it is killed.
fn write(dir: &Path) {
    let mut state = State::new();
    let base = Arc::new(OnceLock::new());
    let told = Arc::clone(&base);
    let log = open(dir, &mut state, move |event| match event {
        Event::Synced(up_to) => {
            let base: u64 = *told.get().expect("set before the first record");
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{}.", base + up_to);
            let _ = out.flush();
        }
        Event::Failed(error) | Event::SnapshotFailed(error) => panic!("{error}"),
        Event::SnapshotDone { .. } | Event::SnapshotDue => {}
    })
    .0;
    let first = state.values().copied().max().unwrap_or(0);
    base.set(first).expect("set once");
    println!("{first}.");
    for number in first + 1.. {
        state.insert(number % KEYS, number);
        while log.append(record(number)) == Err(AppendError::Busy) {
            thread::yield_now();
        }
        if number % SNAPSHOT_EVERY == 0 {
            let records: Vec<Bytes> = state.values().copied().map(record).collect();
            // The one before may not be done yet.
            let _ = log.snapshot(Box::new(records.into_iter()));
        }
    }
}

fn open(dir: &Path, state: &mut State, listener: impl Fn(Event) + Send + Sync + 'static) -> (Log, Recovery) {
    let mut each = |record: Bytes| {
        let number = u64::from_le_bytes(*record.first_chunk().expect("a record of ours"));
        let newest = state.entry(number % KEYS).or_default();
        *newest = number.max(*newest);
    };
    Log::open(Arc::new(RealDisk), dir, "killed", &mut each, listener).expect("a log that opens")
}

/// A number, and some ballast.
fn record(number: u64) -> Bytes {
    let ballast = (number % 300) as usize;
    number.to_le_bytes().into_iter().chain((0..ballast).map(|_| 0x5a)).collect()
}
