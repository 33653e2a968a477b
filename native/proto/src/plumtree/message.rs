// SPDX-License-Identifier: Apache-2.0
//! What neighbours tell each other about broadcasts, and the bytes of it.

use std::sync::Arc;

use barrel_p2p_base::limits::{MAX_ANNOUNCEMENTS, MAX_BROADCAST_BYTES};
use barrel_p2p_base::{DecodeError, Reader, Writer};
use bytes::Bytes;

use crate::message::{read_payload, MessageId};

/// A message about broadcasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A broadcast itself.
    Gossip {
        /// Which one.
        id: MessageId,
        /// How many links it has crossed, this one included.
        hops: u16,
        /// Tag and payload, opaque.
        payload: Bytes,
    },
    /// "Send me broadcasts from now on", and this one at once.
    Graft(Option<MessageId>),
    /// "I have these, or am about to."
    IHave {
        /// Will they be sent over this link without being asked for? Only the sender knows: while questions and prunes
        /// cross each other, one end may take a link for eager that is lazy at the other.
        pushed: bool,
        /// One list for all who get it.
        announcements: Arc<[Announcement]>,
    },
    /// "Send me announcements from now on."
    Prune,
}

/// One broadcast that a neighbour has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Which one.
    pub id: MessageId,
    /// How many links it would have crossed on arrival.
    pub hops: u16,
}

impl Message {
    /// Appends the bytes of it.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Self::Gossip { id, hops, payload } => {
                writer.u8(GOSSIP).bytes(&id.0).u16(*hops).bytes(payload);
            }
            Self::Graft(None) => {
                writer.u8(GRAFT);
            }
            Self::Graft(Some(id)) => {
                writer.u8(GRAFT_ONE).bytes(&id.0);
            }
            Self::IHave { pushed, announcements } => {
                debug_assert!(announcements.len() <= MAX_ANNOUNCEMENTS);
                let announcements = &announcements[..announcements.len().min(MAX_ANNOUNCEMENTS)];
                writer.u8(if *pushed { I_HAVE_AND_SEND } else { I_HAVE }).u16(announcements.len() as u16);
                for Announcement { id, hops } in announcements {
                    writer.bytes(&id.0).u16(*hops);
                }
            }
            Self::Prune => {
                writer.u8(PRUNE);
            }
        }
    }

    /// Reads what [`Message::write`] has written; `frame` is what `reader` reads.
    pub fn read(frame: &Bytes, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        Ok(match reader.u8()? {
            GOSSIP => {
                let id = MessageId(reader.array()?);
                let hops = reader.u16()?;
                Self::Gossip { id, hops, payload: read_payload(frame, reader, MAX_BROADCAST_BYTES)? }
            }
            GRAFT => Self::Graft(None),
            GRAFT_ONE => Self::Graft(Some(MessageId(reader.array()?))),
            I_HAVE => Self::IHave { pushed: false, announcements: read_announcements(reader)? },
            I_HAVE_AND_SEND => Self::IHave { pushed: true, announcements: read_announcements(reader)? },
            PRUNE => Self::Prune,
            _ => return Err(DecodeError::BadValue { offset }),
        })
    }
}

fn read_announcements(reader: &mut Reader<'_>) -> Result<Arc<[Announcement]>, DecodeError> {
    let offset = reader.offset();
    let count = usize::from(reader.u16()?);
    if count > MAX_ANNOUNCEMENTS {
        return Err(DecodeError::BadValue { offset });
    }
    (0..count).map(|_| Ok(Announcement { id: MessageId(reader.array()?), hops: reader.u16()? })).collect()
}

const GOSSIP: u8 = 1;
const I_HAVE: u8 = 2;
const GRAFT: u8 = 3;
const GRAFT_ONE: u8 = 4;
const PRUNE: u8 = 5;
const I_HAVE_AND_SEND: u8 = 6;
