// SPDX-License-Identifier: Apache-2.0
//! The flat terms of a control tuple, in every external form that a release has used.

use super::reader::{Ended, Reader};
use super::{Process, Sender};

/// One element of a control tuple.
#[derive(Debug)]
pub(super) enum Term<'a> {
    Atom,
    Identifier(Identifier<'a>),
    /// A number or a reference.
    Other,
    /// Something else, whose end is not known.
    Unknown,
}

/// A process or a port.
#[derive(Debug)]
pub(super) struct Identifier<'a> {
    kind: Kind,
    node: &'a [u8],
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

impl<'a> Term<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Ended> {
        let tag = reader.u8()?;
        match tag {
            NEW_PID | PID | V4_PORT | NEW_PORT | PORT => identifier(tag, reader),
            NEWER_REFERENCE | NEW_REFERENCE | REFERENCE => reference(tag, reader),
            SMALL_INTEGER => other(1, reader),
            INTEGER => other(4, reader),
            SMALL_BIG => {
                let sign_and_digits = 1 + usize::from(reader.u8()?);
                other(sign_and_digits, reader)
            }
            _ => Ok(match atom(tag, reader)? {
                Some(_) => Self::Atom,
                None => Self::Unknown,
            }),
        }
    }
}

impl Identifier<'_> {
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
        let (words, rest) = self.node.as_chunks();
        let mut hash = words.iter().fold(self.kind as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = mix(hash, u64::from_le_bytes(last));
        hash = mix(hash, self.number);
        hash = mix(hash, u64::from(self.serial) << 32 | u64::from(self.creation));
        Sender(mix(hash, self.node.len() as u64))
    }
}

fn identifier<'a>(tag: u8, reader: &mut Reader<'a>) -> Result<Term<'a>, Ended> {
    let Some(node) = node(reader)? else { return Ok(Term::Unknown) };
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

fn reference<'a>(tag: u8, reader: &mut Reader<'a>) -> Result<Term<'a>, Ended> {
    let words = match tag {
        REFERENCE => 1,
        _ => usize::from(reader.u16()?),
    };
    if node(reader)?.is_none() {
        return Ok(Term::Unknown);
    }
    let creation = match tag {
        NEWER_REFERENCE => 4,
        _ => 1,
    };
    other(creation + 4 * words, reader)
}

fn other<'a>(len: usize, reader: &mut Reader<'a>) -> Result<Term<'a>, Ended> {
    reader.bytes(len)?;
    Ok(Term::Other)
}

fn node<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Ended> {
    let tag = reader.u8()?;
    atom(tag, reader)
}

/// The characters of an atom; None: not an atom.
fn atom<'a>(tag: u8, reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Ended> {
    let len = match tag {
        ATOM | ATOM_UTF8 => reader.u16()?.into(),
        SMALL_ATOM | SMALL_ATOM_UTF8 => reader.u8()?.into(),
        _ => return Ok(None),
    };
    reader.bytes(len).map(Some)
}

/// Both halves of the product of 128 bits: a few cycles, and every bit of the word moves half of the bits of the result.
fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word ^ ODD) * u128::from(FACTOR);
    (product >> 64) as u64 ^ product as u64
}

/// The fractional parts of the golden ratio and of pi: bits without a pattern.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
const ODD: u64 = 0x243F_6A88_85A3_08D3;

const ATOM: u8 = 100;
const ATOM_UTF8: u8 = 118;
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
