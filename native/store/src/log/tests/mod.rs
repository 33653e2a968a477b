// SPDX-License-Identifier: Apache-2.0
//! An owner of a log that knows what it was promised, and checks it whenever it opens the log.

mod behaviour;
mod damage;
mod faults;
mod group;
mod histories;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::Random;
use bytes::Bytes;

use super::{AppendError, Event, Log, LogError, Recovery};
use crate::disk::faulty::{Crash, Fault, FaultyDisk};

/// Far longer than anything takes: a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// What is done with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Appends records one behind the other, then waits until they are durable.
    Append(usize),
    /// Appends records and does not wait.
    AppendOnly(usize),
    Snapshot,
    /// Begins a snapshot, appends records, then waits for both.
    SnapshotAndAppend(usize),
    Reopen,
}

/// The process has died on the way.
#[derive(Debug)]
struct Dead;

/// What holds over the lives of all processes: records are numbers.
#[derive(Debug, Default)]
struct Promises {
    /// The last number that was appended.
    last: u64,
    /// What must be there.
    durable: BTreeSet<u64>,
    /// What was acknowledged: it must also be in order.
    acknowledged: BTreeSet<u64>,
    /// What may be there.
    possible: BTreeSet<u64>,
    /// Whatever the disk has refused.
    errors: Vec<LogError>,
}

impl Promises {
    fn acknowledge(&mut self, numbers: &[u64]) {
        self.durable.extend(numbers);
        self.acknowledged.extend(numbers);
    }
}

/// A process that has the log open.
struct Owner {
    disk: FaultyDisk,
    log: Log,
    events: Receiver<Event>,
    recovery: Recovery,
    /// What it knows: the source of snapshots.
    known: Vec<u64>,
    /// Number of each record of this opening.
    appended: Vec<u64>,
    synced: usize,
    is_snapshot_due: bool,
    /// The disk has refused: when it works again the log must ask for a snapshot.
    is_snapshot_owed: bool,
    /// Refusals since it was healed.
    failures: usize,
    /// Snapshots that have ended.
    snapshots: usize,
}

impl Owner {
    /// Opens the log and checks that everything is there that was promised, in order, and nothing else.
    fn open(disk: &FaultyDisk, promises: &mut Promises) -> Result<Self, LogError> {
        let mut read = Vec::new();
        let (send, events) = channel();
        let (log, recovery) = Log::open(
            Arc::new(disk.clone()),
            Path::new("/data"),
            "log",
            &mut |record| read.push(number(&record)),
            move |event| {
                // Nobody listens any more when the test has seen enough.
                let _ = send.send(event);
            },
        )?;
        assert_eq!(recovery.records, read.len() as u64);
        let found: BTreeSet<u64> = read.iter().copied().collect();
        let lost: Vec<_> = promises.durable.difference(&found).collect();
        assert!(lost.is_empty(), "lost: {lost:?}, there: {found:?}, {recovery:?}");
        let invented: Vec<_> = found.difference(&promises.possible).collect();
        assert!(invented.is_empty(), "from nowhere: {invented:?}");
        let mut rest = read.iter();
        let mut acknowledged = promises.acknowledged.intersection(&promises.durable);
        assert!(acknowledged.all(|number| rest.any(|found| found == number)), "out of order: {read:?}");
        let known = Vec::from_iter(found.iter().copied());
        // What a process has seen must not vanish later; unless the disk has lied.
        if !disk.has_lost() {
            promises.durable.clone_from(&found);
            promises.possible = found;
        }
        Ok(Self {
            disk: disk.clone(),
            log,
            events,
            is_snapshot_due: recovery.snapshot_due,
            recovery,
            known,
            appended: Vec::new(),
            synced: 0,
            is_snapshot_owed: false,
            failures: 0,
            snapshots: 0,
        })
    }

    /// Opens the log, again if the disk refuses at first.
    fn open_at_last(disk: &FaultyDisk, promises: &mut Promises) -> Result<Self, Dead> {
        for attempt in 0..3 {
            match Self::open(disk, promises) {
                Ok(owner) => return Ok(owner),
                Err(_) if disk.is_dead() => return Err(Dead),
                Err(error) => promises.errors.push(error),
            }
            if attempt == 1 {
                disk.heal();
            }
        }
        panic!("the log cannot be opened: {:?}", promises.errors);
    }

    fn append(&mut self, promises: &mut Promises) {
        promises.last += 1;
        promises.possible.insert(promises.last);
        // First known, then appended: what a snapshot of this moment must have.
        self.known.push(promises.last);
        self.appended.push(promises.last);
        let sequence = self.log.append(record(promises.last)).unwrap();
        assert_eq!(sequence, self.appended.len() as u64);
    }

    /// Waits until everything is durable.
    fn wait(&mut self, promises: &mut Promises) -> Result<(), Dead> {
        while self.synced < self.appended.len() {
            self.go_on(promises)?;
        }
        Ok(())
    }

    /// Waits until so many snapshots have ended, well or not.
    fn wait_for_snapshot(&mut self, promises: &mut Promises, snapshots: usize) -> Result<(), Dead> {
        while self.snapshots < snapshots {
            self.go_on(promises)?;
        }
        Ok(())
    }

