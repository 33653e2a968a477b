// SPDX-License-Identifier: Apache-2.0
//! Files, directories and one living process; the faults that were ordered.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use barrel_p2p_base::Random;

use super::node::{Dir, File, Naming, Node};
use super::{Crash, Fault};

pub(super) type Inode = usize;

const ROOT: Inode = 0;

/// A machine and its disk.
pub(super) struct Machine {
    nodes: Vec<Node>,
    /// Which process is the living one.
    pub(super) process: u64,
    pub(super) is_dead: bool,
    pub(super) locks: BTreeSet<Inode>,
    pub(super) operations: u64,
    pub(super) syncs: u64,
    /// A sync has failed: what processes see in a file and what is there may differ for ever.
    pub(super) has_lost: bool,
    pub(super) fault: Option<(u64, Fault)>,
    /// Whatever changes something fails so.
    pub(super) broken: Option<io::ErrorKind>,
    pub(super) capacity: u64,
}

pub(super) fn dead() -> io::Error {
    io::Error::other("the process is dead")
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            nodes: vec![Node::Dir(Dir::default())],
            process: 0,
            is_dead: false,
            locks: BTreeSet::new(),
            operations: 0,
            syncs: 0,
            has_lost: false,
            fault: None,
            broken: None,
            capacity: u64::MAX,
        }
    }
}

impl Machine {
    /// An operation that changes nothing.
    pub(super) fn look<T>(&mut self, run: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        let fault = self.next_fault()?;
        self.with_fault(fault, run)
    }

    /// An operation that changes something.
    pub(super) fn change<T>(&mut self, run: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        let fault = self.next_fault()?;
        self.check_broken()?;
        self.with_fault(fault, run)
    }

    pub(super) fn write(&mut self, inode: Inode, at: &mut usize, bytes: &[u8]) -> io::Result<usize> {
        let fault = self.next_fault()?;
        self.check_broken()?;
        let room = self.room(inode, *at);
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let part = &bytes[..bytes.len().min(room)];
        let half = &bytes[..bytes.len().div_ceil(2).min(room)];
        if matches!(fault, Some(Fault::Short | Fault::KillWithin)) {
            self.file(inode).write(at, half);
            if fault == Some(Fault::KillWithin) {
                self.is_dead = true;
                return Err(dead());
            }
            return Ok(half.len());
        }
        self.with_fault(fault, |machine| {
            machine.file(inode).write(at, part);
            Ok(part.len())
        })
    }

    /// Does what it can, then says that the rest did not fit.
    pub(super) fn fill(&mut self, inode: Inode, bytes: Range<u64>) -> io::Result<()> {
        let mut at = usize::try_from(bytes.start).unwrap();
        let mut left = usize::try_from(bytes.end - bytes.start).unwrap();
        while left > 0 {
            left -= self.write(inode, &mut at, &vec![0; left])?;
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, inode: Inode) -> io::Result<()> {
        self.syncs += 1;
        let synced = self.change(|machine| {
            machine.file(inode).sync();
            Ok(())
        });
        if synced.is_err() && !self.is_dead {
            self.has_lost = true;
            self.file(inode).lose();
        }
        synced
    }

    pub(super) fn read(&mut self, inode: Inode, at: &mut usize, buffer: &mut [u8]) -> usize {
        let rest = &self.file(inode).seen[*at..];
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        *at += bytes;
        bytes
    }

    pub(super) fn truncate(&mut self, inode: Inode, bytes: u64) -> io::Result<()> {
        self.file(inode).cut(bytes);
        Ok(())
    }

    /// Directories are durable at once: the log makes one, and only at its beginning.
    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut inode = ROOT;
        for name in names(path) {
            inode = match self.dir(inode)?.seen.get(name) {
                Some(found) => *found,
                None => {
                    let made = self.add(Node::Dir(Dir::default()));
                    let dir = self.dir(inode)?;
                    dir.seen.insert(name.to_owned(), made);
                    dir.durable.insert(name.to_owned(), made);
                    made
                }
            };
        }
        self.dir(inode).map(|_| ())
    }

