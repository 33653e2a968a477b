// SPDX-License-Identifier: Apache-2.0
//! What the order of one frame of Erlang's distribution depends on, read from its first bytes.
//!
//! Erlang keeps the order of signals between two processes. The bytes of a signal name its sender, so signals of different senders
//! may be reordered, and signals of one sender never are. Invariant: an answer other than [`Order::Fence`] is given only where that
//! is known to be safe; whatever is not understood is a fence.
//!
//! A frame is a header, a control tuple `{Op, ...}` and perhaps a payload, all in external term format. Where the sender stands:
//!
//! | op | signal | order |
//! |---|---|---|
//! | 1, 3, 4, 8, 13, 18, 24-27 | link, exit, unlink, exit/2 | sender is the 1st element after the op |
//! | 6, 16, 22, 23, 33, 34 | messages to a name, a process, an alias | sender is the 1st |
//! | 19, 20 | monitor, demonitor | sender is the 1st: the watcher |
//! | 21, 28 | DOWN | sender is the 1st if it is an identifier; a name: barrier |
//! | 29, 30, 35, 36, 37 | spawn request, unlink and its answer, messages and exits with flags | sender is the 2nd |
//! | 31, 32 | spawn reply | sender is the 4th, the new process; an atom there, a failure: barrier |
//! | 2, 12 | message without its sender | fence |
//! | 7 | group leader | fence |
//! | all others | | fence |
//!
//! * A spawn reply is sent before the new process runs, and must come before its first signals: the new process counts as its sender.
//! * DOWN of a monitor by name does not tell which process died. It is the last signal of that process to the watcher, so it waits
//!   for everything before it and nothing waits for it. The failure of a spawn has no process that could send anything after it.
//! * A message has no sender in it while the connection is being made, when it is not known yet what the peer can do. A later signal of
//!   the same process does name it, and must not overtake.
//! * The signal of `group_leader/2` names the *new leader* where others name their sender; who called the function is not in it. So it
//!   must neither overtake nor be overtaken, like a message without its sender.
//! * The fragments of all signals of one process carry the same sequence, and the emulator closes a connection on which such a signal
//!   begins before the last one has ended. So DOWN of a name is a fence when it comes in fragments: nothing else would keep the next
//!   signal of the same process behind it.
//!
//! Ports have the same rules as processes: they send links and exits. The header of a frame may name atoms, and the control tuple
//! then refers to them by number; see [`atoms`].
//!
//! Nothing here recurses or loops over a length: what stands before the sender is a number, an atom or an identifier, never a list or a
//! tuple. A frame with anything else there is not one of the emulator's, and is a fence.

mod atoms;
mod control;
mod header;
mod reader;
mod term;

use atoms::AtomCache;
pub use atoms::Atoms;
pub(crate) use atoms::{CACHE_SLOTS, IS_LONG, IS_NEW};
use header::Header;
use reader::{Ended, Reader};

/// What the order of one frame depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A signal of this sender: behind all earlier ones of the same sender.
    Sender(Sender),
    /// Behind everything that was sent before it, on every lane: the sender cannot be known from the bytes, but nothing that
    /// follows depends on it.
    Barrier,
    /// Behind everything before it, and before everything after it: an operation that we do not know, or bytes that we do not
    /// understand. In fragments: each of them is a fence.
    Fence,
}

/// A hash of the identifier of a process or port. Equal identifiers have equal values, whichever external form they have; two
/// different ones that happen to share a value only share their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender(pub u64);

/// A process of the node that sent the frame: `<0.Number.Serial>` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// In the table of processes.
    pub number: u32,
    /// Tells it from earlier ones with this number.
    pub serial: u32,
}

/// Part of a larger signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The same in all fragments of one signal. The next signal of the same process has it again.
    pub sequence: u64,
    /// How many are left, this one included: counts down to 1.
    pub number: u64,
}

/// What one frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// A signal.
    Whole(Order),
    /// The first fragment of a signal; the order is that of all its fragments.
    First(Fragment, Order),
    /// A later fragment; it belongs where its first one went.
    Next(Fragment),
}

