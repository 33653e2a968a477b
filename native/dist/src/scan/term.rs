// SPDX-License-Identifier: Apache-2.0
//! The flat terms of a control tuple, in every external form that a release has used.

use super::atoms::{Atom, Name};
use super::reader::{Ended, Reader};
use super::{mix, Process, Sender};

/// One element of a control tuple.
#[derive(Debug)]
pub(super) enum Term {
    Atom,
    Identifier(Identifier),
    /// A number or a reference.
    Other,
    /// Something else, whose end is not known.
    Unknown,
}

/// A process or a port.
#[derive(Debug)]
pub(super) struct Identifier {
    kind: Kind,
    node: Name,
    number: u64,
    /// 0 for a port.
    serial: u32,
    creation: u32,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Port = 1,
    Process = 2,
}

impl Term {
    /// `atoms` are those that the header of the frame refers to.
    pub(super) fn read(reader: &mut Reader<'_>, atoms: &[Atom]) -> Result<Self, Ended> {
        let tag = reader.u8()?;
        match tag {
            NEW_PID | PID | V4_PORT | NEW_PORT | PORT => identifier(tag, reader, atoms),
            NEWER_REFERENCE | NEW_REFERENCE | REFERENCE => reference(tag, reader, atoms),
            SMALL_INTEGER => other(1, reader),
            INTEGER => other(4, reader),
            SMALL_BIG => {
                let sign_and_digits = 1 + usize::from(reader.u8()?);
                other(sign_and_digits, reader)
            }
            _ => Ok(match atom(tag, reader, atoms)? {
                Some(_) => Self::Atom,
                None => Self::Unknown,
            }),
        }
    }
}

impl Identifier {
    pub(super) fn process(&self) -> Option<Process> {
        match self.kind {
            Kind::Port => None,
            // A process has 32 bits there.
            Kind::Process => Some(Process { number: self.number as u32, serial: self.serial }),
        }
    }

    /// Does not depend on the form of the identifier, except where a node name has other characters than ASCII: UTF-8 and Latin-1
    /// differ. Which of the two is used is settled for a connection in its handshake.
    pub(super) fn sender(&self) -> Sender {
        let hash = mix(self.node.0 ^ self.kind as u64, self.number);
        Sender(mix(hash, u64::from(self.serial) << 32 | u64::from(self.creation)))
    }
}

fn identifier(tag: u8, reader: &mut Reader<'_>, atoms: &[Atom]) -> Result<Term, Ended> {
    let Some(node) = node(reader, atoms)? else { return Ok(Term::Unknown) };
    let (kind, number, serial) = match tag {
        NEW_PID | PID => (Kind::Process, reader.u32()?.into(), reader.u32()?),
        V4_PORT => (Kind::Port, reader.u64()?, 0),
        _ => (Kind::Port, reader.u32()?.into(), 0),
    };
    let creation = match tag {
        PID | PORT => reader.u8()?.into(),
        _ => reader.u32()?,
    };
    Ok(Term::Identifier(Identifier { kind, node, number, serial, creation }))
}

fn reference(tag: u8, reader: &mut Reader<'_>, atoms: &[Atom]) -> Result<Term, Ended> {
    let words = match tag {
        REFERENCE => 1,
        _ => usize::from(reader.u16()?),
    };
    if node(reader, atoms)?.is_none() {
        return Ok(Term::Unknown);
    }
    let creation = match tag {
        NEWER_REFERENCE => 4,
        _ => 1,
    };
    other(creation + 4 * words, reader)
}

fn other(len: usize, reader: &mut Reader<'_>) -> Result<Term, Ended> {
    reader.bytes(len)?;
    Ok(Term::Other)
}

fn node(reader: &mut Reader<'_>, atoms: &[Atom]) -> Result<Option<Name>, Ended> {
    let tag = reader.u8()?;
    atom(tag, reader, atoms)
}

/// None: not an atom, or one that the header does not name.
fn atom(tag: u8, reader: &mut Reader<'_>, atoms: &[Atom]) -> Result<Option<Name>, Ended> {
    let len = match tag {
        ATOM | ATOM_UTF8 => reader.u16()?.into(),
        SMALL_ATOM | SMALL_ATOM_UTF8 => reader.u8()?.into(),
        CACHED_ATOM => return Ok(atoms.get(usize::from(reader.u8()?)).map(|atom| atom.name)),
        _ => return Ok(None),
    };
    reader.bytes(len).map(|text| Some(Name::of(text)))
}

const ATOM: u8 = 100;
const ATOM_UTF8: u8 = 118;
const CACHED_ATOM: u8 = 82;
const INTEGER: u8 = 98;
const NEWER_REFERENCE: u8 = 90;
const NEW_PID: u8 = 88;
const NEW_PORT: u8 = 89;
const NEW_REFERENCE: u8 = 114;
const PID: u8 = 103;
const PORT: u8 = 102;
const REFERENCE: u8 = 101;
const SMALL_ATOM: u8 = 115;
const SMALL_ATOM_UTF8: u8 = 119;
const SMALL_BIG: u8 = 110;
const SMALL_INTEGER: u8 = 97;
const V4_PORT: u8 = 120;
