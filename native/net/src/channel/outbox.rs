// SPDX-License-Identifier: Apache-2.0
//! What waits to be written to the streams of a channel: one queue for each lane, all of them bounded.
//!
//! The light lane has a bound of its own. What heavy senders have on their lanes counts until the peer has given it out, wherever it waits: here,
//! in the transport, on the way, or in the peer's inbox.

use super::record::{self, Record};
use super::signals::{Run, Signals};
use barrel_p2p_dist::lanes::{LaneAtoms, Lie, Mark, Sorter, LIGHT, MAX_LANES};
use barrel_p2p_dist::scan::{Process, Scanner, Sender};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;

/// Bytes waiting in the light lane above which [`Accepted::Busy`] is answered. Enough to keep the writer fed over one scheduler time
/// slice at 1 GB/s; more would only lengthen the queue that a small message waits in (the emulator's own queue, `+zdbbl`, follows behind).
pub(crate) const BUSY_ABOVE_BYTES: usize = 1 << 20;

/// Bytes waiting in the light lane below which a busy producer is woken again. Half of the budget, so that the writer never runs dry.
pub(crate) const WRITABLE_BELOW_BYTES: usize = BUSY_ABOVE_BYTES / 2;

/// Bytes of heavy senders, not yet given out by the peer, above which each of them that sends more is to be held: at the most, and at the least.
/// The product of bandwidth and delay of 1 Gbit/s at 64 ms; and one large message.
const HOLD_ABOVE_BYTES: RangeInclusive<u64> = 1 << 20..=8 << 20;

/// The same in congestion windows. Half of it is left when those that were held go on, one window and a half, which keeps the path full. On a
/// narrow path less than a fixed 8 MiB: at 200 Mbit/s and 50 ms these took a third of a second to leave, longer than anybody may be held.
const HOLD_ABOVE_WINDOWS: u64 = 3;

/// Bytes taken out in one step: small enough that the producer is woken while the writer still has work.
const STEP_BYTES: usize = 256 * 1024;

/// What became of frames that were offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Queued; the budget is used up: offer no more before `writable`.
    Busy,
    /// Not queued: the channel is closed.
    Closed,
    /// Queued; these processes are to be held until `writable`.
    Hold(Vec<Process>),
    /// Queued.
    Ready,
}

/// One step of work for the writer of a lane.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) chunks: Vec<Bytes>,
    /// Of these, bytes that the lane's position counts.
    pub(super) bytes: usize,
}

/// What is next for a lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The frames behind a mark: other lanes are to be written first, since the peer would wait for them.
    Blocked,
    Nothing,
    Step(Step),
}

/// A look at all lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round(u64);

#[derive(Debug)]
enum Entry {
    Frames(Bytes),
    Wait(Vec<Mark>),
}

#[derive(Debug, Default)]
struct Lane {
    entries: VecDeque<Entry>,
    /// Queued or being written.
    waiting_bytes: usize,
    /// Handed to the transport since the beginning.
    written: u64,
}

/// The queues.
#[derive(Debug)]
pub(super) struct Outbox {
    scanner: Scanner,
    sorter: Sorter,
    atoms: LaneAtoms,
    lanes: Vec<Lane>,
    /// What the peer is to be told of its lanes.
    reports: Vec<Mark>,
    /// What it was told, or is to be told, at the most.
    told: [u64; MAX_LANES],
    held: BTreeSet<Sender>,
    /// See [`HOLD_ABOVE_BYTES`].
    hold_above: u64,
    /// So much has the peer given out since somebody was held.
    given_since_held: u64,
    producer_waits: bool,
    /// A lane waits for another one to be written.
    blocked: bool,
    /// Steps that were written, of all lanes.
    steps: u64,
    closed: bool,
}

impl Outbox {
    pub(super) fn new(lanes: usize) -> Self {
        let sorter = Sorter::new(lanes);
        Self {
            scanner: Scanner::default(),
            atoms: LaneAtoms::new(lanes),
            lanes: (0..sorter.lanes()).map(|_| Lane::default()).collect(),
            sorter,
            reports: Vec::new(),
            told: [0; MAX_LANES],
            held: BTreeSet::new(),
            hold_above: *HOLD_ABOVE_BYTES.end(),
            given_since_held: 0,
            producer_waits: false,
            blocked: false,
            steps: 0,
            closed: false,
        }
    }

    /// Begins anew with so many lanes; before anything was queued.
    pub(super) fn set_lanes(&mut self, lanes: usize) {
        if !self.closed {
            *self = Self::new(lanes);
        }
    }

    /// Queues frames in the light lane, all in order.
    pub(super) fn push(&mut self, chunks: impl IntoIterator<Item = Bytes>) -> Accepted {
        if self.closed {
            return Accepted::Closed;
        }
        for chunk in chunks {
            self.sorter.light(chunk.len() as u64);
            self.queue(LIGHT, Entry::Frames(chunk));
        }
        self.answer(Vec::new())
    }

