// SPDX-License-Identifier: Apache-2.0
//! Symptoms that were seen in other implementations, each with the test that would have caught it.

use super::*;

#[test]
fn promoting_a_passive_peer_keeps_all_views_and_tells_it() {
    let mut node = Node::with(&["a", "b"]);
    node.state.offer(node.now, &[contact("c")], &mut node.out);
    assert_eq!(std::mem::take(&mut node.out), [send("c", Message::Neighbour(Priority::High))]);
    assert_eq!(node.hears("c", Message::Accept), accepted("c", 3));
    assert_eq!(node.active(), ["a", "b", "c"]);
}

#[test]
fn a_second_join_of_a_neighbour_evicts_nobody() {
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    node.hears("a", Message::KeepAlive { neighbours: 5 });
    assert_eq!(node.hears("b", Message::Join), [send("b", Message::Accept)]);
    assert_eq!(node.active(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_join_to_a_full_view_of_one_is_answered() {
    let mut node = Node::new(Config { active_size: 1, ..Config::default() });
    node.hears("a", Message::Join);
    node.hears("a", Message::KeepAlive { neighbours: 1 });
    let out = node.hears("b", Message::Join);
    assert_eq!(sends_to(&out, "b"), [Message::Reject(vec![contact("a")])]);
    assert_eq!(node.active(), ["a"]);
}

#[test]
fn who_accepts_a_request_and_who_is_accepted_both_tell_it() {
    let mut node = Node::new(Config::default());
    let mut expected = vec![send("a", Message::Accept)];
    expected.extend(up("a"));
    expected.push(joined());
    assert_eq!(node.hears("a", Message::Neighbour(Priority::Low)), expected);

    node.state.join(node.now, contact("b"), &mut node.out);
    assert_eq!(std::mem::take(&mut node.out), [send("b", Message::Join)]);
    assert_eq!(node.hears("b", Message::Accept), accepted("b", 2));
}

#[test]
fn a_view_that_a_lost_message_left_one_sided_is_ended() {
    let mut node = Node::with(&["a"]);
    // The stranger takes this node for a neighbour; its request or our refusal was lost.
    let keep_alive = Message::KeepAlive { neighbours: 3 };
    assert_eq!(node.hears("b", keep_alive.clone()), [send("b", Message::Disconnect(Goodbye::Full))]);
    assert_eq!(node.hears("a", keep_alive.clone()), [send("a", Message::KeepAlive { neighbours: 1 })]);
    assert_eq!(node.hears("a", keep_alive), [], "or the two would never stop");
    assert_eq!(node.hears("b", Message::Accept), [send("b", Message::Disconnect(Goodbye::Full))]);
}

#[test]
fn a_peer_that_was_demoted_is_still_passive_after_minutes() {
    let mut node = Node::with(&["a", "b"]);
    node.runs_until(s(1000));
    node.hears("a", Message::Disconnect(Goodbye::Full));
    assert_eq!((node.active(), node.passive()), (vec!["b"], vec!["a"]));
    // It says no when asked, so that it stays passive.
    while node.now < s(1290) {
        let next = node.now + Duration::from_secs(1);
        let asked = !sends_to(&node.runs_until(next), "a").is_empty();
        if asked {
            node.hears("a", Message::Reject(Vec::new()));
        }
    }
    assert_eq!(node.passive(), ["a"]);
    node.runs_until(s(1330));
    assert_eq!(node.passive(), Vec::<&str>::new());
}

#[test]
fn the_deadline_of_a_request_does_not_end_a_later_one() {
    let mut node = Node::new(Config::default());
    node.state.join(node.now, contact("a"), &mut node.out);
    node.runs_until(s(3));
    node.state.join(node.now, contact("a"), &mut node.out);
    node.runs_until(s(6));
    assert_eq!(node.state.stats().pending_timeouts, 0, "five seconds after the first request, three after the second");
    node.out.clear();
    assert_eq!(node.hears("a", Message::Accept), accepted("a", 1));
}

#[test]
fn a_request_that_nobody_answers_does_not_block_the_next_one() {
    let mut node = Node::new(Config::default());
    node.state.join(node.now, contact("a"), &mut node.out);
    let out = node.runs_until(s(10));
    assert_eq!(sends_to(&out, "a")[..2], [Message::Join, Message::Neighbour(Priority::High)]);
    assert_eq!(node.state.stats().pending_timeouts, 1);
}
