// SPDX-License-Identifier: Apache-2.0
//! What happens next: a heap of moments, ties broken by the order of pushing.
//!
//! Keeps: pops come in the order of (time, push), so a run depends on nothing but its inputs. Entries in the heap are
//! small keys; what happens lies still in a slab, so that sifting moves 24 bytes and not a message.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use barrel_p2p_base::time::Time;

/// Things that happen at a time.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Key>>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    pushed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: Time,
    sequence: u64,
    slot: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slab: Vec::new(), free: Vec::new(), pushed: 0 }
    }
}

impl<T> Queue<T> {
    /// Adds what happens at `at`.
    pub fn push(&mut self, at: Time, what: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slab[slot as usize] = Some(what);
                slot
            }
            None => {
                self.slab.push(Some(what));
                (self.slab.len() - 1) as u32
            }
        };
        self.heap.push(Reverse(Key { at, sequence: self.pushed, slot }));
        self.pushed += 1;
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(key)| key.at)
    }

    /// Takes the next thing, if it happens at `until` or before.
    pub fn pop(&mut self, until: Time) -> Option<(Time, T)> {
        let Reverse(key) = *self.heap.peek().filter(|Reverse(key)| key.at <= until)?;
        self.heap.pop();
        self.free.push(key.slot);
        self.slab[key.slot as usize].take().map(|what| (key.at, what))
    }

    /// Things that still wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_come_in_the_order_of_pushing() {
        let mut queue = Queue::default();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            queue.push(Time(at), what);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(Time(5))).map(|(_, what)| what).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
        assert_eq!((queue.len(), queue.next_at()), (1, Some(Time(9))));
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = Queue::default();
        for round in 0..1000 {
            queue.push(Time(round), round);
            assert_eq!(queue.pop(Time(round)), Some((Time(round), round)));
        }
        assert_eq!(queue.slab.len(), 1);
    }
}
