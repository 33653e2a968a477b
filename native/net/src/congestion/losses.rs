// SPDX-License-Identifier: Apache-2.0
//! What losses tell. Networks lose packets for many reasons, so a few mean nothing; many, or some beside a long queue, are a buffer that
//! is full, and cap the window for a while.

use super::round::Round;

/// Share of lost bytes that stands for a full buffer when there is a queue.
const LIMIT_WITH_QUEUE: f64 = 0.02;
/// And when there is none: a shallow buffer or a policer. Above what bad radio links lose by chance.
const LIMIT_WITHOUT_QUEUE: f64 = 0.10;
/// Packets whose fate must be known before their share of losses means anything: 2 % of 64 is one, 10 % is six.
const JUDGED_PACKETS: u64 = 64;
/// What remains of the window.
const CUT: f64 = 0.75;

#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    lost: u64,
    delivered: u64,
    ceiling: Option<u64>,
}

impl Losses {
    /// Whether the buffer of the network was full. `window` is what was allowed until now, `plenty` where a ceiling means nothing any more.
    pub(super) fn on_round(&mut self, round: &Round, queue: bool, mtu: u64, window: u64, plenty: u64) -> bool {
        let full = round.marked || self.too_many(round, queue, mtu);
        if full {
            self.ceiling = Some((window as f64 * CUT) as u64);
        } else if let Some(ceiling) = self.ceiling {
            let higher = ceiling + ceiling / 16;
            self.ceiling = (higher < plenty).then_some(higher);
        }
        full
    }

    pub(super) fn capped(&self, window: u64) -> u64 {
        self.ceiling.map_or(window, |ceiling| window.min(ceiling))
    }

    fn too_many(&mut self, round: &Round, queue: bool, mtu: u64) -> bool {
        self.lost += round.lost;
        self.delivered += round.delivered;
        let known = self.lost + self.delivered;
        if known < JUDGED_PACKETS * mtu {
            return false;
        }
        let limit = if queue { LIMIT_WITH_QUEUE } else { LIMIT_WITHOUT_QUEUE };
        let too_many = self.lost as f64 > limit * known as f64;
        (self.lost, self.delivered) = (0, 0);
        too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const MTU: u64 = 1_000;
    const WINDOW: u64 = 100 * MTU;

    fn round(delivered: u64, lost: u64) -> Round {
        Round { delivered: delivered * MTU, lost: lost * MTU, ..Round::new(Instant::now()) }
    }

    fn full(losses: &mut Losses, round: &Round, queue: bool) -> bool {
        losses.on_round(round, queue, MTU, WINDOW, 2 * WINDOW)
    }

    #[test]
    fn a_few_losses_mean_nothing_unless_there_is_a_queue() {
        for (lost, queue, expected) in [(5, false, false), (5, true, true), (1, true, false), (15, false, true)] {
            let mut losses = Losses::default();
            assert_eq!(full(&mut losses, &round(100 - lost, lost), queue), expected, "{lost} {queue}");
            let capped = if expected { WINDOW * 3 / 4 } else { WINDOW };
            assert_eq!(losses.capped(WINDOW), capped, "{lost} {queue}");
        }
    }

    #[test]
    fn a_handful_of_packets_is_not_judged() {
        let mut losses = Losses::default();
        assert!(!full(&mut losses, &round(5, 5), true));
        // But not forgotten either.
        assert!(full(&mut losses, &round(60, 0), true));
    }

    #[test]
    fn the_ceiling_rises_and_goes() {
        let mut losses = Losses::default();
        full(&mut losses, &round(50, 50), true);
        let rounds = (0..100).take_while(|_| {
            full(&mut losses, &round(100, 0), false);
            losses.ceiling.is_some()
        });
        let rounds = rounds.count();
        assert!((10..20).contains(&rounds), "{rounds}");
    }

    #[test]
    fn a_mark_is_enough() {
        let mut losses = Losses::default();
        assert!(full(&mut losses, &Round { marked: true, ..round(100, 0) }, false));
    }
}
