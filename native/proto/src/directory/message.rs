// SPDX-License-Identifier: Apache-2.0
//! What members tell each other about members, and its bytes.
//!
//! Keeps: counts are compared with their limit before anything is read.

use barrel_p2p_base::limits::MAX_RECORDS;
use barrel_p2p_base::{DecodeError, Incarnation, NodeName, Reader, Writer};

use super::fingerprint::BUCKETS;
use super::record::Record;
use crate::hlc::Timestamp;

/// What members tell each other about members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What the sender believes, to be compared.
    Digest {
        /// Eight bytes that tell directories apart.
        fingerprint: u64,
        /// How many members it believes to live.
        live: u32,
        /// The sender's clock.
        stamp: Timestamp,
    },
    /// What the sender believes about the receiver, who answers with its own record.
    Probe(Record),
    /// What the sender has in the buckets that differ.
    Records {
        /// At most [`MAX_RECORDS`].
        records: Vec<Record>,
        /// Is it the last message of this exchange?
        last: bool,
    },
    /// What is new.
    Rumours {
        /// What has changed; at most [`MAX_RECORDS`].
        records: Vec<Record>,
        /// Who lives on; at most [`MAX_RECORDS`].
        beats: Vec<Beat>,
    },
    /// A hash of each bucket; answered by [`Message::Want`] and [`Message::Records`].
    Summary(Box<[u32; BUCKETS]>),
    /// Those buckets differ: send them.
    Want(Buckets),
}

/// A sign of life: the member renews its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Who.
    pub name: NodeName,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Counts from one.
    pub beat: u32,
}

/// A set of buckets: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets([u8; BUCKETS / 8]);

impl Buckets {
    /// Those in which two summaries differ.
    pub(super) fn differing(ours: &[u32; BUCKETS], theirs: &[u32; BUCKETS]) -> Self {
        let mut bits = [0; BUCKETS / 8];
        for bucket in (0..BUCKETS).filter(|bucket| ours[*bucket] != theirs[*bucket]) {
            bits[bucket / 8] |= 1 << (bucket % 8);
        }
        Self(bits)
    }

    pub(super) fn contains(&self, bucket: usize) -> bool {
        self.0[bucket / 8] & (1 << (bucket % 8)) != 0
    }
}

impl Message {
    /// Appends the bytes of it.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Self::Digest { fingerprint, live, stamp } => {
                stamp.encode(writer.u8(DIGEST).u64(*fingerprint).u32(*live));
            }
            Self::Probe(record) => record.write(writer.u8(PROBE)),
            Self::Records { records, last } => write_records(records, writer.u8(RECORDS).u8(u8::from(*last))),
            Self::Rumours { records, beats } => {
                write_records(records, writer.u8(RUMOURS));
                let beats = bounded(beats);
                writer.u8(beats.len() as u8);
                beats.iter().for_each(|beat| beat.write(writer));
            }
            Self::Summary(buckets) => {
                writer.u8(SUMMARY);
                buckets.iter().for_each(|bucket| {
                    writer.u32(*bucket);
                });
            }
            Self::Want(buckets) => {
                writer.u8(WANT).bytes(&buckets.0);
            }
        }
    }

    /// Reads what [`Message::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        Ok(match reader.u8()? {
            DIGEST => {
                let (fingerprint, live) = (reader.u64()?, reader.u32()?);
                Self::Digest { fingerprint, live, stamp: Timestamp::decode(reader)? }
            }
            PROBE => Self::Probe(Record::read(reader)?),
            RECORDS => {
                let offset = reader.offset();
                let last = match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(DecodeError::BadValue { offset }),
                };
                Self::Records { records: read_records(reader)?, last }
            }
            RUMOURS => {
                let records = read_records(reader)?;
                let count = read_count(reader)?;
                let beats = (0..count).map(|_| Beat::read(reader)).collect::<Result<_, _>>()?;
                Self::Rumours { records, beats }
            }
            SUMMARY => {
                let mut buckets = Box::new([0; BUCKETS]);
                for bucket in buckets.iter_mut() {
                    *bucket = reader.u32()?;
                }
                Self::Summary(buckets)
            }
            WANT => Self::Want(Buckets(reader.array()?)),
            _ => return Err(DecodeError::BadValue { offset }),
        })
    }
}

impl Beat {
    fn write(&self, writer: &mut Writer) {
        writer.short(self.name.as_str().as_bytes());
        writer.u64(self.incarnation.started_ms).u64(self.incarnation.random).u32(self.beat);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        let name = NodeName::parse(reader.short()?).map_err(|_| DecodeError::BadValue { offset })?;
        let incarnation = Incarnation { started_ms: reader.u64()?, random: reader.u64()? };
        Ok(Self { name, incarnation, beat: reader.u32()? })
    }
}

fn write_records(records: &[Record], writer: &mut Writer) {
    let records = bounded(records);
    writer.u8(records.len() as u8);
    records.iter().for_each(|record| record.write(writer));
}

fn read_records(reader: &mut Reader<'_>) -> Result<Vec<Record>, DecodeError> {
    let count = read_count(reader)?;
    (0..count).map(|_| Record::read(reader)).collect()
}

fn read_count(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let offset = reader.offset();
    let count = usize::from(reader.u8()?);
    if count > MAX_RECORDS {
        return Err(DecodeError::BadValue { offset });
    }
    Ok(count)
}

fn bounded<T>(items: &[T]) -> &[T] {
    debug_assert!(items.len() <= MAX_RECORDS);
    &items[..items.len().min(MAX_RECORDS)]
}

const DIGEST: u8 = 1;
const PROBE: u8 = 2;
const RECORDS: u8 = 3;
const RUMOURS: u8 = 4;
const SUMMARY: u8 = 5;
const WANT: u8 = 6;
