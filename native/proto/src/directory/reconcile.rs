// SPDX-License-Identifier: Apache-2.0
//! Repair of what rumours missed: digests find a difference, summaries find where, records end it.
//!
//! ```text
//!   A -- Digest --> B        every period; they differ, and it is not only that news is on its way
//!   A <- Summary -- B        a hash for each bucket
//!   A -- Want ----> B        these differ
//!   A -- Records -> B        what A has there, live or gone
//!   A <- Records -- B        what B has there
//! ```
//!
//! Keeps: cost follows the difference, not the size; and while much changes, the many who know a little more or less
//! than their neighbours leave it to the rumours to make them equal. A node runs one exchange of its own at a time, and serves a
//! bounded number of records per round to all others together.

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::limits::MAX_RECORDS;
use barrel_p2p_base::{NodeName, Time};

use super::fingerprint::BUCKETS;
use super::learn::Source;
use super::message::Buckets;
use super::record::Record;
use super::state::send;
use super::table::Entry;
use super::{Directory, Message};
use crate::contact::Contact;
use crate::machine::{Now, Outputs};

#[derive(Debug, Default)]
pub(super) struct Reconcile {
    exchange: Option<Exchange>,
    /// Records sent in this round.
    served: usize,
    /// Strangers that this node may still tell its neighbours about.
    news: usize,
    /// The generations of the table at the last two rounds, the older one first.
    generations: [u64; 2],
}

/// An exchange that this node has begun.
#[derive(Debug)]
struct Exchange {
    with: NodeName,
    /// Has the other one said what it wants?
    wanted: bool,
    until: Time,
}

impl Reconcile {
    /// Ends the exchange with this peer, if there is one.
    pub(super) fn end(&mut self, with: &NodeName) {
        if self.is_with(with) {
            self.exchange = None;
        }
    }

    pub(super) fn round(&mut self, generation: u64) {
        self.served = 0;
        self.generations = [self.generations[1], generation];
    }

    /// Does news come in? One member that joins is none yet: it makes two changes.
    fn has_news(&self, generation: u64) -> bool {
        generation - self.generations[0] > 2
    }

    /// May a stranger learnt by comparison be passed on? As many as this node knew members before: so a joiner does not
    /// tell everybody what everybody knows, and two clusters that meet do tell each other.
    pub(super) fn may_tell_news(&mut self) -> bool {
        let may = self.news > 0;
        self.news = self.news.saturating_sub(1);
        may
    }

    fn is_with(&self, name: &NodeName) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.with == *name)
    }
}

impl Directory {
    pub(super) fn digest(&self, now: Now) -> Message {
        let live = u32::try_from(self.live()).unwrap_or(u32::MAX);
        Message::Digest { fingerprint: self.fingerprint(), live, stamp: self.clock.now(now.wall_ms) }
    }

    pub(super) fn on_digest(&mut self, now: Now, from: &Arc<Contact>, theirs: (u64, u32), out: &mut Outputs) {
        let (fingerprint, live) = theirs;
        let (generation, ours) = (self.table.generation(), self.live());
        let Some(neighbour) = self.neighbours.get_mut(&from.name) else { return };
        if fingerprint == self.table.fingerprint().whole() {
            neighbour.differed = 0;
            return;
        }
        let lasts = neighbour.differed >= if self.reconcile.has_news(generation) { PATIENCE } else { 1 };
        neighbour.differed = neighbour.differed.saturating_add(1);
        // More than rumours that are on their way: this node has joined, or was cut off.
        let is_behind = live as usize > ours + ours / 4;
        let busy = self.reconcile.exchange.as_ref().is_some_and(|exchange| exchange.until > now.mono);
        if (lasts || is_behind) && !busy {
            self.stats.reconciled += 1;
            self.reconcile.news = self.table.len();
            let until = now.mono + EXCHANGE_TIMEOUT;
            self.reconcile.exchange = Some(Exchange { with: from.name.clone(), wanted: false, until });
            send(from, Message::Summary(self.table.fingerprint().summary()), out);
        }
    }

    pub(super) fn on_summary(&mut self, now: Now, from: &Arc<Contact>, theirs: &[u32; BUCKETS], out: &mut Outputs) {
        if self.reconcile.is_with(&from.name) {
            // Both began at once: the smaller name goes on.
            if self.own.contact.name < from.name {
                return;
            }
            self.reconcile.exchange = None;
        }
        if self.reconcile.exchange.as_ref().is_some_and(|exchange| exchange.until > now.mono) {
            // What it lacks is about to come from somebody else.
            return send(from, Message::Records { records: Vec::new(), last: true }, out);
        }
        if !self.may_serve() {
            return;
        }
        let differing = Buckets::differing(&self.table.fingerprint().summary(), theirs);
        self.reconcile.news = self.table.len();
        // First what is wanted: the other side then sends what it had before it learns what is here.
        send(from, Message::Want(differing), out);
        self.serve(from, differing, out);
    }

    pub(super) fn on_want(&mut self, from: &Arc<Contact>, wanted: Buckets, out: &mut Outputs) {
        match &mut self.reconcile.exchange {
            Some(exchange) if exchange.with == from.name && !exchange.wanted => exchange.wanted = true,
            // Unasked: a small message must not get a large answer.
            Some(_) | None => {
                self.stats.refused_requests += 1;
                return;
            }
        }
        self.serve(from, wanted, out);
    }

    pub(super) fn on_records(
        &mut self,
        now: Now,
        from: &Arc<Contact>,
        records: Vec<Record>,
        last: bool,
        out: &mut Outputs,
    ) {
        self.learn_all(now, from, records, Source::Comparison(from), out);
        if last {
            self.end_exchange(from);
        }
    }

    /// The own exchange has brought most of what others have, too.
    fn end_exchange(&mut self, with: &Arc<Contact>) {
        let own = self.reconcile.is_with(&with.name);
        self.reconcile.end(&with.name);
        for neighbour in self.neighbours.values_mut().filter(|neighbour| own || neighbour.contact.name == with.name) {
            neighbour.differed = 0;
        }
    }

    fn may_serve(&mut self) -> bool {
        let may = self.reconcile.served < SERVED_RECORDS;
        if !may {
            self.stats.refused_requests += 1;
        }
        may
    }

    fn serve(&mut self, to: &Arc<Contact>, buckets: Buckets, out: &mut Outputs) {
        let buckets = (0..BUCKETS).filter(|bucket| buckets.contains(*bucket));
        let mut rest = buckets.flat_map(|bucket| self.table.bucket(bucket)).peekable();
        let mut served = 0;
        loop {
            let records: Vec<Record> = rest.by_ref().take(MAX_RECORDS).map(Entry::record).collect();
            served += records.len();
            let last = rest.peek().is_none();
            send(to, Message::Records { records, last }, out);
            if last {
                break;
            }
        }
        self.reconcile.served += served;
    }
}

/// Digests in a row (count) that differ before this is more than news on its way, while there is any: half a minute for
/// a cluster that changes all the time, of which rumours reach each node by several ways.
pub(super) const PATIENCE: u8 = 8;

/// After this an exchange that did not end is given up. It crosses the link twice and may bring megabytes.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Records (count) that a round of two seconds may serve before further requests are refused: two directories of 10,000
/// members, some 2 MB. Who is refused asks again, or asks another neighbour.
const SERVED_RECORDS: usize = 20_000;
