// SPDX-License-Identifier: Apache-2.0
//! From the control tuple to the order; the reasons stand in the table of [`super`].

use super::reader::{Ended, Reader};
use super::term::Term;
use super::Order;

/// Where the sender of an operation stands.
struct Place {
    /// Elements between the op and the sender.
    before: u8,
    /// What it means when an atom stands there.
    atom: Order,
}

/// Reads no further than the sender.
pub(super) fn order(reader: &mut Reader<'_>) -> Result<Order, Ended> {
    let arity = match reader.u8()? {
        SMALL_TUPLE => u32::from(reader.u8()?),
        LARGE_TUPLE => reader.u32()?,
        _ => return Ok(Order::Fence),
    };
    if reader.u8()? != SMALL_INTEGER {
        return Ok(Order::Fence);
    }
    let Some(place) = place(reader.u8()?) else { return Ok(Order::Fence) };
    if arity < u32::from(place.before) + 2 {
        return Ok(Order::Fence);
    }
    for _ in 0..place.before {
        if matches!(Term::read(reader)?, Term::Unknown) {
            return Ok(Order::Fence);
        }
    }
    Ok(match Term::read(reader)? {
        Term::Identifier(identifier) => Order::Sender(identifier.sender()),
        Term::Atom => place.atom,
        Term::Other | Term::Unknown => Order::Fence,
    })
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
