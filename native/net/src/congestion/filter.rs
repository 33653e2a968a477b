// SPDX-License-Identifier: Apache-2.0
//! The best value seen lately.

/// Keeps the better half of two epochs: a value counts until the end of the epoch after its own.
#[derive(Clone, Debug)]
pub(super) struct Best<T> {
    better: fn(T, T) -> T,
    previous: Option<T>,
    current: Option<T>,
}

impl<T: Copy> Best<T> {
    /// `better` picks one of two: `u64::max`, `Duration::min`.
    pub(super) fn new(better: fn(T, T) -> T) -> Self {
        Self { better, previous: None, current: None }
    }

    pub(super) fn offer(&mut self, value: T) {
        self.current = Some(self.current.map_or(value, |current| (self.better)(current, value)));
    }

    /// Ends the epoch. One in which nothing was seen does not end: the last knowledge is better than none.
    pub(super) fn turn(&mut self) {
        if self.current.is_some() {
            self.previous = self.current.take();
        }
    }

    pub(super) fn get(&self) -> Option<T> {
        match (self.previous, self.current) {
            (Some(previous), Some(current)) => Some((self.better)(previous, current)),
            (previous, current) => current.or(previous),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_until_the_end_of_the_next_epoch() {
        let mut best = Best::new(u64::max);
        assert_eq!(best.get(), None);
        best.offer(9);
        best.offer(3);
        best.turn();
        best.offer(5);
        assert_eq!(best.get(), Some(9));
        best.turn();
        assert_eq!(best.get(), Some(5));
    }

    #[test]
    fn an_epoch_without_values_forgets_nothing() {
        let mut best = Best::new(u64::min);
        best.offer(4);
        best.turn();
        best.turn();
        best.turn();
        assert_eq!(best.get(), Some(4));
    }
}
