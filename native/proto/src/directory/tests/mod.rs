// SPDX-License-Identifier: Apache-2.0
//! One directory at a time: feed it, and compare all that it answers. Member 0 is this node.

mod claims;
mod exchange;
mod leases;
mod spreading;
mod suspicion;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{Incarnation, NodeName, PublicKey, Time};

use super::{Config, Directory, Message, Record};
use crate::contact::Contact;
use crate::hlc::{Clock, Timestamp, DEFAULT_MAX_SKEW_MS};
use crate::machine::MemberState::{self, Alive, Down, Left, Suspect};
use crate::machine::{Event, Now, Output, Outputs, Why};
use crate::message;

const WALL_MS: u64 = 1_700_000_000_000;

fn at(ms: u64) -> Now {
    Now { mono: Time(ms * 1000), wall_ms: WALL_MS + ms }
}

fn contact(member: usize, life: u64) -> Arc<Contact> {
    Arc::new(Contact {
        name: name(member),
        incarnation: Incarnation { started_ms: WALL_MS + life, random: 7 },
        addresses: [([127, 0, 0, 1], member as u16).into()].into(),
        key: PublicKey([member as u8; 32]),
    })
}

fn name(member: usize) -> NodeName {
    NodeName::parse(format!("n{member:05}@host").as_bytes()).unwrap()
}

/// A claim about the first life of a member.
fn claim(member: usize, version: u32, state: MemberState) -> Record {
    Record { contact: contact(member, 0), version, state }
}

fn directory() -> Directory {
    let clock = Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS));
    Directory::new(Config::default(), contact(0, 0), clock, 1, at(0))
}

/// A directory that has these neighbours, and has told its own news.
fn with_neighbours(members: &[usize]) -> Directory {
    let mut directory = directory();
    for member in members {
        directory.neighbour_up(at(0), &contact(*member, 0), &mut Vec::new());
        hear(&mut directory, at(0), *member, vec![claim(*member, 1, Alive)]);
    }
    directory.flush(at(0), |_| true, &mut Vec::new());
    rest(&mut directory);
    directory
}

/// As if it had heard no news for two rounds.
fn rest(directory: &mut Directory) {
    for _ in 0..2 {
        directory.reconcile.round(directory.table.generation());
    }
}

fn hear(directory: &mut Directory, now: Now, from: usize, records: Vec<Record>) -> Outputs {
    receive(directory, now, from, Message::Rumours { records, beats: Vec::new() })
}

fn receive(directory: &mut Directory, now: Now, from: usize, message: Message) -> Outputs {
    let mut out = Outputs::new();
    directory.on_message(now, &contact(from, 0), message, &mut out);
    out
}

/// Runs all timers until `end`, and returns what was put out. Rumours go to nobody.
fn run(directory: &mut Directory, end: u64) -> Outputs {
    let mut out = Outputs::new();
    while let Some(at) = directory.next_timeout().filter(|at| at.0 <= end * 1000) {
        let now = Now { mono: at, wall_ms: WALL_MS + at.0 / 1000 };
        directory.handle_timeout(now, &mut out);
        if directory.flush_due(now) {
            directory.flush(now, |_| true, &mut out);
        }
    }
    out
}

fn flush(directory: &mut Directory, now: Now, eager: &[usize]) -> Outputs {
    let eager: Vec<_> = eager.iter().map(|member| name(*member)).collect();
    let mut out = Outputs::new();
    directory.flush(now, |name| eager.contains(name), &mut out);
    out
}

fn unreachable(directory: &mut Directory, now: Now, member: usize, why: Why) -> Outputs {
    let mut out = Outputs::new();
    directory.unreachable(now, &name(member), why, &mut out);
    out
}

fn rumours(to: usize, records: Vec<Record>) -> Output {
    send(to, Message::Rumours { records, beats: Vec::new() })
}

fn send(to: usize, message: Message) -> Output {
    Output::Send { to: contact(to, 0), message: message::Message::Directory(message) }
}

fn up(member: usize) -> Output {
    Output::Event(Event::MemberUp(contact(member, 0)))
}

fn down(member: usize, state: MemberState) -> Output {
    Output::Event(Event::MemberDown(name(member), state))
}

fn state(directory: &Directory, member: usize) -> Option<MemberState> {
    directory.member(&name(member)).map(|(_, state)| state)
}

/// Only what is sent to a member.
fn sent_to(member: usize, out: &Outputs) -> Vec<Message> {
    let mut sent = Vec::new();
    for output in out {
        if let Output::Send { to, message: message::Message::Directory(message) } = output {
            if to.name == name(member) {
                sent.push(message.clone());
            }
        }
    }
    sent
}

fn records_in(message: &Message) -> usize {
    match message {
        Message::Records { records, .. } | Message::Rumours { records, .. } => records.len(),
        Message::Digest { .. } | Message::Probe(_) | Message::Summary(_) | Message::Want(_) => 0,
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn stamp(ms: u64) -> Timestamp {
    Timestamp { wall_ms: WALL_MS + ms, logical: 0 }
}
