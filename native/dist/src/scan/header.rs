// SPDX-License-Identifier: Apache-2.0
//! What stands before the control tuple.

use super::atoms::AtomCache;
use super::control::Control;
use super::reader::{Ended, Reader};
use super::{Fragment, Order, Process, Scan};

/// How a frame begins.
#[derive(Debug)]
pub(super) enum Header {
    /// A signal, or its first fragment; the control tuple follows.
    Control(Option<Fragment>),
    /// A fragment that is not the first one.
    Next(Fragment),
    /// Not a frame of Erlang's distribution.
    Unknown,
}

impl Header {
    /// Leaves the reader where the control tuple begins. The cache learns what the header says of atoms.
    pub(super) fn read(reader: &mut Reader<'_>, cache: &mut AtomCache) -> Result<Self, Ended> {
        match reader.u8()? {
            VERSION => match reader.u8()? {
                DIST_HEADER => Self::atoms(reader, cache, None),
                FIRST_FRAGMENT => match fragment(reader)? {
                    Some(fragment) => Self::atoms(reader, cache, Some(fragment)),
                    None => Ok(Self::Unknown),
                },
                NEXT_FRAGMENT => Ok(fragment(reader)?.map_or(Self::Unknown, Self::Next)),
                PASS_THROUGH => Self::pass_through(reader),
                _ => Ok(Self::Unknown),
            },
            PASS_THROUGH => Self::pass_through(reader),
            _ => Ok(Self::Unknown),
        }
    }

    /// Does a control tuple follow that can be read?
    pub(super) fn has_control(&self) -> bool {
        matches!(self, Self::Control(_))
    }

    /// What the frame is, by what its control tuple says.
    pub(super) fn scan(&self, control: Control) -> (Scan, Option<Process>) {
        let scan = match *self {
            Self::Control(None) => Scan::Whole(control.order),
            Self::Control(Some(fragment)) => Scan::First(fragment, in_fragments(fragment, control.order)),
            Self::Unknown => Scan::Whole(Order::Fence),
            Self::Next(fragment) => Scan::Next(fragment),
        };
        (scan, control.process)
    }

    fn atoms(reader: &mut Reader<'_>, cache: &mut AtomCache, fragment: Option<Fragment>) -> Result<Self, Ended> {
        let known = cache.read(reader)?;
        Ok(if known { Self::Control(fragment) } else { Self::Unknown })
    }

    /// Each term of such a frame has a version of its own.
    fn pass_through(reader: &mut Reader<'_>) -> Result<Self, Ended> {
        if reader.peek()? == VERSION {
            reader.u8()?;
        }
        Ok(Self::Control(None))
    }
}

/// The signals of one process share a sequence, and the emulator closes a connection on which one begins before the last has ended.
/// So nothing may overtake a signal in fragments whose sender is not known.
fn in_fragments(fragment: Fragment, order: Order) -> Order {
    match order {
        Order::Barrier if fragment.number > 1 => Order::Fence,
        Order::Barrier | Order::Fence | Order::Sender(_) => order,
    }
}

/// None: a number that no fragment has.
fn fragment(reader: &mut Reader<'_>) -> Result<Option<Fragment>, Ended> {
    let fragment = Fragment { sequence: reader.u64()?, number: reader.u64()? };
    Ok((fragment.number > 0).then_some(fragment))
}

/// Before every term, and before the headers that belong to terms.
const VERSION: u8 = 131;
const DIST_HEADER: u8 = 68;
const FIRST_FRAGMENT: u8 = 69;
const NEXT_FRAGMENT: u8 = 70;
/// No header: to peers without atom cache and fragments.
const PASS_THROUGH: u8 = 112;