/// A frame that was read.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// What it is.
    pub scan: Scan,
    /// The process that sent it, where `scan` has a sender and that is not a port.
    pub process: Option<Process>,
    /// What its header says of atoms; None where that is nothing.
    pub atoms: Option<Atoms<'a>>,
}

/// How much of a control tuple is looked at.
///
/// The longest beginning that is needed is a spawn reply: op, reference, process, number and process. That is 840 bytes with a node name of
/// 255 bytes, the longest that a hello may have.
pub const SCAN_BYTES: usize = 1024;

/// The longest header without atoms: of a fragment.
const PLAIN_HEADER_BYTES: usize = 2 + 16 + 1;

/// The longest header: with 255 atoms of 255 characters that take four bytes each.
const HEADER_BYTES: usize = PLAIN_HEADER_BYTES + 128 + 255 * (1 + 2 + 255 * 4);

/// Reads the frames of one channel, in the order in which the emulator gives them.
#[derive(Debug, Default)]
pub struct Scanner {
    cache: AtomCache,
}

impl Scanner {
    /// `frame` is the beginning of a frame, in pieces as the emulator gives them: a header, the control tuple, pieces of payload.
    ///
    /// A header or control tuple that is itself cut in two costs a copy of as much as is looked at.
    pub fn scan<'a>(&mut self, frame: impl IntoIterator<Item = &'a [u8]>) -> Frame<'_> {
        let mut pieces = frame.into_iter();
        let head = pieces.next().unwrap_or_default();
        let mut control: &[u8] = &[];
        let next = || {
            control = pieces.next().unwrap_or_default();
            control
        };
        let (scan, process) = match self.in_place(head, next) {
            Ok(read) => read,
            Err(Ended) => self.copied([head, control].into_iter().chain(pieces)),
        };
        Frame { scan, process, atoms: self.cache.atoms() }
    }

    /// The header is in one piece, and so is the control tuple: behind it, or in the next piece.
    fn in_place<'a>(
        &mut self,
        head: &'a [u8],
        next: impl FnOnce() -> &'a [u8],
    ) -> Result<(Scan, Option<Process>), Ended> {
        let mut reader = self.cache.begin(head);
        let header = Header::read(&mut reader, &mut self.cache)?;
        if reader.is_empty() && header.has_control() {
            reader = Reader::new(next());
        }
        self.control(&header, reader)
    }

    #[cold]
    fn copied<'a>(&mut self, mut pieces: impl Iterator<Item = &'a [u8]>) -> (Scan, Option<Process>) {
        let mut copy = Vec::new();
        for header_bytes in [PLAIN_HEADER_BYTES, HEADER_BYTES] {
            while copy.len() < header_bytes + SCAN_BYTES {
                let Some(piece) = pieces.next() else { break };
                copy.extend_from_slice(&piece[..piece.len().min(HEADER_BYTES + SCAN_BYTES - copy.len())]);
            }
            if let Ok(read) = self.in_place(&copy, || &[]) {
                return read;
            }
        }
        // What ends too early is a fence: there is no more.
        let mut reader = self.cache.begin(&copy);
        Header::read(&mut reader, &mut self.cache)
            .map_or((Scan::Whole(Order::Fence), None), |header| header.scan(control::UNKNOWN))
    }

    /// Ends too early only where more of the frame could help.
    fn control(&self, header: &Header, mut reader: Reader<'_>) -> Result<(Scan, Option<Process>), Ended> {
        let is_all = reader.len() >= SCAN_BYTES;
        reader.limit(SCAN_BYTES);
        Ok(header.scan(match header.has_control().then(|| control::read(&mut reader, self.cache.named())) {
            Some(Ok(control)) => control,
            Some(Err(Ended)) if !is_all => return Err(Ended),
            Some(Err(Ended)) | None => control::UNKNOWN,
        }))
    }
}

/// Both halves of the product of 128 bits: a few cycles, and every bit of the word moves half of the bits of the result.
fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word ^ ODD) * u128::from(FACTOR);
    (product >> 64) as u64 ^ product as u64
}

/// The fractional parts of the golden ratio and of pi: bits without a pattern.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
const ODD: u64 = 0x243F_6A88_85A3_08D3;
