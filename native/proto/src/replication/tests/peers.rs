// SPDX-License-Identifier: Apache-2.0
//! Whom a store is compared with, and peers that are not there.

use super::*;

#[test]
fn one_of_two_new_neighbours_begins() {
    let mut net = Net::twins(100);
    net.link(0, 1);
    net.run(Duration::from_secs(1));
    net.log.clear();
    // Both have been compared before: the smaller name does it now.
    net.link(1, 0);
    net.run(Duration::from_secs(1));
    assert_eq!(net.log, ["0 Compare", "1 Equal"]);
}

#[test]
fn a_peer_that_vanishes_is_given_up_and_another_one_is_asked() {
    let mut net = Net::new(3);
    (0..10).for_each(|number| net.put(2, number));
    net.peers[1].is_there = false;
    net.link(0, 1);
    net.link(0, 2);
    net.run(Duration::from_secs(2));
    assert_eq!(net.peers[0].replication.compares(&name()), Some(&contact(1).name));
    assert_eq!(net.stats(0).begun, 1);
    net.run(Duration::from_secs(8));
    assert_eq!(net.store(0, |store| store.len()), 10);
    assert!(net.stats(0).given_up == 1 && net.stats(0).begun > 1, "{:?}", net.stats(0));
}

#[test]
fn a_peer_that_cannot_be_reached_is_given_up_at_once() {
    let mut net = Net::new(3);
    (0..10).for_each(|number| net.put(2, number));
    net.peers[1].is_there = false;
    net.link(0, 1);
    net.link(0, 2);
    net.run(Duration::from_millis(1));
    net.fly(0, Parcel::Unreachable(contact(1).name.clone()));
    net.run(Duration::from_secs(1));
    assert_eq!(net.store(0, |store| store.len()), 10);
}

#[test]
fn who_has_not_the_store_says_so_and_is_not_asked_again() {
    let mut net = Net::with(3, Config { anti_entropy: Duration::from_secs(10), ..Config::default() });
    (0..5).for_each(|number| net.put(2, number));
    net.close(1);
    net.link(0, 1);
    net.link(0, 2);
    net.run(Duration::from_secs(2));
    assert_eq!(net.store(0, |store| store.len()), 5);
    net.log.clear();
    net.run(Duration::from_secs(600));
    assert!(net.log.len() > 100, "{:?}", net.log);
    assert!(!net.log.iter().any(|line| line.ends_with("Absent")), "{:?}", net.log);
    // It opens the store after all.
    net.open(1);
    net.run(Duration::from_secs(60));
    assert!(net.are_equal());
}

#[test]
fn where_no_neighbour_has_the_store_other_members_are_asked() {
    let mut net = Net::with(6, Config { anti_entropy: Duration::from_secs(10), ..Config::default() });
    (1..5).for_each(|peer| net.close(peer));
    (0..5).for_each(|number| net.put(5, number));
    let now = net.now();
    for member in 1..6 {
        // The directory has heard of all.
        let contact = Arc::clone(&net.peers[member].contact);
        net.peers[0].directory.neighbour_up(now, &contact, &mut Outputs::new());
        net.peers[0].directory.neighbour_down(&contact.name);
    }
    net.link(0, 1);
    net.run(Duration::from_secs(30));
    assert_eq!(net.store(0, |store| store.len()), 5);
}

#[test]
fn nobody_is_asked_by_the_clock_when_that_is_switched_off() {
    let mut net = Net::twins(10);
    net.link(0, 1);
    net.run(Duration::from_secs(1));
    let before = net.messages;
    net.run(Duration::from_secs(3600));
    assert_eq!(net.messages, before);
}

#[test]
fn rounds_come_about_as_often_as_configured() {
    let mut net = Net::with(2, Config { anti_entropy: Duration::from_secs(30), ..Config::default() });
    net.link(0, 1);
    net.run(Duration::from_secs(3000));
    let rounds = net.stats(0).begun;
    assert!((85..=120).contains(&rounds), "{rounds} rounds");
}

#[test]
fn who_leaves_compares_nothing_any_more() {
    let mut net = Net::with(2, Config { anti_entropy: Duration::from_secs(30), ..Config::default() });
    net.link(0, 1);
    net.run(Duration::from_secs(1));
    net.peers[0].replication.leave();
    net.log.clear();
    net.run(Duration::from_secs(300));
    assert!(!net.log.iter().any(|line| line == "0 Compare"), "{:?}", net.log);
}

#[test]
fn a_store_that_was_closed_is_forgotten() {
    let mut net = Net::with(2, Config { anti_entropy: Duration::from_secs(30), ..Config::default() });
    net.link(0, 1);
    net.run(Duration::from_secs(1));
    net.close(0);
    net.run(Duration::from_secs(100));
    assert!(net.peers[0].replication.next_timeout().is_none());
}
