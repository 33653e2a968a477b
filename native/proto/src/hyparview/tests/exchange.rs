// SPDX-License-Identifier: Apache-2.0
//! Long links exchanged for shorter ones: the four nodes, one after the other.

use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Neighbours whose links are 20, 40, 60, 80 and 100 ms long, and who have others.
fn far() -> Node {
    with_links([20, 40, 60, 80, 100])
}

fn with_links(lengths: [u64; 5]) -> Node {
    let names = ["a", "b", "c", "d", "e"];
    let mut node = Node::with(&names);
    for (length, name) in lengths.into_iter().zip(names) {
        node.now = Time::ZERO + ms(length);
        node.hears(name, Message::KeepAlive { neighbours: 5 });
    }
    node
}

/// A stranger that answers after so long, and would give up such a link.
fn measures(node: &mut Node, length: Duration, longest: Duration) -> Outputs {
    assert_eq!(node.hears("x", Message::ShuffleReply(Vec::new())), [send("x", Message::Measure)]);
    node.now = node.now + length;
    node.hears("x", Message::Measured { longest_us: longest.as_micros() as u32 })
}

fn exchange(old: &str) -> Message {
    Message::Exchange { old: contact(old) }
}

#[test]
fn the_longest_link_is_exchanged_for_a_shorter_one() {
    let mut node = far();
    assert_eq!(measures(&mut node, ms(50), ms(70)), [send("x", exchange("e"))]);
    let mut expected = down("e", DownReason::Dropped).to_vec();
    expected.push(send("e", Message::Disconnect(Goodbye::Exchanged)));
    expected.extend(accepted("x", 5));
    assert_eq!(node.hears("x", Message::Accept), expected);
    assert_eq!((node.active(), node.passive()), (vec!["a", "b", "c", "d", "x"], vec!["e"]));
}

#[test]
fn the_only_link_that_leads_far_stays() {
    let mut node = with_links([20, 30, 40, 49, 100]);
    assert_eq!(measures(&mut node, ms(20), ms(70)), [send("x", exchange("d"))]);
}

#[test]
fn where_strangers_are_farther_than_anybody_the_longest_link_stays() {
    let mut node = far();
    assert_eq!(measures(&mut node, ms(201), ms(300)), []);
    assert_eq!(measures(&mut node, ms(50), ms(70)), [send("x", exchange("d"))]);
    // A place that has gone is far no more.
    let mut node = far();
    assert_eq!(measures(&mut node, ms(201), ms(300)), []);
    for _ in 0..3 {
        assert_eq!(measures(&mut node, ms(50), ms(0)), []);
    }
    assert_eq!(measures(&mut node, ms(50), ms(70)), [send("x", exchange("e"))]);
}

#[test]
fn who_is_the_only_one_far_from_a_neighbour_is_not_given_up_by_it() {
    let told = |node: &mut Node, who: &str| node.hears(who, Message::KeepAlive { neighbours: 5 });
    let keep_alive = |who, neighbours| send(who, Message::KeepAlive { neighbours });
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    for (length, name) in [(20, "a"), (30, "b"), (40, "c"), (100, "e")] {
        node.now = Time::ZERO + ms(length);
        assert_eq!(told(&mut node, name), [keep_alive(name, 5)], "not all links are measured");
    }
    assert_eq!(told(&mut node, "d"), [keep_alive("d", 5)], "two are far");
    node.hears("d", Message::Disconnect(Goodbye::Leaving));
    let mut told = node.runs_until(node.now + Duration::from_secs(30));
    told.retain(|output| {
        ["a", "b", "c", "e"].iter().any(|name| *output == keep_alive(name, 4) || *output == keep_alive(name, 1))
    });
    assert_eq!(told[..4], [keep_alive("a", 4), keep_alive("b", 4), keep_alive("c", 4), keep_alive("e", 1)]);
    // The other end.
    let mut node = far();
    node.hears("e", Message::KeepAlive { neighbours: 1 });
    assert_eq!(measures(&mut node, ms(50), ms(70)), [send("x", exchange("d"))]);
}

#[test]
fn a_link_that_is_hardly_shorter_for_one_of_both_stays() {
    for (length, longest) in [(90, 200), (50, 55), (50, 0)] {
        assert_eq!(measures(&mut far(), ms(length), ms(longest)), []);
    }
}

#[test]
fn a_candidate_that_says_no_changes_nothing() {
    let mut node = far();
    measures(&mut node, ms(50), ms(70));
    assert_eq!(node.hears("x", Message::Reject(Vec::new())), []);
    assert_eq!(node.active(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn links_within_one_place_are_not_even_measured() {
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    for name in ["a", "b", "c", "d", "e"] {
        node.hears(name, Message::KeepAlive { neighbours: 5 });
    }
    assert_eq!(node.hears("x", Message::ShuffleReply(Vec::new())), []);
    assert_eq!(node.hears("x", Message::Measure), [send("x", Message::Measured { longest_us: 0 })]);
}

#[test]
fn an_answer_that_nobody_asked_for_is_ignored() {
    assert_eq!(far().hears("x", Message::Measured { longest_us: u32::MAX }), []);
}

#[test]
fn a_candidate_gives_up_a_neighbour_that_asks_the_other_one() {
    let mut node = far();
    assert_eq!(node.hears("x", Message::Measure), [send("x", Message::Measured { longest_us: 100_000 })]);
    let mut expected = down("e", DownReason::Dropped).to_vec();
    expected.extend([send("e", Message::Disconnect(Goodbye::Replaced(contact("o")))), send("x", Message::Accept)]);
    expected.extend(up("x"));
    assert_eq!(node.hears("x", exchange("o")), expected);
}

#[test]
fn a_candidate_with_a_place_gives_nobody_up() {
    let mut node = Node::with(&["a", "b", "c", "d"]);
    let mut expected = vec![send("x", Message::Accept)];
    expected.extend(up("x"));
    assert_eq!(node.hears("x", exchange("o")), expected);
}

#[test]
fn nobody_is_given_up_by_both() {
    assert_eq!(far().hears("x", exchange("e")), [send("x", Message::Reject(Vec::new()))]);
}

#[test]
fn a_neighbour_is_no_candidate() {
    assert_eq!(far().hears("a", exchange("o")), [send("a", Message::Reject(Vec::new()))]);
    assert_eq!(far().hears("x", exchange("me")), [send("x", Message::Reject(Vec::new()))]);
}

#[test]
fn who_was_given_up_waits_for_the_other_one() {
    let mut node = far();
    // Whom it would ask else.
    node.hears("x", Message::ShuffleReply(vec![contact("p")]));
    assert_eq!(node.hears("d", Message::Disconnect(Goodbye::Exchanged)), down("d", DownReason::Graceful));
    let mut expected = vec![send("y", Message::Accept)];
    expected.extend(up("y"));
    assert_eq!(node.hears("y", Message::Neighbour(Priority::Low)), expected);
    assert_eq!(node.active(), ["a", "b", "c", "e", "y"]);
}
