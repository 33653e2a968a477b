// SPDX-License-Identifier: Apache-2.0
//! The decisions of the governor, round by round.

use super::*;

const MTU: u64 = 1_000;
const RTT: Duration = Duration::from_millis(10);
const LIMITS: Limits = Limits { initial: 10 * MTU, floor: 10 * MTU, slack: Duration::ZERO, calm_slack: Duration::ZERO };

/// Sends a window and hears of it a round trip later.
fn exchange(governor: &mut Governor, now: &mut Instant, app_limited: bool) {
    exchange_within(RTT, governor, now, app_limited);
}

fn exchange_within(rtt: Duration, governor: &mut Governor, now: &mut Instant, app_limited: bool) {
    let (sent, packets) = (*now, governor.window() / MTU);
    governor.on_sent(sent);
    *now += rtt;
    for _ in 0..packets {
        governor.on_ack(sent, MTU, app_limited);
    }
    governor.on_end_acks(*now, 0);
    *now += Duration::from_micros(1);
}

fn started() -> (Governor, Instant) {
    let now = Instant::now();
    (Governor::new(now, MTU, LIMITS), now)
}

#[test]
fn startup_doubles_while_there_is_something_to_send() {
    let (mut governor, mut now) = started();
    for doubled in [20, 40, 80] {
        exchange(&mut governor, &mut now, false);
        assert_eq!(governor.window(), doubled * MTU);
    }
    exchange(&mut governor, &mut now, true);
    assert_eq!(governor.window(), 80 * MTU);
}

#[test]
fn silence_does_not_lower_the_rate() {
    let (mut governor, mut now) = started();
    exchange(&mut governor, &mut now, false);
    now += Duration::from_secs(60);
    exchange(&mut governor, &mut now, false);
    assert_eq!(governor.estimate.rate(), 20 * MTU * 100);
}

#[test]
fn acknowledgements_that_wait_for_company_are_no_rival() {
    let (mut governor, mut now) = started();
    exchange(&mut governor, &mut now, false);
    for _ in 0..1_000 {
        governor.on_sent(now);
        let sent = now;
        now += 4 * RTT;
        governor.on_ack(sent, MTU, true);
        governor.on_end_acks(now, 0);
        now += RTT;
    }
    assert_eq!(governor.phase, Phase::Startup { best: 10 * MTU * 100, flat: 0 });
    assert_eq!(governor.window(), 20 * MTU);
}

#[test]
fn a_collapse_starts_from_the_bottom() {
    let (mut governor, mut now) = started();
    exchange(&mut governor, &mut now, false);
    governor.on_collapse(now);
    assert_eq!(governor.window(), LEAST_PACKETS * MTU);
    assert_eq!(governor.initial_window(), LIMITS.initial);
    exchange(&mut governor, &mut now, false);
    assert_eq!(governor.window(), 2 * LEAST_PACKETS * MTU);
}

#[test]
fn a_path_carries_as_much_while_its_queue_drains() {
    let (mut governor, mut now) = started();
    for _ in 0..3 {
        exchange(&mut governor, &mut now, false);
    }
    assert_eq!(governor.carried(), 80 * MTU);
    let filled = governor.filled(1.0);
    assert_eq!(filled, 40 * MTU);
    for (phase, gain) in [
        (Phase::Drain { rounds: 2, why: Why::Look }, DEEP_DRAIN_GAIN),
        (Phase::Drain { rounds: 1, why: Why::Probe }, DRAIN_GAIN),
        (Phase::Probe { rounds: 2, gain: NEXT_PROBE_GAIN, rate_before: 0 }, NEXT_PROBE_GAIN),
    ] {
        governor.phase = phase;
        governor.set_window(governor.filled(gain));
        assert_eq!((governor.carried(), governor.window() == filled), (filled, false), "{phase:?}");
    }
}

#[test]
fn beside_small_messages_a_lucky_round_is_not_taken_for_the_rate() {
    let (mut governor, mut now) = started();
    // A path that carries 100 packets in a round trip, or 70.
    for packets in [100, 70].into_iter().cycle().take(25) {
        governor.on_small(now);
        let rtt = RTT * u32::try_from(governor.window() / MTU).unwrap() / packets;
        exchange_within(rtt.max(RTT), &mut governor, &mut now, false);
    }
    assert!(governor.is_calm(now));
    let (window, best) = (governor.window(), governor.filled(1.0));
    assert!(window > best / 4 * 3 && window < best / 10 * 9, "{window} {best}");
}

#[test]
fn a_window_holds_packets_of_a_grown_size() {
    let (mut governor, _) = started();
    governor.on_mtu(65_000);
    assert_eq!(governor.window(), LEAST_PACKETS * 65_000);
}
