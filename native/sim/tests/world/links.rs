// SPDX-License-Identifier: Apache-2.0
//! What nodes see of links: every time is exact, since latency is 50 ms everywhere.

use std::time::Duration;

use barrel_p2p_sim::scenario::Disk;
use barrel_p2p_sim::world::World;
use bytes::Bytes;

use crate::probe::{self, Probe};

fn log(world: &World<Probe>, node: u32) -> Vec<(u64, &str)> {
    world.machine(node).unwrap().log.iter().map(|(at, word)| (*at, word.as_str())).collect()
}

/// Nodes 0 and 1 are neighbours; it is 1,000 ms.
fn pair() -> World<Probe> {
    let mut world = probe::world(2, 1);
    world.join(1, 0);
    world.run_for(Duration::from_secs(1));
    world
}

#[test]
fn a_dial_takes_two_round_trips() {
    let world = pair();
    assert_eq!(log(&world, 0), [(250, "hello from n1@sim")]);
    assert!(world.is_sound());
}

#[test]
fn a_message_on_a_link_takes_one_way() {
    let mut world = pair();
    world.broadcast(0, Bytes::new());
    world.run_for(Duration::from_secs(1));
    assert_eq!(log(&world, 1), [(1050, "gossip from n0@sim")]);
}

#[test]
fn the_link_of_a_crashed_neighbour_is_lost_after_its_silence() {
    let mut world = pair();
    world.crash(&[0]);
    world.run_for(Duration::from_secs(10));
    assert_eq!(log(&world, 1), [(5500, "n0@sim lost")]);
}

#[test]
fn nobody_answers_a_dial_to_the_dead() {
    let mut world = probe::world(2, 1);
    world.crash(&[0]);
    world.join(1, 0);
    world.run_for(Duration::from_secs(6));
    assert_eq!(log(&world, 1), [(5000, "n0@sim dial failed")]);
}

#[test]
fn a_node_that_stops_says_so() {
    let mut world = pair();
    world.stop(0);
    world.run_for(Duration::from_secs(10));
    assert_eq!(log(&world, 1), [(1050, "n0@sim stopped")]);
}

#[test]
fn a_restarted_node_supersedes_its_old_link() {
    let mut world = pair();
    world.crash(&[1]);
    world.restart(1, Disk::Kept);
    world.run_for(Duration::from_secs(10));
    let seen = log(&world, 0);
    assert_eq!(seen, [(250, "hello from n1@sim"), (1050, "n1@sim closed"), (1250, "hello from n1@sim")]);
}

#[test]
fn a_partition_silences_both_ends_and_a_short_one_nobody() {
    let mut world = pair();
    world.split(vec![0, 1]);
    world.run_for(Duration::from_secs(4));
    world.split(Vec::new());
    world.run_for(Duration::from_secs(10));
    assert_eq!(log(&world, 0).len(), 1);
    world.split(vec![0, 1]);
    world.run_for(Duration::from_secs(10));
    assert_eq!(log(&world, 0)[1..], [(19_500, "n1@sim lost")]);
    assert_eq!(log(&world, 1), [(19_500, "n0@sim lost")]);
}

#[test]
fn a_stalled_node_handles_everything_afterwards() {
    let mut world = pair();
    world.stall(&[1], Duration::from_secs(3));
    world.broadcast(0, Bytes::new());
    world.run_for(Duration::from_secs(10));
    assert_eq!(log(&world, 1), [(4000, "gossip from n0@sim")]);
}

#[test]
fn a_slow_node_takes_one_input_after_another() {
    let mut world = pair();
    world.slow(&[1], Duration::from_millis(100));
    world.broadcast(0, Bytes::new());
    world.broadcast(0, Bytes::new());
    world.run_for(Duration::from_secs(1));
    // The ping of node 0 (sent at 1,000 ms) and the own timer come first.
    let times: Vec<u64> = log(&world, 1).iter().map(|(at, _)| *at).collect();
    assert_eq!(times[1] - times[0], 100);
}
