// SPDX-License-Identifier: Apache-2.0
//! HyParView and Plumtree, wired: who talks to whom, and how a broadcast travels.

use std::sync::Arc;

use barrel_p2p_base::{NodeName, Time};

use crate::contact::Contact;
use crate::machine::{Input, Machine, Now, Outputs};
use crate::message::MessageId;
use crate::{hyparview, plumtree};

/// What can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// About the views.
    pub hyparview: hyparview::Config,
    /// About broadcasts.
    pub plumtree: plumtree::Config,
}

/// The overlay as one node sees it.
#[derive(Debug)]
pub struct Overlay {
    me: Arc<Contact>,
}

impl Overlay {
    /// A node without neighbours.
    pub fn new(_config: Config, me: Arc<Contact>, _seed: u64, _now: Now) -> Self {
        Self { me }
    }

    /// This node.
    pub fn me(&self) -> &Arc<Contact> {
        &self.me
    }

    /// The active view.
    pub fn neighbours(&self) -> impl Iterator<Item = &Arc<Contact>> {
        std::iter::empty()
    }

    /// The neighbour of this name.
    pub fn neighbour(&self, _name: &NodeName) -> Option<&Arc<Contact>> {
        None
    }

    /// The passive view.
    pub fn passive(&self) -> impl Iterator<Item = &Arc<Contact>> {
        std::iter::empty()
    }

    /// The neighbours to whom broadcasts go at once: the edges of the tree.
    pub fn eager(&self) -> impl Iterator<Item = &Arc<Contact>> {
        std::iter::empty()
    }

    /// The neighbours to whom broadcasts are announced.
    pub fn lazy(&self) -> impl Iterator<Item = &Arc<Contact>> {
        std::iter::empty()
    }

    /// Was this broadcast sent or received before?
    pub fn knows(&self, _id: &MessageId) -> bool {
        false
    }

    /// Is a neighbour missing, and nobody left to ask? Then [`Overlay::offer`] helps.
    pub fn wants_contacts(&self) -> bool {
        false
    }

    /// Contacts to ask, from a source outside the overlay such as the directory.
    pub fn offer(&mut self, _now: Now, _contacts: &[Arc<Contact>], _out: &mut Outputs) {}
}

impl Machine for Overlay {
    fn handle(&mut self, _now: Now, _input: Input, _out: &mut Outputs) {}

    fn handle_timeout(&mut self, _now: Now, _out: &mut Outputs) {}

    fn next_timeout(&self) -> Option<Time> {
        None
    }
}
