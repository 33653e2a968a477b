// SPDX-License-Identifier: Apache-2.0
//! A few dozen overlays with links that keep order and are never late, from many seeds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use barrel_p2p_base::{Incarnation, PublicKey};
use bytes::Bytes;

use super::*;
use crate::machine::{Event, Why};

/// All nodes, and messages in the order in which they were sent. None of it takes time; timers do.
struct Cluster {
    nodes: BTreeMap<NodeName, Overlay>,
    mail: VecDeque<(NodeName, Input)>,
    now: Now,
    /// Neighbours by what the nodes told.
    told: BTreeMap<NodeName, BTreeSet<NodeName>>,
    delivered: usize,
}

impl Cluster {
    fn new(count: u64, seed: u64) -> Self {
        let node =
            |number| (contact(number).name.clone(), Overlay::new(Config::default(), contact(number), seed ^ number));
        let nodes = (0..count).map(node).collect();
        Self { nodes, mail: VecDeque::new(), now: Now::default(), told: BTreeMap::new(), delivered: 0 }
    }

    fn input(&mut self, name: &NodeName, input: Input) {
        self.mail.push_back((name.clone(), input));
        self.deliver();
    }

    fn deliver(&mut self) {
        while let Some((name, input)) = self.mail.pop_front() {
            let mut out = Outputs::new();
            if let Some(node) = self.nodes.get_mut(&name) {
                node.handle(self.now, input, &mut out);
            }
            self.carry_out(&name, out);
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        let next = |nodes: &BTreeMap<NodeName, Overlay>| {
            nodes.iter().filter_map(|(name, node)| Some((node.next_timeout()?, name.clone()))).min()
        };
        while let Some((at, name)) = next(&self.nodes).filter(|(at, _)| *at <= end) {
            self.now.mono = self.now.mono.max(at);
            let mut out = Outputs::new();
            if let Some(node) = self.nodes.get_mut(&name) {
                node.handle_timeout(self.now, &mut out);
            }
            self.carry_out(&name, out);
            self.deliver();
        }
        self.now.mono = end;
    }

    fn carry_out(&mut self, name: &NodeName, out: Outputs) {
        for output in out {
            match output {
                Output::Send { to, message } if self.nodes.contains_key(&to.name) => {
                    let from = Arc::clone(self.nodes[name].me());
                    self.mail.push_back((to.name.clone(), Input::Received { from, message }));
                }
                Output::Send { to, .. } => {
                    let gone = Input::Unreachable { name: to.name.clone(), why: Why::DialFailed };
                    self.mail.push_back((name.clone(), gone));
                }
                Output::Event(Event::PeerUp(peer)) => {
                    assert!(self.told.entry(name.clone()).or_default().insert(peer), "told twice");
                }
                Output::Event(Event::PeerDown(peer, _)) => {
                    assert!(self.told.entry(name.clone()).or_default().remove(&peer), "never told");
                }
                Output::Event(Event::Delivered { .. }) => self.delivered += 1,
                Output::Close { .. } | Output::Event(_) | Output::Hold(_) | Output::Release(_) | Output::Staged(_) => {}
            }
        }
    }

    fn crash(&mut self, names: &BTreeSet<NodeName>) {
        self.nodes.retain(|name, _| !names.contains(name));
        self.told.retain(|name, _| !names.contains(name));
        for name in names {
            for neighbour in self.nodes.keys().cloned().collect::<Vec<_>>() {
                if self.nodes[&neighbour].neighbour(name).is_some() {
                    self.input(&neighbour, Input::Unreachable { name: name.clone(), why: Why::Lost });
                }
            }
        }
    }

    /// Views are symmetric, bounded, as told, and the links of the tree are theirs.
    fn check(&self) {
        for (name, node) in &self.nodes {
            let neighbours: BTreeSet<_> = node.neighbours().map(|contact| contact.name.clone()).collect();
            assert!(neighbours.len() <= 5 && node.passive().count() <= 30 && !neighbours.contains(name));
            assert_eq!(neighbours, self.told.get(name).cloned().unwrap_or_default());
            let links: BTreeSet<_> = node.eager().chain(node.lazy()).map(|contact| contact.name.clone()).collect();
            assert_eq!(neighbours, links);
            for neighbour in &neighbours {
                assert!(self.nodes[neighbour].neighbour(name).is_some(), "{name} counts {neighbour}");
            }
        }
    }

    /// A broadcast from one node reaches all others, once.
    fn broadcast(&mut self, name: &NodeName, number: u8) {
        self.delivered = 0;
        let id = MessageId([number; 16]);
        self.input(name, Input::Broadcast { id, payload: Bytes::from_static(b"payload") });
        self.run(Duration::from_secs(2));
        assert_eq!(self.delivered, self.nodes.len() - 1);
        assert!(self.nodes.values().all(|node| node.knows(&id)));
    }
}

fn contact(number: u64) -> Arc<Contact> {
    let name = NodeName::parse(format!("n{number}@host").as_bytes()).unwrap();
    let incarnation = Incarnation { started_ms: 1, random: number };
    Arc::new(Contact { name, incarnation, addresses: Box::new([]), key: PublicKey([0; 32]) })
}

#[test]
fn a_cluster_forms_speaks_and_outlives_half_of_itself() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(60, seed << 8);
        for number in 1..60 {
            cluster.input(&contact(number).name, Input::Join(contact(0)));
        }
        cluster.run(Duration::from_secs(20));
        cluster.check();
        for number in 0..10 {
            cluster.broadcast(&contact(u64::from(number) * 5).name, number);
        }
        cluster.crash(&(20..50).map(|number| contact(number).name.clone()).collect());
        cluster.run(Duration::from_secs(20));
        cluster.check();
        cluster.broadcast(&contact(0).name, 100);
        cluster.broadcast(&contact(59).name, 101);
    }
}

#[test]
fn two_nodes_whose_link_broke_find_each_other_again() {
    let mut cluster = Cluster::new(2, 1);
    let (one, other) = (contact(0).name.clone(), contact(1).name.clone());
    cluster.input(&other, Input::Join(contact(0)));
    cluster.check();
    cluster.input(&one, Input::Unreachable { name: other.clone(), why: Why::Lost });
    cluster.input(&other, Input::Unreachable { name: one.clone(), why: Why::Lost });
    assert!(cluster.told.values().all(BTreeSet::is_empty));
    cluster.run(Duration::from_secs(5));
    cluster.check();
    cluster.broadcast(&one, 1);
}

#[test]
fn who_leaves_is_no_neighbour_of_anybody() {
    let mut cluster = Cluster::new(10, 1);
    for number in 1..10 {
        cluster.input(&contact(number).name, Input::Join(contact(0)));
    }
    cluster.run(Duration::from_secs(10));
    let gone = contact(3).name.clone();
    cluster.input(&gone, Input::Leave);
    cluster.run(Duration::from_secs(60));
    cluster.check();
    assert!(cluster.nodes.values().all(|node| node.neighbour(&gone).is_none()));
}
