// SPDX-License-Identifier: Apache-2.0
//! What is on the platter, what processes see, and how a crash makes the one from the other.

use std::collections::BTreeMap;
use std::ffi::OsString;

use barrel_p2p_base::Random;

use super::machine::Inode;
use super::Crash;

/// Far smaller than a sector, as the records of tests are.
const MAX_PIECE_BYTES: usize = 64;

#[derive(Debug)]
pub(super) enum Node {
    Dir(Dir),
    File(File),
}

/// Names of a directory: as processes see them, as they are on disk, and what leads from there to here.
#[derive(Debug, Default)]
pub(super) struct Dir {
    pub(super) seen: BTreeMap<OsString, Inode>,
    pub(super) durable: BTreeMap<OsString, Inode>,
    unsynced: Vec<Naming>,
}

#[derive(Clone, Debug)]
pub(super) struct Naming {
    /// The name that goes, if any.
    pub(super) gone: Option<OsString>,
    /// The name that comes, if any.
    pub(super) come: Option<(OsString, Inode)>,
}

/// The same for the bytes of a file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Cut(u64),
    Write {
        at: usize,
        bytes: Vec<u8>,
        /// A sync has failed since: the cache calls it clean, and will never write it.
        is_lost: bool,
    },
}

impl Dir {
    pub(super) fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.seen);
        self.unsynced.push(naming);
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.seen.clone();
        self.unsynced.clear();
    }

    pub(super) fn crash(&mut self, crash: Crash, random: &mut Random) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let first = random.below(unsynced.len() + 1);
        for (index, naming) in unsynced.iter().enumerate() {
            let is_kept = match crash {
                Crash::Nothing => false,
                Crash::Prefix => index < first,
                Crash::Scattered => random.below(2) == 0,
                Crash::Bytes(_) | Crash::Process | Crash::Zeros => true,
            };
            if is_kept {
                naming.apply(&mut self.durable);
            }
        }
        self.seen = self.durable.clone();
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<OsString, Inode>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((name, inode)) = &self.come {
            names.insert(name.clone(), *inode);
        }
    }
}

impl File {
    pub(super) fn write(&mut self, at: &mut usize, bytes: &[u8]) {
        let change = Change::Write { at: *at, bytes: bytes.to_owned(), is_lost: false };
        change.apply(&mut self.seen);
        self.unsynced.push(change);
        *at += bytes.len();
    }

    pub(super) fn cut(&mut self, bytes: u64) {
        let change = Change::Cut(bytes);
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    /// The platter itself changes.
    pub(super) fn rot(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.seen);
        self.durable.clone_from(&self.seen);
        self.unsynced.clear();
    }

    pub(super) fn sync(&mut self) {
        // What an earlier failure has lost stays lost, whatever this call says: there are zeros on the disk.
        for change in &self.unsynced {
            match change {
                Change::Write { at, bytes, is_lost: true } => put(&mut self.durable, *at, &vec![0; bytes.len()]),
                Change::Cut(_) | Change::Write { .. } => change.apply(&mut self.durable),
            }
        }
        self.unsynced.clear();
    }

    pub(super) fn lose(&mut self) {
        for change in &mut self.unsynced {
            if let Change::Write { is_lost, .. } = change {
                *is_lost = true;
            }
        }
    }

    pub(super) fn crash(&mut self, crash: Crash, random: &mut Random) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let first = random.below(unsynced.len() + 1);
        let size = self.seen.len();
        let mut left = if let Crash::Bytes(bytes) = crash { bytes } else { 0 };
        for (index, change) in unsynced.iter().enumerate() {
            match crash {
                Crash::Nothing => {}
                Crash::Prefix if index < first => change.apply(&mut self.durable),
                Crash::Prefix if index == first => change.tear(random).apply(&mut self.durable),
                Crash::Prefix => {}
                Crash::Scattered if random.below(2) == 0 => change.scatter(random, &mut self.durable),
                Crash::Scattered => change.tear(random).apply(&mut self.durable),
                Crash::Zeros => self.durable.resize(size, 0),
                Crash::Process => change.apply(&mut self.durable),
                Crash::Bytes(_) => left = change.apply_at_most(left, &mut self.durable),
            }
        }
        self.seen = self.durable.clone();
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Cut(size) => bytes.truncate(usize::try_from(*size).unwrap()),
            Self::Write { at, bytes: written, .. } => put(bytes, *at, written),
        }
    }

    /// Part of the change, perhaps none of it.
    fn tear(&self, random: &mut Random) -> Self {
        match self {
            Self::Cut(size) => Self::Cut(if random.below(2) == 0 { *size } else { u64::MAX }),
            Self::Write { at, bytes, is_lost } => {
                let from = random.below(bytes.len() + 1);
                let to = from + random.below(bytes.len() - from + 1);
                // Half of the time from the beginning, else any piece of it.
                let from = if random.below(2) == 0 { 0 } else { from };
                Self::Write { at: at + from, bytes: bytes[from..to].to_owned(), is_lost: *is_lost }
            }
        }
    }

    /// Small pieces of the change, any of them.
    fn scatter(&self, random: &mut Random, durable: &mut Vec<u8>) {
        let Self::Write { at, bytes, .. } = self else { return self.tear(random).apply(durable) };
        let mut from = 0;
        while from < bytes.len() {
            let to = bytes.len().min(from + 1 + random.below(MAX_PIECE_BYTES));
            if random.below(2) == 0 {
                put(durable, at + from, &bytes[from..to]);
            }
            from = to;
        }
    }

    fn apply_at_most(&self, left: u64, bytes: &mut Vec<u8>) -> u64 {
        match self {
            Self::Cut(_) => {
                self.apply(bytes);
                left
            }
            Self::Write { at, bytes: written, .. } => {
                let part = written.len().min(usize::try_from(left).unwrap());
                if part > 0 {
                    put(bytes, *at, &written[..part]);
                }
                left - part as u64
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    if bytes.len() < at + written.len() {
        bytes.resize(at + written.len(), 0);
    }
    bytes[at..at + written.len()].copy_from_slice(written);
}
