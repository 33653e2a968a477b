// SPDX-License-Identifier: Apache-2.0
//! Beats and probes.

use super::*;
use crate::directory::Beat;

fn beat(member: usize, beat: u32) -> Beat {
    Beat { name: name(member), incarnation: contact(member, 0).incarnation, beat }
}

fn beats(directory: &mut Directory, now: Now, from: usize, beats: Vec<Beat>) -> Outputs {
    receive(directory, now, from, Message::Rumours { records: Vec::new(), beats })
}

#[test]
fn a_beat_travels_once() {
    let mut directory = with_neighbours(&[1, 2]);
    let news = Message::Rumours { records: Vec::new(), beats: vec![beat(1, 1)] };
    assert_eq!(beats(&mut directory, at(200), 1, vec![beat(1, 1)]), []);
    assert_eq!(flush(&mut directory, at(200), &[1, 2]), [send(2, news)]);
    beats(&mut directory, at(300), 2, vec![beat(1, 1)]);
    assert!(!directory.flush_due(at(1000)));
}

#[test]
fn a_beat_of_a_stranger_a_former_life_or_this_node_is_nothing() {
    let mut directory = with_neighbours(&[1]);
    let former = Beat { incarnation: contact(1, 9).incarnation, ..beat(1, 5) };
    assert_eq!(beats(&mut directory, at(200), 1, vec![beat(9, 1), former, beat(0, 9)]), []);
    assert!(!directory.flush_due(at(1000)));
}

#[test]
fn all_members_together_beat_twice_a_second() {
    for (members, seconds) in [(2, 100), (100, 1000), (2000, 6000)] {
        let mut directory = with_neighbours(&[1]);
        // The others are silent here, and that shall not matter.
        directory.config.probe_timeout = Duration::MAX / 8;
        for member in 2..members {
            hear(&mut directory, at(0), 1, vec![claim(member, 1, Alive)]);
        }
        let out = run(&mut directory, seconds * 1000);
        let own = sent_to(1, &out).into_iter().filter(|message| {
            matches!(message, Message::Rumours { beats, .. } if beats.iter().any(|beat| beat.name == name(0)))
        });
        let count = own.count() as f64;
        let expected = seconds as f64 / (members as f64 / 2.0).max(2.0);
        assert!((0.7..=1.1).contains(&(count / expected)), "{members} members: {count} instead of {expected}");
    }
}

#[test]
fn a_member_that_never_beats_is_asked_and_then_suspected() {
    let mut directory = with_neighbours(&[1]);
    hear(&mut directory, at(0), 1, vec![claim(2, 1, Alive)]);
    directory.config.probe_period = seconds(1_000_000);
    directory.timers.set(1, Time(u64::MAX));
    let mut asked = None;
    for ms in (0..30_000).step_by(100) {
        // The neighbour speaks; the other one does not.
        let digest = Message::Digest { fingerprint: directory.fingerprint(), live: 2, stamp: stamp(0) };
        receive(&mut directory, at(ms), 1, digest);
        let out = run(&mut directory, ms);
        if asked.is_none() && sent_to(2, &out) == [Message::Probe(claim(2, 1, Alive))] {
            asked = Some(ms);
        }
    }
    // Three beats of two seconds are missing, and its turn comes every two seconds.
    assert!(asked.is_some_and(|ms| (6_000..10_000).contains(&ms)), "{asked:?}");
    assert_eq!((directory.stats().suspected, state(&directory, 1), state(&directory, 2)), (1, Some(Alive), Some(Down)));
}

#[test]
fn a_member_without_beats_that_answers_is_in_another_overlay() {
    let mut directory = with_neighbours(&[1]);
    hear(&mut directory, at(0), 1, vec![claim(2, 1, Alive)]);
    directory.timers.set(1, Time(u64::MAX));
    let out = run(&mut directory, 10_000);
    assert_eq!(sent_to(2, &out), [Message::Probe(claim(2, 1, Alive))]);
    hear(&mut directory, at(10_000), 2, vec![claim(2, 1, Alive)]);
    assert_eq!(directory.take_bridge(), Some(contact(2, 0)));
    assert_eq!(directory.take_bridge(), None);
}

