// SPDX-License-Identifier: Apache-2.0
//! The loop: takes what waits in the inbox, drives the stack, carries out what it says.
//!
//! Runs on the I/O thread and never waits for anything but its inbox. Ends with the endpoint, or when the host wants it; whoever waits
//! for it is told then.

use super::ear::{Heard, LineId};
use super::events::{Events, Listener};
use super::frames;
use super::gauges;
use super::handle::Gossip;
use super::inbox::{Command, Inbox, Occurrence};
use super::joins::{JoinFailure, JoinRequest, Joins};
use super::lines::{dialable, Line, Lines, Sent, Way};
use super::metrics::Metric;
use super::published::{Member, Views};
use crate::clock::Clock;
use crate::stores::Stores;
use barrel_p2p_base::{CloseCode, NodeName};
use barrel_p2p_net::{Batch, Local, Peer, Reason};
use barrel_p2p_proto::replication::Shelf;
use barrel_p2p_proto::stack::{Config, Stack};
use barrel_p2p_proto::{Contact, Event, Input, Machine, Message, Output, Outputs, Why};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Occurrences (count) handled in one turn, before timers and commands have theirs.
const TURN: usize = 16;

/// Bytes of a channel that are taken at once, or one message more.
const TAKE_BYTES: usize = 64 * 1024;

/// How often idle lines and gauges are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// Sweeps (count) between two looks at the addresses of this host.
const SWEEPS_PER_ADDRESS_CHECK: u32 = 15;

/// Time that must pass between two snapshots of the members, for each of them. Caps the cost of snapshots at a few percent of a core
/// while thousands join, and delays the news by 0.5 ms in a cluster of 50 and by 100 ms in one of 10,000.
const SNAPSHOT_GAP_PER_MEMBER: Duration = Duration::from_micros(10);

pub(crate) struct Actor {
    clock: Clock,
    stack: Stack,
    stores: Arc<Stores>,
    /// What this gossip is called where hosts tell of their stores.
    ear: u64,
    inbox: Inbox,
    gossip: Arc<Gossip>,
    listener: Arc<dyn Listener>,
    local: Local,
    lines: Lines,
    joins: Joins,
    events: Events,
    outputs: Outputs,
    has_new_neighbour: bool,
    addresses: Box<[SocketAddr]>,
    next_sweep: Instant,
    sweeps: u32,
    /// Which generation of the directory the last snapshot shows.
    snapshot: u64,
    next_snapshot: Instant,
    /// Before that nobody has heard of it, and nobody is to hear of its end.
    is_running: bool,
}

/// What an actor is made of.
pub(crate) struct Parts {
    pub(crate) name: NodeName,
    pub(crate) config: Config,
    pub(crate) stores: Arc<Stores>,
    pub(crate) gossip: Arc<Gossip>,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) inbox: Inbox,
    pub(crate) links: UnboundedSender<Occurrence>,
}

impl Actor {
    pub(crate) fn new(parts: Parts, local: Local) -> Self {
        let Parts { name, config, stores, gossip, listener, inbox, links } = parts;
        let (clock, now) = (Clock::start(), Instant::now());
        let addresses = local.addresses().into_boxed_slice();
        let incarnation = local.incarnation();
        let me = Contact { name, incarnation, addresses: addresses.clone(), key: local.public_key() };
        let (me, stamps) = (Arc::new(me), stores.clock().clone());
        // The incarnation has random bits of its own.
        let stack = Stack::new(config, me, stamps, stores.clone(), incarnation.random, clock.now());
        let events = Events::new(gossip.acks.clone());
        let mut actor = Self {
            clock,
            stack,
            stores,
            ear: 0,
            inbox,
            gossip,
            listener,
            lines: Lines::new(local.clone(), links),
            local,
            joins: Joins::default(),
            events,
            outputs: Outputs::new(),
            has_new_neighbour: false,
            addresses,
            next_sweep: now + SWEEP_EVERY,
            sweeps: 0,
            snapshot: 0,
            next_snapshot: now,
            is_running: false,
        };
        actor.publish_members();
        actor
    }

