// SPDX-License-Identifier: Apache-2.0
//! Two directories that differ become equal.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::directory::table::Entry;
use crate::directory::BUCKETS;

#[test]
fn equal_neighbours_exchange_nothing_but_digests() {
    let mut directory = with_neighbours(&[1]);
    for _ in 0..5 {
        let digest = Message::Digest { fingerprint: directory.fingerprint(), live: 2, stamp: stamp(0) };
        assert_eq!(receive(&mut directory, at(1), 1, digest), []);
    }
}

#[test]
fn a_difference_counts_once_it_lasts() {
    let mut directory = with_neighbours(&[1]);
    let fingerprint = directory.fingerprint();
    let digest = |fingerprint| Message::Digest { fingerprint, live: 2, stamp: stamp(0) };
    assert_eq!(receive(&mut directory, at(1), 1, digest(fingerprint)), []);
    assert_eq!(receive(&mut directory, at(2), 1, digest(7)), []);
    let summary = Message::Summary(directory.table.fingerprint().summary());
    assert_eq!(receive(&mut directory, at(3), 1, digest(7)), [send(1, summary.clone())]);
    // One exchange at a time, until it is given up.
    assert_eq!(receive(&mut directory, at(4), 1, digest(7)), []);
    assert_eq!(receive(&mut directory, at(5003), 1, digest(7)), [send(1, summary)]);
}

#[test]
fn a_new_neighbour_that_differs_is_asked_at_once() {
    let mut directory = with_neighbours(&[1]);
    let out = receive(&mut directory, at(1), 1, Message::Digest { fingerprint: 7, live: 2, stamp: stamp(0) });
    assert_eq!(out, [send(1, Message::Summary(directory.table.fingerprint().summary()))]);
}

/// In a storm of joins no two directories are ever equal, and comparing them would cost more than the joins.
#[test]
fn while_news_comes_in_a_difference_is_left_to_it_for_a_while() {
    let mut directory = with_neighbours(&[1]);
    let mut asked = Vec::new();
    for round in 0..20 {
        let news = [0, 1, 2].map(|member| claim(10 + 3 * round + member, 1, Alive));
        hear(&mut directory, at(0), 1, news.to_vec());
        let digest = Message::Digest { fingerprint: 7, live: 2, stamp: stamp(0) };
        if !receive(&mut directory, at(0), 1, digest).is_empty() {
            asked.push(round);
            receive(&mut directory, at(0), 1, Message::Records { records: Vec::new(), last: true });
        }
    }
    assert_eq!(asked, [7, 16]);
}

#[test]
fn who_knows_far_less_than_a_neighbour_asks_whatever_comes_in() {
    let mut directory = with_neighbours(&[1]);
    hear(&mut directory, at(0), 1, (2..40).map(|member| claim(member, 1, Alive)).collect());
    let digest = |live| Message::Digest { fingerprint: 7, live, stamp: stamp(0) };
    assert_eq!(receive(&mut directory, at(0), 1, digest(50)), []);
    hear(&mut directory, at(0), 1, vec![claim(98, 1, Alive), claim(99, 1, Alive)]);
    let summary = Message::Summary(directory.table.fingerprint().summary());
    assert_eq!(receive(&mut directory, at(0), 1, digest(54)), [send(1, summary)]);
}

#[test]
fn a_neighbour_that_was_held_to_be_gone_is_asked_whatever_comes_in() {
    let mut directory = with_neighbours(&[1, 2]);
    unreachable(&mut directory, at(1000), 1, Why::Stopped);
    directory.neighbour_down(&name(1));
    directory.neighbour_up(at(2000), &contact(1, 0), &mut Vec::new());
    hear(&mut directory, at(2000), 2, (3..40).map(|member| claim(member, 1, Alive)).collect());
    let summary = Message::Summary(directory.table.fingerprint().summary());
    let digest = Message::Digest { fingerprint: 7, live: 2, stamp: stamp(0) };
    assert!(sent_to(1, &receive(&mut directory, at(2000), 1, digest)).contains(&summary));
}

