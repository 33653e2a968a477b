// SPDX-License-Identifier: Apache-2.0
//! Whatever stands around the sender, in whichever form and in whichever pieces: the same sender, or a fence.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a failing test panics")]

use barrel_p2p_dist::scan::{Fragment, Order, Scan, Scanner, Sender};
use proptest::collection::vec;
use proptest::prelude::*;

/// Beginnings of a frame without header.
const PASS_THROUGH: [&[u8]; 4] = [&[112, 131], &[112], &[131, 112, 131], &[131, 112]];

/// Where an atom stands for a process that cannot be known.
const NAMED: [u8; 4] = [21, 28, 31, 32];

proptest! {
    #[test]
    fn the_sender_is_found_in_any_pieces(
        frame in frame(), pid in pid(), op in known_op(), before in vec(flat(), 3), cuts in vec(0usize..30, 0..30),
    ) {
        let sender = sender_of(&pid);
        let bytes = frame.around(op.0, &before[..op.1], &pid.new_form());
        prop_assert_eq!(scan(cut(&bytes, &cuts)), frame.scanned(Order::Sender(sender)));
    }

    #[test]
    fn each_form_of_an_identifier_is_the_same_sender(pid in pid()) {
        let old = Pid { creation: pid.creation & 0xff, ..pid };
        prop_assert_eq!(sender_of_bytes(&old.new_form()), sender_of_bytes(&old.old_form()));
        prop_assert_eq!(sender_of_bytes(&old.port(89)), sender_of_bytes(&old.port(102)));
        prop_assert_eq!(sender_of_bytes(&old.port(89)), sender_of_bytes(&old.port(120)));
        prop_assert_ne!(sender_of_bytes(&old.port(89)), sender_of_bytes(&old.new_form()));
    }

    #[test]
    fn other_identifiers_are_other_senders(pid in pid(), number in any::<u32>(), serial in any::<u32>(), creation in any::<u32>()) {
        for other in [Pid { number, ..pid.clone() }, Pid { serial, ..pid.clone() }, Pid { creation, ..pid.clone() },
                      Pid { node: format!("{}x", pid.node), ..pid.clone() }] {
            prop_assert_eq!(sender_of(&pid) == sender_of(&other), pid == other);
        }
    }

    #[test]
    fn an_atom_is_a_barrier_only_where_it_names_the_unknown(
        frame in frame(), op in known_op(), before in vec(flat(), 3), name in atom(),
    ) {
        let order = if NAMED.contains(&op.0) { Order::Barrier } else { Order::Fence };
        prop_assert_eq!(scan([&frame.around(op.0, &before[..op.1], &name)[..]]), frame.scanned(order));
    }

    #[test]
    fn an_unknown_op_is_a_fence(frame in frame(), op in any::<u8>(), pids in vec(pid(), 4)) {
        let known = known_ops().iter().any(|(known, _)| *known == op);
        let terms: Vec<_> = pids.iter().map(Pid::new_form).collect();
        let order = scan([&frame.around(op, &terms[1..], &terms[0])[..]]);
        prop_assert!(known || order == frame.scanned(Order::Fence));
    }

    #[test]
    fn a_tuple_that_ends_early_is_a_fence(
        frame in frame(), pid in pid(), op in known_op(), before in vec(flat(), 3), len in any::<prop::sample::Index>(),
        cuts in vec(0usize..30, 0..30),
    ) {
        let header = frame.header();
        let bytes = frame.tuple(op.0, &before[..op.1], &pid.new_form(), &[]);
        let bytes = [&header[..], &bytes[..len.index(bytes.len())]].concat();
        prop_assert_eq!(scan(cut(&bytes, &cuts)), frame.scanned(Order::Fence));
    }

    #[test]
    fn a_tuple_with_too_few_elements_is_a_fence(pid in pid(), op in known_op(), before in vec(flat(), 3)) {
        let arity = u8::try_from(op.1 + 1).unwrap();
        let bytes = [&[131, 68, 0, 104, arity, 97, op.0], &before[..op.1].concat()[..], &pid.new_form()].concat();
        prop_assert_eq!(scan([&bytes[..]]), Scan::Whole(Order::Fence));
    }

    #[test]
    fn nesting_before_the_sender_is_a_fence(pid in pid(), depth in 1usize..200) {
        for nest in [&[104, 1][..], &[105, 0, 0, 0, 1], &[108, 0, 0, 0, 1]] {
            let bytes = [&[131, 68, 0, 104, 6, 97, 29], &nest.repeat(depth)[..], &pid.new_form(), &pid.new_form()].concat();
            prop_assert_eq!(scan([&bytes[..]]), Scan::Whole(Order::Fence));
        }
    }

    #[test]
    fn a_later_fragment_needs_no_control_tuple(sequence in any::<u64>(), number in 1u64.., payload in vec(any::<u8>(), 0..40)) {
        let bytes = [&[131, 70], &sequence.to_be_bytes()[..], &number.to_be_bytes(), &payload].concat();
        prop_assert_eq!(scan([&bytes[..]]), Scan::Next(Fragment { sequence, number }));
        prop_assert_eq!(scan(bytes.chunks(5)), Scan::Next(Fragment { sequence, number }));
    }
}

