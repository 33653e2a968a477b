// SPDX-License-Identifier: Apache-2.0
//! Which keys are pinned for which names, and what follows for a peer.
//!
//! Keeps: a decision changes nothing. The caller acts on it (on disk first, then [`TrustBook::accept`]) once every
//! other check has passed. A name that is pinned never changes its key by itself, whatever the mode, except by a
//! rotation statement. Leaves to others: the checks of signature and cluster proof, which come before.

use std::collections::BTreeMap;

use barrel_p2p_base::{CloseCode, NodeName, PublicKey};

use crate::rotation::Rotation;

/// What to do with a name that has no pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustMode {
    /// Refuse it.
    Strict,
    /// Trust on first use: pin the key it came with.
    Tofu,
}

/// What a hello must prove, besides the cookie. Both sides of a connection must have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Nothing: no signature, no pin (`auth_enabled` is false).
    ProofOnly,
    /// That the peer holds its key.
    Signed,
}

/// Everything the operator decides about trust.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Unknown names.
    pub mode: TrustMode,
    /// Signatures and pins at all?
    pub auth: AuthMode,
    /// Re-pin on a valid rotation statement?
    pub accept_rotation: bool,
    /// Names whose pins are not looked at.
    pub cookie_only: Vec<Pattern>,
}

/// How a pin came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinLevel {
    /// By an operator, or loaded from disk.
    Permanent,
    /// By first use, since the node started.
    Tofu,
}

/// The key that a name must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The key.
    pub key: PublicKey,
    /// Who pinned it.
    pub level: PinLevel,
    /// When, in milliseconds since the Unix epoch.
    pub added_ms: u64,
}

/// What to do with a peer whose hello has passed all other checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it in; nothing to store.
    Accept,
    /// Store its key, then let it in.
    Pin,
    /// Replace the stored key by the new one, then let it in.
    Repin,
    /// Close with this code.
    Reject(CloseCode),
}

/// All pins of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustBook {
    pins: BTreeMap<NodeName, Pin>,
}

impl TrustBook {
    /// No pins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides about a peer. `name` is `None` for a dynamic node, which is never pinned.
    pub fn decide(
        &self,
        name: Option<&NodeName>,
        key: &PublicKey,
        rotation: Option<&Rotation>,
        policy: &Policy,
    ) -> Decision {
        if policy.auth == AuthMode::ProofOnly {
            return Decision::Accept;
        }
        let Some(name) = name else {
            return self.decide_dynamic(key, policy.mode);
        };
        if policy.is_cookie_only(name) {
            return Decision::Accept;
        }
        match (self.pins.get(name), policy.mode) {
            (Some(pin), _) if pin.key == *key => Decision::Accept,
            (Some(pin), _) if policy.accept_rotation && vouches(rotation, &pin.key, key) => Decision::Repin,
            (Some(_), _) => Decision::Reject(CloseCode::KeyMismatch),
            (None, TrustMode::Tofu) => Decision::Pin,
            (None, TrustMode::Strict) => Decision::Reject(CloseCode::UnknownKey),
        }
    }

    /// Records what [`Decision::Pin`] or [`Decision::Repin`] decided. A pin that is replaced keeps its level.
    pub fn accept(&mut self, name: NodeName, key: PublicKey, now_ms: u64) {
        let level = self.pins.get(&name).map_or(PinLevel::Tofu, |pin| pin.level);
        self.put(name, Pin { key, level, added_ms: now_ms });
    }

    /// Pins a key, whatever was pinned before.
    pub fn put(&mut self, name: NodeName, pin: Pin) {
        self.pins.insert(name, pin);
    }

    /// Forgets a name.
    pub fn remove(&mut self, name: &NodeName) -> Option<Pin> {
        self.pins.remove(name)
    }

    /// The pin of a name.
    pub fn get(&self, name: &NodeName) -> Option<&Pin> {
        self.pins.get(name)
    }

    /// All pins, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeName, &Pin)> {
        self.pins.iter()
    }

    fn decide_dynamic(&self, key: &PublicKey, mode: TrustMode) -> Decision {
        let known = || self.pins.values().any(|pin| pin.key == *key);
        match mode {
            TrustMode::Tofu => Decision::Accept,
            TrustMode::Strict if known() => Decision::Accept,
            TrustMode::Strict => Decision::Reject(CloseCode::UnknownKey),
        }
    }
}

impl Policy {
    /// Does a `cookie_only_nodes` pattern match this name?
    pub fn is_cookie_only(&self, name: &NodeName) -> bool {
        self.cookie_only.iter().any(|pattern| pattern.matches(name))
    }
}

/// `name@host`, where a part that is just `*` matches anything. There are no partial wildcards, and text without `@`
/// matches nothing: a typing mistake must not open more than was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes the text as configured.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Does it match?
    pub fn matches(&self, node: &NodeName) -> bool {
        let fits = |pattern: &str, part: &str| pattern == "*" || pattern == part;
        self.0.split_once('@').is_some_and(|(name, host)| fits(name, node.name()) && fits(host, node.host()))
    }
}

fn vouches(rotation: Option<&Rotation>, pinned: &PublicKey, shown: &PublicKey) -> bool {
    rotation.is_some_and(|rotation| rotation.old == *pinned && rotation.new == *shown && rotation.verify().is_ok())
}

#[cfg(test)]
mod tests;
