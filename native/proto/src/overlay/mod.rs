// SPDX-License-Identifier: Apache-2.0
//! HyParView and Plumtree, wired: who talks to whom, and how a broadcast travels.
//!
//! Keeps: the links of the tree are those to the active view, always. Leaves to others: the directory and messages for
//! the application; what it does not know it ignores.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use barrel_p2p_base::{NodeName, Random, Time};

use crate::contact::Contact;
use crate::machine::{Input, Machine, Now, Output, Outputs};
use crate::message::{Message, MessageId};
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
    views: hyparview::State,
    tree: plumtree::State,
}

impl Overlay {
    /// A node without neighbours.
    pub fn new(config: Config, me: Arc<Contact>, seed: u64) -> Self {
        Self {
            views: hyparview::State::new(config.hyparview, me, Random::new(seed)),
            tree: plumtree::State::new(config.plumtree),
        }
    }

    /// This node.
    pub fn me(&self) -> &Arc<Contact> {
        self.views.me()
    }

    /// This node can be reached in another way now.
    pub fn set_me(&mut self, me: Arc<Contact>) {
        self.views.set_me(me);
    }

    /// The active view, oldest neighbour first.
    pub fn neighbours(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.views.active()
    }

    /// The neighbour of this name.
    pub fn neighbour(&self, name: &NodeName) -> Option<&Arc<Contact>> {
        self.views.neighbour(name)
    }

    /// The passive view.
    pub fn passive(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.views.passive()
    }

    /// The neighbours to whom broadcasts go at once: the edges of the tree.
    pub fn eager(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.tree.eager()
    }

    /// The neighbours to whom broadcasts are announced.
    pub fn lazy(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.tree.lazy()
    }

    /// Was this broadcast sent or received before?
    pub fn knows(&self, id: &MessageId) -> bool {
        self.tree.knows(id)
    }

    /// The views, for their counters.
    pub fn views(&self) -> &hyparview::State {
        &self.views
    }

    /// The tree, for its counters.
    pub fn tree(&self) -> &plumtree::State {
        &self.tree
    }

    /// Is a neighbour missing, and nobody left to ask? Then [`Overlay::offer`] helps.
    pub fn wants_contacts(&self, now: Now) -> bool {
        self.views.wants_contacts(now.mono)
    }

    /// Contacts to ask, from a source outside the overlay such as the directory.
    pub fn offer(&mut self, now: Now, contacts: &[Arc<Contact>], out: &mut Outputs) {
        let begin = out.len();
        self.views.offer(now.mono, contacts, out);
        self.rewire(now, begin, out);
    }

    /// Takes a member that is known to be gone out of the passive view.
    pub fn forget(&mut self, name: &NodeName) {
        self.views.forget(name);
    }

    /// Tells the tree which neighbours came and went since `begin`.
    fn rewire(&mut self, now: Now, begin: usize, out: &mut Outputs) {
        for at in begin..out.len() {
            match &out[at] {
                Output::Hold(contact) => {
                    let contact = Arc::clone(contact);
                    self.tree.up(now.mono, &contact, out);
                }
                Output::Release(name) => self.tree.down(now.mono, name),
                Output::Close { .. } | Output::Event(_) | Output::Send { .. } | Output::Staged(_) => {}
            }
        }
    }
}

impl Machine for Overlay {
    fn handle(&mut self, now: Now, input: Input, out: &mut Outputs) {
        let begin = out.len();
        match input {
            Input::Block(names) => self.views.block(now.mono, names, out),
            Input::Broadcast { id, payload } => self.tree.broadcast(now.mono, id, payload, out),
            Input::Join(contact) => self.views.join(now.mono, contact, out),
            Input::Leave => self.views.leave(out),
            Input::Moved(addresses) => {
                self.set_me(Arc::new(Contact { addresses, ..Contact::clone(self.me()) }));
            }
            Input::Received { from, message: Message::Plumtree(message) } => {
                return self.tree.on_message(now.mono, &from, message, out);
            }
            Input::Received { from, message: Message::HyParView(message) } => {
                self.views.on_message(now.mono, &from, message, out);
            }
            Input::Unblock => self.views.block(now.mono, [].into(), out),
            Input::Unreachable { name, why } => self.views.on_unreachable(now.mono, &name, why, out),
            Input::Direct { .. }
            | Input::Drained(_)
            | Input::Opened(_)
            | Input::Received { message: Message::Directory(_) | Message::Direct(_) | Message::Store(_), .. }
            | Input::Wrote(_) => {}
        }
        self.rewire(now, begin, out);
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Outputs) {
        let begin = out.len();
        self.views.handle_timeout(now.mono, out);
        self.rewire(now, begin, out);
        self.tree.handle_timeout(now.mono, out);
    }

    fn next_timeout(&self) -> Option<Time> {
        self.views.next_timeout().into_iter().chain(self.tree.next_timeout()).min()
    }
}
