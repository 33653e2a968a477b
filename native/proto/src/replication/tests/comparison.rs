// SPDX-License-Identifier: Apache-2.0
//! What a comparison finds, and what it costs.

use super::*;

#[test]
fn an_idle_round_takes_two_messages_of_a_few_bytes() {
    let mut net = Net::twins(1000);
    net.link(0, 1);
    net.run(Duration::from_secs(60));
    net.log.clear();
    net.bytes = 0;
    net.link(0, 1);
    net.run(Duration::from_secs(60));
    assert_eq!(net.log, ["0 Compare", "1 Equal"]);
    assert!(net.bytes <= 200, "{} bytes", net.bytes);
    assert_eq!((net.stats(0).begun, net.stats(0).finished, net.stats(1).answered), (2, 2, 2));
}

#[test]
fn the_cost_of_a_hundred_differences_follows_them_and_not_the_stores() {
    let mut net = Net::twins(MANY);
    (0..100).for_each(|number| net.put(number % 2, number * (MANY / 100)));
    net.link(0, 1);
    let before = cpu_ticks();
    net.run(Duration::from_secs(10));
    let spent_ms = 10 * (cpu_ticks() - before);
    eprintln!("{MANY} entries: {} bytes, {} messages, {spent_ms} ms of CPU in all", net.bytes, net.messages);
    assert!(net.are_equal());
    assert!(net.bytes <= 64 * 1024, "{} bytes in {} messages", net.bytes, net.messages);
    assert!(net.messages < 30, "{:?}", net.log);
}

#[test]
fn both_sides_learn_what_they_lack() {
    let mut net = Net::twins(500);
    (1000..1040).for_each(|number| net.put(0, number));
    (2000..2030).for_each(|number| net.put(1, number));
    (0..10).for_each(|number| net.remove(0, number));
    net.run(Duration::from_millis(5));
    (5..15).for_each(|number| net.put(1, number));
    net.link(0, 1);
    net.run(Duration::from_secs(10));
    assert!(net.are_equal());
    // The later ones have won, where both have written.
    assert_eq!(net.store(0, |store| (store.len(), store.tombstones())), (500 + 70 - 5, 5));
}

#[test]
fn everything_differs_and_everything_is_found() {
    let mut net = Net::new(2);
    (0..3000).for_each(|number| net.put(0, number));
    (2000..6000).for_each(|number| net.put(1, number));
    net.link(0, 1);
    net.run(Duration::from_secs(60));
    assert!(net.are_equal());
    assert_eq!(net.store(0, |store| store.len()), 6000);
    assert_eq!(net.stats(0).dropped + net.stats(1).dropped, 0);
}

#[test]
fn deletions_reach_a_store_that_has_nothing_but_tombstones() {
    let mut net = Net::twins(0);
    (0..40).for_each(|number| net.remove(0, number));
    net.link(0, 1);
    net.run(Duration::from_secs(5));
    assert_eq!(net.store(1, |store| (store.len(), store.tombstones())), (0, 40));
    assert!(net.are_equal());
}

#[test]
fn deletions_leave_a_store_that_has_nothing_but_tombstones() {
    let mut net = Net::twins(40);
    net.close(1);
    net.open(1);
    net.run(Duration::from_secs(1));
    (0..40).for_each(|number| net.remove(1, number));
    net.link(0, 1);
    net.run(Duration::from_secs(5));
    assert_eq!(net.store(0, |store| (store.len(), store.tombstones())), (0, 40));
}

#[test]
fn large_values_travel_one_by_one() {
    let mut net = Net::new(2);
    for number in 0..20 {
        let stamp = net.stamp(0);
        let origin = contact(0).name.clone();
        net.store(0, |store| store.put(&key(number), &vec![7; 512 * 1024], &origin, stamp).unwrap());
    }
    net.link(0, 1);
    net.run(Duration::from_secs(20));
    assert!(net.are_equal());
    assert!(net.largest < 600 * 1024, "{}", net.largest);
}

#[test]
fn what_changes_meanwhile_does_no_harm() {
    let mut net = Net::twins(2000);
    (0..400).for_each(|number| net.put(0, number));
    net.link(0, 1);
    for number in 0..60 {
        net.run(LATENCY / 2);
        net.put(1, number * 7);
        net.remove(0, number * 11);
    }
    net.run(Duration::from_secs(30));
    let contact = Arc::clone(&net.peers[1].contact);
    let now = net.now();
    net.peers[0].replication.neighbour_up(now, &contact);
    net.run(Duration::from_secs(10));
    assert!(net.are_equal());
    assert_eq!(net.closed, [].into());
}

#[test]
fn news_pass_along_a_row_of_nodes_by_comparison_alone() {
    let mut net = Net::new(8);
    (0..7).for_each(|number| net.link(number, number + 1));
    net.run(Duration::from_secs(5));
    // A link that comes up late brings something to the first one.
    (0..200).for_each(|number| net.put(0, number));
    let second = Arc::clone(&net.peers[1].contact);
    let now = net.now();
    net.peers[0].replication.neighbour_up(now, &second);
    net.run(Duration::from_secs(10));
    assert!(net.are_equal());
    let before = net.messages;
    net.run(Duration::from_secs(600));
    assert_eq!(net.messages, before, "the news go round for ever");
}

#[test]
fn what_was_removed_long_ago_is_removed_where_it_comes_back_from() {
    let mut net = Net::twins(100);
    (0..40).for_each(|number| net.remove(0, number));
    let late = net.now().wall_ms + 3_600_000;
    net.store(0, |store| store.collect(late, false, u64::MAX));
    assert_eq!(net.store(0, |store| (store.root().count, store.tombstones())), (60, 40));
    net.link(0, 1);
    net.run(Duration::from_secs(5));
    assert_eq!(net.store(1, |store| (store.len(), store.tombstones())), (60, 40));
    assert!(net.are_equal());
}
