// SPDX-License-Identifier: Apache-2.0
//! The two views: neighbours, and contacts kept for later.
//!
//! Keeps: a name is in a view at most once. Both views are short, so they are lists, searched from the front.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use barrel_p2p_base::{NodeName, Random, Time};

use crate::contact::Contact;

/// A member of the active view.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    pub(super) contact: Arc<Contact>,
    /// How many neighbours it has that could be in this node's place, this one included, by its last word; zero if it
    /// has not said yet.
    pub(super) degree: u8,
    /// When it came.
    since: Time,
    /// How long a message to it and its answer take; none before its first keep-alive.
    round_trip: Option<Duration>,
}

impl Neighbour {
    /// It has sent a keep-alive. Is that the first one?
    pub(super) fn is_first_sign(&mut self, now: Time) -> bool {
        let first = self.round_trip.is_none();
        if first {
            self.round_trip = Some(now - self.since);
        }
        first
    }
}

/// The neighbours, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Active(Vec<Neighbour>);

impl Active {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contacts(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.0.iter().map(|neighbour| &neighbour.contact)
    }

    pub(super) fn get(&self, name: &NodeName) -> Option<&Arc<Contact>> {
        self.contacts().find(|contact| contact.name == *name)
    }

    pub(super) fn get_mut(&mut self, name: &NodeName) -> Option<&mut Neighbour> {
        self.0.iter_mut().find(|neighbour| neighbour.contact.name == *name)
    }

    pub(super) fn push(&mut self, now: Time, contact: Arc<Contact>) {
        self.0.push(Neighbour { contact, degree: 0, since: now, round_trip: None });
    }

    pub(super) fn remove(&mut self, name: &NodeName) -> Option<Arc<Contact>> {
        let at = self.0.iter().position(|neighbour| neighbour.contact.name == *name)?;
        Some(self.0.remove(at).contact)
    }

    /// Any neighbour but these two.
    pub(super) fn pick_except(&self, random: &mut Random, one: &NodeName, other: &NodeName) -> Option<&Arc<Contact>> {
        let fits = |contact: &&Arc<Contact>| contact.name != *one && contact.name != *other;
        let count = self.contacts().filter(fits).count();
        self.contacts().filter(fits).nth(random.below(count))
    }

    /// Who is given up for a nearer one, and how long the link to it is: the longest link to a neighbour that has others,
    /// but not the only one that leads far. None while not all links are measured.
    pub(super) fn given_up(&self, farthest: Duration) -> Option<(&Arc<Contact>, Duration)> {
        let lengths = self.lengths()?;
        let kept = usize::from(far(&lengths, farthest) < 2);
        let (length, neighbour) = lengths.into_iter().skip(kept).find(|(_, neighbour)| neighbour.degree > 1)?;
        Some((&neighbour.contact, length))
    }

    /// The only neighbour that is far, or the farthest if none is, and how long the link to it is. None while not all
    /// links are measured, and if several are far.
    pub(super) fn only_far(&self, farthest: Duration) -> Option<(&Arc<Contact>, Duration)> {
        let lengths = self.lengths().filter(|lengths| far(lengths, farthest) < 2)?;
        lengths.first().map(|(length, neighbour)| (&neighbour.contact, *length))
    }

    /// Links by length, the longest first.
    fn lengths(&self) -> Option<Vec<(Duration, &Neighbour)>> {
        let measured = self.0.iter().map(|neighbour| Some((neighbour.round_trip?, neighbour)));
        let mut lengths = measured.collect::<Option<Vec<_>>>()?;
        lengths.sort_by_key(|(length, _)| Reverse(*length));
        Some(lengths)
    }

    /// The slowest neighbour that has others; if none is known to, any that has not said.
    pub(super) fn expendable(&self, random: &mut Random) -> Option<&Arc<Contact>> {
        let pick = |fits: fn(&u8) -> bool, random: &mut Random| {
            let fitting = || self.0.iter().filter(|neighbour| fits(&neighbour.degree));
            let measured = fitting().filter(|neighbour| neighbour.round_trip.is_some());
            let slowest = measured.max_by_key(|neighbour| neighbour.round_trip);
            slowest.or_else(|| fitting().nth(random.below(fitting().count()))).map(|neighbour| &neighbour.contact)
        };
        pick(|degree| *degree > 1, random).or_else(|| pick(|degree| *degree == 0, random))
    }
}

/// How many links lead far: at least half as far as anybody is.
fn far(lengths: &[(Duration, &Neighbour)], farthest: Duration) -> usize {
    let longest = lengths.first().map_or(farthest, |(longest, _)| farthest.max(*longest));
    lengths.iter().take_while(|(length, _)| *length >= longest / 2).count()
}

/// A member of the passive view.
#[derive(Clone, Debug)]
pub(super) struct Reserve {
    pub(super) contact: Arc<Contact>,
    /// Failures since it last answered.
    pub(super) failures: u32,
    /// When it may be asked again.
    pub(super) retry_at: Time,
    /// When it was last mentioned.
    pub(super) heard_at: Time,
}

/// The contacts kept for later.
#[derive(Clone, Debug, Default)]
pub(super) struct Passive(Vec<Reserve>);

impl Passive {
    pub(super) fn contacts(&self) -> impl Iterator<Item = &Arc<Contact>> {
        self.0.iter().map(|reserve| &reserve.contact)
    }

    pub(super) fn get_mut(&mut self, name: &NodeName) -> Option<&mut Reserve> {
        self.0.iter_mut().find(|reserve| reserve.contact.name == *name)
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Puts a contact in; if there are `most`, in place of one that has failed, or else of any.
    pub(super) fn push(&mut self, reserve: Reserve, most: usize, random: &mut Random) {
        if self.0.len() < most {
            return self.0.push(reserve);
        }
        let failing = self.0.iter().position(|reserve| reserve.failures > 0);
        let at = failing.unwrap_or_else(|| random.below(self.0.len()));
        if let Some(place) = self.0.get_mut(at) {
            *place = reserve;
        }
    }

    pub(super) fn remove(&mut self, name: &NodeName) {
        self.0.retain(|reserve| reserve.contact.name != *name);
    }

    /// Removes contacts that nobody has mentioned for a while.
    pub(super) fn expire(&mut self, now: Time, age: Duration) {
        self.0.retain(|reserve| now - reserve.heard_at <= age);
    }

    /// A contact that may be asked now: any of those with the fewest failures.
    pub(super) fn candidate(
        &self,
        now: Time,
        random: &mut Random,
        taken: impl Fn(&Contact) -> bool,
    ) -> Option<&Arc<Contact>> {
        let fits = |reserve: &&Reserve| reserve.retry_at <= now && !taken(&reserve.contact);
        let fewest = self.0.iter().filter(fits).map(|reserve| reserve.failures).min()?;
        let best = || self.0.iter().filter(fits).filter(|reserve| reserve.failures == fewest);
        best().nth(random.below(best().count())).map(|reserve| &reserve.contact)
    }

    /// When the first contact that waits may be asked; the past if one does not wait.
    pub(super) fn next_retry(&self, taken: impl Fn(&Contact) -> bool) -> Option<Time> {
        self.0.iter().filter(|reserve| !taken(&reserve.contact)).map(|reserve| reserve.retry_at).min()
    }
}
