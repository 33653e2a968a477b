// SPDX-License-Identifier: Apache-2.0
//! Which gossip channels there are, and to whom. Each side sends on a channel that it opened itself.
//!
//! Keeps: what waits for a peer is at most [`BULK_BYTES`] of payloads and announcements and [`ALL_BYTES`] in all; a line that is neither
//! held nor used ends after [`IDLE`].

use super::ear::{Ear, LineId};
use super::frames;
use super::inbox::Occurrence;
use barrel_p2p_base::limits::MAX_ADDRESSES;
use barrel_p2p_base::NodeName;
use barrel_p2p_net::{Accepted, Channel, Kind, Local, Peer, Request};
use barrel_p2p_proto::{plumtree, Contact, Message};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Bytes that may wait for one peer before payloads, announcements and rumours are dropped: eight of the largest payloads. Who lost them
/// hears of them from somebody else.
const BULK_BYTES: usize = 8 << 20;

/// Bytes above which nothing is added for a peer any more.
const ALL_BYTES: usize = BULK_BYTES + (1 << 20);

/// How long an unused line stays open: a shuffle and its answer, or a few direct messages in a row.
const IDLE: Duration = Duration::from_secs(10);

/// How long a busy neighbour makes the host wait. Time for a mebibyte at 10 Mbit/s.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines (count) that one peer may have open to us. It needs one; a second one is there for a moment when it was reached by name and by
/// address at once, or when a new run of it comes before we know that the old one is dead.
const INCOMING: usize = 4;

/// Lines (count) on which a dial may be in flight. A stack asks for a handful at a time; direct messages to everybody must not
/// become a dial storm.
const DIALS: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) way: Way,
    /// `None` while the address alone was dialled.
    pub(crate) name: Option<NodeName>,
    /// Known once the hello has passed.
    pub(crate) contact: Option<Arc<Contact>>,
    pub(crate) channel: Arc<Channel>,
    used: Instant,
    /// Since when its outbox has more than it wants.
    busy_since: Option<Instant>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Too much waits for the peer, or for dials.
    Dropped,
    /// Queued, with so many bytes.
    Queued(usize),
}

#[derive(Debug)]
pub(crate) struct Lines {
    local: Local,
    inbox: UnboundedSender<Occurrence>,
    lines: BTreeMap<LineId, Line>,
    outgoing: BTreeMap<NodeName, LineId>,
    incoming: BTreeMap<NodeName, VecDeque<LineId>>,
    held: BTreeSet<NodeName>,
    next: u64,
}

