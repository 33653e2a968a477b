// SPDX-License-Identifier: Apache-2.0
//! When a machine wants to be woken: one moment for each thing that waits.
//!
//! Keeps: setting a timer replaces it and cancelling removes it, so nothing outdated ever fires.

use barrel_p2p_base::Time;

/// `N` timers, named by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers<const N: usize>([Option<Time>; N]);

impl<const N: usize> Timers<N> {
    /// All unset.
    pub fn new() -> Self {
        Self([None; N])
    }

    /// Fires at `at`, and no more at the moment set before.
    pub fn set(&mut self, timer: usize, at: Time) {
        self.0[timer] = Some(at);
    }

    /// Never fires.
    pub fn cancel(&mut self, timer: usize) {
        self.0[timer] = None;
    }

    /// When it fires.
    pub fn get(&self, timer: usize) -> Option<Time> {
        self.0[timer]
    }

    /// The earliest moment of all.
    pub fn next(&self) -> Option<Time> {
        self.0.iter().flatten().min().copied()
    }

    /// Is it due? Then it is unset.
    pub fn take_due(&mut self, timer: usize, now: Time) -> bool {
        let due = self.0[timer].is_some_and(|at| at <= now);
        if due {
            self.0[timer] = None;
        }
        due
    }
}

impl<const N: usize> Default for Timers<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_again_does_not_fire_at_its_old_moment() {
        let mut timers = Timers::<2>::new();
        timers.set(0, Time(5));
        timers.set(0, Time(9));
        timers.set(1, Time(7));
        assert_eq!(timers.next(), Some(Time(7)));
        assert!(!timers.take_due(0, Time(5)));
        assert!(timers.take_due(1, Time(8)));
        assert!(!timers.take_due(1, Time(8)));
        assert!(timers.take_due(0, Time(9)));
        assert_eq!(timers.next(), None);
    }
}
