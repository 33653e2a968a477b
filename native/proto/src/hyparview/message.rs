// SPDX-License-Identifier: Apache-2.0
//! What members tell each other about their views, and the bytes of it.

use std::sync::Arc;

use barrel_p2p_base::{DecodeError, Reader, Writer};

use crate::contact::{read_contacts, write_contacts, Contact};

/// A message about the views. Its sender is whom the link has proved it to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// "You are my neighbour": the answer to [`Message::Join`] and [`Message::Neighbour`].
    Accept,
    /// "You are not, or no more, my neighbour."
    Disconnect(Goodbye),
    /// "Be my neighbour; I give up this one, give up one of yours that asks it."
    Exchange {
        /// Who is given up.
        old: Arc<Contact>,
    },
    /// A joiner on its random walk.
    ForwardJoin {
        /// Who joins.
        joiner: Arc<Contact>,
        /// How many more steps it goes.
        ttl: u8,
    },
    /// "I am new: be my neighbour, and make me known."
    Join,
    /// "You are my neighbour, and I have this many that could be in your place."
    KeepAlive {
        /// Size of the sender's active view; one if the receiver is the only neighbour far from the sender.
        neighbours: u8,
    },
    /// "How far are you, and which link would you give up?"
    Measure,
    /// The answer.
    Measured {
        /// Microseconds for a message to the neighbour that would be given up and its answer; zero if there is none.
        longest_us: u32,
    },
    /// "Be my neighbour."
    Neighbour(Priority),
    /// "No; ask these": the other answer.
    Reject(Vec<Arc<Contact>>),
    /// A sample of the origin's views on its random walk.
    Shuffle {
        /// Whose sample, and to whom the answer goes.
        origin: Arc<Contact>,
        /// How many more steps it goes.
        ttl: u8,
        /// The sample.
        contacts: Vec<Arc<Contact>>,
    },
    /// A sample in return.
    ShuffleReply(Vec<Arc<Contact>>),
}

/// How urgent a request to be neighbours is (HyParView, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// The sender has neighbours: be refused if the view is full.
    Low,
    /// The sender has none: take somebody's place.
    High,
}

/// Why two are no neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// The place went to a nearer one. Somebody who has given up a neighbour, too, will ask.
    Exchanged,
    /// There is no place: stay in touch.
    Full,
    /// The sender leaves: forget it.
    Leaving,
    /// The place went to this newcomer, who has places: ask it.
    Replaced(Arc<Contact>),
}

impl Message {
    /// Appends the bytes of it.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Self::Accept => {
                writer.u8(ACCEPT);
            }
            Self::Disconnect(goodbye) => {
                writer.u8(DISCONNECT);
                match goodbye {
                    Goodbye::Exchanged => {
                        writer.u8(EXCHANGED);
                    }
                    Goodbye::Full => {
                        writer.u8(FULL);
                    }
                    Goodbye::Leaving => {
                        writer.u8(LEAVING);
                    }
                    Goodbye::Replaced(newcomer) => newcomer.write(writer.u8(REPLACED)),
                }
            }
            Self::Exchange { old } => old.write(writer.u8(EXCHANGE)),
            Self::ForwardJoin { joiner, ttl } => joiner.write(writer.u8(FORWARD_JOIN).u8(*ttl)),
            Self::Join => {
                writer.u8(JOIN);
            }
            Self::KeepAlive { neighbours } => {
                writer.u8(KEEP_ALIVE).u8(*neighbours);
            }
            Self::Measure => {
                writer.u8(MEASURE);
            }
            Self::Measured { longest_us } => {
                writer.u8(MEASURED).u32(*longest_us);
            }
            Self::Neighbour(priority) => {
                writer.u8(NEIGHBOUR).u8(match priority {
                    Priority::Low => LOW,
                    Priority::High => HIGH,
                });
            }
            Self::Reject(contacts) => write_contacts(contacts, writer.u8(REJECT)),
            Self::Shuffle { origin, ttl, contacts } => {
                origin.write(writer.u8(SHUFFLE).u8(*ttl));
                write_contacts(contacts, writer);
            }
            Self::ShuffleReply(contacts) => write_contacts(contacts, writer.u8(SHUFFLE_REPLY)),
        }
    }

    /// Reads what [`Message::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        Ok(match reader.u8()? {
            ACCEPT => Self::Accept,
            DISCONNECT => Self::Disconnect(read_goodbye(reader)?),
            FORWARD_JOIN => {
                let ttl = reader.u8()?;
                Self::ForwardJoin { joiner: Contact::read(reader)?, ttl }
            }
            JOIN => Self::Join,
            KEEP_ALIVE => Self::KeepAlive { neighbours: reader.u8()? },
            NEIGHBOUR => Self::Neighbour(read_priority(reader)?),
            REJECT => Self::Reject(read_contacts(reader)?),
            SHUFFLE => {
                let ttl = reader.u8()?;
                Self::Shuffle { origin: Contact::read(reader)?, ttl, contacts: read_contacts(reader)? }
            }
            SHUFFLE_REPLY => Self::ShuffleReply(read_contacts(reader)?),
            MEASURE => Self::Measure,
            MEASURED => Self::Measured { longest_us: reader.u32()? },
            EXCHANGE => Self::Exchange { old: Contact::read(reader)? },
            _ => return Err(DecodeError::BadValue { offset }),
        })
    }
}

fn read_goodbye(reader: &mut Reader<'_>) -> Result<Goodbye, DecodeError> {
    let offset = reader.offset();
    match reader.u8()? {
        FULL => Ok(Goodbye::Full),
        LEAVING => Ok(Goodbye::Leaving),
        REPLACED => Ok(Goodbye::Replaced(Contact::read(reader)?)),
        EXCHANGED => Ok(Goodbye::Exchanged),
        _ => Err(DecodeError::BadValue { offset }),
    }
}

fn read_priority(reader: &mut Reader<'_>) -> Result<Priority, DecodeError> {
    let offset = reader.offset();
    match reader.u8()? {
        LOW => Ok(Priority::Low),
        HIGH => Ok(Priority::High),
        _ => Err(DecodeError::BadValue { offset }),
    }
}

const JOIN: u8 = 1;
const FORWARD_JOIN: u8 = 2;
const NEIGHBOUR: u8 = 3;
const ACCEPT: u8 = 4;
const REJECT: u8 = 5;
const DISCONNECT: u8 = 6;
const KEEP_ALIVE: u8 = 7;
const SHUFFLE: u8 = 8;
const SHUFFLE_REPLY: u8 = 9;
const MEASURE: u8 = 10;
const MEASURED: u8 = 11;
const EXCHANGE: u8 = 12;

const LOW: u8 = 0;
const HIGH: u8 = 1;

const FULL: u8 = 0;
const LEAVING: u8 = 1;
const REPLACED: u8 = 2;
const EXCHANGED: u8 = 3;
