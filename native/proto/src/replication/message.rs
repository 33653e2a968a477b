// SPDX-License-Identifier: Apache-2.0
//! What two members say to compare a store, what a broadcast says of new entries, and the bytes of both.
//!
//! Keeps: counts are compared with their limits before anything is read, and the answer to any question is bounded.
//! Leaves to others: whether an answer fits its question (`session`).

use barrel_p2p_base::limits::{MAX_FINGERPRINTS, MAX_RANGES, MAX_WANTED};
use barrel_p2p_base::{DecodeError, Reader, Writer};
use bytes::Bytes;

use crate::store::{Cursor, Entry, Prefix, StoreName, Summary, FANOUT};

/// A message about one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which store.
    pub store: StoreName,
    /// What about it.
    pub body: Body,
}

/// What is said. Who has begun asks, the other one answers; an answer repeats the ticket of its question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Something to be answered.
    Question {
        /// Tells it from all others of this asker.
        ticket: u32,
        /// What it is.
        question: Question,
    },
    /// The answer to it.
    Answer {
        /// The ticket of the question.
        ticket: u32,
        /// What it is.
        answer: Answer,
    },
    /// What the receiver seems to lack: few enough to be sent unasked.
    Offer(Vec<Entry>),
    /// The receiver seems to lack more than that, and had better ask.
    Behind,
}

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is this what the whole store amounts to? Answered by [`Answer::Equal`] or like a question for that range.
    Compare(Summary),
    /// What is in these, one to [`MAX_RANGES`] in ascending order? Answered by [`Answer::Contents`].
    Describe(Vec<Prefix>),
    /// Which are these, one to [`MAX_WANTED`]: a range, and the fingerprint of an entry in it? Answered by
    /// [`Answer::Entries`].
    Fetch(Vec<(Prefix, u64)>),
    /// What is in this range behind this place, entry by entry? Answered by [`Answer::Chunk`].
    Load(Prefix, Option<Cursor>),
}

/// What a question brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is no such store here. To any question.
    Absent,
    /// It is.
    Equal,
    /// What the first ranges of the question contain, in its order: at least one. The others did not fit.
    Contents(Vec<Content>),
    /// What was wanted and is still there.
    Entries {
        /// So many of what was wanted this is about, from the first one on: at least one. The others did not fit.
        about: u16,
        /// In the order of the question.
        entries: Vec<Entry>,
    },
    /// The next entries.
    Chunk {
        /// In their order; at least one if there are more.
        entries: Vec<Entry>,
        /// Are there more behind them?
        more: bool,
    },
}

/// What a store has in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A few entries: the fingerprint of each, at most [`MAX_FINGERPRINTS`].
    Few(Vec<u64>),
    /// More than that.
    Many {
        /// How many.
        count: u32,
        /// What each part of the range amounts to; zero where it is empty.
        parts: Box<[u64; FANOUT]>,
    },
}

impl Message {
    /// Appends the bytes of it.
    pub fn write(&self, writer: &mut Writer) {
        writer.short(self.store.as_str().as_bytes());
        match &self.body {
            Body::Question { ticket, question } => question.write(*ticket, writer),
            Body::Answer { ticket, answer } => answer.write(*ticket, writer),
            Body::Offer(entries) => write_entries(entries, writer.u8(OFFER)),
            Body::Behind => {
                writer.u8(BEHIND);
            }
        }
    }

    /// Reads what [`Message::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let store = read_name(reader)?;
        let offset = reader.offset();
        let body = match reader.u8()? {
            OFFER => Body::Offer(read_entries(reader)?),
            BEHIND => Body::Behind,
            kind @ COMPARE..=LOAD => {
                Body::Question { ticket: reader.u32()?, question: Question::read(kind, offset, reader)? }
            }
            kind => Body::Answer { ticket: reader.u32()?, answer: Answer::read(kind, offset, reader)? },
        };
        Ok(Self { store, body })
    }
}

impl Question {
    fn write(&self, ticket: u32, writer: &mut Writer) {
        match self {
            Self::Compare(Summary { fingerprint, count }) => {
                writer.u8(COMPARE).u32(ticket).u64(*fingerprint).u32(*count);
            }
            Self::Describe(ranges) => {
                writer.u8(DESCRIBE).u32(ticket).u16(ranges.len() as u16);
                ranges.iter().for_each(|range| range.write(writer));
            }
            Self::Fetch(wanted) => {
                writer.u8(FETCH).u32(ticket).u16(wanted.len() as u16);
                for (range, fingerprint) in wanted {
                    range.write(writer);
                    writer.u64(*fingerprint);
                }
            }
            Self::Load(range, after) => {
                range.write(writer.u8(LOAD).u32(ticket));
                match after {
                    Some(after) => {
                        writer.u8(1).u16(after.key().len() as u16).bytes(after.key());
                    }
                    None => {
                        writer.u8(0);
                    }
                }
            }
        }
    }

    fn read(kind: u8, offset: usize, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            COMPARE => Self::Compare(Summary { fingerprint: reader.u64()?, count: reader.u32()? }),
            DESCRIBE => Self::Describe(read_ranges(reader)?),
            FETCH => {
                let count = read_count(reader, MAX_WANTED)?;
                Self::Fetch((0..count).map(|_| Ok((Prefix::read(reader)?, reader.u64()?))).collect::<Result<_, _>>()?)
            }
            LOAD => {
                Self::Load(Prefix::read(reader)?, if read_flag(reader)? { Some(read_cursor(reader)?) } else { None })
            }
            _ => return Err(DecodeError::BadValue { offset }),
        })
    }
}

