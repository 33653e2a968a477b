// SPDX-License-Identifier: Apache-2.0
//! Counters and gauges of gossip: written by the actor, read by anybody.

use barrel_p2p_proto::{hyparview, plumtree, DownReason, Event, Message};
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the metrics and their names.
macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Metric {
            $($(#[$doc])* $name,)*
        }

        const NAMES: &[&str] = &[$($text,)*];
    };
}

metrics! {
    /// Peers whose bytes were no messages, or broke the rules, and whose links were closed for it.
    Attacks = "barrel_p2p.gossip.attacks",
    BytesReceived = "barrel_p2p.gossip.bytes_received",
    BytesSent = "barrel_p2p.gossip.bytes_sent",
    DecodeErrors = "barrel_p2p.gossip.decode_errors",
    DialFailures = "barrel_p2p.gossip.dial_failures",
    DirectDelivered = "barrel_p2p.gossip.direct.delivered",
    DirectSent = "barrel_p2p.gossip.direct.sent",
    /// Payloads that a slow host had no room for.
    EventsDropped = "barrel_p2p.gossip.events_dropped",
    EventsWaiting = "barrel_p2p.gossip.events_waiting",
    InboxCommands = "barrel_p2p.gossip.inbox_commands",
    Lines = "barrel_p2p.gossip.channels",
    MessagesReceived = "barrel_p2p.gossip.messages_received",
    MessagesSent = "barrel_p2p.gossip.messages_sent",
    OutboxBytes = "barrel_p2p.gossip.outbox_bytes",
    /// Messages that a slow peer had no room for.
    SendDropped = "barrel_p2p.gossip.send_dropped",
    DeclaredDown = "barrel_p2p.directory.declared_down",
    DirectoryAlive = "barrel_p2p.directory.alive",
    DirectoryDown = "barrel_p2p.directory.down",
    DirectoryLeft = "barrel_p2p.directory.left",
    DirectorySuspect = "barrel_p2p.directory.suspect",
    /// Claims about a later life of this node: two nodes run under one name, or somebody lies.
    Impostors = "barrel_p2p.directory.impostors",
    Reconciled = "barrel_p2p.directory.reconciled",
    RefusedFull = "barrel_p2p.directory.refused.full",
    RefusedFuture = "barrel_p2p.directory.refused.future",
    RefusedRequests = "barrel_p2p.directory.refused.requests",
    RefusedStamps = "barrel_p2p.directory.refused.stamps",
    Refuted = "barrel_p2p.directory.refuted",
    Suspected = "barrel_p2p.directory.suspected",
    ActiveView = "barrel_p2p.hyparview.active_view",
    Joined = "barrel_p2p.hyparview.joined",
    LeftCluster = "barrel_p2p.hyparview.left",
    PassiveView = "barrel_p2p.hyparview.passive_view",
    PeerUp = "barrel_p2p.hyparview.peer_up",
    PeerDown = "barrel_p2p.hyparview.peer_down",
    PeerDownBlocked = "barrel_p2p.hyparview.peer_down.blocked",
    PeerDownConnectFailed = "barrel_p2p.hyparview.peer_down.connect_failed",
    PeerDownDropped = "barrel_p2p.hyparview.peer_down.dropped",
    PeerDownGraceful = "barrel_p2p.hyparview.peer_down.graceful",
    PeerDownNodedown = "barrel_p2p.hyparview.peer_down.nodedown",
    PendingTimeout = "barrel_p2p.hyparview.pending_timeout",
    /// Requests of others to be neighbours that were refused.
    Rejected = "barrel_p2p.hyparview.rejected",
    Shuffle = "barrel_p2p.hyparview.shuffle",
    Broadcasts = "barrel_p2p.plumtree.broadcast",
    CachedBytes = "barrel_p2p.plumtree.cached_bytes",
    CachedMessages = "barrel_p2p.plumtree.cached_messages",
    Delivered = "barrel_p2p.plumtree.delivered",
    EagerPeers = "barrel_p2p.plumtree.eager_peers",
    GossipReceived = "barrel_p2p.plumtree.gossip.received",
    GossipSent = "barrel_p2p.plumtree.gossip.sent",
    GraftReceived = "barrel_p2p.plumtree.graft.received",
    GraftSent = "barrel_p2p.plumtree.graft.sent",
    IHaveReceived = "barrel_p2p.plumtree.ihave.received",
    IHaveSent = "barrel_p2p.plumtree.ihave.sent",
    LazyPeers = "barrel_p2p.plumtree.lazy_peers",
    PendingIHaves = "barrel_p2p.plumtree.pending_ihaves",
    PruneReceived = "barrel_p2p.plumtree.prune.received",
    PruneSent = "barrel_p2p.plumtree.prune.sent",
    /// Bytes of all entries of all stores.
    StoreBytes = "barrel_p2p.store.bytes",
    /// Tombstones forgotten.
    StoreCollected = "barrel_p2p.store.collected",
    StoreDeltasReceived = "barrel_p2p.store.deltas.received",
    StoreDeltasSent = "barrel_p2p.store.deltas.sent",
    /// Entries of peers for which there was no room; they come again.
    StoreDropped = "barrel_p2p.store.dropped",
    /// Keys that have a value.
    StoreEntries = "barrel_p2p.store.entries",
    /// Entries of peers that an owner took.
    StoreMerged = "barrel_p2p.store.merged",
    /// Stores that are open.
    Stores = "barrel_p2p.store.open",
    /// Comparisons with a peer, each of one store.
    Reconciles = "barrel_p2p.store.reconcile.begun",
    ReconcilesAnswered = "barrel_p2p.store.reconcile.answered",
    ReconcilesFinished = "barrel_p2p.store.reconcile.finished",
    ReconcilesGivenUp = "barrel_p2p.store.reconcile.given_up",
    /// Entries of peers whose stamps are too far ahead.
    StoreRefusedStamps = "barrel_p2p.store.refused_stamps",
    /// Entries of peers that an owner did not want.
    StoreRejected = "barrel_p2p.store.rejected",
    /// Stores whose owner has entries of peers to judge.
    StoreStaged = "barrel_p2p.store.staged",
    /// Entries of peers that were news.
    StoreTaken = "barrel_p2p.store.taken",
    StoreTombstones = "barrel_p2p.store.tombstones",
    /// Messages about stores that broke the rules.
    StoreViolations = "barrel_p2p.store.violations",
    /// Puts and removes.
    StoreWrites = "barrel_p2p.store.writes",
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Metrics(Box<[AtomicU64]>);

impl Default for Metrics {
    fn default() -> Self {
        Self(NAMES.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Metrics {
    pub(crate) fn count(&self, metric: Metric) {
        self.add(metric, 1);
    }

    pub(crate) fn add(&self, metric: Metric, more: usize) {
        self.0[metric as usize].fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, metric: Metric, value: u64) {
        self.0[metric as usize].store(value, Ordering::Relaxed);
    }

    /// Names and values.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        NAMES.iter().copied().zip(self.0.iter().map(|value| value.load(Ordering::Relaxed)))
    }

    pub(crate) fn sent(&self, message: &Message, bytes: usize) {
        self.count(Metric::MessagesSent);
        self.add(Metric::BytesSent, bytes);
        match message {
            Message::Direct(_) => self.count(Metric::DirectSent),
            Message::Directory(_) | Message::Store(_) => {}
            Message::HyParView(message) => {
                if matches!(message, hyparview::Message::Shuffle { .. }) {
                    self.count(Metric::Shuffle);
                }
            }
            Message::Plumtree(message) => self.count(match message {
                plumtree::Message::Gossip { .. } => Metric::GossipSent,
                plumtree::Message::Graft(_) => Metric::GraftSent,
                plumtree::Message::IHave { .. } => Metric::IHaveSent,
                plumtree::Message::Prune => Metric::PruneSent,
            }),
        }
    }

    pub(crate) fn received(&self, message: &Message) {
        self.count(Metric::MessagesReceived);
        match message {
            Message::Direct(_) | Message::Directory(_) | Message::HyParView(_) | Message::Store(_) => {}
            Message::Plumtree(message) => self.count(match message {
                plumtree::Message::Gossip { .. } => Metric::GossipReceived,
                plumtree::Message::Graft(_) => Metric::GraftReceived,
                plumtree::Message::IHave { .. } => Metric::IHaveReceived,
                plumtree::Message::Prune => Metric::PruneReceived,
            }),
        }
    }

    pub(crate) fn happened(&self, event: &Event) {
        match event {
            Event::Delivered { .. } => self.count(Metric::Delivered),
            Event::Direct { .. } => self.count(Metric::DirectDelivered),
            Event::Joined => self.count(Metric::Joined),
            Event::Left => self.count(Metric::LeftCluster),
            Event::MemberDown(..) | Event::MemberUp(_) => {}
            Event::PeerDown(_, reason) => {
                self.count(Metric::PeerDown);
                self.count(match reason {
                    DownReason::Blocked => Metric::PeerDownBlocked,
                    DownReason::ConnectFailed => Metric::PeerDownConnectFailed,
                    DownReason::Dropped => Metric::PeerDownDropped,
                    DownReason::Graceful => Metric::PeerDownGraceful,
                    DownReason::Nodedown => Metric::PeerDownNodedown,
                });
            }
            Event::PeerUp(_) => self.count(Metric::PeerUp),
        }
    }
}
