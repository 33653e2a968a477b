// SPDX-License-Identifier: Apache-2.0
//! Atoms that the headers of frames name, from one emulator's cache to another's, over lanes that overtake each other.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use barrel_p2p_dist::lanes::LaneAtoms;
use barrel_p2p_dist::scan::{Fragment, Order, Scan, Scanner, Sender};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// The cache of one end of a connection, as the emulator keeps it: which atom each slot has.
#[derive(Default)]
struct Emulator {
    slots: BTreeMap<u16, String>,
}

impl Emulator {
    /// What it puts into a header about these atoms. All are different, and so are their slots.
    fn encode(&mut self, atoms: &[(u16, String)]) -> Vec<u8> {
        let mut flags = vec![0; atoms.len() / 2 + 1];
        let is_new: Vec<_> =
            atoms.iter().map(|(slot, text)| self.slots.insert(*slot, text.clone()).as_ref() != Some(text)).collect();
        let long = atoms.iter().zip(&is_new).any(|((_, text), is_new)| *is_new && text.len() > 255);
        for (at, ((slot, _), is_new)) in atoms.iter().zip(&is_new).enumerate() {
            flags[at / 2] |= (u8::try_from(slot >> 8).unwrap() | u8::from(*is_new) << 3) << (4 * (at % 2));
        }
        flags[atoms.len() / 2] |= u8::from(long) << (4 * (atoms.len() % 2));
        let mut bytes = vec![u8::try_from(atoms.len()).unwrap()];
        bytes.extend(flags);
        for ((slot, text), is_new) in atoms.iter().zip(is_new) {
            bytes.push(slot.to_be_bytes()[1]);
            if is_new {
                let len = u16::try_from(text.len()).unwrap().to_be_bytes();
                bytes.extend(if long { &len[..] } else { &len[1..] });
                bytes.extend(text.as_bytes());
            }
        }
        bytes
    }

    /// The atoms of a header; None where one was never written.
    fn decode(&mut self, bytes: &[u8]) -> Option<Vec<String>> {
        let count = usize::from(bytes[0]);
        let flag = |at: usize| bytes[1 + at / 2] >> (4 * (at % 2)) & 0xf;
        let long = flag(count) & 1 != 0;
        let mut rest = &bytes[1 + count / 2 + 1..];
        let mut take = |len: usize| {
            let (taken, left) = rest.split_at(len);
            rest = left;
            taken
        };
        let atoms = (0..count).map(|at| {
            let slot = u16::from(flag(at) & 7) << 8 | u16::from(take(1)[0]);
            if flag(at) & 8 != 0 {
                let len = take(if long { 2 } else { 1 }).iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
                self.slots.insert(slot, String::from_utf8(take(len).to_vec()).unwrap());
            }
            self.slots.get(&slot).cloned()
        });
        let atoms = atoms.collect();
        assert!(rest.is_empty());
        atoms
    }
}

/// Atoms of one frame. Few slots, so that atoms take them from each other.
fn atoms() -> impl Strategy<Value = Vec<(u16, String)>> {
    let text = prop_oneof![20 => "[a-f]", 4 => "[a-zé]{0,30}", 1 => "[x]{250,260}"];
    let slot = prop_oneof![10 => 0u16..4, 1 => 0u16..2048];
    vec((slot, text), 0..6).prop_map(|atoms| {
        let mut atoms: Vec<_> = atoms.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
        atoms.sort_by(|(_, a), (_, b)| a.cmp(b));
        atoms.dedup_by(|(_, a), (_, b)| a == b);
        atoms
    })
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize, Vec<(u16, String)>),
    Arrive(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0usize..32, atoms()).prop_map(|(lane, atoms)| Step::Send(lane, atoms)),
        (0usize..32).prop_map(Step::Arrive)
    ]
}

fn arrive(lane: &mut VecDeque<(Vec<String>, Vec<u8>)>, receiver: &mut Emulator) -> Result<(), TestCaseError> {
    if let Some((atoms, bytes)) = lane.pop_front() {
        prop_assert_eq!(receiver.decode(&bytes), Some(atoms));
    }
    Ok(())
}

