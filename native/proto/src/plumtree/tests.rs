// SPDX-License-Identifier: Apache-2.0
//! One node whose neighbours are played by the tests; whole outputs are compared.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::limits::MAX_BROADCAST_BYTES;
use barrel_p2p_base::{Incarnation, NodeName, PublicKey, Time};
use bytes::Bytes;

use super::*;
use crate::contact::Contact;
use crate::machine::{Event, Output, Outputs};
use crate::message::{self, MessageId};

struct Node {
    state: State,
    now: Time,
    out: Outputs,
}

impl Node {
    /// A node whose links to these are eager, and to those lazy.
    fn with(eager: &[&str], lazy: &[&str]) -> Self {
        let mut node = Self { state: State::new(Config::default()), now: ms(0), out: Vec::new() };
        for name in eager.iter().chain(lazy) {
            node.state.up(node.now, &contact(name), &mut node.out);
        }
        for name in lazy {
            node.hears(name, Message::Prune);
        }
        assert_eq!(node.out, []);
        node.now = ms(1000);
        node
    }

    fn hears(&mut self, from: &str, message: Message) -> Outputs {
        self.state.on_message(self.now, &contact(from), message, &mut self.out);
        std::mem::take(&mut self.out)
    }

    fn runs_until(&mut self, until: Time) -> Outputs {
        while let Some(at) = self.state.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.state.handle_timeout(self.now, &mut self.out);
        }
        self.now = until;
        std::mem::take(&mut self.out)
    }

    fn links(&self) -> (Vec<&str>, Vec<&str>) {
        (
            self.state.eager().map(|contact| contact.name.name()).collect(),
            self.state.lazy().map(|contact| contact.name.name()).collect(),
        )
    }
}

fn contact(name: &str) -> Arc<Contact> {
    let name = NodeName::parse(format!("{name}@host").as_bytes()).unwrap();
    let incarnation = Incarnation { started_ms: 1, random: 0 };
    Arc::new(Contact { name, incarnation, addresses: Box::new([]), key: PublicKey([0; 32]) })
}

fn id(number: u8) -> MessageId {
    MessageId([number; 16])
}

fn gossip(number: u8, hops: u16) -> Message {
    Message::Gossip { id: id(number), hops, payload: Bytes::from_static(b"payload") }
}

fn ihave(number: u8, hops: u16) -> Message {
    Message::IHave { pushed: false, announcements: Arc::from([Announcement { id: id(number), hops }]) }
}

/// The payload follows by itself.
fn ihave_and_send(number: u8, hops: u16) -> Message {
    Message::IHave { pushed: true, announcements: Arc::from([Announcement { id: id(number), hops }]) }
}

fn delivered(number: u8, hops: u16) -> Output {
    Output::Event(Event::Delivered { id: id(number), hops, payload: Bytes::from_static(b"payload") })
}

fn send(to: &str, message: Message) -> Output {
    Output::Send { to: contact(to), message: message::Message::Plumtree(message) }
}

fn ms(milliseconds: u64) -> Time {
    Time(milliseconds * 1000)
}

#[test]
fn a_payload_goes_on_along_eager_links_and_is_announced_on_lazy_ones() {
    let mut node = Node::with(&["a", "b"], &["c"]);
    assert_eq!(node.hears("a", gossip(1, 3)), [delivered(1, 3), send("b", gossip(1, 4)), send("c", ihave(1, 4))]);
    assert_eq!(node.state.next_timeout(), None);
}

#[test]
fn an_own_broadcast_goes_to_all_and_is_not_repeated() {
    let mut node = Node::with(&["a"], &["b"]);
    let payload = Bytes::from_static(b"payload");
    node.state.broadcast(node.now, id(1), payload.clone(), &mut node.out);
    assert_eq!(std::mem::take(&mut node.out), [send("a", gossip(1, 1)), send("b", ihave(1, 1))]);
    node.state.broadcast(node.now, id(1), payload, &mut node.out);
    node.state.broadcast(node.now, id(2), vec![0; MAX_BROADCAST_BYTES + 1].into(), &mut node.out);
    assert_eq!(node.out, []);
}