#[test]
fn who_is_about_to_get_everything_takes_it_from_one() {
    let mut directory = with_neighbours(&[1, 2]);
    let digest = Message::Digest { fingerprint: 7, live: 2, stamp: stamp(0) };
    assert_eq!(receive(&mut directory, at(1), 2, digest).len(), 1);
    let summary = Message::Summary(Box::new([1; BUCKETS]));
    let nothing = Message::Records { records: Vec::new(), last: true };
    assert_eq!(receive(&mut directory, at(2), 1, summary.clone()), [send(1, nothing)]);
    assert!(receive(&mut directory, at(5001), 1, summary).len() > 1, "the exchange was given up");
}

#[test]
fn a_digest_of_somebody_else_is_only_a_sign_of_life() {
    let mut directory = with_neighbours(&[1]);
    for _ in 0..3 {
        assert!(sent_to(
            9,
            &receive(&mut directory, at(1), 9, Message::Digest { fingerprint: 7, live: 2, stamp: stamp(0) })
        )
        .is_empty());
    }
}

#[test]
fn stamps_move_the_clock_unless_they_are_from_the_far_future() {
    let mut directory = with_neighbours(&[1]);
    let digest = |ms| Message::Digest { fingerprint: 7, live: 2, stamp: stamp(ms) };
    receive(&mut directory, at(0), 1, digest(50_000));
    assert!(directory.clock.now(WALL_MS) > stamp(50_000));
    receive(&mut directory, at(0), 1, digest(60_001));
    assert!(directory.clock.now(WALL_MS) < stamp(60_000));
    assert_eq!(directory.stats().refused_stamps, 1);
}

#[test]
fn nobody_gets_records_by_asking_alone() {
    let mut directory = with_neighbours(&[1]);
    let everything = differing_everywhere();
    assert_eq!(receive(&mut directory, at(1), 1, Message::Want(everything)), []);
    assert_eq!(directory.stats().refused_requests, 1);
}

#[test]
fn a_flood_of_summaries_is_served_up_to_a_bound() {
    let mut directory = with_neighbours(&[1]);
    for member in 2..1000 {
        hear(&mut directory, at(0), 1, vec![claim(member, 1, Alive)]);
    }
    let mut served = 0;
    for _ in 0..1000 {
        let out = receive(&mut directory, at(1), 1, Message::Summary(Box::new([1; BUCKETS])));
        for message in sent_to(1, &out) {
            if let Message::Records { records, .. } = message {
                served += records.len();
            }
        }
    }
    assert!((20_000..21_000).contains(&served), "{served}");
    assert_eq!(directory.stats().refused_requests, 980);
}

#[test]
fn both_may_begin_at_once() {
    let (mut a, mut b) = (node(0), node(1));
    fill(&mut a, &[(10, 1, Alive)]);
    fill(&mut b, &[(11, 1, Alive)]);
    let summaries = compare(&mut a, &mut b);
    assert_eq!(summaries, 2);
    assert_eq!(a.fingerprint(), b.fingerprint());
}

#[test]
fn a_joiner_gets_everybody_and_tells_nobody() {
    let (mut a, mut b) = (node(0), node(1));
    let all: Vec<_> = (10..1010).map(|member| (member, 1, Alive)).collect();
    fill(&mut a, &all);
    compare(&mut a, &mut b);
    assert_eq!((a.live(), b.live()), (1002, 1002));
    // The neighbours of the joiner know them. As many strangers as it knew members itself may pass: the two of them.
    b.neighbour_up(at(9000), &contact(5, 0), &mut Vec::new());
    let news: usize = sent_to(5, &flush(&mut b, at(9000), &[5])).iter().map(records_in).sum();
    assert!(news <= 3, "{news}");
}

#[test]
fn two_clusters_that_meet_tell_their_members_about_each_other() {
    let (mut a, mut b) = (node(0), node(1));
    fill(&mut a, &(10..110).map(|member| (member, 1, Alive)).collect::<Vec<_>>());
    fill(&mut b, &(210..310).map(|member| (member, 1, Alive)).collect::<Vec<_>>());
    b.flush(at(0), |_| true, &mut Vec::new());
    compare(&mut a, &mut b);
    b.neighbour_up(at(9000), &contact(5, 0), &mut Vec::new());
    let news: usize = sent_to(5, &flush(&mut b, at(9000), &[5])).iter().map(records_in).sum();
    assert!(news >= 100, "{news}");
}

