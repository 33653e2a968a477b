// SPDX-License-Identifier: Apache-2.0
//! Which pairs of nodes have a link, and what a sender learns when the other end is gone.
//!
//! The model of the real links, which this crate does not run: a dial takes two round trips (QUIC with TLS, then the
//! hello); a link that carries traffic or is held by one end notices a silent peer after [`LINK_LOSS`]; a link that
//! nobody holds and nobody uses is closed after [`IDLE`] and its end is no news to anybody; dialling a node that does
//! not answer fails after [`DIAL_TIMEOUT`].
//!
//! Keeps: one link per pair, stored at the smaller index; a link belongs to one life of each end.
//! Leaves to others: who is alive, who can reach whom, and when things happen ([`crate::world`]).

use std::collections::BTreeMap;
use std::time::Duration;

use barrel_p2p_base::time::Time;

/// From the death of a peer to the moment its link is reported lost. Measured on real links with the defaults
/// (keep-alive 1 s, idle timeout 5 s): 3.8 to 5 s.
pub const LINK_LOSS: Duration = Duration::from_millis(4500);

/// How long a dial waits for an answer: the default of `link_dial_timeout_ms`.
pub const DIAL_TIMEOUT: Duration = Duration::from_millis(5000);

/// How long a link that nobody holds stays open without traffic.
pub const IDLE: Duration = Duration::from_secs(10);

/// What a link is, for the end that wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Messages leave now, or when the dial is through.
    Open { ready: Time },
    /// A dial that nobody answers; the sender will be told once.
    Dialling,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) state: State,
    pub(crate) used: Time,
    /// Which life of the smaller and of the larger index it belongs to.
    pub(crate) lives: [u32; 2],
    /// Who holds it: the smaller and the larger index.
    pub(crate) held: [bool; 2],
    /// Since when no packet passes.
    pub(crate) broken: Option<Time>,
}

impl Link {
    pub(crate) fn new(state: State, used: Time, lives: [u32; 2]) -> Self {
        Self { state, used, lives, held: [false; 2], broken: None }
    }

    /// Has it been closed for want of use?
    pub(crate) fn is_idle(&self, now: Time) -> bool {
        self.held == [false; 2] && matches!(self.state, State::Open { .. }) && self.used + IDLE < now
    }
}

/// Every link of the world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    /// By the smaller index of the pair, then by the larger.
    by_low: Vec<BTreeMap<u32, Link>>,
}

/// A pair of nodes, smaller index first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) low: u32,
    pub(crate) high: u32,
}

impl Pair {
    pub(crate) fn new(a: u32, b: u32) -> Self {
        Self { low: a.min(b), high: a.max(b) }
    }

    /// Where the node stands in arrays of two.
    pub(crate) fn end(self, node: u32) -> usize {
        usize::from(node == self.high)
    }
}

impl Links {
    pub(crate) fn at(&mut self, pair: Pair) -> Option<&mut Link> {
        self.by_low.get_mut(pair.low as usize)?.get_mut(&pair.high)
    }

    pub(crate) fn insert(&mut self, pair: Pair, link: Link) {
        let low = pair.low as usize;
        if low >= self.by_low.len() {
            self.by_low.resize_with(low + 1, BTreeMap::new);
        }
        self.by_low[low].insert(pair.high, link);
    }

    pub(crate) fn remove(&mut self, pair: Pair) -> Option<Link> {
        self.by_low.get_mut(pair.low as usize)?.remove(&pair.high)
    }

    /// Drops what is closed for want of use.
    pub(crate) fn sweep(&mut self, now: Time) {
        for links in &mut self.by_low {
            links.retain(|_, link| !link.is_idle(now));
        }
    }

    /// Every pair with a link.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Pair, &mut Link)> {
        self.by_low
            .iter_mut()
            .zip(0..)
            .flat_map(|(links, low)| links.iter_mut().map(move |(high, link)| (Pair { low, high: *high }, link)))
    }

    /// Links that exist (count).
    pub(crate) fn len(&self) -> usize {
        self.by_low.iter().map(BTreeMap::len).sum()
    }
}