#[test]
fn a_payload_that_comes_twice_makes_both_ends_of_the_link_lazy() {
    let mut node = Node::with(&["a", "b"], &[]);
    node.hears("a", gossip(1, 1));
    assert_eq!(node.hears("b", gossip(1, 1)), [send("b", Message::Prune)]);
    assert_eq!(node.links(), (vec!["a"], vec!["b"]), "the end that saw it");
    let mut other = Node::with(&["a", "b"], &[]);
    assert_eq!(other.hears("b", Message::Prune), []);
    assert_eq!(other.links(), (vec!["a"], vec!["b"]), "the end that was told");
}

#[test]
fn a_payload_whose_announcer_died_is_asked_of_the_others_in_turn() {
    let mut node = Node::with(&["a"], &["b", "c", "d"]);
    for announcer in ["b", "c", "d"] {
        node.hears(announcer, ihave(1, 2));
    }
    let asked: Vec<_> = node.runs_until(ms(1700)).into_iter().collect();
    let graft = || Message::Graft(Some(id(1)));
    assert_eq!(asked, [send("b", graft()), send("c", graft()), send("d", graft())]);
    assert_eq!(node.hears("d", gossip(1, 3))[0], delivered(1, 3));
    assert_eq!(node.runs_until(ms(9000)), []);
}

#[test]
fn a_payload_that_never_comes_is_given_up() {
    let mut node = Node::with(&["a"], &["b"]);
    node.hears("b", ihave(1, 2));
    assert_eq!(node.runs_until(ms(60_000)), vec![send("b", Message::Graft(Some(id(1)))); 8]);
    assert_eq!((node.state.next_timeout(), node.state.remembered()), (None, (0, 0, 0)));
}

#[test]
fn an_announcement_runs_ahead_of_its_payload() {
    let mut node = Node::with(&["a", "b"], &["c", "d"]);
    let expected = [send("a", ihave_and_send(1, 3)), send("b", ihave_and_send(1, 3)), send("d", ihave(1, 3))];
    assert_eq!(node.hears("c", ihave(1, 2)), expected);
    assert_eq!(node.hears("d", ihave(1, 4)), [], "only the first one");
    assert_eq!(node.runs_until(ms(1020)), [send("c", Message::Graft(Some(id(1))))]);
    // Everybody has heard of it: only those who rely on this node get more.
    assert_eq!(node.hears("c", gossip(1, 2)), [delivered(1, 2), send("a", gossip(1, 3)), send("b", gossip(1, 3))]);
}

#[test]
fn an_eager_link_that_is_as_near_is_not_changed() {
    let mut node = Node::with(&["a"], &["b"]);
    node.hears("b", ihave(1, 2));
    assert_eq!(node.hears("a", ihave_and_send(1, 2)), []);
    assert_eq!(node.runs_until(ms(1200)), [], "its payload is on the way");
    assert_eq!(node.hears("a", gossip(1, 2)), [delivered(1, 2)]);
}

#[test]
fn an_eager_link_that_comes_too_late_is_given_up() {
    let mut node = Node::with(&["a", "b"], &["c"]);
    node.hears("c", ihave(1, 2));
    node.runs_until(ms(1050));
    assert_eq!(node.hears("a", ihave_and_send(1, 2)), [send("a", Message::Prune)], "it would bring a second one");
    assert_eq!(node.hears("b", ihave_and_send(1, 3)), [send("b", Message::Prune)], "it is as far from the sender");
    assert_eq!(node.links(), (vec!["c"], vec!["a", "b"]));
}

/// Else both come every time: the source is given up, asked again by its next announcement, and late for that again.
#[test]
fn a_source_that_was_overtaken_is_kept_and_the_other_link_given_up() {
    let mut node = Node::with(&["a", "b"], &["c"]);
    node.hears("c", ihave(1, 2));
    assert_eq!(node.runs_until(ms(1050)), [send("c", Message::Graft(Some(id(1))))]);
    assert_eq!(node.hears("a", ihave_and_send(1, 5)), [], "further down: it may need this node");
    assert_eq!(node.hears("a", gossip(1, 5))[0], delivered(1, 5));
    assert_eq!(node.hears("c", gossip(1, 2)), [send("a", Message::Prune)]);
    assert_eq!(node.links(), (vec!["b", "c"], vec!["a"]));
    assert_eq!(node.hears("c", gossip(1, 2)), [send("c", Message::Prune)], "only once");
}

