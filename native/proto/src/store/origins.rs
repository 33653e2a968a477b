// SPDX-License-Identifier: Apache-2.0
//! Whose values there are.
//!
//! Keeps: all values of one origin share the memory of its name, however often it came over the wire.

use std::collections::BTreeMap;

use barrel_p2p_base::NodeName;

#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<NodeName, Origin>);

#[derive(Debug)]
struct Origin {
    name: NodeName,
    values: usize,
}

impl Origins {
    pub(super) fn contains(&self, name: &NodeName) -> bool {
        self.0.contains_key(name)
    }

    /// One value more. Gives the name to be kept with it.
    pub(super) fn add(&mut self, name: &NodeName) -> NodeName {
        if let Some(origin) = self.0.get_mut(name) {
            origin.values += 1;
            return origin.name.clone();
        }
        self.0.insert(name.clone(), Origin { name: name.clone(), values: 1 });
        name.clone()
    }

    /// One value less.
    pub(super) fn remove(&mut self, name: &NodeName) {
        if let Some(origin) = self.0.get_mut(name) {
            origin.values -= 1;
            if origin.values == 0 {
                self.0.remove(name);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> usize {
        self.0.values().map(|origin| origin.values).sum()
    }
}