impl Answer {
    fn write(&self, ticket: u32, writer: &mut Writer) {
        match self {
            Self::Absent => {
                writer.u8(ABSENT).u32(ticket);
            }
            Self::Equal => {
                writer.u8(EQUAL).u32(ticket);
            }
            Self::Contents(contents) => {
                writer.u8(CONTENTS).u32(ticket).u16(contents.len() as u16);
                contents.iter().for_each(|content| content.write(writer));
            }
            Self::Entries { about, entries } => write_entries(entries, writer.u8(ENTRIES).u32(ticket).u16(*about)),
            Self::Chunk { entries, more } => {
                write_entries(entries, writer.u8(CHUNK).u32(ticket).u8(u8::from(*more)));
            }
        }
    }

    fn read(kind: u8, offset: usize, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            ABSENT => Self::Absent,
            EQUAL => Self::Equal,
            CONTENTS => {
                let count = read_count(reader, MAX_RANGES)?;
                Self::Contents((0..count).map(|_| Content::read(reader)).collect::<Result<_, _>>()?)
            }
            ENTRIES => Self::Entries { about: reader.u16()?, entries: read_entries(reader)? },
            CHUNK => {
                let more = read_flag(reader)?;
                Self::Chunk { entries: read_entries(reader)?, more }
            }
            _ => return Err(DecodeError::BadValue { offset }),
        })
    }
}

impl Content {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Few(fingerprints) => 1 + 8 * fingerprints.len(),
            Self::Many { .. } => 7 + 8 * FANOUT,
        }
    }

    /// One byte says how many there are, or that there are many; empty parts take one bit.
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Few(fingerprints) => {
                debug_assert!(fingerprints.len() <= MAX_FINGERPRINTS);
                writer.u8(fingerprints.len() as u8);
                fingerprints.iter().for_each(|fingerprint| {
                    writer.u64(*fingerprint);
                });
            }
            Self::Many { count, parts } => {
                let full = (0..FANOUT).fold(0_u16, |full, part| full | u16::from(parts[part] != 0) << part);
                writer.u8(MANY).u32(*count).u16(full);
                parts.iter().filter(|part| **part != 0).for_each(|part| {
                    writer.u64(*part);
                });
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            MANY => {
                let (count, full) = (reader.u32()?, reader.u16()?);
                let mut parts = Box::new([0; FANOUT]);
                for part in (0..FANOUT).filter(|part| full & 1 << part != 0) {
                    parts[part] = reader.u64()?;
                }
                Ok(Self::Many { count, parts })
            }
            count => Ok(Self::Few((0..count).map(|_| reader.u64()).collect::<Result<_, _>>()?)),
        }
    }
}

/// What a broadcast says of a store: entries that somebody has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Which store.
    pub store: StoreName,
    /// What was written.
    pub entries: Vec<Entry>,
}

impl Delta {
    /// Appends the bytes of it.
    pub fn write(&self, writer: &mut Writer) {
        writer.short(self.store.as_str().as_bytes());
        write_entries(&self.entries, writer);
    }

    /// Reads what [`Delta::write`] has written, and nothing after it.
    pub fn read(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let delta = Self { store: read_name(&mut reader)?, entries: read_entries(&mut reader)? };
        reader.finish()?;
        Ok(delta)
    }
}

fn read_name(reader: &mut Reader<'_>) -> Result<StoreName, DecodeError> {
    let offset = reader.offset();
    StoreName::parse(reader.short()?).map_err(|_| DecodeError::BadValue { offset })
}

fn read_ranges(reader: &mut Reader<'_>) -> Result<Vec<Prefix>, DecodeError> {
    let count = read_count(reader, MAX_RANGES)?;
    let mut ranges: Vec<Prefix> = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = reader.offset();
        let range = Prefix::read(reader)?;
        if ranges.last().is_some_and(|last| *last >= range) {
            return Err(DecodeError::BadValue { offset });
        }
        ranges.push(range);
    }
    Ok(ranges)
}

fn write_entries(entries: &[Entry], writer: &mut Writer) {
    debug_assert!(entries.len() <= usize::from(u16::MAX));
    writer.u16(entries.len() as u16);
    entries.iter().for_each(|entry| entry.write(writer));
}

/// Nothing is allocated for a count: the list grows by what is really there.
fn read_entries(reader: &mut Reader<'_>) -> Result<Vec<Entry>, DecodeError> {
    let count = reader.u16()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(Entry::read(reader)?);
    }
    Ok(entries)
}

fn read_cursor(reader: &mut Reader<'_>) -> Result<Cursor, DecodeError> {
    let count = usize::from(reader.u16()?);
    Ok(Cursor::new(reader.take(count)?))
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let offset = reader.offset();
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::BadValue { offset }),
    }
}

/// A count from one to `most`.
fn read_count(reader: &mut Reader<'_>, most: usize) -> Result<usize, DecodeError> {
    let offset = reader.offset();
    let count = usize::from(reader.u16()?);
    if (1..=most).contains(&count) {
        Ok(count)
    } else {
        Err(DecodeError::BadValue { offset })
    }
}

const COMPARE: u8 = 1;
const DESCRIBE: u8 = 2;
const FETCH: u8 = 3;
const LOAD: u8 = 4;
const OFFER: u8 = 5;
const BEHIND: u8 = 6;
const ABSENT: u8 = 7;
const EQUAL: u8 = 8;
const CONTENTS: u8 = 9;
const ENTRIES: u8 = 10;
const CHUNK: u8 = 11;

/// In the place of a count of fingerprints.
const MANY: u8 = 255;