#[test]
fn no_fragment_has_number_zero() {
    for tag in [69, 70] {
        let bytes = [&[131, tag], &7u64.to_be_bytes()[..], &0u64.to_be_bytes(), &[0, 104, 3, 97, 22]].concat();
        assert_eq!(scan([&bytes[..]]), Scan::Whole(Order::Fence));
    }
}

#[test]
fn the_longest_node_name_is_within_the_bound() {
    let node = "n".repeat(255);
    let pid = Pid { node: node.clone(), number: 1, serial: 2, creation: 3 };
    let reference = [&[90, 0, 5, 119, 255], node.as_bytes(), &[1; 24]].concat();
    let frame = Frame { start: Start::First(Fragment { sequence: 1, number: 9 }), large: true, behind: vec![] };
    let number = vec![110, 8, 0, 255, 255, 255, 255, 255, 255, 255, 255];
    let bytes = frame.around(31, &[reference, pid.new_form(), number], &pid.new_form());
    assert_eq!(scan(bytes.chunks(9)), frame.scanned(Order::Sender(sender_of(&pid))));
}

/// Every op with a sender, and the elements between the two.
fn known_ops() -> Vec<(u8, usize)> {
    let first = [1, 3, 4, 6, 8, 13, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 33, 34].map(|op| (op, 0));
    let second = [29, 30, 35, 36, 37].map(|op| (op, 1));
    let fourth = [31, 32].map(|op| (op, 3));
    [&first[..], &second, &fourth].concat()
}

fn known_op() -> impl Strategy<Value = (u8, usize)> {
    prop::sample::select(known_ops())
}

/// What stands around the sender.
#[derive(Clone, Debug)]
struct Frame {
    start: Start,
    large: bool,
    behind: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    First(Fragment),
    PassThrough(&'static [u8]),
    Whole,
}

impl Frame {
    fn header(&self) -> Vec<u8> {
        match self.start {
            Start::First(Fragment { sequence, number }) => {
                [&[131, 69], &sequence.to_be_bytes()[..], &number.to_be_bytes(), &[0]].concat()
            }
            Start::PassThrough(bytes) => bytes.to_vec(),
            Start::Whole => vec![131, 68, 0],
        }
    }

    fn tuple(&self, op: u8, before: &[Vec<u8>], sender: &[u8], behind: &[u8]) -> Vec<u8> {
        // As if one more element followed.
        let arity = u8::try_from(before.len() + 3).unwrap();
        let start = if self.large { vec![105, 0, 0, 0, arity] } else { vec![104, arity] };
        [&start[..], &[97, op], &before.concat(), sender, behind].concat()
    }

    fn around(&self, op: u8, before: &[Vec<u8>], sender: &[u8]) -> Vec<u8> {
        [self.header(), self.tuple(op, before, sender, &self.behind)].concat()
    }