    /// Makes the snapshots that the log asks for.
    fn make_due_snapshots(&mut self, promises: &mut Promises) -> Result<(), Dead> {
        while self.is_snapshot_due || self.is_snapshot_owed {
            if self.is_snapshot_due {
                self.begin_snapshot();
                self.wait_for_snapshot(promises, self.snapshots + 1)?;
            } else {
                self.go_on(promises)?;
            }
        }
        Ok(())
    }

    /// Takes the next event. When the disk refuses, lets it recover after a while and makes the log try again at once.
    fn go_on(&mut self, promises: &mut Promises) -> Result<(), Dead> {
        if self.next(promises)? {
            self.failures += 1;
            if self.failures == 2 {
                self.disk.heal();
                self.failures = 0;
            }
            self.append(promises);
        }
        Ok(())
    }

    /// Takes the next event. Has the disk refused?
    fn next(&mut self, promises: &mut Promises) -> Result<bool, Dead> {
        match self.events.recv_timeout(DEADLINE).expect("an event") {
            Event::Failed(_) | Event::SnapshotFailed(_) if self.disk.is_dead() => return Err(Dead),
            Event::Failed(error) => {
                promises.errors.push(error);
                self.is_snapshot_owed = true;
                return Ok(true);
            }
            Event::SnapshotFailed(error) => {
                promises.errors.push(error);
                self.snapshots += 1;
            }
            Event::SnapshotDone { .. } => self.snapshots += 1,
            Event::SnapshotDue => {
                self.is_snapshot_due = true;
                self.is_snapshot_owed = false;
            }
            Event::Synced(up_to) => {
                self.synced = usize::try_from(up_to).unwrap();
                promises.acknowledge(&self.appended[..self.synced]);
            }
        }
        Ok(false)
    }

    fn begin_snapshot(&mut self) {
        self.is_snapshot_due = false;
        self.log.snapshot(source(&self.known)).unwrap();
    }

    fn take(&mut self, step: Step, promises: &mut Promises) -> Result<(), Dead> {
        let snapshots = self.snapshots + 1;
        match step {
            Step::Append(count) => {
                (0..count).for_each(|_| self.append(promises));
                self.wait(promises)?;
            }
            Step::AppendOnly(count) => (0..count).for_each(|_| self.append(promises)),
            Step::Snapshot => {
                self.begin_snapshot();
                self.wait_for_snapshot(promises, snapshots)?;
            }
            Step::SnapshotAndAppend(count) => {
                self.begin_snapshot();
                (0..count).for_each(|_| self.append(promises));
                self.wait(promises)?;
                self.wait_for_snapshot(promises, snapshots)?;
            }
            Step::Reopen => {
                if let Err(error) = self.log.close() {
                    if self.disk.is_dead() {
                        return Err(Dead);
                    }
                    promises.errors.push(error);
                } else {
                    promises.acknowledge(&self.appended);
                }
                *self = Self::open_at_last(&self.disk, promises)?;
            }
        }
        self.make_due_snapshots(promises)
    }
}

/// Opens a log and takes all steps; closes it when the process still lives.
fn play(disk: &FaultyDisk, promises: &mut Promises, steps: &[Step]) -> Result<(), Dead> {
    let mut owner = Owner::open_at_last(disk, promises)?;
    let taken = steps.iter().try_for_each(|step| owner.take(*step, promises));
    // Also the threads of a dead process have to end. What it had been told is all that counts.
    let closed = owner.log.close();
    if taken.is_ok() && closed.is_ok() {
        promises.acknowledge(&owner.appended);
    }
    taken
}

/// What a log is after a torn write.
struct Torn {
    disk: FaultyDisk,
    promises: Promises,
    known: Vec<u64>,
    cut_bytes: u64,
}

/// Three records are durable when a process dies in the sync of the next batch, which is no damage. The second opening
/// finds nothing left to mend.
fn torn(records: usize, crash: Crash, random: &mut Random) -> Torn {
    let (disk, mut promises) = (FaultyDisk::new(), Promises::default());
    let mut owner = Owner::open(&disk, &mut promises).unwrap();
    owner.take(Step::Append(3), &mut promises).unwrap();
    // The write comes first, then the sync.
    disk.fault_at(1, Fault::KillBefore);
    let _ = owner.take(Step::Append(records), &mut promises);
    let _ = owner.log.close();
    disk.crash(crash, random);
    let [first, second] = [(), ()].map(|()| {
        let owner = Owner::open(&disk, &mut promises).unwrap();
        owner.log.close().unwrap();
        owner
    });
    assert_eq!((first.recovery.damaged, second.recovery.damaged.len(), second.recovery.cut_bytes), (vec![], 0, 0));
    Torn { disk, promises, known: first.known, cut_bytes: first.recovery.cut_bytes }
}

/// A record that holds a number; records differ in length, and some are empty but for it. A few are so large that the
/// segment needs more zeros, and the reader more than one look.
fn record(number: u64) -> Bytes {
    let filler = if number.is_multiple_of(13) { 40_000 } else { (number % 5 * 7) as usize };
    number.to_le_bytes().into_iter().chain((0..filler).map(|at| at as u8 ^ number as u8)).collect()
}

fn number(bytes: &Bytes) -> u64 {
    let number = u64::from_le_bytes(*bytes.first_chunk().expect("a record of ours"));
    assert_eq!(*bytes, record(number), "a record of ours");
    number
}

fn source(numbers: &[u64]) -> Box<dyn Iterator<Item = Bytes> + Send> {
    Box::new(numbers.iter().copied().map(record).collect::<Vec<_>>().into_iter())
}
