// SPDX-License-Identifier: Apache-2.0
//! A sender and a receiver with lanes that run at any speed between them, held against what Erlang promises.

use super::*;
use crate::scan::{Fragment, Order, Scan, Sender};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

const KIB: u64 = 1024;

/// What an emulator does: sends a message of so many KiB, in fragments where it is large, from one of few senders.
#[derive(Clone, Debug)]
enum Step {
    Send(Order, u64),
    /// The next fragment of one of the messages that are half sent.
    Go(usize),
    /// A lane brings its next frame or mark.
    Arrive(usize),
    /// The receiver takes something.
    Take,
    /// The receiver reports what it has been given of a lane.
    Report(usize),
    /// The light lane has run empty.
    Idle,
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        20 => (0u64..6).prop_map(|sender| Order::Sender(Sender(sender))),
        2 => Just(Order::Barrier),
        1 => Just(Order::Fence),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (order(), prop_oneof![5 => 1u64..20, 2 => 20u64..60, 2 => 64u64..400]).prop_map(|(order, size)| Step::Send(order, size)),
        6 => (0usize..8).prop_map(Step::Go),
        10 => (0usize..5).prop_map(Step::Arrive),
        6 => Just(Step::Take),
        3 => (0usize..5).prop_map(Step::Report),
        1 => Just(Step::Idle),
    ]
}

/// One frame as the receiver sees it: which message, what its order is, where it was placed among all, and is it the last of its message.
#[derive(Clone, Copy, Debug)]
struct Frame {
    message: u64,
    order: Order,
    placed: u64,
    last: bool,
}

enum OnWire {
    Frame(Frame, u64),
    Mark(Mark),
}

struct Pair {
    sorter: Sorter,
    release: Release<Frame>,
    wires: Vec<VecDeque<OnWire>>,
    half_sent: VecDeque<(u64, Order, u64)>,
    messages: u64,
    placed: u64,
    given: Vec<Frame>,
    /// Marks are lost on the way, to show what they are for.
    loses_marks: bool,
}

impl Pair {
    fn new(lanes: usize) -> Self {
        Self {
            sorter: Sorter::new(lanes),
            release: Release::default(),
            wires: (0..lanes).map(|_| VecDeque::new()).collect(),
            half_sent: VecDeque::new(),
            messages: 0,
            placed: 0,
            given: Vec::new(),
            loses_marks: false,
        }
    }

    fn place(&mut self, scan: Scan, message: u64, order: Order, bytes: u64, last: bool) {
        let placement = self.sorter.place(scan, bytes, |_| bytes);
        let wire = &mut self.wires[placement.lane];
        wire.extend(placement.behind.into_iter().map(OnWire::Mark));
        wire.push_back(OnWire::Frame(Frame { message, order, placed: self.placed, last }, bytes));
        self.placed += 1;
    }

    fn send(&mut self, order: Order, size: u64) {
        // A sender is at work on one message at a time.
        let busy = |(_, other, _): &(u64, Order, u64)| matches!(order, Order::Sender(_)) && *other == order;
        if self.half_sent.iter().any(busy) {
            return;
        }
        let message = self.messages;
        self.messages += 1;
        let parts = size.div_ceil(64);
        if parts == 1 {
            self.place(Scan::Whole(order), message, order, size * KIB, true);
        } else {
            let first = Fragment { sequence: message, number: parts };
            self.place(Scan::First(first, order), message, order, 64 * KIB, false);
            self.half_sent.push_back((message, order, parts - 1));
        }
    }

    fn go(&mut self, which: usize) {
        if self.half_sent.is_empty() {
            return;
        }
        let (message, order, number) = self.half_sent.swap_remove_back(which % self.half_sent.len()).unwrap();
        self.place(Scan::Next(Fragment { sequence: message, number }), message, order, 64 * KIB, number == 1);
        if number > 1 {
            self.half_sent.push_back((message, order, number - 1));
        }
    }

