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
//! Ports have the same rules as processes: they send links and exits. No header of ours holds atom cache references, because the
//! features that need strict order are rejected in the handshake; a frame with some of them is a fence.
//!
//! Nothing here recurses or loops over a length: what stands before the sender is a number, an atom or an identifier, never a list or a
//! tuple. A frame with anything else there is not one of the emulator's, and is a fence.

mod control;
mod header;
mod reader;
mod term;

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

/// How much of a frame is looked at.
///
/// The longest beginning that is needed is a spawn reply in fragments: a header of 19 bytes, then op, reference, process, number and
/// process. That is 860 bytes with a node name of 255 bytes, the longest that a hello may have.
pub const SCAN_BYTES: usize = 1024;

/// `frame` is the beginning of a frame, in pieces as the emulator gives them: a header, the control tuple, pieces of payload.
///
/// A header or control tuple that is itself cut in two costs a copy of at most [`SCAN_BYTES`].
pub fn scan<'a>(frame: impl IntoIterator<Item = &'a [u8]>) -> Scan {
    let mut pieces = frame.into_iter();
    let head = prefix(pieces.next().unwrap_or_default(), SCAN_BYTES);
    let mut control: &[u8] = &[];
    let next = || {
        control = prefix(pieces.next().unwrap_or_default(), SCAN_BYTES - head.len());
        control
    };
    match scan_in_place(head, next) {
        Ok(scan) => scan,
        Err(Ended) => scan_copied([head, control].into_iter().chain(pieces)),
    }
}

/// The header is in one piece, and so is the control tuple: behind it, or in the next piece.
fn scan_in_place<'a>(head: &'a [u8], next: impl FnOnce() -> &'a [u8]) -> Result<Scan, Ended> {
    let mut reader = Reader::new(head);
    let header = Header::read(&mut reader)?;
    if reader.is_empty() && header.has_control() {
        reader = Reader::new(next());
    }
    header.scan(|| control::order(&mut reader))
}

/// Which process sent the signal that begins with this frame, where [`scan`] knows that it has a sender.
pub fn sending_process<'a>(frame: impl IntoIterator<Item = &'a [u8]>) -> Option<Process> {
    let (copy, len) = copied(frame.into_iter());
    let mut reader = Reader::new(&copy[..len]);
    if !Header::read(&mut reader).ok()?.has_control() {
        return None;
    }
    match control::sender(&mut reader) {
        Ok(Some((_, term::Term::Identifier(identifier)))) => identifier.process(),
        Ok(_) | Err(Ended) => None,
    }
}

#[cold]
fn scan_copied<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Scan {
    let (copy, len) = copied(pieces);
    let mut reader = Reader::new(&copy[..len]);
    // What ends too early here is a fence: there is no more.
    Header::read(&mut reader)
        .and_then(|header| header.scan(|| Ok(control::order(&mut reader).unwrap_or(Order::Fence))))
        .unwrap_or(Scan::Whole(Order::Fence))
}

fn copied<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> ([u8; SCAN_BYTES], usize) {
    let mut copy = [0; SCAN_BYTES];
    let mut len = 0;
    for piece in pieces {
        let piece = prefix(piece, SCAN_BYTES - len);
        copy[len..len + piece.len()].copy_from_slice(piece);
        len += piece.len();
        if len == SCAN_BYTES {
            break;
        }
    }
    (copy, len)
}

fn prefix(bytes: &[u8], len: usize) -> &[u8] {
    &bytes[..bytes.len().min(len)]
}