    pub(crate) async fn run(mut self) {
        self.is_running = true;
        let (gossip, stores) = (self.gossip.clone(), self.stores.clone());
        self.take_stores();
        let mut occurrences = Vec::with_capacity(TURN);
        loop {
            let (wake, host_waits) = self.wake();
            let wake = tokio::time::Instant::from_std(wake);
            tokio::select! {
                biased;
                () = gossip.stop.notified() => return,
                _ = self.inbox.occurrences.recv_many(&mut occurrences, TURN) => {}
                Some(command) = self.inbox.commands.recv(), if !host_waits => self.command(command),
                () = stores.bell.rung(), if !host_waits => {}
                () = gossip.acks.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
            for occurrence in occurrences.drain(..) {
                self.occurrence(occurrence);
            }
            // Peers that talk without a pause must not keep the host waiting for ever.
            if !host_waits {
                if let Ok(command) = self.inbox.commands.try_recv() {
                    self.command(command);
                }
                self.look_at_stores();
            }
            self.due();
            self.tell();
        }
    }

    /// When to look again if nothing happens, and whether the host has to wait until then.
    fn wake(&self) -> (Instant, bool) {
        let congested = self.lines.congested_until().filter(|until| *until > Instant::now());
        let timeout = self.stack.next_timeout().map(|time| self.clock.instant(time));
        let snapshot = self.is_outdated().then_some(self.next_snapshot);
        let moments = [timeout, self.joins.next_deadline(), snapshot, congested];
        (moments.into_iter().flatten().fold(self.next_sweep, Instant::min), congested.is_some())
    }

    fn feed(&mut self, input: Input) {
        self.stack.handle(self.clock.now(), input, &mut self.outputs);
        self.carry_out();
    }

    fn due(&mut self) {
        let now = self.clock.now();
        if self.stack.next_timeout().is_some_and(|time| time <= now.mono) {
            self.stack.handle_timeout(now, &mut self.outputs);
            self.carry_out();
        }
        let now = Instant::now();
        self.joins.expire(now);
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_EVERY;
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.lines.sweep(now);
        let metrics = &self.gossip.metrics;
        metrics.set(Metric::OutboxBytes, self.lines.waiting_bytes() as u64);
        self.sweeps += 1;
        if self.sweeps.is_multiple_of(SWEEPS_PER_ADDRESS_CHECK) {
            let addresses = self.local.addresses().into_boxed_slice();
            if addresses != self.addresses {
                self.addresses.clone_from(&addresses);
                self.feed(Input::Moved(addresses));
            }
        }
    }

    fn carry_out(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Close { name, code } => self.punish(&name, code),
                Output::Event(event) => self.happened(event),
                Output::Hold(contact) => self.lines.hold(&contact),
                Output::Release(name) => self.lines.release(&name),
                Output::Send { to, message } => self.send(&to, &message),
                Output::Staged(name) => self.stores.staged(&name),
            }
        }
        self.outputs = outputs;
    }

    fn send(&mut self, to: &Arc<Contact>, message: &Message) {
        match self.lines.send(to, message) {
            Sent::Queued(bytes) => self.gossip.metrics.sent(message, bytes),
            Sent::Dropped => self.gossip.metrics.count(Metric::SendDropped),
        }
    }

    fn happened(&mut self, event: Event) {
        self.gossip.metrics.happened(&event);
        if let Event::Delivered { id, .. } = &event {
            self.gossip.recent.insert(*id);
        }
        self.has_new_neighbour |= matches!(event, Event::PeerUp(_));
        if !self.events.push(event) {
            self.gossip.metrics.count(Metric::EventsDropped);
        }
    }

    /// The peer broke the rules.
    fn punish(&mut self, name: &NodeName, code: CloseCode) {
        self.gossip.metrics.count(Metric::Attacks);
        self.lines.drop_peer(name);
        self.local.close_links(name, code);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Block(names) => self.feed(Input::Block(names)),
            Command::Broadcast { id, payload } => {
                self.gossip.metrics.count(Metric::Broadcasts);
                self.feed(Input::Broadcast { id, payload: payload.bytes.clone() });
            }
            Command::Direct { to, payload } => self.feed(Input::Direct { to, payload: payload.bytes.clone() }),
            Command::Join(request) => self.join(request),
            Command::Leave => self.feed(Input::Leave),
            Command::Unblock => self.feed(Input::Unblock),
        }
    }

    /// From now on hosts tell of their stores; those that are open are news to the stack.
    fn take_stores(&mut self) {
        self.ear = self.stores.bell.listen();
        for name in self.stores.names() {
            self.feed(Input::Opened(name));
        }
    }

    /// Passes on what hosts have done to stores.
    fn look_at_stores(&mut self) {
        let has_audience = self.stack.overlay().neighbours().next().is_some();
        if self.stores.bell.set_audience(has_audience) {
            // Nothing was told while nobody could hear it.
            for name in self.stores.names() {
                self.feed(Input::Wrote(name));
            }
        }
        for (name, notes) in self.stores.bell.take() {
            if notes.opened {
                self.feed(Input::Opened(name.clone()));
            }
            if notes.wrote {
                self.feed(Input::Wrote(name.clone()));
            }
            if notes.drained {
                self.feed(Input::Drained(name));
            }
        }
    }

    fn join(&mut self, request: JoinRequest) {
        let JoinRequest { mut target, deadline, reply } = request;
        if let Some(name) = &target.name {
            if self.stack.overlay().neighbour(name).is_some() {
                return reply(Ok(()));
            }
            if *name == self.stack.overlay().me().name {
                return reply(Err(JoinFailure::Contact(Reason::Code(CloseCode::NameMismatch))));
            }
            if target.addresses.is_empty() {
                target.addresses = self.gossip.member(name).map_or_else(Vec::new, |member| dialable(&member.contact));
            }
        }
        let line = match target.name.as_ref().and_then(|name| self.lines.to(name)) {
            Some(line) => line,
            None => self.lines.open(target.name, target.addresses),
        };
        self.joins.push(line, deadline, reply);
        if let Some(contact) = self.lines.get(line).and_then(|line| line.contact.clone()) {
            self.reached(line, contact);
        }
    }

    /// Asks the contact, when somebody waits for it.
    fn reached(&mut self, line: LineId, contact: Arc<Contact>) {
        if !self.joins.connected(line) {
            return;
        }
        // Reached by its address, it turns out to be a neighbour already.
        self.has_new_neighbour |= self.stack.overlay().neighbour(&contact.name).is_some();
        self.feed(Input::Join(contact));
    }

    fn occurrence(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::Incoming(channel, peer) => self.lines.accept(channel, &peer),
            Occurrence::Line(id, Heard::Closed(reason)) => self.closed(id, reason),
            Occurrence::Line(id, Heard::Connected(peer)) => self.connected(id, &peer),
            Occurrence::Line(id, Heard::Failed(reason)) => self.failed(id, reason),
            Occurrence::Line(id, Heard::Arrived) => self.arrived(id),
            Occurrence::Line(id, Heard::Writable) => self.lines.writable(id),
        }
    }

    fn connected(&mut self, id: LineId, peer: &Peer) {
        match self.lines.connected(id, peer) {
            Some((line, contact)) => {
                self.joins.moved(id, line);
                self.reached(line, contact);
            }
            None => {
                if let Some(line) = self.lines.remove(id) {
                    line.channel.abort();
                }
                // Whoever has no name is no member.
                self.joins.lost(id, Reason::Code(CloseCode::InvalidName));
            }
        }
    }

    fn failed(&mut self, id: LineId, reason: Reason) {
        self.gossip.metrics.count(Metric::DialFailures);
        self.joins.lost(id, reason);
        if let Some(name) = self.lines.remove(id).and_then(|line| line.name) {
            let why = if says_goodbye(reason) { Why::Stopped } else { Why::DialFailed };
            self.feed(Input::Unreachable { name, why });
        }
    }

    fn closed(&mut self, id: LineId, reason: Reason) {
        self.joins.lost(id, reason);
        let Some(Line { way, name: Some(name), .. }) = self.lines.remove(id) else { return };
        let broke_framing = way == Way::In && reason == Reason::Code(CloseCode::ProtocolError);
        if broke_framing && self.local.close_links(&name, CloseCode::ProtocolError) > 0 {
            self.gossip.metrics.count(Metric::DecodeErrors);
            self.gossip.metrics.count(Metric::Attacks);
        }
        // A peer that has nothing more to say is still there. Otherwise the line to it tells, where there is one.
        let is_loss = match way {
            Way::In => reason != Reason::Closed && self.lines.to(&name).is_none(),
            Way::Out => true,
        };
        if is_loss {
            let why = match reason {
                Reason::LinkTimeout => Why::Lost,
                Reason::Code(_) if says_goodbye(reason) => Why::Stopped,
                Reason::Closed
                | Reason::Code(_)
                | Reason::DialTimeout
                | Reason::NoAddress
                | Reason::Refused
                | Reason::Stopped
                | Reason::Unreachable => Why::Closed,
            };
            self.feed(Input::Unreachable { name, why });
        }
    }

    fn arrived(&mut self, id: LineId) {
        let Some(Line { way, contact: Some(from), channel, .. }) = self.lines.get(id) else { return };
        let (way, from, channel) = (*way, from.clone(), channel.clone());
        while let Some(batch) = channel.take(TAKE_BYTES) {
            self.frames(id, way, &from, batch);
        }
    }

    fn frames(&mut self, id: LineId, way: Way, from: &Arc<Contact>, batch: Batch) {
        self.gossip.metrics.add(Metric::BytesReceived, batch.bytes);
        let (messages, end) = frames::open(batch);
        for message in messages {
            // The stack may have had enough of this peer.
            if self.lines.get(id).is_none() {
                return;
            }
            self.gossip.metrics.received(&message);
            self.feed(Input::Received { from: from.clone(), message });
        }
        // Nobody answers on a line that we opened to send.
        if end.is_err() || way == Way::Out {
            self.gossip.metrics.count(Metric::DecodeErrors);
            self.punish(&from.name, CloseCode::ProtocolError);
            self.feed(Input::Unreachable { name: from.name.clone(), why: Why::Closed });
        }
    }

    /// Publishes the state, then tells what happened, then answers who waits for a neighbour.
    fn tell(&mut self) {
        let overlay = self.stack.overlay();
        let names = |contacts: &mut dyn Iterator<Item = &Arc<Contact>>| contacts.map(|at| at.name.clone()).collect();
        let views = Views { active: names(&mut overlay.neighbours()), passive: names(&mut overlay.passive()) };
        let metrics = &self.gossip.metrics;
        metrics.set(Metric::ActiveView, views.active.len() as u64);
        metrics.set(Metric::PassiveView, views.passive.len() as u64);
        metrics.set(Metric::Lines, self.lines.len() as u64);
        gauges::set(&self.stack, metrics);
        self.gossip.published.set_views(views);
        if self.is_outdated() {
            if Instant::now() < self.next_snapshot {
                return;
            }
            self.publish_members();
        }
        let events = self.events.take();
        if !events.is_empty() {
            self.listener.events(events);
        }
        self.gossip.metrics.set(Metric::EventsWaiting, self.events.len() as u64);
        if std::mem::take(&mut self.has_new_neighbour) {
            self.joins.accepted();
        }
    }

    fn is_outdated(&self) -> bool {
        self.snapshot != self.stack.directory().generation()
    }

    fn publish_members(&mut self) {
        let directory = self.stack.directory();
        let members = directory.members().map(|(contact, state)| Member { contact: contact.clone(), state });
        let mut members: Vec<Member> = members.collect();
        members.sort_unstable_by(|a, b| a.contact.name.cmp(&b.contact.name));
        self.snapshot = directory.generation();
        self.next_snapshot =
            Instant::now() + SNAPSHOT_GAP_PER_MEMBER * u32::try_from(members.len()).unwrap_or(u32::MAX);
        gauges::set_members(&members, &self.gossip.metrics);
        self.gossip.published.set_members(members);
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if !self.is_running {
            return;
        }
        self.stores.bell.leave(self.ear);
        self.lines.close_all();
        self.joins.stop();
        // From here on another gossip may start on this node.
        self.inbox.occurrences.close();
        self.inbox.commands.close();
        while let Ok(command) = self.inbox.commands.try_recv() {
            if let Command::Join(request) = command {
                (request.reply)(Err(JoinFailure::Stopped));
            }
        }
        self.listener.stopped();
    }
}

fn says_goodbye(reason: Reason) -> bool {
    matches!(reason, Reason::Code(CloseCode::Shutdown | CloseCode::Halted))
}
