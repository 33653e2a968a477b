// SPDX-License-Identifier: Apache-2.0
//! What hosts do to their stores while they are compared.

use super::*;

#[test]
fn a_store_opened_anew_starts_over() {
    let mut net = Net::twins(3000);
    (0..10).for_each(|number| net.put(1, number));
    net.link(0, 1);
    net.run(Duration::from_millis(25));
    // In the middle of a comparison the host closes the store and opens it again.
    net.close(0);
    net.open(0);
    net.run(Duration::from_secs(20));
    assert!(net.are_equal());
    assert_eq!(net.closed, [].into());
}

#[test]
fn entries_that_wait_when_a_store_is_opened_anew_are_waited_for() {
    let mut net = Net::twins(0);
    (0..20_000).for_each(|number| net.put(1, number));
    net.peers[0].judges = false;
    net.link(0, 1);
    net.run(Duration::from_secs(1));
    assert!(net.store(0, |store| store.has_staged()));
    // Another owner takes the store as it is.
    let now = net.now();
    net.peers[0].replication.opened(now, &name());
    net.run(Duration::from_secs(1));
    let loads = net.log.iter().filter(|line| line.ends_with("Load")).count();
    assert_eq!(loads, 1);
    net.peers[0].judges = true;
    net.judge(0, &[]);
    net.run(Duration::from_secs(30));
    assert!(net.are_equal());
}

#[test]
fn stores_are_compared_independently() {
    let mut net = Net::new(2);
    let other = StoreName::parse(b"another").unwrap();
    let now = net.now();
    for peer in 0..2 {
        net.peers[peer].books.0.write().unwrap().insert(other.clone(), Store::new(store::Config::default()));
        net.peers[peer].replication.opened(now, &other);
    }
    net.put(0, 1);
    net.peers[1].judges = false;
    net.link(0, 1);
    net.run(Duration::from_secs(3));
    assert_eq!(net.peers[1].replication.compares(&other), None);
    assert_eq!(net.store(1, |store| (store.len(), store.has_staged())), (0, true));
}

#[test]
fn tombstones_outlive_their_time_until_everybody_was_there_for_two_rounds() {
    let config = Config { anti_entropy: Duration::from_secs(30), ..Config::default() };
    let mut net = Net::with(1, config);
    net.close(0);
    let config = store::Config { tombstone_ttl_ms: 5_000, ..store::Config::default() };
    net.peers[0].books.0.write().unwrap().insert(name(), Store::new(config));
    let now = net.now();
    net.peers[0].replication.opened(now, &name());
    net.remove(0, 1);
    net.run(Duration::from_secs(50));
    assert_eq!(net.store(0, |store| store.tombstones()), 1);
    net.run(Duration::from_secs(20));
    assert_eq!(net.store(0, |store| store.tombstones()), 0);
    assert_eq!(net.stats(0).collected, 1);
}

#[test]
fn tombstones_are_not_forgotten_at_once_where_there_are_no_rounds() {
    let mut net = Net::new(1);
    let config = store::Config { tombstone_ttl_ms: 5_000, ..store::Config::default() };
    net.peers[0].books.0.write().unwrap().insert(name(), Store::new(config));
    net.remove(0, 1);
    net.run(Duration::from_secs(50));
    assert_eq!(net.store(0, |store| store.tombstones()), 1);
    net.run(Duration::from_secs(20));
    assert_eq!(net.store(0, |store| store.tombstones()), 0);
}

#[test]
fn tombstones_stay_while_a_member_is_away_and_end_by_their_age() {
    let config = Config { anti_entropy: Duration::from_secs(30), tombstone_max_age: Duration::from_secs(1000) };
    let mut net = Net::with(1, config);
    net.close(0);
    let config = store::Config { tombstone_ttl_ms: 5_000, ..store::Config::default() };
    net.peers[0].books.0.write().unwrap().insert(name(), Store::new(config));
    let now = net.now();
    let node = &mut net.peers[0];
    node.replication.opened(now, &name());
    let gone = contact(1);
    node.directory.neighbour_up(now, &gone, &mut Outputs::new());
    node.directory.neighbour_down(&gone.name);
    node.directory.unreachable(now, &gone.name, crate::machine::Why::Lost, &mut Outputs::new());
    assert!(node.directory.suspects() + node.directory.departed() > 0);
    net.remove(0, 1);
    net.run(Duration::from_secs(990));
    assert_eq!(net.store(0, |store| store.tombstones()), 1);
    net.run(Duration::from_secs(20));
    assert_eq!(net.store(0, |store| store.tombstones()), 0);
}
