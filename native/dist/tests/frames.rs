// SPDX-License-Identifier: Apache-2.0
//! Frames that OTP has sent, for every kind of signal that can be provoked.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a failing test panics")]

use barrel_p2p_dist::scan::{Order, Scan, Scanner, Sender};

const TABLE: &str = include_str!("frames/otp-25.txt");

#[test]
fn each_captured_frame_has_its_order() {
    for row in rows() {
        for pieces in
            [row.pieces.clone(), vec![row.pieces.concat()], row.pieces.concat().chunks(3).map(<[u8]>::to_vec).collect()]
        {
            let seen = scan(pieces.iter().map(Vec::as_slice));
            let order = match seen {
                Scan::Whole(order) | Scan::First(_, order) => Some(order),
                Scan::Next(_) => None,
            };
            assert_eq!(order, row.order, "{}: {seen:?}", row.signal);
            assert_eq!(matches!(seen, Scan::Whole(_)), !row.is_fragment(), "{}: {seen:?}", row.signal);
        }
    }
}

#[test]
fn fragments_of_one_signal_share_a_sequence_and_count_down() {
    let mut expected = None;
    let mut signals = 0;
    for row in rows() {
        let fragment = match scan(row.pieces.iter().map(Vec::as_slice)) {
            Scan::Whole(_) => {
                assert_eq!(expected, None, "{}", row.signal);
                continue;
            }
            Scan::First(fragment, _) => {
                assert_eq!(expected, None, "{}", row.signal);
                signals += 1;
                fragment
            }
            Scan::Next(fragment) => {
                assert_eq!(expected, Some((fragment.sequence, fragment.number)), "{}", row.signal);
                fragment
            }
        };
        expected = (fragment.number > 1).then(|| (fragment.sequence, fragment.number - 1));
    }
    assert_eq!((expected, signals), (None, 4));
}

#[test]
fn the_table_has_every_op_that_this_release_sends() {
    let mut ops: Vec<u8> = rows().iter().filter(|row| row.order.is_some()).map(Row::op).collect();
    ops.sort_unstable();
    ops.dedup();
    assert_eq!(ops, [1, 2, 6, 7, 16, 19, 20, 22, 23, 24, 25, 26, 28, 29, 30, 31, 32, 33, 34, 35, 36]);
}

struct Row {
    signal: &'static str,
    /// None: a later fragment.
    order: Option<Order>,
    pieces: Vec<Vec<u8>>,
}

impl Row {
    fn is_fragment(&self) -> bool {
        self.pieces[0][1] != 68
    }

    /// The emulator gives the control tuple as a piece of its own.
    fn op(&self) -> u8 {
        self.pieces[1][3]
    }
}

fn rows() -> Vec<Row> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

fn row(line: &'static str) -> Row {
    let columns: Vec<_> = line.split(" | ").collect();
    let [signal, order, sender, pieces] = columns[..] else { panic!("{line}") };
    let order = match order {
        "barrier" => Some(Order::Barrier),
        "fence" => Some(Order::Fence),
        "next" => None,
        "sender" => Some(Order::Sender(sender_of(&bytes(sender)))),
        _ => panic!("{line}"),
    };
    Row { signal, order, pieces: pieces.split(' ').map(bytes).collect() }
}

/// As `term_to_binary/1` writes the identifier, with an atom in another form than in the frame.
fn sender_of(identifier: &[u8]) -> Sender {
    let link = scan([&[131, 68, 0, 104, 2, 97, 1][..], identifier]);
    let Scan::Whole(Order::Sender(sender)) = link else { panic!("{link:?}") };
    sender
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn scan<'a>(frame: impl IntoIterator<Item = &'a [u8]>) -> Scan {
    Scanner::default().scan(frame).scan
}
