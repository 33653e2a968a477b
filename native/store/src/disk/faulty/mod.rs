// SPDX-License-Identifier: Apache-2.0
//! A disk in memory that tells what is durable from what is not, and fails when told.
//!
//! Every call of [`Disk`] and [`DiskFile`] is one operation (a fill that is cut short is two), and any of them can be
//! made to fail, or to be the last one of the process. [`FaultyDisk::crash`] then decides what is left of everything that
//! was not synced, as unkindly as a real machine may, and the next process can begin.

mod machine;
mod node;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use barrel_p2p_base::Random;

use super::{Disk, DiskFile, DiskLock};
use machine::{Inode, Machine};

/// What happens at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and does nothing. When it is a sync, what it should have made durable never will be.
    Error(io::ErrorKind),
    /// It and all later ones that change something fail, until [`FaultyDisk::heal`].
    ErrorsFrom(io::ErrorKind),
    /// The process ends before it.
    KillBefore,
    /// The process ends after it.
    KillAfter,
    /// The process ends in the middle of it, if it is a write; else before.
    KillWithin,
    /// It writes less than it should, if it is a write.
    Short,
}

/// What a crash leaves of what was not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// All of it: only the process was killed.
    Process,
    /// Nothing.
    Nothing,
    /// What came first, the last of it torn; the same for names.
    Prefix,
    /// Of all writes any, all torn, in any order; of names any.
    Scattered,
    /// The files have their sizes, with zeros in them.
    Zeros,
    /// So many bytes of what was written; all names.
    Bytes(u64),
}

/// The disk; clones are the same one.
#[derive(Clone)]
pub(crate) struct FaultyDisk {
    machine: Arc<Mutex<Machine>>,
    /// Runs in every sync of a file, before anything happens.
    on_sync: Arc<dyn Fn() + Send + Sync>,
}

impl FaultyDisk {
    pub(crate) fn new() -> Self {
        Self::with_hook(|| {})
    }

    /// A disk whose syncs take as long as the hook does.
    pub(crate) fn with_hook(on_sync: impl Fn() + Send + Sync + 'static) -> Self {
        Self { machine: Arc::default(), on_sync: Arc::new(on_sync) }
    }

    /// Lets the n-th operation from now (0 is the next) meet its fault.
    pub(crate) fn fault_at(&self, operation: u64, fault: Fault) {
        let mut machine = self.lock();
        let operation = machine.operations + operation;
        machine.fault = Some((operation, fault));
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        let mut machine = self.lock();
        machine.fault = None;
        machine.broken = None;
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Syncs of files so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Has a sync of a file failed? Then a process may read what the disk does not have.
    pub(crate) fn has_lost(&self) -> bool {
        self.lock().has_lost
    }

    /// Has a fault ended the process?
    pub(crate) fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    /// Gives the disk room for so many bytes.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    /// Ends the process, if none of its operations did, and begins the next one.
    pub(crate) fn crash(&self, crash: Crash, random: &mut Random) {
        self.lock().crash(crash, random);
    }

    /// The paths of all files, as a process sees them.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.lock().files()
    }

    /// Changes a file's bytes, durably and behind everybody's back.
    pub(crate) fn rot(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.lock().rot(path, change);
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap()
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyDisk")
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.lock().change(|machine| machine.create_dir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.lock().look(|machine| machine.list(dir))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut machine = self.lock();
        let inode = machine.change(|machine| machine.create(path))?;
        Ok(Box::new(self.handle(&machine, inode)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut machine = self.lock();
        let inode = machine.look(|machine| machine.find(path))?;
        Ok(Box::new(self.handle(&machine, inode)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.lock().change(|machine| machine.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.lock().change(|machine| machine.unlink(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.lock().change(|machine| machine.unlink(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.lock().change(|machine| machine.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut machine = self.lock();
        let inode = machine.change(|machine| machine.take_lock(path))?;
        Ok(Box::new(self.handle(&machine, inode)))
    }
}

impl FaultyDisk {
    fn handle(&self, machine: &Machine, inode: Inode) -> Handle {
        Handle { disk: self.clone(), process: machine.process, inode, at: 0 }
    }
}

/// An open file or a lock of one process.
struct Handle {
    disk: FaultyDisk,
    process: u64,
    inode: Inode,
    at: usize,
}

impl Handle {
    fn with<T>(&mut self, run: impl FnOnce(&mut Machine, &mut usize) -> io::Result<T>) -> io::Result<T> {
        let disk = self.disk.clone();
        let mut machine = disk.lock();
        if machine.process == self.process {
            run(&mut machine, &mut self.at)
        } else {
            Err(machine::dead())
        }
    }
}

impl DiskFile for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let inode = self.inode;
        self.with(|machine, at| machine.look(|machine| Ok(machine.read(inode, at, buffer))))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let inode = self.inode;
        self.with(|machine, at| machine.write(inode, at, bytes))
    }

    fn fill(&mut self, bytes: Range<u64>) -> io::Result<()> {
        let inode = self.inode;
        self.with(|machine, _| machine.fill(inode, bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        (self.disk.on_sync)();
        let inode = self.inode;
        self.with(|machine, _| machine.sync(inode))
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let inode = self.inode;
        self.with(|machine, _| machine.change(|machine| machine.truncate(inode, bytes)))
    }
}

impl DiskLock for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut machine = self.disk.lock();
        if machine.process == self.process {
            machine.locks.remove(&self.inode);
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.inode)
    }
}