    /// Queues signals, each in the lane that its order allows.
    pub(super) fn sort(&mut self, signals: &Signals<'_>) -> Accepted {
        if self.closed {
            return Accepted::Closed;
        }
        let mut run = Run::new(signals);
        if self.lanes.len() == 1 {
            signals.iter().for_each(|signal| run.add(signal, 0..0, &[]));
            return self.push(run.end());
        }
        if self.lanes[LIGHT].waiting_bytes == 0 {
            self.sorter.light_is_idle();
        }
        let mut lane = LIGHT;
        let mut to_hold = Vec::new();
        for signal in signals.iter() {
            let frame = self.scanner.scan(signal.body());
            let process = frame.process;
            let at = frame.atoms.map_or(0..0, |atoms| atoms.at());
            let placement = self.sorter.place(frame.scan, signal.bytes() as u64, |lane| {
                let atoms = frame.atoms.map_or(0, |atoms| self.atoms.encode(lane, &atoms));
                (signal.bytes() - at.len() + atoms) as u64
            });
            if placement.lane != lane || !placement.behind.is_empty() {
                self.queue_all(lane, &mut run);
                lane = placement.lane;
                if !placement.behind.is_empty() {
                    self.queue(lane, Entry::Wait(placement.behind));
                }
            }
            let instead = if at.is_empty() { &[] } else { self.atoms.encoded() };
            run.add(signal, at, instead);
            if let Some(sender) = placement.heavy {
                to_hold.extend(self.hold(sender, process));
            }
        }
        self.queue_all(lane, &mut run);
        self.answer(to_hold)
    }

    /// A heavy sender has sent: is it to be held from now on?
    fn hold(&mut self, sender: Sender, process: Option<Process>) -> Option<Process> {
        if self.sorter.outstanding() <= self.hold_above || self.held.contains(&sender) {
            return None;
        }
        let process = process?;
        if self.held.is_empty() {
            self.given_since_held = 0;
        }
        self.held.insert(sender);
        Some(process)
    }

    fn queue_all(&mut self, lane: usize, run: &mut Run) {
        for chunk in run.end() {
            self.queue(lane, Entry::Frames(chunk));
        }
    }

    fn queue(&mut self, lane: usize, entry: Entry) {
        let lane = &mut self.lanes[lane];
        if let Entry::Frames(chunk) = &entry {
            lane.waiting_bytes += chunk.len();
        }
        lane.entries.push_back(entry);
    }

    fn answer(&mut self, to_hold: Vec<Process>) -> Accepted {
        let busy = self.is_full();
        self.producer_waits = busy || !self.held.is_empty();
        if busy {
            // Whoever was to be held is stopped with all others.
            Accepted::Busy
        } else if to_hold.is_empty() {
            Accepted::Ready
        } else {
            Accepted::Hold(to_hold)
        }
    }

    /// Where holding was not enough, since a process that is to be held may go on for a while, the emulator is left alone with what it has.
    fn is_full(&self) -> bool {
        self.lanes[LIGHT].waiting_bytes > BUSY_ABOVE_BYTES || self.sorter.outstanding() > 2 * self.hold_above
    }

    /// The congestion window is so large.
    pub(super) fn fit(&mut self, window: u64) {
        self.hold_above = (HOLD_ABOVE_WINDOWS * window).clamp(*HOLD_ABOVE_BYTES.start(), *HOLD_ABOVE_BYTES.end());
    }

    /// Nobody is held any more, for it took too long. False when the peer has given out nothing meanwhile, or there is no room: then the producer
    /// is to wait.
    pub(super) fn let_go(&mut self) -> bool {
        let goes_on = self.given_since_held > 0 && !self.is_full();
        self.held.clear();
        self.producer_waits = !goes_on;
        goes_on
    }

    /// What to write next in a lane.
    pub(super) fn next(&mut self, lane: usize) -> Next {
        let mut step = Step::default();
        if lane == LIGHT && !self.reports.is_empty() {
            step.chunks.push(record::encode(Record::Delivered, self.reports.drain(..)));
        }
        let mut blocked = false;
        while step.bytes < STEP_BYTES && !blocked {
            match self.lanes[lane].entries.pop_front() {
                Some(Entry::Frames(chunk)) => {
                    step.bytes += chunk.len();
                    step.chunks.push(chunk);
                }
                Some(Entry::Wait(marks)) if marks.iter().all(|mark| self.lanes[mark.lane].written >= mark.position) => {
                    step.chunks.push(record::encode(Record::Wait, marks));
                }
                Some(wait) => {
                    self.lanes[lane].entries.push_front(wait);
                    blocked = true;
                }
                None => break,
            }
        }
        self.blocked |= blocked;
        if !step.chunks.is_empty() {
            Next::Step(step)
        } else if blocked {
            Next::Blocked
        } else {
            Next::Nothing
        }
    }

    /// Did a lane wait for another one when it was last looked at?
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Begins a look at all lanes.
    pub(super) fn round(&mut self) -> Round {
        self.blocked = false;
        Round(self.steps)
    }

