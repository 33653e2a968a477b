// SPDX-License-Identifier: Apache-2.0
//! Peers that say what is not so. Node 1 is played by hand.

use super::*;
use crate::store::{Summary, FANOUT};

/// Node 0 is honest, and waits for the answer to its first question.
fn asked() -> (Net, u32) {
    let mut net = Net::twins(100);
    net.peers[1].is_there = false;
    net.link(0, 1);
    net.run(Duration::from_millis(1));
    let ticket = last_ticket(&net);
    (net, ticket)
}

/// The ticket of the last question that is on its way.
fn last_ticket(net: &Net) -> u32 {
    let mut tickets = net.flying.values().rev().filter_map(|(_, parcel)| {
        let Parcel::Message(0, Message { body: Body::Question { ticket, .. }, .. }) = parcel else { return None };
        Some(*ticket)
    });
    tickets.next().unwrap()
}

fn say(net: &mut Net, body: Body) {
    net.flying.clear();
    net.receive(0, Parcel::Message(1, Message { store: name(), body }));
}

fn answer(net: &mut Net, ticket: u32, answer: Answer) {
    say(net, Body::Answer { ticket, answer });
}

/// Time passes, and nothing arrives.
fn pass(net: &mut Net, span: Duration) {
    net.time = net.time + span;
    let (now, mut out) = (net.now(), Outputs::new());
    let node = &mut net.peers[0];
    node.replication.handle_timeout(now, &mut node.directory, &mut out);
    net.carry_out(0, out);
}

fn forked(seed: u64) -> Content {
    let mut parts = Box::new([seed; FANOUT]);
    parts[0] ^= seed << 7;
    Content::Many { count: 101, parts }
}

fn is_closed(net: &Net) -> bool {
    net.closed.contains(&(0, contact(1).name.clone()))
}

#[test]
fn wrong_fingerprints_lead_to_the_bottom_and_no_further() {
    let (mut net, mut ticket) = asked();
    answer(&mut net, ticket, Answer::Contents(vec![forked(1)]));
    let mut questions = 0;
    // It always claims that everything differs.
    while !is_closed(&net) && net.peers[0].replication.compares(&name()).is_some() {
        let Some((_, (_, Parcel::Message(0, Message { body: Body::Question { question, .. }, .. })))) =
            net.flying.last_key_value()
        else {
            break;
        };
        let question = question.clone();
        ticket = last_ticket(&net);
        let said = match question {
            Question::Describe(ranges) => Answer::Contents(
                ranges.iter().enumerate().map(|(at, _)| forked(questions * 1000 + at as u64 + 2)).collect(),
            ),
            Question::Load(..) => Answer::Chunk { entries: Vec::new(), more: false },
            Question::Compare(_) => Answer::Contents(vec![forked(questions)]),
            Question::Fetch(wanted) => Answer::Entries { about: wanted.len() as u16, entries: Vec::new() },
        };
        questions += 1;
        answer(&mut net, ticket, said);
        pass(&mut net, Duration::from_millis(20));
    }
    assert!(net.time <= Time::ZERO + Duration::from_secs(61), "{:?}", net.time);
    assert!(net.store(0, |store| store.len()) == 100);
}

#[test]
fn an_endless_load_ends() {
    let mut net = Net::twins(0);
    net.peers[1].is_there = false;
    net.link(0, 1);
    net.run(Duration::from_millis(1));
    let ticket = last_ticket(&net);
    answer(&mut net, ticket, Answer::Contents(vec![forked(1)]));
    let begin = net.time;
    let mut number = 0;
    while net.peers[0].replication.compares(&name()).is_some() {
        if net.flying.is_empty() {
            net.run(Duration::from_secs(1));
            continue;
        }
        let ticket = last_ticket(&net);
        let entry = Entry::value(&key(number), b"v", &contact(1).name, net.stamp(1)).unwrap();
        answer(&mut net, ticket, Answer::Chunk { entries: vec![entry], more: true });
        pass(&mut net, Duration::from_millis(100));
        number += 1;
    }
    assert!(net.time - begin <= Duration::from_secs(61), "{:?}", net.time - begin);
}

#[test]
fn answers_that_do_not_fit_their_question_are_attacks() {
    let entry = || Entry::value(b"k", b"v", &contact(1).name, Timestamp::default()).unwrap();
    let answers = [
        Answer::Contents(vec![forked(1), forked(2)]),
        Answer::Contents(Vec::new()),
        Answer::Entries { about: 1, entries: Vec::new() },
        Answer::Chunk { entries: vec![entry()], more: false },
    ];
    for wrong in answers {
        let (mut net, ticket) = asked();
        answer(&mut net, ticket, wrong.clone());
        assert!(is_closed(&net), "{wrong:?}");
        assert_eq!(net.stats(0).violations, 1);
    }
}

#[test]
fn a_load_that_does_not_come_forward_is_an_attack() {
    let mut net = Net::twins(0);
    net.peers[1].is_there = false;
    net.link(0, 1);
    net.run(Duration::from_millis(1));
    let ticket = last_ticket(&net);
    answer(&mut net, ticket, Answer::Contents(vec![forked(1)]));
    let entry = Entry::value(b"k", b"v", &contact(1).name, net.stamp(1)).unwrap();
    for attempt in 0..2 {
        let ticket = last_ticket(&net);
        assert!(!is_closed(&net), "attempt {attempt}");
        answer(&mut net, ticket, Answer::Chunk { entries: vec![entry.clone()], more: true });
    }
    assert!(is_closed(&net));
}