    fn arrive(&mut self, lane: usize) {
        let lane = lane % self.wires.len();
        match self.wires[lane].pop_front() {
            Some(OnWire::Frame(frame, bytes)) => self.release.push(lane, frame, bytes),
            Some(OnWire::Mark(mark)) if !self.loses_marks => self.release.wait(lane, mark),
            Some(OnWire::Mark(_)) | None => {}
        }
    }

    fn take(&mut self) -> bool {
        let taken = self.release.take();
        self.given.extend(taken.iter().map(|released| released.frames));
        taken.is_some()
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send(order, size) => self.send(order, size),
            Step::Go(which) => self.go(which),
            Step::Arrive(lane) => self.arrive(lane),
            Step::Take => {
                self.take();
            }
            Step::Report(lane) => {
                let lane = lane % self.wires.len();
                let mark = Mark { lane, position: self.release.delivered(lane) };
                self.sorter.delivered(mark).unwrap();
            }
            Step::Idle => self.sorter.light_is_idle(),
        }
    }

    /// Everything that was begun is sent and arrives.
    fn finish(&mut self) {
        while !self.half_sent.is_empty() {
            self.go(0);
        }
        for lane in 0..self.wires.len() {
            while !self.wires[lane].is_empty() {
                self.arrive(lane);
            }
        }
        while self.take() {}
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.release.is_empty(), "frames wait for ever");
        prop_assert_eq!(self.given.len() as u64, self.placed);
        let mut latest: BTreeMap<Sender, u64> = BTreeMap::new();
        let mut messages: BTreeMap<u64, u64> = BTreeMap::new();
        // A message arrives with its last fragment, and a sender's place is where its messages begin.
        for (at, frame) in self.given.iter().enumerate() {
            let before = messages.insert(frame.message, frame.placed);
            if let Some(before) = before {
                prop_assert!(before < frame.placed, "fragments of message {} out of order", frame.message);
            }
            match frame.order {
                Order::Sender(sender) => {
                    if let Some(before) = latest.insert(sender, frame.placed) {
                        prop_assert!(before < frame.placed, "sender {sender:?}: {before} before {}", frame.placed);
                    }
                }
                Order::Barrier => {}
                Order::Fence => {
                    let late = self.given[..at].iter().find(|other| other.placed > frame.placed && frame.last);
                    prop_assert!(late.is_none(), "{late:?} passed the fence {frame:?}");
                }
            }
            if before.is_none() && !matches!(frame.order, Order::Sender(_)) {
                let early = self.given[at..].iter().find(|other| other.placed < frame.placed);
                prop_assert!(early.is_none(), "{frame:?} came before {early:?}");
            }
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the length of a run is the caller's choice")]
fn cases() -> u32 {
    std::env::var("BARREL_P2P_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn every_promise_of_order_holds(lanes in 1usize..5, steps in prop::collection::vec(step(), 0..300)) {
        let mut pair = Pair::new(lanes);
        for step in steps {
            pair.run(step);
        }
        pair.finish();
        pair.check()?;
    }

    #[test]
    fn no_report_of_a_peer_is_believed_that_cannot_be(lane in 0usize..6, position in 0u64..200) {
        let mut sorter = Sorter::new(4);
        for n in 0..3 {
            place(&mut sorter, Scan::First(Fragment { sequence: n, number: 1 }, Order::Sender(Sender(n))), 100);
        }
        let possible = lane < 4 && position <= if lane == LIGHT { 0 } else { 100 };
        prop_assert_eq!(sorter.delivered(Mark { lane, position }).is_ok(), possible);
    }
}

/// Broken on purpose: what the properties hold is the work of the marks.
#[test]
fn without_marks_a_sender_overtakes_itself_and_a_barrier_everybody() {
    let sender = Order::Sender(Sender(1));
    for order in [sender, Order::Barrier, Order::Fence] {
        let given = |loses_marks| {
            let mut pair = Pair { loses_marks, ..Pair::new(3) };
            // Small, then large; for a barrier something large must be under way.
            [(sender, 1), (Order::Sender(Sender(2)), 100), (order, 100)]
                .into_iter()
                .for_each(|(order, size)| pair.send(order, size));
            for lane in [2, 2, 2, 1, 1, 1, 1, 1, 0] {
                pair.arrive(lane);
                pair.take();
            }
            pair.finish();
            pair
        };
        given(false).check().unwrap();
        assert!(given(true).check().is_err(), "{order:?}");
    }
}

fn place(sorter: &mut Sorter, scan: Scan, bytes: u64) -> Placement {
    sorter.place(scan, bytes, |_| bytes)
}

fn whole(sender: u64) -> Scan {
    Scan::Whole(Order::Sender(Sender(sender)))
}

#[test]
fn a_small_sender_stays_light_beside_a_large_one() {
    let mut sorter = Sorter::new(3);
    assert_eq!(place(&mut sorter, whole(1), 100), Placement::default());
    let large = place(&mut sorter, whole(2), 64 * KIB);
    let light = Mark { lane: LIGHT, position: 100 };
    assert_eq!(large, Placement { lane: 1, behind: vec![light], heavy: Some(Sender(2)) });
    assert_eq!(place(&mut sorter, whole(1), 100), Placement::default());
    assert_eq!(sorter.outstanding(), 64 * KIB);
}

#[test]
fn positions_count_what_a_frame_is_on_its_lane() {
    let mut sorter = Sorter::new(3);
    let lengths = |lane| if lane == LIGHT { 70 } else { 90 };
    sorter.place(whole(1), 100, lengths);
    let large = sorter.place(whole(2), 64 * KIB, lengths);
    assert_eq!((large.lane, large.behind), (1, vec![Mark { lane: LIGHT, position: 70 }]));
    assert_eq!(sorter.outstanding(), 90);
}

#[test]
fn large_senders_spread_over_the_lanes_and_come_back() {
    let mut sorter = Sorter::new(3);
    assert_eq!(place(&mut sorter, whole(1), 64 * KIB).lane, 1);
    assert_eq!(place(&mut sorter, whole(2), 64 * KIB).lane, 2);
    // Small ones of a large sender stay behind its large ones.
    assert_eq!(place(&mut sorter, whole(1), 10).lane, 1);
    sorter.delivered(Mark { lane: 1, position: 64 * KIB }).unwrap();
    assert_eq!(place(&mut sorter, whole(1), 10).lane, 1);
    sorter.delivered(Mark { lane: 1, position: 64 * KIB + 20 }).unwrap();
    assert_eq!(place(&mut sorter, whole(1), 10).lane, LIGHT);
}

#[test]
fn a_barrier_costs_nothing_while_only_the_light_lane_is_used() {
    let mut sorter = Sorter::new(3);
    place(&mut sorter, whole(1), 100);
    assert_eq!(place(&mut sorter, Scan::Whole(Order::Barrier), 10), Placement::default());
}

#[test]
fn frames_of_the_light_lane_are_given_out_first() {
    let mut release = Release::default();
    release.push(1, "large", 1_000);
    release.push(2, "other", 1_000);
    release.push(1, "more", 1_000);
    release.push(0, "small", 10);
    let taken: Vec<_> = std::iter::from_fn(|| release.take()).map(|released| released.frames).collect();
    assert_eq!(taken, ["small", "large", "other", "more"]);
}

/// A channel whose last mark came after everything that it is about was not known to have ended.
#[test]
fn a_lane_is_done_when_its_last_mark_is_reached() {
    let mut release = Release::default();
    release.push(1, "large", 1_000);
    release.wait(0, Mark { lane: 1, position: 1_000 });
    assert!(!release.is_done(0));
    assert!(release.take().is_some());
    assert!(release.is_done(0));
    release.wait(0, Mark { lane: 1, position: 900 });
    assert!(release.is_done(0));
    release.push(0, "small", 10);
    assert!(!release.is_done(0));
}

#[test]
fn marks_count_as_bytes_until_they_are_reached() {
    let mut release = Release::<()>::default();
    for position in 0..100 {
        release.wait(1, Mark { lane: 2, position });
    }
    assert!(release.queued(1) >= 3_200);
    assert_eq!(release.take(), None);
    release.push(2, (), 1_000);
    assert!(release.take().is_some());
    assert_eq!(release.take(), None);
    assert_eq!(release.queued(1), 0);
}