#[test]
fn one_member_that_is_no_neighbour_is_asked_in_every_period() {
    let mut directory = with_neighbours(&[1]);
    for member in 2..10 {
        hear(&mut directory, at(0), 1, vec![claim(member, 1, Alive)]);
    }
    directory.timers.set(1, at(5_000).mono);
    let out = run(&mut directory, 10_000);
    let asked: Vec<_> = (0..10)
        .filter(|member| sent_to(*member, &out).iter().any(|message| matches!(message, Message::Probe(_))))
        .collect();
    assert!(asked.len() == 1 && asked[0] > 1, "{asked:?}");
}

#[test]
fn a_sample_that_finds_the_dead_widens_the_search_up_to_a_bound() {
    let mut directory = with_neighbours(&[1]);
    for member in 2..200 {
        hear(&mut directory, at(0), 1, vec![claim(member, 1, Alive)]);
    }
    let asked = |out: &Outputs| -> Vec<usize> {
        let alive = |message: &Message| matches!(message, Message::Probe(record) if record.state == Alive);
        (2..200).filter(|member| sent_to(*member, out).iter().any(alive)).collect()
    };
    let mut out = Outputs::new();
    directory.probe_round(at(0), &mut out);
    let mut pending = asked(&out);
    assert_eq!(pending.len(), 1);
    let mut most = 0;
    for _ in 0..30 {
        let out = unreachable(&mut directory, at(5000), pending.remove(0), Why::DialFailed);
        pending.extend(asked(&out));
        most = most.max(pending.len());
    }
    assert!((8..=9).contains(&most), "{most}");
    // Who answers ends it.
    assert_eq!(asked(&hear(&mut directory, at(5000), pending[0], Vec::new())), Vec::<usize>::new());
}

#[test]
fn a_member_that_is_down_is_tried_and_bridged_when_it_answers() {
    let mut directory = with_neighbours(&[1]);
    unreachable(&mut directory, at(0), 1, Why::Stopped);
    directory.neighbour_down(&name(1));
    directory.timers.set(1, at(5_000).mono);
    let out = run(&mut directory, 10_000);
    assert_eq!(sent_to(1, &out), [Message::Probe(claim(1, 1, Down))]);
    assert_eq!(hear(&mut directory, at(10_000), 1, vec![claim(1, 2, Alive)]), [up(1)]);
    assert_eq!(directory.take_bridge(), Some(contact(1, 0)));
}

#[test]
fn one_member_that_is_down_is_not_tried_by_everybody() {
    let mut tries = 0;
    for seed in 0..200 {
        let mut directory = with_neighbours(&[1]);
        directory.random = barrel_p2p_base::Random::new(seed);
        for member in 2..200 {
            hear(&mut directory, at(0), 1, vec![claim(member, 1, Alive)]);
        }
        unreachable(&mut directory, at(0), 1, Why::Stopped);
        directory.neighbour_down(&name(1));
        let mut out = Outputs::new();
        directory.probe_round(at(0), &mut out);
        tries += sent_to(1, &out).len();
    }
    assert!((1..10).contains(&tries), "{tries} tries of 200 nodes");
}

#[test]
fn a_probe_is_answered_with_the_own_record() {
    let mut directory = with_neighbours(&[1]);
    let probe = Message::Probe(claim(0, 1, Alive));
    assert_eq!(receive(&mut directory, at(1), 5, probe), [up(5), rumours(5, vec![claim(0, 1, Alive)])]);
    let probe = Message::Probe(claim(0, 1, Down));
    assert_eq!(receive(&mut directory, at(1), 5, probe), [rumours(5, vec![claim(0, 2, Alive)])]);
}