#[test]
fn answers_nobody_asked_for_are_ignored() {
    let (mut net, ticket) = asked();
    let entry = Entry::value(b"k", b"v", &contact(1).name, net.stamp(1)).unwrap();
    answer(&mut net, ticket.wrapping_add(1), Answer::Chunk { entries: vec![entry.clone()], more: true });
    answer(&mut net, ticket, Answer::Equal);
    answer(&mut net, ticket, Answer::Chunk { entries: vec![entry], more: true });
    assert!(!is_closed(&net));
    assert_eq!(net.store(0, |store| store.len()), 100);
    assert_eq!(net.stats(0).finished, 1);
}

#[test]
fn stamps_from_the_far_future_are_refused_and_counted() {
    let (mut net, _) = asked();
    let soon = Timestamp { wall_ms: net.now().wall_ms + DEFAULT_MAX_SKEW_MS - 1, logical: 0 };
    let late = Timestamp { wall_ms: net.now().wall_ms + DEFAULT_MAX_SKEW_MS + 1, logical: 0 };
    let entry = |key: &[u8], stamp| Entry::value(key, b"v", &contact(1).name, stamp).unwrap();
    say(&mut net, Body::Offer(vec![entry(b"soon", soon), entry(b"late", late)]));
    assert_eq!(net.store(0, |store| (store.get(b"soon").is_some(), store.get(b"late").is_some())), (true, false));
    assert_eq!(net.stats(0).refused_stamps, 1);
    // What the host writes now comes after what it has seen, and not after what was refused.
    let written = net.stamp(0);
    assert!(soon < written && written < late);
}

#[test]
fn who_always_says_that_others_are_behind_is_believed_once_a_second() {
    let mut net = Net::twins(100);
    net.link(0, 1);
    net.run(Duration::from_secs(2));
    net.log.clear();
    let begin = net.time;
    for _ in 0..1000 {
        net.receive(0, Parcel::Message(1, Message { store: name(), body: Body::Behind }));
        net.run(Duration::from_millis(5));
    }
    let compares = net.log.iter().filter(|line| *line == "0 Compare").count();
    let seconds = (net.time - begin).as_secs() as usize;
    assert!((1..=seconds + 2).contains(&compares), "{compares} in {seconds} s");
}

#[test]
fn any_question_has_a_bounded_answer() {
    let mut net = Net::twins(20_000);
    let prefix = |at: usize| Prefix::ALL.child((at / 16) as u8).and_then(|part| part.child((at % 16) as u8)).unwrap();
    let fingerprints = net.store(0, |store| store.versions(Prefix::ALL));
    let questions = [
        Question::Compare(Summary::default()),
        Question::Describe((0..128).map(prefix).collect()),
        Question::Describe(vec![Prefix::ALL]),
        Question::Fetch(fingerprints.iter().take(1024).map(|fingerprint| (Prefix::ALL, *fingerprint)).collect()),
        Question::Fetch(vec![(Prefix::ALL, 7); 1024]),
        Question::Load(Prefix::ALL, None),
        Question::Load(Prefix::ALL, Some(store::Cursor::new(b"nowhere"))),
    ];
    for question in questions {
        net.receive(0, Parcel::Message(1, Message { store: name(), body: Body::Question { ticket: 1, question } }));
    }
    assert!(net.largest <= 64 * 1024 + 200, "{}", net.largest);
    assert_eq!(net.messages, 7);
}

#[test]
fn many_liars_fill_no_queue() {
    let mut net = Net::new(2);
    let now = net.now();
    for number in 10..1000 {
        let message = Message { store: name(), body: Body::Behind };
        net.peers[0].replication.on_message(now, &contact(number), message, &mut Outputs::new());
    }
    assert!(net.peers[0].replication.waiting(&name()) <= replica::MAX_DUE);
}

#[test]
fn an_answer_about_many_ranges_does_not_keep_the_host_from_the_store() {
    let (mut net, ticket) = asked();
    answer(&mut net, ticket, Answer::Contents(vec![forked(1)]));
    let ticket = last_ticket(&net);
    let visits = |net: &Net| net.peers[0].books.1.load(Ordering::Relaxed);
    let before = visits(&net);
    let few = |range: u64| Content::Few((0..254).map(|number| 1_000 * (range + 1) + number).collect());
    answer(&mut net, ticket, Answer::Contents((0..16).map(few).collect()));
    assert!(!is_closed(&net));
    assert!(visits(&net) - before >= 16, "{} visits", visits(&net) - before);
}

#[test]
fn a_question_for_what_was_never_told_is_answered_in_part() {
    let mut store = Store::new(store::Config::default());
    for number in 0..10_000 {
        store.load(Entry::value(&key(number), b"value", &contact(7).name, Timestamp::default()).unwrap());
    }
    let wanted = (0..1024).map(|number| (Prefix::ALL, number)).collect();
    let Answer::Entries { about, entries } = answers::answer(&store, &Question::Fetch(wanted)) else { panic!() };
    assert_eq!((about, entries.len()), (4, 0));
    // What is listed takes no time.
    let part = Prefix::ALL.child(0).unwrap().child(0).unwrap().child(0).unwrap();
    let versions = store.versions(part);
    let wanted = versions.iter().cycle().take(1024).map(|version| (part, *version)).collect();
    let Answer::Entries { about, entries } = answers::answer(&store, &Question::Fetch(wanted)) else { panic!() };
    assert_eq!((about, entries.len()), (1024, 1024));
}
