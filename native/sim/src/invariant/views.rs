// SPDX-License-Identifier: Apache-2.0
//! What the nodes say of themselves, as indices: the common ground of the invariants.
//!
//! Keeps: once every node that has changed has been read again, it equals what the machines say.

use barrel_p2p_base::time::Time;

/// All nodes at one moment.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// By index.
    pub nodes: Vec<View>,
}

/// One node.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Does it run?
    pub alive: bool,
    /// Since when it runs in this life, or when it ended.
    pub since: Time,
    /// Its neighbours.
    pub active: Vec<u32>,
    /// The contacts it keeps for later.
    pub passive: Vec<u32>,
}

impl Views {
    /// Indices of the nodes that run.
    pub fn alive(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.nodes).filter(|(_, view)| view.alive).map(|(node, _)| node)
    }

    /// Does `a` run and count `b` as a neighbour?
    pub fn counts(&self, a: u32, b: u32) -> bool {
        self.nodes.get(a as usize).is_some_and(|view| view.alive && view.active.contains(&b))
    }

    /// Sizes of the components of live nodes, largest first. Two nodes are joined when each counts the other.
    pub fn components(&self) -> Vec<usize> {
        let mut seen = vec![false; self.nodes.len()];
        let mut sizes = Vec::new();
        let mut open = Vec::new();
        for start in self.alive() {
            if std::mem::replace(&mut seen[start as usize], true) {
                continue;
            }
            open.push(start);
            let mut size = 0;
            while let Some(node) = open.pop() {
                size += 1;
                for &peer in &self.nodes[node as usize].active {
                    if !seen[peer as usize] && self.counts(peer, node) {
                        seen[peer as usize] = true;
                        open.push(peer);
                    }
                }
            }
            sizes.push(size);
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes
    }

    /// Neighbours that do not run, over all live nodes.
    pub fn stale_neighbours(&self) -> usize {
        let dead = |peer: &&u32| !self.nodes[**peer as usize].alive;
        self.nodes.iter().filter(|view| view.alive).map(|view| view.active.iter().filter(dead).count()).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Live nodes with these neighbours.
    pub(crate) fn views(active: &[&[u32]]) -> Views {
        let view = |active: &&[u32]| View { alive: true, since: Time(0), active: active.to_vec(), passive: Vec::new() };
        Views { nodes: active.iter().map(view).collect() }
    }

    #[test]
    fn one_sided_neighbours_join_nothing() {
        let views = views(&[&[1, 2], &[0], &[], &[4], &[3]]);
        assert_eq!(views.components(), [2, 2, 1]);
    }

    #[test]
    fn the_dead_join_nothing() {
        let mut views = views(&[&[1], &[0, 2], &[1]]);
        assert_eq!(views.components(), [3]);
        views.nodes[1].alive = false;
        assert_eq!((views.components(), views.stale_neighbours()), (vec![1, 1], 2));
    }
}
