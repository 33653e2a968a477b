// SPDX-License-Identifier: Apache-2.0
//! The controller on a narrow place in virtual time, and what is heard of it.

use super::model::{Cubic, Share, World};
use super::{Factory, Hinted, Limits};
use barrel_p2p_impair::Settings;
use quinn::congestion::{Controller, ControllerFactory};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const NOW: Duration = Duration::ZERO;

fn link(mbit: u64, rtt: Duration, buffer: u64) -> Settings {
    Settings { rate: Some(mbit * 125_000), delay: rtt / 2, buffer, ..Settings::default() }
}

/// 200 Mbit/s and 25 ms each way: the buffer holds as much as the path.
fn narrow() -> Settings {
    link(200, 50 * MS, 1_250_000)
}

/// The same with a quarter of the packets.
fn slow() -> Settings {
    link(50, 50 * MS, 312_500)
}

fn alone(settings: Settings) -> World {
    let mut world = World::new(settings, 1);
    world.ours(NOW);
    world
}

#[test]
fn a_narrow_link_is_full_and_its_queue_is_short() {
    let mut world = alone(narrow());
    let first = world.run(SECOND)[0];
    let then = world.run(30 * SECOND)[0];
    assert!(first.rate > 0.6 && first.lost < 0.05, "{first:?}");
    assert!(then.rate > 0.96 && then.lost < 0.001, "{then:?}");
    assert!(world.queue(50) < 5 * MS && world.queue(99) < 20 * MS, "{:?} {:?}", world.queue(50), world.queue(99));
}

#[test]
fn two_lost_packets_in_a_hundred_cost_two_percent() {
    for rtt in [1, 20, 50] {
        let mut world = alone(Settings { loss: 0.02, ..link(500, rtt * MS, 4_000_000) });
        world.run(2 * SECOND);
        let share = world.run(20 * SECOND)[0];
        assert!(share.rate > 0.94, "{rtt} ms: {share:?}");
        assert!(world.queue(99) < 20 * MS, "{:?}", world.queue(99));
    }
}

#[test]
fn startup_fills_a_long_fat_path_within_a_second() {
    let mut world = alone(link(1_000, 50 * MS, 6_000_000));
    world.run(700 * MS);
    let share = world.run(300 * MS)[0];
    assert!(share.rate > 0.9, "{share:?}");
}

#[test]
fn a_deep_buffer_stays_empty() {
    let mut world = alone(link(50, 20 * MS, 5_000_000));
    let share = world.run(20 * SECOND)[0];
    assert!(share.rate > 0.95 && share.lost == 0.0, "{share:?}");
    assert!(world.queue(99) < 15 * MS, "{:?}", world.queue(99));
}

#[test]
fn a_shallow_buffer_costs_few_packets() {
    let mut world = alone(link(200, 50 * MS, 60_000));
    world.run(2 * SECOND);
    let share = world.run(20 * SECOND)[0];
    assert!(share.rate > 0.8 && share.lost < 0.05, "{share:?}");
}

#[test]
fn a_link_that_gets_faster_is_noticed() {
    let mut world = alone(link(20, 50 * MS, 1_250_000));
    world.run(5 * SECOND);
    world.change(narrow());
    world.run(3 * SECOND);
    let share = world.run(SECOND)[0];
    assert!(share.rate > 0.9, "{share:?}");
}

#[test]
fn a_link_that_gets_slower_is_noticed() {
    let mut world = alone(narrow());
    world.run(5 * SECOND);
    world.change(link(20, 50 * MS, 1_250_000));
    world.run(4 * SECOND);
    let share = world.run(5 * SECOND)[0];
    assert!(share.rate > 0.9 && share.lost < 0.02, "{share:?}");
    assert!(world.queue(99) < 50 * MS, "{:?}", world.queue(99));
}

#[test]
fn a_path_that_gets_longer_is_noticed() {
    let mut world = alone(link(200, 10 * MS, 1_250_000));
    world.run(5 * SECOND);
    world.change(narrow());
    world.run(40 * SECOND);
    let share = world.run(10 * SECOND)[0];
    assert!(share.rate > 0.9 && share.lost < 0.01, "{share:?}");
}

#[test]
fn a_path_that_loses_a_third_is_not_flooded() {
    let mut world = alone(Settings { loss: 0.33, ..narrow() });
    world.run(2 * SECOND);
    let share = world.run(10 * SECOND)[0];
    assert!(share.rate < 0.3, "{share:?}");
}

