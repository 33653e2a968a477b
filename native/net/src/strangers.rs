// SPDX-License-Identifier: Apache-2.0
//! Limits on peers that have not proved themselves: how many at a time, and how fast from one address.

use crate::bucket::{Bucket, Rate};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

pub(crate) use barrel_p2p_base::limits::{MAX_PENDING_PEERS, RETRY_ABOVE_PENDING};

/// New connections per address: at once, and one more per period. A cluster of a few hundred nodes behind one address can restart at
/// once; a flood from one address is cut to 100 handshakes a second, about 5 % of one core.
const CONNECTIONS: Rate = Rate { burst: 512, refill_every: Duration::from_millis(10) };

/// Addresses remembered. More active ones than this share the last bucket's fate: the fullest (quietest) is forgotten first.
const REMEMBERED_ADDRESSES: usize = 1024;

/// What to do with a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Accept,
    /// Ask for proof that the sender owns its address first.
    Retry,
    Refuse,
}

/// A stranger's place. Told through `evicted` when a newer stranger needs it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    id: u64,
    pub(crate) evicted: Arc<Notify>,
}

#[derive(Debug, Default)]
pub(crate) struct Strangers {
    places: VecDeque<Place>,
    next_id: u64,
    buckets: BTreeMap<IpAddr, Bucket>,
}

impl Strangers {
    pub(crate) fn admit(&mut self, address: IpAddr, validated: bool, now: Instant) -> Admission {
        if self.places.len() >= RETRY_ABOVE_PENDING && !validated {
            return Admission::Retry;
        }
        if self.spend(bucket_of(address), now) {
            Admission::Accept
        } else {
            Admission::Refuse
        }
    }

    /// Takes a place. When all are taken the oldest stranger, who had the most time, makes room: so a crowd that never says hello cannot
    /// keep out a node that says it at once.
    pub(crate) fn enter(&mut self) -> Place {
        if self.places.len() >= MAX_PENDING_PEERS {
            if let Some(oldest) = self.places.pop_front() {
                oldest.evicted.notify_one();
            }
        }
        let place = Place { id: self.next_id, evicted: Arc::new(Notify::new()) };
        self.next_id += 1;
        self.places.push_back(place.clone());
        place
    }

    pub(crate) fn leave(&mut self, place: &Place) {
        self.places.retain(|other| other.id != place.id);
    }

    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    fn spend(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.buckets.len() >= REMEMBERED_ADDRESSES && !self.buckets.contains_key(&address) {
            let quietest = self.buckets.iter().max_by_key(|(_, bucket)| bucket.left()).map(|(address, _)| *address);
            if let Some(quietest) = quietest {
                self.buckets.remove(&quietest);
            }
        }
        self.buckets.entry(address).or_insert_with(|| Bucket::new(CONNECTIONS, now)).spend(now)
    }
}

/// One host owns a whole /64 of IPv6.
fn bucket_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_oldest_stranger_makes_room_for_the_newest() {
        let mut strangers = Strangers::default();
        let places: Vec<Place> = (0..=MAX_PENDING_PEERS).map(|_| strangers.enter()).collect();
        assert_eq!(strangers.count(), MAX_PENDING_PEERS);
        assert!(!strangers.places.iter().any(|place| place.id == places[0].id));
        strangers.leave(&places[0]);
        strangers.leave(&places[1]);
        assert_eq!(strangers.count(), MAX_PENDING_PEERS - 1);
    }

    #[test]
    fn a_crowd_must_prove_its_addresses() {
        let now = Instant::now();
        let mut strangers = Strangers::default();
        assert_eq!(strangers.admit(ADDRESS, false, now), Admission::Accept);
        for _ in 0..RETRY_ABOVE_PENDING {
            strangers.enter();
        }
        assert_eq!(strangers.admit(ADDRESS, false, now), Admission::Retry);
        assert_eq!(strangers.admit(ADDRESS, true, now), Admission::Accept);
    }

    #[test]
    fn a_flood_from_one_address_is_cut_and_others_are_not() {
        let now = Instant::now();
        let mut strangers = Strangers::default();
        let accepted =
            (0..2 * CONNECTIONS.burst).filter(|_| strangers.admit(ADDRESS, true, now) == Admission::Accept).count();
        assert_eq!(accepted, CONNECTIONS.burst as usize);
        assert_eq!(strangers.admit("10.0.0.7".parse().unwrap(), true, now), Admission::Accept);
        assert_eq!(strangers.admit(ADDRESS, true, now + CONNECTIONS.refill_every), Admission::Accept);
        assert_eq!(strangers.admit(ADDRESS, true, now + CONNECTIONS.refill_every), Admission::Refuse);
    }
}