    pub(super) fn list(&mut self, dir: &Path) -> io::Result<Vec<OsString>> {
        let inode = self.find(dir)?;
        Ok(self.dir(inode)?.seen.keys().cloned().collect())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<Inode> {
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let made = self.add(Node::File(File::default()));
        let (dir, name) = self.place(path)?;
        dir.name(Naming { gone: None, come: Some((name, made)) });
        Ok(made)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(from.parent(), to.parent());
        let inode = self.find(from)?;
        let (_, new) = self.place(to)?;
        let (dir, old) = self.place(from)?;
        dir.name(Naming { gone: Some(old), come: Some((new, inode)) });
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        if let Node::Dir(dir) = &self.nodes[inode] {
            assert!(dir.seen.is_empty(), "{dir:?}");
        }
        let (dir, name) = self.place(path)?;
        dir.name(Naming { gone: Some(name), come: None });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        self.dir(inode)?.sync();
        Ok(())
    }

    pub(super) fn take_lock(&mut self, path: &Path) -> io::Result<Inode> {
        let inode = match self.find(path) {
            Ok(inode) => inode,
            Err(_) => self.create(path)?,
        };
        if self.locks.insert(inode) {
            Ok(inode)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<Inode> {
        let mut inode = ROOT;
        for name in names(path) {
            inode = *self.dir(inode)?.seen.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    pub(super) fn crash(&mut self, crash: Crash, random: &mut Random) {
        self.process += 1;
        self.is_dead = false;
        self.fault = None;
        self.broken = None;
        self.locks.clear();
        if crash == Crash::Process {
            return;
        }
        for node in &mut self.nodes {
            match node {
                Node::Dir(dir) => dir.crash(crash, random),
                Node::File(file) => file.crash(crash, random),
            }
        }
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut dirs = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, inode)) = dirs.pop() {
            match &self.nodes[inode] {
                Node::Dir(dir) => dirs.extend(dir.seen.iter().map(|(name, inode)| (path.join(name), *inode))),
                Node::File(_) => found.push(path),
            }
        }
        found
    }

    pub(super) fn rot(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let inode = self.find(path).unwrap();
        self.file(inode).rot(change);
    }

    fn next_fault(&mut self) -> io::Result<Option<Fault>> {
        if self.is_dead {
            return Err(dead());
        }
        let fault = self.fault.filter(|(operation, _)| *operation == self.operations).map(|(_, fault)| fault);
        self.operations += 1;
        if let Some(Fault::ErrorsFrom(kind)) = fault {
            self.broken = Some(kind);
        }
        Ok(fault)
    }

    fn check_broken(&self) -> io::Result<()> {
        self.broken.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn with_fault<T>(&mut self, fault: Option<Fault>, run: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        match fault {
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::KillBefore | Fault::KillWithin) => {
                self.is_dead = true;
                Err(dead())
            }
            Some(Fault::KillAfter) => {
                // Whoever waits for the answer does not live to get it.
                let _ = run(self);
                self.is_dead = true;
                Err(dead())
            }
            Some(Fault::ErrorsFrom(_) | Fault::Short) | None => run(self),
        }
    }

    /// Bytes that fit from a place in a file on.
    fn room(&mut self, inode: Inode, at: usize) -> usize {
        let free = usize::try_from(self.capacity.saturating_sub(self.used())).unwrap();
        free.saturating_add(self.file(inode).seen.len().saturating_sub(at))
    }

    fn used(&self) -> u64 {
        let mut linked = BTreeSet::new();
        for node in &self.nodes {
            if let Node::Dir(dir) = node {
                linked.extend(dir.seen.values().copied());
            }
        }
        let bytes = |inode: &Inode| match &self.nodes[*inode] {
            Node::Dir(_) => 0,
            Node::File(file) => file.seen.len() as u64,
        };
        linked.iter().map(bytes).sum()
    }

    fn add(&mut self, node: Node) -> Inode {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn place(&mut self, path: &Path) -> io::Result<(&mut Dir, OsString)> {
        let inode = self.find(path.parent().unwrap())?;
        Ok((self.dir(inode)?, path.file_name().unwrap().to_owned()))
    }

    fn dir(&mut self, inode: Inode) -> io::Result<&mut Dir> {
        match &mut self.nodes[inode] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn file(&mut self, inode: Inode) -> &mut File {
        match &mut self.nodes[inode] {
            Node::Dir(_) => panic!("a directory is no file"),
            Node::File(file) => file,
        }
    }
}

fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::CurDir | Component::ParentDir | Component::Prefix(_) | Component::RootDir => None,
    })
}
