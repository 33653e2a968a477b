// SPDX-License-Identifier: Apache-2.0
//! One node whose peers are played by the tests; whole outputs are compared.

mod defects;
mod exchange;
mod views;

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{Incarnation, NodeName, PublicKey, Random, Time};

use super::*;
use crate::contact::Contact;
use crate::machine::{DownReason, Event, Output, Outputs};
use crate::message;

/// The node, a clock, and what came out since it was last asked.
struct Node {
    state: State,
    now: Time,
    out: Outputs,
}

impl Node {
    fn new(config: Config) -> Self {
        Self { state: State::new(config, contact("me"), Random::new(1)), now: Time::ZERO, out: Vec::new() }
    }

    /// A node with these neighbours, who all asked it.
    fn with(names: &[&str]) -> Self {
        let mut node = Self::new(Config::default());
        for name in names {
            node.hears(name, Message::Neighbour(Priority::Low));
        }
        node.out.clear();
        node
    }

    fn hears(&mut self, from: &str, message: Message) -> Outputs {
        self.state.on_message(self.now, &contact(from), message, &mut self.out);
        std::mem::take(&mut self.out)
    }

    /// Everything that comes out until a moment.
    fn runs_until(&mut self, until: Time) -> Outputs {
        while let Some(at) = self.state.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.state.handle_timeout(self.now, &mut self.out);
        }
        self.now = until;
        std::mem::take(&mut self.out)
    }

    fn active(&self) -> Vec<&str> {
        self.state.active().map(|contact| contact.name.name()).collect()
    }

    fn passive(&self) -> Vec<&str> {
        self.state.passive().map(|contact| contact.name.name()).collect()
    }
}

fn name(text: &str) -> NodeName {
    NodeName::parse(format!("{text}@host").as_bytes()).unwrap()
}

fn contact(text: &str) -> Arc<Contact> {
    life(text, 1)
}

fn life(text: &str, started_ms: u64) -> Arc<Contact> {
    let incarnation = Incarnation { started_ms, random: 0 };
    Arc::new(Contact { name: name(text), incarnation, addresses: Box::new([]), key: PublicKey([0; 32]) })
}

fn send(to: &str, message: Message) -> Output {
    Output::Send { to: contact(to), message: message::Message::HyParView(message) }
}

fn up(who: &str) -> [Output; 2] {
    [Output::Hold(contact(who)), Output::Event(Event::PeerUp(name(who)))]
}

/// What comes out when a request was accepted, with so many neighbours then.
fn accepted(who: &str, neighbours: u8) -> Vec<Output> {
    let mut out = up(who).to_vec();
    if neighbours == 1 {
        out.push(joined());
    }
    out.push(send(who, Message::KeepAlive { neighbours }));
    out
}

fn down(who: &str, reason: DownReason) -> [Output; 2] {
    [Output::Release(name(who)), Output::Event(Event::PeerDown(name(who), reason))]
}

fn joined() -> Output {
    Output::Event(Event::Joined)
}

fn sends_to(out: &Outputs, who: &str) -> Vec<Message> {
    sends(out).filter(|(to, _)| **to == name(who)).map(|(_, message)| message.clone()).collect()
}

fn sends(out: &Outputs) -> impl Iterator<Item = (&NodeName, &Message)> {
    out.iter().filter_map(|output| {
        let Output::Send { to, message: message::Message::HyParView(message) } = output else { return None };
        Some((&to.name, message))
    })
}

/// Seconds since the start.
fn s(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}
