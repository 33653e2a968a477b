// SPDX-License-Identifier: Apache-2.0
//! From a silent link to a member that is down, or not.

use super::*;

#[test]
fn a_silent_link_makes_a_suspect_who_is_asked_and_told_about_to_all() {
    let mut directory = with_neighbours(&[1, 2]);
    let out = unreachable(&mut directory, at(1000), 1, Why::Lost);
    assert_eq!(out, [send(1, Message::Probe(claim(1, 1, Suspect)))]);
    let out = flush(&mut directory, at(1000), &[]);
    assert_eq!(out, [rumours(1, vec![claim(1, 1, Suspect)]), rumours(2, vec![claim(1, 1, Suspect)])]);
    // A second reason changes nothing.
    assert_eq!(unreachable(&mut directory, at(1500), 1, Why::DialFailed), []);
    assert_eq!(directory.suspects(), 1);
}

#[test]
fn a_suspect_that_does_not_refute_is_down_after_its_time() {
    let mut directory = with_neighbours(&[1]);
    unreachable(&mut directory, at(1000), 1, Why::Lost);
    run(&mut directory, 2999);
    assert_eq!(state(&directory, 1), Some(Suspect));
    assert!(run(&mut directory, 3000).contains(&down(1, Down)));
    assert_eq!((directory.live(), directory.departed(), directory.suspects()), (1, 1, 0));
}

#[test]
fn a_refuted_suspicion_does_not_end_the_member_later() {
    let mut directory = with_neighbours(&[1, 2]);
    unreachable(&mut directory, at(1000), 1, Why::Lost);
    assert_eq!(hear(&mut directory, at(1100), 2, vec![claim(1, 2, Alive)]), []);
    assert_eq!(directory.suspects(), 0);
    for ms in (1200..6_000).step_by(100) {
        assert!(!run(&mut directory, ms).contains(&down(1, Down)));
    }
    assert_eq!(state(&directory, 1), Some(Alive));
}

/// It had missed the refutation, and declared the member down two seconds later.
#[test]
fn who_tells_of_a_refuted_suspicion_is_told_so() {
    let mut directory = with_neighbours(&[1, 2]);
    hear(&mut directory, at(900), 2, vec![claim(10, 2, Alive), claim(11, 1, Alive)]);
    let refuted = [claim(10, 1, Suspect), claim(11, 1, Suspect)];
    assert_eq!(hear(&mut directory, at(1000), 1, refuted.to_vec()), [rumours(1, vec![claim(10, 2, Alive)])]);
    let compared = Message::Records { records: vec![claim(10, 1, Suspect)], last: true };
    assert_eq!(receive(&mut directory, at(1000), 1, compared), [], "a comparison tells both what the other one has");
    let next = Record { contact: contact(10, 1), version: 1, state: Alive };
    hear(&mut directory, at(1000), 2, vec![next]);
    assert_eq!(hear(&mut directory, at(1000), 1, vec![claim(10, 3, Suspect)]), [], "of a life that is over");
}

/// It missed the refutation that its only neighbour passed on, and declared a member down that answers.
#[test]
fn who_has_one_neighbour_asks_the_suspects_of_others_itself() {
    let asked = |directory: &mut Directory| {
        let out = hear(directory, at(1000), 1, (10..30).map(|member| claim(member, 1, Suspect)).collect());
        (10..30).filter(|member| sent_to(*member, &out) == [Message::Probe(claim(*member, 1, Suspect))]).count()
    };
    assert_eq!(asked(&mut with_neighbours(&[1])), 8, "not all, if there are many");
    assert_eq!(asked(&mut with_neighbours(&[1, 2])), 0);
}

#[test]
fn who_comes_and_goes_without_end_fills_no_memory() {
    let mut directory = with_neighbours(&[1, 2]);
    for version in 0..10_000 {
        let now = at(1000 + u64::from(version));
        hear(&mut directory, now, 2, vec![claim(1, 2 * version + 2, Left)]);
        hear(&mut directory, now, 2, vec![claim(1, 2 * version + 3, Alive)]);
    }
    assert!(directory.departed.len() < 100, "{}", directory.departed.len());
}