#[test]
fn one_difference_among_thousands_costs_a_few_records() {
    let (mut a, mut b) = (node(0), node(1));
    let all: Vec<_> = (10..5010).map(|member| (member, 1, Alive)).collect();
    fill(&mut a, &all);
    fill(&mut b, &all);
    compare(&mut a, &mut b);
    fill(&mut b, &[(17, 3, Alive)]);
    let (mut records, mut messages) = (0, 0);
    exchange(&mut a, &mut b, |message| {
        records += records_in(message);
        messages += 1;
    });
    assert_eq!(a.fingerprint(), b.fingerprint());
    assert!(records < 100, "{records} records in {messages} messages");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_two_have_heard_they_agree_after_an_exchange(
        ours in prop::collection::vec(any_fact(), 0..60), theirs in prop::collection::vec(any_fact(), 0..60)
    ) {
        let (mut a, mut b) = (node(0), node(1));
        fill(&mut a, &ours);
        fill(&mut b, &theirs);
        compare(&mut a, &mut b);
        // Suspicions end, and what differs by that is compared again.
        let mut out = Vec::new();
        a.expire_suspects(at(10_000), &mut out);
        b.expire_suspects(at(10_000), &mut out);
        compare(&mut a, &mut b);
        a.expire_suspects(at(20_000), &mut out);
        b.expire_suspects(at(20_000), &mut out);
        let live = |directory: &Directory| -> Vec<_> {
            let live = directory.table.iter().map(Entry::record).filter(|record| record.state == Alive && record.version > 0);
            live.collect()
        };
        prop_assert_eq!(live(&a), live(&b));
        prop_assert_eq!(a.fingerprint(), b.fingerprint());
    }
}

fn any_fact() -> impl Strategy<Value = (usize, u32, MemberState)> {
    (10..40_usize, 1..4_u32, prop::sample::select([Alive, Alive, Suspect, Down, Left].as_slice()))
}

fn node(member: usize) -> Directory {
    let clock = Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS));
    Directory::new(Config::default(), contact(member, 0), clock, member as u64, at(0))
}

/// Makes it believe these facts: down for real, not as hearsay.
fn fill(directory: &mut Directory, facts: &[(usize, u32, MemberState)]) {
    for (member, version, state) in facts {
        let source = contact(99, 0);
        let source = crate::directory::learn::Source::Rumour(&source);
        let first = if *state == Down { Suspect } else { *state };
        directory.learn(at(0), claim(*member, *version, first), source, &mut Vec::new());
        if *state == Down {
            directory.expire_suspects(at(10_000), &mut Vec::new());
        }
    }
}

/// Makes the two new neighbours and carries what they say to each other. Returns how many summaries there were.
fn compare(a: &mut Directory, b: &mut Directory) -> usize {
    let mut summaries = 0;
    exchange(a, b, |message| summaries += usize::from(matches!(message, Message::Summary(_))));
    summaries
}

fn exchange(a: &mut Directory, b: &mut Directory, mut see: impl FnMut(&Message)) {
    rest(a);
    rest(b);
    let contacts = [a.own.contact.clone(), b.own.contact.clone()];
    let mut flying = VecDeque::new();
    let mut out = Vec::new();
    a.neighbour_up(at(0), &contacts[1], &mut out);
    flying.extend(out.drain(..).map(|output| (1, output)));
    b.neighbour_up(at(0), &contacts[0], &mut out);
    flying.extend(out.drain(..).map(|output| (0, output)));
    while let Some((to, output)) = flying.pop_front() {
        let Output::Send { message: message::Message::Directory(message), .. } = output else { continue };
        see(&message);
        let receiver = if to == 0 { &mut *a } else { &mut *b };
        receiver.on_message(at(0), &contacts[1 - to], message, &mut out);
        flying.extend(out.drain(..).map(|output| (1 - to, output)));
    }
}

fn differing_everywhere() -> crate::directory::Buckets {
    crate::directory::Buckets::differing(&[0; BUCKETS], &[1; BUCKETS])
}
