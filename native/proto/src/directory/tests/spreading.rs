// SPDX-License-Identifier: Apache-2.0
//! How news travels on.

use barrel_p2p_base::limits::MAX_RECORDS;

use super::*;

#[test]
fn news_goes_to_the_tree_but_not_back() {
    let mut directory = with_neighbours(&[1, 2, 3]);
    hear(&mut directory, at(200), 1, vec![claim(4, 1, Alive)]);
    assert!(directory.flush_due(at(200)));
    assert_eq!(flush(&mut directory, at(200), &[1, 2]), [rumours(2, vec![claim(4, 1, Alive)])]);
    assert!(!directory.flush_due(at(1000)));
}

#[test]
fn a_suspicion_and_its_end_go_to_every_neighbour() {
    let mut directory = with_neighbours(&[1, 2, 3]);
    hear(&mut directory, at(200), 1, vec![claim(3, 1, Suspect)]);
    let news = vec![claim(3, 1, Suspect)];
    assert_eq!(flush(&mut directory, at(200), &[]), [rumours(2, news.clone()), rumours(3, news)]);
    hear(&mut directory, at(400), 2, vec![claim(3, 2, Alive)]);
    let news = vec![claim(3, 2, Alive)];
    assert_eq!(flush(&mut directory, at(400), &[]), [rumours(1, news.clone()), rumours(3, news)]);
}

#[test]
fn what_is_no_news_is_not_passed_on() {
    let mut directory = with_neighbours(&[1, 2]);
    hear(&mut directory, at(200), 1, vec![claim(2, 1, Alive), claim(2, 0, Down), claim(0, 1, Alive)]);
    assert!(!directory.flush_due(at(1000)));
}

#[test]
fn the_first_news_leaves_at_once_and_the_next_ones_together() {
    let mut directory = with_neighbours(&[1, 2]);
    hear(&mut directory, at(200), 1, vec![claim(3, 1, Alive)]);
    assert!(directory.flush_due(at(200)));
    flush(&mut directory, at(200), &[2]);
    hear(&mut directory, at(210), 1, vec![claim(4, 1, Alive)]);
    hear(&mut directory, at(220), 1, vec![claim(5, 1, Alive)]);
    assert!(!directory.flush_due(at(299)));
    assert_eq!(directory.next_timeout().map(|at| at <= Time(300_000)), Some(true));
    assert!(directory.flush_due(at(300)));
    let news = vec![claim(4, 1, Alive), claim(5, 1, Alive)];
    assert_eq!(flush(&mut directory, at(300), &[2]), [rumours(2, news)]);
}

#[test]
fn a_new_neighbour_gets_what_a_former_one_has_brought() {
    let mut directory = with_neighbours(&[1, 2]);
    hear(&mut directory, at(200), 1, vec![claim(4, 1, Alive)]);
    directory.neighbour_down(&name(1));
    directory.neighbour_up(at(200), &contact(4, 0), &mut Vec::new());
    assert_eq!(flush(&mut directory, at(200), &[4]), [rumours(4, vec![claim(4, 1, Alive)])]);
}

#[test]
fn only_the_latest_about_a_member_travels() {
    let mut directory = with_neighbours(&[1, 2]);
    hear(&mut directory, at(200), 1, vec![claim(3, 1, Alive), claim(3, 2, Suspect), claim(3, 3, Alive)]);
    assert_eq!(flush(&mut directory, at(200), &[2]), [rumours(2, vec![claim(3, 3, Alive)])]);
}

#[test]
fn much_news_is_cut_into_messages_and_spread_over_time() {
    let mut directory = with_neighbours(&[1, 2]);
    let count = 5000;
    for member in 3..3 + count {
        hear(&mut directory, at(200), 1, vec![claim(member, 1, Alive)]);
    }
    let counts = |out: &Outputs| -> Vec<usize> { sent_to(2, out).iter().map(records_in).collect() };
    let first = counts(&flush(&mut directory, at(200), &[2]));
    assert!(first.iter().all(|count| *count <= MAX_RECORDS), "{first:?}");
    assert!(!directory.flush_due(at(299)) && directory.flush_due(at(300)));
    let second = counts(&flush(&mut directory, at(300), &[2]));
    assert_eq!(first.iter().sum::<usize>() + second.iter().sum::<usize>(), count);
    assert!(!directory.flush_due(at(400)));
}

#[test]
fn a_new_neighbour_hears_who_this_is_and_may_compare() {
    let mut directory = directory();
    let mut out = Vec::new();
    directory.neighbour_up(at(10), &contact(1, 0), &mut out);
    let fingerprint = directory.fingerprint();
    let digest = Message::Digest { fingerprint, live: 2, stamp: stamp(10) };
    assert_eq!(out, [up(1), rumours(1, vec![claim(0, 1, Alive)]), send(1, digest)]);
}

#[test]
fn who_leaves_tells_its_neighbours_and_forgets_the_rest() {
    let mut directory = with_neighbours(&[1, 2]);
    let mut out = Vec::new();
    directory.leave(at(1000), &mut out);
    let left = vec![claim(0, 2, Left)];
    assert_eq!(out, [rumours(1, left.clone()), rumours(2, left)]);
    assert_eq!((directory.members().count(), directory.next_timeout()), (1, None));
    directory.join(at(5000));
    assert_eq!((directory.live(), state(&directory, 0)), (1, Some(Alive)));
    let mut out = Vec::new();
    directory.neighbour_up(at(6000), &contact(1, 0), &mut out);
    assert_eq!(out[1], rumours(1, vec![claim(0, 3, Alive)]));
}

#[test]
fn new_addresses_are_news_and_the_same_ones_are_not() {
    let mut directory = with_neighbours(&[1]);
    directory.moved(at(200), contact(0, 0).addresses.clone());
    assert!(!directory.flush_due(at(1000)));
    directory.moved(at(200), contact(9, 0).addresses.clone());
    let moved = Contact { addresses: contact(9, 0).addresses.clone(), ..Contact::clone(&contact(0, 0)) };
    let news = Record { contact: Arc::new(moved), version: 2, state: Alive };
    assert_eq!(flush(&mut directory, at(200), &[1]), [rumours(1, vec![news])]);
}
