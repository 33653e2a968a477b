// SPDX-License-Identifier: Apache-2.0
//! From the control tuple to the order; the reasons stand in the table of [`super`].

use super::atoms::Atom;
use super::reader::{Ended, Reader};
use super::term::Term;
use super::{Order, Process};

/// Where the sender of an operation stands.
struct Place {
    /// Elements between the op and the sender.
    before: u8,
    /// What it means when an atom stands there.
    atom: Order,
}

/// What a control tuple says of its sender.
pub(super) struct Control {
    pub(super) order: Order,
    pub(super) process: Option<Process>,
}

/// Of a tuple that says nothing we understand.
pub(super) const UNKNOWN: Control = Control { order: Order::Fence, process: None };

/// Reads no further than the sender.
pub(super) fn read(reader: &mut Reader<'_>, atoms: &[Atom]) -> Result<Control, Ended> {
    Ok(match sender(reader, atoms)? {
        Some((_, Term::Identifier(identifier))) => {
            Control { order: Order::Sender(identifier.sender()), process: identifier.process() }
        }
        Some((place, Term::Atom)) => Control { order: place.atom, process: None },
        Some((_, Term::Other | Term::Unknown)) | None => UNKNOWN,
    })
}

/// What stands at the sender's place; None where there is no such place.
fn sender(reader: &mut Reader<'_>, atoms: &[Atom]) -> Result<Option<(Place, Term)>, Ended> {
    let arity = match reader.u8()? {
        SMALL_TUPLE => u32::from(reader.u8()?),
        LARGE_TUPLE => reader.u32()?,
        _ => return Ok(None),
    };
    if reader.u8()? != SMALL_INTEGER {
        return Ok(None);
    }
    let Some(place) = place(reader.u8()?) else { return Ok(None) };
    if arity < u32::from(place.before) + 2 {
        return Ok(None);
    }
    for _ in 0..place.before {
        if matches!(Term::read(reader, atoms)?, Term::Unknown) {
            return Ok(None);
        }
    }
    Ok(Some((place, Term::read(reader, atoms)?)))
}

fn place(op: u8) -> Option<Place> {
    let (before, atom) = match op {
        1 | 3 | 4 | 6 | 8 | 13 | 16 | 18..=20 | 22..=27 | 33 | 34 => (0, Order::Fence),
        21 | 28 => (0, Order::Barrier),
        29 | 30 | 35..=37 => (1, Order::Fence),
        31 | 32 => (3, Order::Barrier),
        _ => return None,
    };
    Some(Place { before, atom })
}

const SMALL_INTEGER: u8 = 97;
const SMALL_TUPLE: u8 = 104;
const LARGE_TUPLE: u8 = 105;