/// Sends frames on lanes and lets these arrive in any order between them. `apart` keeps the lanes apart.
fn run(lanes: usize, apart: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut sender, mut receiver) = (Emulator::default(), Emulator::default());
    let (mut scanner, mut lane_atoms) = (Scanner::default(), LaneAtoms::new(lanes));
    let mut wires = vec![VecDeque::new(); lanes];
    for step in steps {
        match step {
            Step::Send(lane, atoms) => {
                let lane = lane % lanes;
                let frame = [&[131, 68][..], &sender.encode(&atoms)].concat();
                let texts = atoms.into_iter().map(|(_, text)| text).collect();
                let read = scanner.scan([&frame[..]]);
                let bytes = match read.atoms {
                    None => vec![0, 0],
                    Some(read) => {
                        prop_assert_eq!(read.at(), 2..frame.len());
                        lane_atoms.encode(if apart { lane } else { 0 }, &read);
                        lane_atoms.encoded().to_vec()
                    }
                };
                wires[lane].push_back((texts, bytes));
            }
            Step::Arrive(lane) => arrive(&mut wires[lane % lanes], &mut receiver)?,
        }
    }
    for wire in &mut wires {
        while !wire.is_empty() {
            arrive(wire, &mut receiver)?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn every_atom_arrives_whichever_lane_is_first(lanes in 1usize..=32, steps in vec(step(), 0..200)) {
        run(lanes, true, steps)?;
    }

    #[test]
    fn a_sender_is_the_same_in_a_cache_and_in_full(
        before in vec(atoms(), 0..8), own in atoms(), node in "[a-zé]{1,40}@[a-z0-9.]{1,30}", number in any::<u32>(), cut in 1usize..60,
    ) {
        let (mut sender, mut scanner) = (Emulator::default(), Scanner::default());
        for atoms in before {
            let frame = [&[131, 68][..], &sender.encode(&atoms)].concat();
            scanner.scan([&frame[..]]);
        }
        let rest = [&number.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 2]].concat();
        let text = [&[119, u8::try_from(node.len()).unwrap()], node.as_bytes()].concat();
        let in_full = [&[131, 68, 0, 104, 3, 97, 22, 88][..], &text, &rest, &[97, 1]].concat();
        let sequence = [&7u64.to_be_bytes()[..], &2u64.to_be_bytes()].concat();
        // Twice: with its text, then without.
        let mut own = own;
        own.retain(|(slot, _)| *slot != 99);
        own.push((99, node));
        let control = [&[104, 3, 97, 22, 88, 82, u8::try_from(own.len() - 1).unwrap()][..], &rest, &[97, 1]].concat();
        for _ in 0..2 {
            let frame = [&[131, 69][..], &sequence, &sender.encode(&own), &control].concat();
            let whole = Scanner::default().scan([&in_full[..]]).scan;
            let Scan::Whole(order) = whole else { return Err(TestCaseError::fail(format!("{whole:?}"))) };
            let expected = Scan::First(Fragment { sequence: 7, number: 2 }, order);
            prop_assert_eq!(scanner.scan([&frame[..]]).scan, expected);
            prop_assert_eq!(scanner.scan(frame.chunks(cut)).scan, expected);
            prop_assert!(scanner.scan([&frame[..]]).process.is_some_and(|process| process.number == number && process.serial == 1));
        }
    }
}

/// Broken on purpose: that atoms arrive is the work of the lanes' own caches.
#[test]
fn in_one_cache_for_all_lanes_atoms_are_mistaken() {
    let a = |text: &str| vec![(3, text.to_owned())];
    // The third names the second atom, and arrives before it.
    let steps = |third| {
        vec![
            Step::Send(0, a("first")),
            Step::Arrive(0),
            Step::Send(0, a("second")),
            Step::Send(1, a(third)),
            Step::Arrive(1),
        ]
    };
    run(2, true, steps("second")).unwrap();
    assert!(run(2, false, steps("second")).is_err());
}

#[test]
fn an_atom_is_sent_in_full_once_for_each_lane() {
    let (mut sender, mut scanner, mut lanes) = (Emulator::default(), Scanner::default(), LaneAtoms::new(8));
    let mut length = |lane| {
        let frame = [&[131, 68][..], &sender.encode(&[(5, "alpha@127.0.0.1".into())])].concat();
        lanes.encode(lane, &scanner.scan([&frame[..]]).atoms.unwrap())
    };
    assert_eq!([0, 0, 7, 7, 0].map(&mut length), [19, 3, 19, 3, 3]);
}

#[test]
fn a_slot_that_was_never_written_is_a_fence() {
    let frame = [131, 68, 1, 0, 9, 104, 3, 97, 22];
    let mut scanner = Scanner::default();
    assert_eq!(scanner.scan([&frame[..]]).scan, Scan::Whole(Order::Fence));
    assert!(scanner.scan([&frame[..]]).atoms.is_none());
}

#[test]
fn an_atom_that_the_header_does_not_name_is_a_fence() {
    let named = [131, 68, 1, 8, 9, 1, b'n'];
    let pid = |index: u8| [&named[..], &[104, 3, 97, 22, 88, 82, index, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]].concat();
    let order = |index| Scanner::default().scan([&pid(index)[..]]).scan;
    assert!(matches!(order(0), Scan::Whole(Order::Sender(Sender(_)))));
    assert_eq!(order(1), Scan::Whole(Order::Fence));
}

#[expect(clippy::disallowed_methods, reason = "the length of a run is the caller's choice")]
fn cases() -> u32 {
    std::env::var("BARREL_P2P_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
}
