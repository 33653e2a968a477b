// SPDX-License-Identifier: Apache-2.0
//! A node that has nothing yet, and hosts that take their time.

use super::*;

#[test]
fn a_new_node_loads_everything_in_chunks() {
    for fresh in 0..2 {
        let mut net = Net::twins(0);
        (0..MANY.min(100_000)).for_each(|number| net.put(1 - fresh, number));
        net.link(0, 1);
        net.run(Duration::from_secs(60));
        assert!(net.are_equal());
        assert!(net.largest <= 64 * 1024 + 100, "{}", net.largest);
        let chunks = net.log.iter().filter(|line| line.ends_with("Chunk")).count();
        assert!(net.messages < 2 * chunks + 10, "{} messages, {chunks} chunks", net.messages);
    }
}

#[test]
fn the_next_chunk_waits_until_the_host_has_taken_the_last_one() {
    let mut net = Net::twins(0);
    (0..20_000).for_each(|number| net.put(1, number));
    net.peers[0].judges = false;
    net.link(0, 1);
    net.run(Duration::from_secs(5));
    let count = |net: &Net| net.log.iter().filter(|line| line.ends_with("Chunk")).count();
    for chunks in 1..5 {
        assert_eq!(count(&net), chunks);
        assert_eq!(net.peers[0].told, chunks, "the host is told once of each");
        net.judge(0, &[]);
        net.run(Duration::from_secs(1));
    }
}

#[test]
fn a_host_that_takes_nothing_is_given_up_and_asked_again_later() {
    let mut net = Net::with(2, Config { anti_entropy: Duration::from_secs(30), ..Config::default() });
    (0..5000).for_each(|number| net.put(1, number));
    net.peers[0].judges = false;
    net.link(0, 1);
    net.run(Duration::from_secs(100));
    assert!(net.stats(0).given_up > 1);
    assert_eq!(net.log.iter().filter(|line| line.ends_with("Load")).count(), 1);
    net.peers[0].judges = true;
    net.judge(0, &[]);
    net.run(Duration::from_secs(60));
    assert!(net.are_equal());
}

#[test]
fn what_found_no_room_is_fetched_when_there_is_some() {
    let mut net = Net::new(2);
    net.link(0, 1);
    net.run(Duration::from_secs(1));
    net.peers[0].judges = false;
    // The host sleeps while the other one writes more than may wait.
    let (now, mut out) = (net.now(), Outputs::new());
    for number in 0..40 {
        let (stamp, origin) = (net.stamp(1), contact(1).name.clone());
        let entry = net.store(1, |store| store.put(&key(number), &vec![7; 400 * 1024], &origin, stamp).unwrap());
        let delta = Delta { store: name(), entries: vec![entry] };
        net.peers[0].replication.on_delta(now, delta, &mut out);
    }
    assert!(net.stats(0).dropped > 0);
    assert_eq!(out, [Output::Staged(name())]);
    net.peers[0].judges = true;
    net.judge(0, &[]);
    net.run(Duration::from_secs(10));
    assert!(net.are_equal());
}

#[test]
fn what_the_host_has_rejected_is_not_offered_again() {
    let config = Config { anti_entropy: Duration::from_secs(30), ..Config::default() };
    let mut net = Net::with(2, config);
    net.peers[0].judges = false;
    (0..50).for_each(|number| net.put(1, number));
    net.link(0, 1);
    net.run(Duration::from_secs(2));
    net.judge(0, &[key(3), key(4)]);
    net.run(Duration::from_secs(2));
    assert_eq!(net.store(0, |store| store.len()), 48);
    net.peers[0].judges = true;
    net.log.clear();
    let told = net.peers[0].told;
    net.run(Duration::from_secs(300));
    assert_eq!(net.peers[0].told, told);
    assert!(net.log.iter().all(|line| line.ends_with("Compare") || line.ends_with("Equal")), "{:?}", net.log);
}

#[test]
fn too_many_writes_to_be_told_one_by_one_are_found_by_comparison() {
    let mut net = Net::new(2);
    net.link(0, 1);
    net.run(Duration::from_secs(1));
    for number in 0..70_000 {
        let (stamp, origin) = (net.stamp(0), contact(0).name.clone());
        net.store(0, |store| store.put(&key(number), b"v", &origin, stamp).unwrap());
    }
    let (now, mut out) = (net.now(), Outputs::new());
    net.peers[0].replication.wrote(now, &name(), &mut out);
    net.carry_out(0, out);
    net.run(Duration::from_secs(60));
    assert!(net.are_equal());
}

#[test]
fn a_single_write_leaves_at_once_and_many_together() {
    let mut net = Net::new(2);
    net.run(Duration::from_secs(1));
    let mut sizes = Vec::new();
    for number in 0..100 {
        let (stamp, origin) = (net.stamp(0), contact(0).name.clone());
        net.store(0, |store| store.put(&key(number), b"v", &origin, stamp).unwrap());
        let (now, mut out) = (net.now(), Outputs::new());
        net.peers[0].replication.wrote(now, &name(), &mut out);
        sizes.push(net.peers[0].replication.take_deltas().len());
    }
    assert_eq!(sizes[0], 1);
    assert_eq!(sizes.iter().sum::<usize>(), 1);
    net.run(Duration::from_millis(3));
    let deltas = net.peers[0].replication.take_deltas();
    assert_eq!(deltas.len(), 1);
    assert_eq!(Delta::read(&deltas[0]).unwrap().entries.len(), 99);
    assert!(Delta::read(&Bytes::from_static(b"\x01a\x00\x01")).is_err());
}
