// SPDX-License-Identifier: Apache-2.0
//! What can be set about the directory.

use std::time::Duration;

/// Times of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time between two beats of a small cluster; a large one stretches it. Shorter costs traffic and gains little:
    /// links and probes find the dead, a lease is what remains if both are fooled.
    pub heartbeat: Duration,
    /// How long a suspect may refute. Must leave a rumour the time to reach every node and to come back, some ten hops;
    /// all of it is added to the time until a death is known.
    pub suspicion: Duration,
    /// Time between two comparisons with each neighbour. What a lost rumour leaves behind lasts about twice as long.
    pub digest_period: Duration,
    /// Time between two probes of members that are no neighbours, and between two attempts to reach one that is down.
    pub probe_period: Duration,
    /// How long a probe may stay unanswered; has to be longer than a dial may take.
    pub probe_timeout: Duration,
    /// How long members that are gone are remembered. A half of the cluster that was away for longer is not searched
    /// for any more.
    pub memory: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(2),
            suspicion: Duration::from_secs(2),
            digest_period: Duration::from_secs(2),
            probe_period: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(6),
            memory: Duration::from_secs(24 * 3600),
        }
    }
}
