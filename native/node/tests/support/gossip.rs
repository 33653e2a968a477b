// SPDX-License-Identifier: Apache-2.0
//! Nodes that gossip, without a BEAM.

use super::{wait_until, TestNode, DEADLINE};
use barrel_p2p_node::proto::hlc::{Clock, DEFAULT_MAX_SKEW_MS};
use barrel_p2p_node::proto::stack::Config;
use barrel_p2p_node::proto::Event;
use barrel_p2p_node::stores::Stores;
use barrel_p2p_node::{Gossip, JoinFailure, Listener, Node, NodeName, Target};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};

/// Acknowledges and passes on.
struct Ear {
    gossip: Arc<Gossip>,
    events: Mutex<Sender<Event>>,
    stopped: Mutex<Sender<()>>,
}

impl Listener for Ear {
    fn events(&self, events: Vec<Event>) {
        self.gossip.ack(events.len());
        let sender = self.events.lock().unwrap();
        for event in events {
            let _ = sender.send(event);
        }
    }

    fn stopped(&self) {
        let _ = self.stopped.lock().unwrap().send(());
    }
}

pub struct Member {
    pub node: TestNode,
    pub gossip: Arc<Gossip>,
    events: Receiver<Event>,
    pub stopped: Receiver<()>,
}

impl Member {
    pub fn start(name: &str) -> Self {
        Self::on(TestNode::start(name))
    }

    pub fn on(node: TestNode) -> Self {
        let (gossip, events, stopped) = gossip_on(&node.node).unwrap();
        Self { node, gossip, events, stopped }
    }

    /// Joins by address alone.
    pub fn join(&self, contact: SocketAddr) -> Result<(), JoinFailure> {
        self.join_target(None, vec![(contact.ip().to_string(), contact.port())])
    }

    pub fn join_target(&self, name: Option<NodeName>, addresses: Vec<(String, u16)>) -> Result<(), JoinFailure> {
        let (sender, result) = channel();
        let reply = move |result| sender.send(result).unwrap();
        self.gossip.join(Target { name, addresses }, DEADLINE / 2, reply)?;
        result.recv_timeout(DEADLINE).expect("no answer to the join")
    }

    /// The next event that is wanted; others are skipped.
    pub fn expect<T>(&self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let event = self.events.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{}: no {what}", self.node.name));
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    pub fn expect_broadcast(&self) -> Bytes {
        self.expect("broadcast", |event| match event {
            Event::Delivered { payload, .. } => Some(payload.clone()),
            _ => None,
        })
    }

    /// All events so far.
    pub fn heard(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    pub fn member_names(&self) -> Vec<String> {
        self.gossip.members().iter().map(|name| name.as_str().to_owned()).collect()
    }

    pub fn stat(&self, name: &str) -> u64 {
        self.gossip.stats().into_iter().find(|(other, _)| *other == name).unwrap().1
    }
}

type Started = (Arc<Gossip>, Receiver<Event>, Receiver<()>);

pub fn gossip_on(node: &Node) -> Result<Started, barrel_p2p_node::gossip::StartError> {
    let (sender, events) = channel();
    let (end, stopped) = channel();
    let stores = Arc::new(Stores::new(Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS))));
    let gossip = node.start_gossip(Config::default(), stores, |gossip| {
        Arc::new(Ear { gossip: gossip.clone(), events: Mutex::new(sender), stopped: Mutex::new(end) })
    })?;
    Ok((gossip, events, stopped))
}

/// A cluster whose members know nothing but the first one's address.
pub fn cluster(size: usize) -> Vec<Member> {
    let members: Vec<Member> = (0..size).map(|n| Member::start(&format!("n{n}@127.0.0.1"))).collect();
    for member in &members[1..] {
        assert_eq!(member.join(members[0].node.address()), Ok(()));
    }
    let mut names: Vec<String> = members.iter().map(|member| member.node.name.as_str().to_owned()).collect();
    names.sort();
    wait_until("everybody knows everybody", || members.iter().all(|member| member.member_names() == names));
    members
}