    /// Was a lane found blocked in this round, and another one written?
    pub(super) fn is_unblocked_since(&self, round: Round) -> bool {
        self.blocked && self.steps != round.0
    }

    /// The transport took this many bytes of a lane. True when a waiting producer is to be woken.
    pub(super) fn written(&mut self, lane: usize, bytes: usize) -> bool {
        let lane = &mut self.lanes[lane];
        lane.waiting_bytes -= bytes.min(lane.waiting_bytes);
        lane.written += bytes as u64;
        self.steps += u64::from(bytes > 0);
        self.wakes()
    }

    /// The peer has given out so much. True when a waiting producer is to be woken.
    pub(super) fn delivered(&mut self, marks: &[Mark]) -> Result<bool, Lie> {
        let before = self.sorter.outstanding();
        marks.iter().try_for_each(|mark| self.sorter.delivered(*mark))?;
        self.given_since_held += before - self.sorter.outstanding();
        Ok(self.wakes())
    }

    fn wakes(&mut self) -> bool {
        let wake = self.producer_waits
            && self.lanes[LIGHT].waiting_bytes <= WRITABLE_BELOW_BYTES
            && self.sorter.outstanding() <= self.hold_above / 2;
        if wake {
            self.producer_waits = false;
            self.held.clear();
        }
        wake
    }

    /// Tells the peer what was given out of one of its lanes. Two threads may bring two reports in the wrong order; a peer that heard them so would
    /// take us for a liar.
    pub(super) fn report(&mut self, mark: Mark) {
        if mark.position <= self.told[mark.lane] {
            return;
        }
        self.told[mark.lane] = mark.position;
        self.reports.retain(|other| other.lane != mark.lane);
        self.reports.push(mark);
    }

    /// Bytes that wait in the light lane.
    pub(super) fn light_bytes(&self) -> usize {
        self.lanes[LIGHT].waiting_bytes
    }

    /// Bytes of heavy senders that the peer has not yet given out.
    pub(super) fn heavy_bytes(&self) -> u64 {
        self.sorter.outstanding()
    }

    /// Does anything wait in a lane?
    pub(super) fn has_entries(&self, lane: usize) -> bool {
        !self.lanes[lane].entries.is_empty()
    }

    /// The last lane in which anything waits; the light lane if none does.
    pub(super) fn last_wanted_lane(&self) -> usize {
        self.lanes.iter().rposition(|lane| !lane.entries.is_empty()).unwrap_or(LIGHT)
    }

    /// Bytes that wait in all lanes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting_bytes).sum()
    }

    /// Refuses further frames; what is queued stays for a graceful end, and whoever has read the light lane to its end has got all.
    pub(super) fn close(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        let marks = self.sorter.end();
        if !marks.is_empty() {
            self.queue(LIGHT, Entry::Wait(marks));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(bytes: usize) -> Bytes {
        Bytes::from(vec![0; bytes])
    }

    fn step(outbox: &mut Outbox) -> Step {
        match outbox.next(LIGHT) {
            Next::Step(step) => step,
            Next::Blocked | Next::Nothing => panic!("nothing to write"),
        }
    }

    #[test]
    fn the_producer_is_told_busy_once_and_woken_once() {
        let mut outbox = Outbox::new(1);
        assert_eq!(outbox.push([chunk(400 * 1024), chunk(400 * 1024)]), Accepted::Ready);
        assert_eq!(outbox.push([chunk(400 * 1024)]), Accepted::Busy);
        let first = step(&mut outbox);
        assert_eq!((first.chunks.len(), first.bytes), (1, 400 * 1024));
        assert!(!outbox.written(LIGHT, first.bytes));
        let second = step(&mut outbox);
        assert!(outbox.written(LIGHT, second.bytes));
        let third = step(&mut outbox);
        assert!(!outbox.written(LIGHT, third.bytes));
        assert_eq!((outbox.next(LIGHT), outbox.waiting_bytes()), (Next::Nothing, 0));
    }

    #[test]
    fn a_closed_outbox_keeps_what_it_has() {
        let mut outbox = Outbox::new(8);
        outbox.push([Bytes::from_static(b"nok")]);
        outbox.close();
        assert_eq!(outbox.push([Bytes::from_static(b"late")]), Accepted::Closed);
        assert_eq!(step(&mut outbox).chunks, [Bytes::from_static(b"nok")]);
    }

    /// The peer closed the connection for it, once in some minutes of large messages.
    #[test]
    fn a_report_that_comes_late_is_not_told() {
        let mut outbox = Outbox::new(8);
        let mark = |position| Mark { lane: 1, position };
        outbox.report(mark(20));
        outbox.report(mark(10));
        assert_eq!(step(&mut outbox).chunks, [record::encode(Record::Delivered, [mark(20)])]);
        outbox.report(mark(15));
        assert_eq!(outbox.next(LIGHT), Next::Nothing);
    }
}