/// After a partition every second member was suspected once more, by whoever had dialled it in the last seconds before.
#[test]
fn a_dial_that_began_while_the_member_was_down_says_nothing_about_its_return() {
    let mut directory = with_neighbours(&[1, 2]);
    unreachable(&mut directory, at(1000), 1, Why::Stopped);
    directory.neighbour_down(&name(1));
    let asked_at = (2000..60_000).step_by(100).find(|ms| !sent_to(1, &run(&mut directory, *ms)).is_empty()).unwrap();
    hear(&mut directory, at(asked_at + 100), 2, vec![claim(1, 2, Alive)]);
    assert_eq!(unreachable(&mut directory, at(asked_at + 4000), 1, Why::DialFailed), []);
    assert_eq!(state(&directory, 1), Some(Alive));
    // A later dial does say something.
    unreachable(&mut directory, at(asked_at + 9000), 1, Why::DialFailed);
    assert_eq!(state(&directory, 1), Some(Suspect));
}

#[test]
fn an_older_refutation_does_not_clear_a_suspect() {
    let mut directory = with_neighbours(&[1, 2]);
    unreachable(&mut directory, at(1000), 1, Why::Lost);
    hear(&mut directory, at(1100), 2, vec![claim(1, 1, Alive)]);
    assert_eq!(state(&directory, 1), Some(Suspect));
}

#[test]
fn who_says_that_it_stops_is_down_at_once() {
    let mut directory = with_neighbours(&[1]);
    assert_eq!(unreachable(&mut directory, at(1000), 1, Why::Stopped), [down(1, Down)]);
    assert_eq!(unreachable(&mut directory, at(1000), 1, Why::Stopped), []);
}

#[test]
fn a_link_closed_for_another_reason_says_nothing_about_the_member() {
    let mut directory = with_neighbours(&[1]);
    assert_eq!(unreachable(&mut directory, at(1000), 1, Why::Closed), []);
    assert_eq!(state(&directory, 1), Some(Alive));
}

#[test]
fn neither_strangers_nor_this_node_become_suspects() {
    let mut directory = with_neighbours(&[1]);
    for why in [Why::Closed, Why::DialFailed, Why::Lost, Why::Stopped] {
        assert_eq!(unreachable(&mut directory, at(1000), 9, why), []);
        assert_eq!(unreachable(&mut directory, at(1000), 0, why), []);
    }
    assert_eq!(directory.live(), 2);
}

#[test]
fn a_node_that_slept_gives_suspects_their_time_again() {
    let mut directory = with_neighbours(&[1]);
    unreachable(&mut directory, at(1000), 1, Why::Lost);
    run(&mut directory, 2900);
    // The timer at three seconds fires at thirteen; what the suspect said meanwhile still waits in the inbox.
    let mut out = Vec::new();
    directory.handle_timeout(at(13_000), &mut out);
    assert!(!out.contains(&down(1, Down)));
    assert_eq!(hear(&mut directory, at(13_000), 1, vec![claim(1, 2, Alive)]), []);
    assert_eq!(state(&directory, 1), Some(Alive));
}

#[test]
fn who_had_to_refute_is_slower_to_condemn() {
    let mut directory = with_neighbours(&[1, 2]);
    hear(&mut directory, at(1000), 2, vec![claim(0, 1, Suspect)]);
    unreachable(&mut directory, at(1000), 1, Why::Lost);
    run(&mut directory, 3100);
    assert_eq!(state(&directory, 1), Some(Suspect));
    assert!(run(&mut directory, 5000).contains(&down(1, Down)));
}

#[test]
fn who_is_believed_down_and_asks_is_told_so_and_comes_back() {
    let mut directory = with_neighbours(&[1, 2]);
    unreachable(&mut directory, at(1000), 1, Why::Stopped);
    flush(&mut directory, at(1000), &[]);
    let digest = Message::Digest { fingerprint: directory.fingerprint(), live: 2, stamp: stamp(0) };
    assert_eq!(receive(&mut directory, at(1100), 1, digest), [rumours(1, vec![claim(1, 1, Down)])]);
    assert_eq!(hear(&mut directory, at(1200), 1, vec![claim(1, 2, Alive)]), [up(1)]);
    assert_eq!(flush(&mut directory, at(1200), &[]), [rumours(2, vec![claim(1, 2, Alive)])]);
}

/// Were every message of a suspect answered, and its answer refused, the two would talk for ever.
#[test]
fn two_that_cannot_agree_do_not_talk_for_ever() {
    let mut directory = with_neighbours(&[1]);
    hear(&mut directory, at(1), 1, vec![claim(1, u32::MAX, Suspect)]);
    assert_eq!(hear(&mut directory, at(2), 1, vec![claim(1, u32::MAX, Alive)]), []);
}