#[test]
fn a_source_that_says_no_is_asked_at_once() {
    let mut node = Node::with(&["a"], &[]);
    node.hears("a", ihave_and_send(1, 2));
    node.hears("a", Message::Prune);
    assert_eq!(node.runs_until(node.now), [send("a", Message::Graft(Some(id(1))))]);
    assert_eq!(node.links(), (vec!["a"], vec![]));
}

/// Each of two took the other for its source; the payload then came to one of them from a third, and the other one waited
/// for it until its patience was over.
#[test]
fn what_is_here_is_announced_to_its_source_without_a_promise() {
    let mut node = Node::with(&["a", "b"], &[]);
    node.hears("a", ihave_and_send(1, 2));
    node.runs_until(ms(1050));
    assert_eq!(node.hears("b", gossip(1, 2)), [delivered(1, 2), send("a", ihave(1, 3))]);
}

#[test]
fn a_source_that_has_it_and_does_not_send_it_is_asked_at_once() {
    let mut node = Node::with(&["a", "b"], &[]);
    node.hears("a", ihave_and_send(1, 2));
    assert_eq!(node.hears("b", ihave(1, 2)), []);
    assert_eq!(node.runs_until(node.now), [], "it was not the source");
    assert_eq!(node.hears("a", ihave(1, 2)), []);
    assert_eq!(node.runs_until(node.now), [send("a", Message::Graft(Some(id(1))))]);
}

/// Its link was exchanged for a shorter one meanwhile, say. It took a patience of 250 ms until somebody else was asked.
#[test]
fn a_source_that_is_no_neighbour_any_more_is_not_waited_for() {
    let mut node = Node::with(&["a", "b"], &["c"]);
    node.hears("a", ihave_and_send(1, 2));
    node.hears("c", ihave(1, 2));
    node.state.down(node.now, &contact("a").name);
    assert_eq!(node.runs_until(node.now), [send("c", Message::Graft(Some(id(1))))]);
}

/// Who relied on this node waited as long.
#[test]
fn a_former_neighbour_gets_what_it_was_promised() {
    let mut node = Node::with(&["a", "b"], &["c"]);
    node.hears("a", ihave_and_send(1, 2));
    node.state.down(node.now, &contact("b").name);
    node.state.down(node.now, &contact("c").name);
    assert_eq!(node.hears("a", gossip(1, 2)), [delivered(1, 2), send("b", gossip(1, 3))]);
}

#[test]
fn a_stranger_that_asked_before_the_payload_came_gets_it() {
    let mut node = Node::with(&["a"], &[]);
    node.hears("a", ihave_and_send(1, 2));
    assert_eq!(node.hears("x", Message::Graft(Some(id(1)))), []);
    assert_eq!(node.hears("a", gossip(1, 2)), [delivered(1, 2), send("x", gossip(1, 3))]);
}

/// What was announced late is here by then.
#[test]
fn a_late_announcement_of_what_is_here_promises_nothing() {
    let mut node = Node::with(&["a"], &["b"]);
    node.hears("a", gossip(1, 1));
    node.hears("a", gossip(2, 1));
    node.hears("b", Message::Graft(None));
    let late = node.runs_until(node.now + Duration::from_millis(10));
    assert_eq!(late, [send("b", ihave(2, 2))]);
}

/// Questions and prunes that cross each other leave a link eager at one end only.
#[test]
fn a_payload_that_the_other_end_will_not_send_is_not_waited_for() {
    let mut node = Node::with(&["a"], &[]);
    node.hears("a", ihave(1, 2));
    assert_eq!(node.runs_until(ms(1011)), [send("a", Message::Graft(Some(id(1))))]);
}

#[test]
fn a_source_that_was_asked_and_says_no_is_asked_again() {
    let mut node = Node::with(&["c"], &["a", "b"]);
    node.hears("a", ihave(1, 2));
    node.hears("b", ihave(1, 2));
    let graft = || send("a", Message::Graft(Some(id(1))));
    assert_eq!(node.runs_until(ms(1050)), [graft()]);
    node.hears("a", Message::Prune);
    assert_eq!(node.runs_until(node.now), [graft()]);
    assert_eq!(node.links(), (vec!["c", "a"], vec!["b"]));
}

