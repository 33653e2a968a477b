// SPDX-License-Identifier: Apache-2.0
//! One claim about one member, and which of two claims counts.

use std::cmp::Ordering;
use std::sync::Arc;

use barrel_p2p_base::{DecodeError, Reader, Writer};

use crate::contact::Contact;
use crate::machine::MemberState;

/// What somebody says about a member.
///
/// Keeps: claims about one member are totally ordered, by incarnation, then version, then state, so that everybody who
/// has heard the same claims believes the same one, whatever the order. Only the member itself raises its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who, which life of it, and how to reach it.
    pub contact: Arc<Contact>,
    /// How often this life has spoken about itself: at its start, when it moved, and to refute.
    pub version: u32,
    /// What it is said to be.
    pub state: MemberState,
}

impl Record {
    /// Is this the one to believe?
    pub fn supersedes(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Greater
    }

    /// Of two claims that agree in everything else, only a liar makes a second one with another key or other addresses;
    /// the order decides between them too, so that even then all believe the same.
    fn order(&self, other: &Self) -> Ordering {
        let rank = |record: &Self| (record.contact.incarnation, record.version, record.state);
        rank(self).cmp(&rank(other)).then_with(|| {
            let (ours, theirs) = (&self.contact, &other.contact);
            if Arc::ptr_eq(ours, theirs) {
                return Ordering::Equal;
            }
            (ours.key, &ours.addresses).cmp(&(theirs.key, &theirs.addresses))
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.contact.write(writer);
        writer.u32(self.version).u8(self.state as u8);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let contact = Contact::read(reader)?;
        let version = reader.u32()?;
        let offset = reader.offset();
        let state = match reader.u8()? {
            0 => MemberState::Alive,
            1 => MemberState::Suspect,
            2 => MemberState::Down,
            3 => MemberState::Left,
            _ => return Err(DecodeError::BadValue { offset }),
        };
        Ok(Self { contact, version, state })
    }
}

/// Is a member in this state to be counted on?
pub(super) fn is_live(state: MemberState) -> bool {
    matches!(state, MemberState::Alive | MemberState::Suspect)
}