impl Lines {
    pub(crate) fn new(local: Local, inbox: UnboundedSender<Occurrence>) -> Self {
        Self {
            local,
            inbox,
            lines: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            held: BTreeSet::new(),
            next: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn get(&self, line: LineId) -> Option<&Line> {
        self.lines.get(&line)
    }

    /// Bytes that wait for all peers.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.lines.values().map(|line| waiting(&line.channel)).sum()
    }

    /// The line on which this peer is told something.
    pub(crate) fn to(&self, name: &NodeName) -> Option<LineId> {
        self.outgoing.get(name).copied()
    }

    /// Queues a message, opening a line where there is none.
    pub(crate) fn send(&mut self, to: &Arc<Contact>, message: &Message) -> Sent {
        let line = match self.to(&to.name) {
            Some(line) => line,
            None if self.dials() >= DIALS => return Sent::Dropped,
            None => self.open_to(to),
        };
        let Some(line) = self.lines.get_mut(&line) else { return Sent::Dropped };
        let limit = if is_bulk(message) { BULK_BYTES } else { ALL_BYTES };
        let frame = frames::seal(message);
        let size = frame[0].len() + frame[1].len();
        if waiting(&line.channel) + size > limit {
            return Sent::Dropped;
        }
        line.used = Instant::now();
        match line.channel.send(1, frame) {
            Accepted::Busy => {
                line.busy_since.get_or_insert(line.used);
                Sent::Queued(size)
            }
            Accepted::Hold(_) | Accepted::Ready => Sent::Queued(size),
            // Its end is on the way to us, and with it the reason.
            Accepted::Closed => Sent::Dropped,
        }
    }

    /// The outbox of a line has room again.
    pub(crate) fn writable(&mut self, id: LineId) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.busy_since = None;
        }
    }

    /// Until when the host should wait, because neighbours have more to take in than they want. One that takes nothing at all does not
    /// keep the host waiting for long.
    pub(crate) fn congested_until(&self) -> Option<Instant> {
        let neighbours = self.held.iter().filter_map(|name| self.lines.get(self.outgoing.get(name)?));
        neighbours.filter_map(|line| line.busy_since).map(|since| since + PATIENCE).max()
    }

    /// Keeps a line open to this peer.
    pub(crate) fn hold(&mut self, contact: &Arc<Contact>) {
        self.held.insert(contact.name.clone());
        if self.to(&contact.name).is_none() {
            self.open_to(contact);
        }
    }

    pub(crate) fn release(&mut self, name: &NodeName) {
        self.held.remove(name);
        if let Some(line) = self.to(name).and_then(|line| self.lines.get_mut(&line)) {
            line.used = Instant::now();
        }
    }

    /// Opens a line to a member.
    fn open_to(&mut self, contact: &Arc<Contact>) -> LineId {
        self.open(Some(contact.name.clone()), dialable(contact))
    }

    /// Opens a line to a name, or to whoever answers.
    pub(crate) fn open(&mut self, name: Option<NodeName>, addresses: Vec<(String, u16)>) -> LineId {
        let channel = Arc::new(Channel::new(Kind::Gossip));
        let id = self.add(Way::Out, name.clone(), None, channel.clone());
        if let Some(name) = &name {
            self.outgoing.insert(name.clone(), id);
        }
        let request = Request { node: name, own_name: self.local.name(), cookie: None, addresses };
        self.local.connect(channel, request, self.local.dial_timeout());
        id
    }

    /// Takes a peer's line.
    pub(crate) fn accept(&mut self, channel: Arc<Channel>, peer: &Peer) {
        let Some(name) = &peer.name else {
            channel.abort();
            return;
        };
        let line = self.add(Way::In, Some(name.clone()), Some(contact(name, peer)), channel);
        let lines = self.incoming.entry(name.clone()).or_default();
        lines.push_back(line);
        if lines.len() > INCOMING {
            if let Some(oldest) = lines.pop_front() {
                self.abort(oldest);
            }
        }
    }

    fn add(
        &mut self,
        way: Way,
        name: Option<NodeName>,
        contact: Option<Arc<Contact>>,
        channel: Arc<Channel>,
    ) -> LineId {
        let id = LineId(self.next);
        self.next += 1;
        self.lines
            .insert(id, Line { way, name, contact, channel: channel.clone(), used: Instant::now(), busy_since: None });
        channel.own(Arc::new(Ear { line: id, inbox: self.inbox.clone() }));
        id
    }

    /// The peer has proved who it is. Answers with the line that leads to it from now on: another one when it was reached by address alone
    /// and there was a line to its name.
    pub(crate) fn connected(&mut self, id: LineId, peer: &Peer) -> Option<(LineId, Arc<Contact>)> {
        let name = peer.name.as_ref()?;
        let line = self.lines.get_mut(&id)?;
        let contact = contact(name, peer);
        line.contact = Some(contact.clone());
        if line.name.is_some() {
            return Some((id, contact));
        }
        line.name = Some(name.clone());
        match self.outgoing.get(name).copied() {
            Some(other) => {
                if let Some(line) = self.remove(id) {
                    line.channel.close();
                }
                Some((other, contact))
            }
            None => {
                self.outgoing.insert(name.clone(), id);
                Some((id, contact))
            }
        }
    }

    /// Forgets a line that has ended.
    pub(crate) fn remove(&mut self, id: LineId) -> Option<Line> {
        let line = self.lines.remove(&id)?;
        if let Some(name) = &line.name {
            if self.outgoing.get(name) == Some(&id) {
                self.outgoing.remove(name);
            }
            if let Some(lines) = self.incoming.get_mut(name) {
                lines.retain(|other| *other != id);
                if lines.is_empty() {
                    self.incoming.remove(name);
                }
            }
        }
        Some(line)
    }

    /// Forgets all lines of a peer, at once.
    pub(crate) fn drop_peer(&mut self, name: &NodeName) {
        let incoming = self.incoming.get(name).cloned().unwrap_or_default();
        self.to(name).into_iter().chain(incoming).for_each(|line| self.abort(line));
        self.held.remove(name);
    }

    fn abort(&mut self, id: LineId) {
        if let Some(line) = self.remove(id) {
            line.channel.abort();
        }
    }

    /// Ends what nobody holds or uses.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let is_idle = |line: &Line| {
            let held = line.name.as_ref().is_some_and(|name| self.held.contains(name));
            line.way == Way::Out && !held && line.contact.is_some() && now.duration_since(line.used) > IDLE
        };
        let idle: Vec<LineId> = self.lines.iter().filter(|(_, line)| is_idle(line)).map(|(id, _)| *id).collect();
        for id in idle {
            if let Some(line) = self.remove(id) {
                line.channel.close();
            }
        }
    }

    /// Ends everything; what was queued is still delivered.
    pub(crate) fn close_all(&mut self) {
        for line in std::mem::take(&mut self.lines).into_values() {
            match line.way {
                Way::In => line.channel.abort(),
                Way::Out => line.channel.close(),
            }
        }
    }

    fn dials(&self) -> usize {
        self.lines.values().filter(|line| line.contact.is_none()).count()
    }
}

/// What others can do without for a while, since it comes again from somebody else.
fn is_bulk(message: &Message) -> bool {
    match message {
        Message::Direct(_) | Message::Directory(_) | Message::Store(_) => true,
        Message::HyParView(_) => false,
        Message::Plumtree(plumtree::Message::Gossip { .. } | plumtree::Message::IHave { .. }) => true,
        Message::Plumtree(plumtree::Message::Graft(_) | plumtree::Message::Prune) => false,
    }
}

fn waiting(channel: &Channel) -> usize {
    usize::try_from(channel.stat().pending_bytes).unwrap_or(usize::MAX / 2)
}

/// The addresses of a contact as a dial wants them.
pub(crate) fn dialable(contact: &Contact) -> Vec<(String, u16)> {
    contact.addresses.iter().map(|address| (address.ip().to_string(), address.port())).collect()
}

/// How to reach a peer again: where it says that it listens, and where it was met, which is worth more than its word. A node that claims
/// nothing does not listen.
fn contact(name: &NodeName, peer: &Peer) -> Arc<Contact> {
    let mut addresses = peer.claimed.clone();
    if !addresses.is_empty() && !addresses.contains(&peer.address) {
        addresses.truncate(MAX_ADDRESSES - 1);
        addresses.push(peer.address);
    }
    Arc::new(Contact {
        name: name.clone(),
        incarnation: peer.incarnation,
        addresses: addresses.into_boxed_slice(),
        key: peer.key,
    })
}