#[test]
fn a_link_that_brings_one_twice_stays_while_it_is_to_bring_another() {
    let mut node = Node::with(&["a", "b"], &[]);
    node.hears("a", gossip(1, 1));
    node.hears("b", ihave_and_send(2, 1));
    assert_eq!(node.hears("b", gossip(1, 1)), []);
    node.hears("b", gossip(2, 1));
    assert_eq!(node.hears("b", gossip(1, 1)), [send("b", Message::Prune)]);
}

#[test]
fn the_first_payload_over_a_lazy_link_makes_both_ends_eager() {
    let mut node = Node::with(&["b"], &["a"]);
    let heard = [delivered(1, 1), send("a", Message::Graft(None)), send("b", gossip(1, 2))];
    assert_eq!(node.hears("a", gossip(1, 1)), heard);
    assert_eq!(node.links(), (vec!["b", "a"], vec![]));
}

#[test]
fn the_last_eager_link_is_not_given_up_and_asked_back_when_the_other_end_does() {
    let mut node = Node::with(&["a", "b"], &[]);
    node.hears("a", gossip(1, 1));
    node.hears("b", gossip(1, 1));
    assert_eq!(node.links(), (vec!["a"], vec!["b"]));
    assert_eq!(node.hears("a", gossip(1, 1)), []);
    assert_eq!(node.hears("a", Message::Prune), [send("a", Message::Graft(None))]);
    assert_eq!(node.hears("b", Message::Prune), [], "lazy already");
    assert_eq!(node.links(), (vec!["a"], vec!["b"]));
}

#[test]
fn who_relies_on_a_link_given_up_since_is_told_to_ask() {
    let mut node = Node::with(&["a", "b"], &["c", "d"]);
    assert_eq!(node.hears("c", ihave(1, 1)).len(), 3, "a, b and d are told");
    node.now = ms(1001);
    node.hears("b", Message::Prune);
    assert_eq!(node.hears("c", gossip(1, 1))[1..], [send("c", Message::Graft(None)), send("a", gossip(1, 2)),]);
    assert_eq!(node.runs_until(ms(1020)), [send("b", ihave(1, 2))], "d knows that it has to ask");
}

#[test]
fn a_graft_gets_the_payload_and_an_eager_link() {
    let mut node = Node::with(&["a"], &["b"]);
    node.hears("a", gossip(1, 3));
    assert_eq!(node.hears("b", Message::Graft(Some(id(1)))), [send("b", gossip(1, 4))]);
    assert_eq!(node.hears("b", Message::Graft(Some(id(2)))), []);
    assert_eq!(node.links(), (vec!["a", "b"], vec![]));
}

#[test]
fn a_new_neighbour_hears_of_the_last_seconds() {
    let mut node = Node::with(&["a"], &[]);
    node.hears("a", gossip(1, 1));
    node.now = ms(8000);
    node.hears("a", gossip(2, 1));
    node.now = ms(12_000);
    node.state.up(node.now, &contact("b"), &mut node.out);
    assert_eq!(node.out, [send("b", ihave(2, 2))]);
}

#[test]
fn announcements_of_a_burst_travel_together() {
    let mut node = Node::with(&["a"], &["b"]);
    assert_eq!(node.hears("a", gossip(1, 1))[1..], [send("b", ihave(1, 2))]);
    assert_eq!(node.hears("a", gossip(2, 1)), [delivered(2, 1)]);
    assert_eq!(node.hears("a", gossip(3, 1)), [delivered(3, 1)]);
    let both = [2, 3].map(|number| Announcement { id: id(number), hops: 2 });
    assert_eq!(
        node.runs_until(node.now + Duration::from_millis(10)),
        [send("b", Message::IHave { pushed: false, announcements: Arc::new(both) })]
    );
}

#[test]
fn announcements_without_end_fill_no_memory() {
    let mut node = Node::with(&["a"], &["b"]);
    for number in 0..10_000_u64 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let announcements = Arc::from([Announcement { id: MessageId(id), hops: 1 }]);
        node.hears("b", Message::IHave { pushed: false, announcements });
    }
    assert_eq!(node.state.remembered(), (0, 0, 4096));
}

#[test]
fn a_payload_from_no_neighbour_is_delivered_and_changes_no_link() {
    let mut node = Node::with(&["a"], &[]);
    assert_eq!(node.hears("x", gossip(1, 1)), [delivered(1, 1), send("a", gossip(1, 2))]);
    assert_eq!(node.links(), (vec!["a"], vec![]));
}