    fn scanned(&self, order: Order) -> Scan {
        match self.start {
            Start::First(fragment) if fragment.number > 1 && order == Order::Barrier => {
                Scan::First(fragment, Order::Fence)
            }
            Start::First(fragment) => Scan::First(fragment, order),
            Start::PassThrough(_) | Start::Whole => Scan::Whole(order),
        }
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    let first = (any::<u64>(), prop_oneof![Just(1), 1u64..])
        .prop_map(|(sequence, number)| Start::First(Fragment { sequence, number }));
    let pass_through = prop::sample::select(&PASS_THROUGH[..]).prop_map(Start::PassThrough);
    let start = prop_oneof![3 => Just(Start::Whole), 2 => first, 1 => pass_through];
    (start, any::<bool>(), vec(any::<u8>(), 0..60)).prop_map(|(start, large, behind)| Frame { start, large, behind })
}

#[derive(Clone, Debug, PartialEq)]
struct Pid {
    node: String,
    number: u32,
    serial: u32,
    creation: u32,
}

impl Pid {
    fn name(&self) -> Vec<u8> {
        let node = self.node.as_bytes();
        let len = u16::try_from(node.len()).unwrap();
        [&[118], &len.to_be_bytes()[..], node].concat()
    }

    fn new_form(&self) -> Vec<u8> {
        let node = self.node.as_bytes();
        let name = [&[119, u8::try_from(node.len()).unwrap()], node].concat();
        [&[88], &name[..], &self.number.to_be_bytes(), &self.serial.to_be_bytes(), &self.creation.to_be_bytes()]
            .concat()
    }

    fn old_form(&self) -> Vec<u8> {
        let creation = u8::try_from(self.creation).unwrap();
        [&[103], &self.name()[..], &self.number.to_be_bytes(), &self.serial.to_be_bytes(), &[creation]].concat()
    }

    fn port(&self, tag: u8) -> Vec<u8> {
        let number = match tag {
            120 => u64::from(self.number).to_be_bytes().to_vec(),
            _ => self.number.to_be_bytes().to_vec(),
        };
        let creation = match tag {
            102 => vec![u8::try_from(self.creation).unwrap()],
            _ => self.creation.to_be_bytes().to_vec(),
        };
        [&[tag], &self.name()[..], &number, &creation].concat()
    }
}

fn pid() -> impl Strategy<Value = Pid> {
    ("[a-zé]{1,40}@[a-z0-9.]{1,30}", any::<u32>(), any::<u32>(), any::<u32>())
        .prop_map(|(node, number, serial, creation)| Pid { node, number, serial, creation })
}

fn atom() -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(&[100u8, 115, 118, 119][..]), "[a-z]{0,200}").prop_map(|(tag, text)| {
        let len = u16::try_from(text.len()).unwrap().to_be_bytes();
        let len = if tag == 115 || tag == 119 { &len[1..] } else { &len[..] };
        [&[tag], len, text.as_bytes()].concat()
    })
}

/// An element that may stand before a sender, and all that may be skipped.
fn flat() -> impl Strategy<Value = Vec<u8>> {
    let reference = (prop::sample::select(&[90u8, 101, 114][..]), 1u16..6, pid()).prop_map(|(tag, words, pid)| {
        let len = if tag == 101 { vec![] } else { words.to_be_bytes().to_vec() };
        let creation = if tag == 90 { 4 } else { 1 };
        let rest = creation + 4 * if tag == 101 { 1 } else { usize::from(words) };
        [&[tag], &len[..], &pid.name(), &vec![88; rest]].concat()
    });
    let small = any::<u8>().prop_map(|n| vec![97, n]);
    let integer = any::<u32>().prop_map(|n| [&[98], &n.to_be_bytes()[..]].concat());
    let big = vec(any::<u8>(), 0..40)
        .prop_map(|digits| [&[110, u8::try_from(digits.len()).unwrap(), 0], &digits[..]].concat());
    let port = (pid(), prop::sample::select(&[89u8, 120][..])).prop_map(|(pid, tag)| pid.port(tag));
    prop_oneof![reference, small, integer, big, port, atom(), pid().prop_map(|pid| pid.new_form())]
}

fn sender_of(pid: &Pid) -> Sender {
    sender_of_bytes(&pid.new_form())
}

fn sender_of_bytes(identifier: &[u8]) -> Sender {
    let link = scan([&[131, 68, 0, 104, 2, 97, 1][..], identifier]);
    let Scan::Whole(Order::Sender(sender)) = link else { panic!("{link:?}") };
    sender
}

fn cut<'a>(mut bytes: &'a [u8], lens: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for len in lens {
        let (piece, rest) = bytes.split_at((*len).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

fn scan<'a>(frame: impl IntoIterator<Item = &'a [u8]>) -> Scan {
    Scanner::default().scan(frame).scan
}