#[test]
fn beside_small_messages_the_link_is_full_and_hardly_ever_tried() {
    for settings in [narrow(), link(200, 5 * MS, 1_250_000)] {
        let mut world = alone(settings);
        world.run(5 * SECOND);
        world.run(20 * SECOND);
        assert!(world.queue(95) > 3 * MS, "{:?}", world.queue(95));
        world.pass_small();
        world.run(SECOND);
        let share = world.run(20 * SECOND)[0];
        assert!(share.rate > 0.96 && share.lost < 0.001, "{settings:?} {share:?}");
        assert!(world.queue(95) < 2 * MS, "{settings:?} {:?}", world.queue(95));
    }
}

#[test]
fn beside_small_messages_a_link_of_another_rate_is_noticed() {
    for (before, after, within) in [(slow(), narrow(), 25), (narrow(), slow(), 15)] {
        let mut world = alone(before);
        world.pass_small();
        world.run(20 * SECOND);
        world.change(after);
        world.run(within * SECOND);
        let share = world.run(10 * SECOND)[0];
        assert!(share.rate > 0.9 && share.lost < 0.02, "{after:?} {share:?}");
    }
}

#[test]
fn who_has_small_messages_keeps_his_share() {
    for settings in [slow(), link(50, 5 * MS, 62_500)] {
        let mut world = World::new(settings, 1);
        world.ours(NOW);
        world.ours(3 * SECOND);
        world.pass_small();
        world.run(15 * SECOND);
        let shares = world.run(60 * SECOND);
        assert!(part_of_first(&shares) > 0.4 && part_of_first(&shares) < 0.6, "{settings:?} {shares:?}");
        assert!(world.queue(99) < 40 * MS, "{settings:?} {:?}", world.queue(99));
    }
}

#[test]
fn two_of_our_flows_share_within_60_to_40() {
    for seed in 1..=4 {
        for settings in [slow(), Settings { loss: 0.01, ..slow() }, link(50, 5 * MS, 62_500)] {
            let mut world = World::new(settings, seed);
            world.ours(NOW);
            world.ours(3 * SECOND + 7 * MS * seed as u32);
            world.run(15 * SECOND);
            let shares = world.run(30 * SECOND);
            assert!(part_of_first(&shares) > 0.4 && part_of_first(&shares) < 0.6, "{seed} {settings:?} {shares:?}");
            assert!(shares[0].rate + shares[1].rate > 0.94, "{shares:?}");
            assert!(world.queue(99) < 40 * MS, "{seed} {settings:?} {:?}", world.queue(99));
        }
    }
}

#[test]
fn one_of_ours_beside_cubic_gets_between_30_and_70_percent() {
    for (ours_at, cubic_at) in [(NOW, 2 * SECOND), (2 * SECOND, NOW)] {
        for settings in [slow(), link(50, 25 * MS, 312_500), link(50, 50 * MS, 156_250), narrow()] {
            let mut world = World::new(settings, 1);
            world.ours(ours_at);
            world.add(Cubic::new(), cubic_at);
            world.run(5 * SECOND);
            let shares = world.run(60 * SECOND);
            let part = part_of_first(&shares);
            assert!(part > 0.3 && part < 0.7, "{ours_at:?} {settings:?}: {part:.2} {shares:?}");
        }
    }
}

fn part_of_first(shares: &[Share]) -> f64 {
    shares[0].rate / (shares[0].rate + shares[1].rate)
}

#[test]
fn who_asked_before_a_peer_had_another_address_hears_of_the_new_path() {
    let now = Instant::now();
    let limits = Limits { initial: 32 * 1_200, floor: 32 * 1_200, slack: 2 * MS, calm_slack: MS };
    let factory = Arc::new(Factory::new(limits, u64::MAX));
    let build = || *factory.clone().build(now, 1_200).into_any().downcast::<Hinted>().unwrap();
    let mut left = build();
    let hints = left.hints.clone();
    left.on_congestion_event(now, now, false, 1_200);
    assert!(hints.is_lossy());
    let mut taken = build();
    assert!(!hints.is_lossy());
    taken.on_congestion_event(now, now, false, 1_200);
    taken.on_sent(now, 1_200, 0);
    assert_eq!((hints.is_lossy(), hints.sent()), (true, 1_200));
}
