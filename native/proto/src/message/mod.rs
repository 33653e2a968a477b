// SPDX-License-Identifier: Apache-2.0
//! What travels on gossip channels, and its bytes.
//!
//! Keeps: decoding takes any bytes; every count and length is compared with a limit before it is used, and a frame
//! larger than [`MAX_GOSSIP_BYTES`] is refused unread. Leaves to others: what a message means to its receiver.

#[cfg(test)]
mod tests;

use std::fmt;

use barrel_p2p_base::limits::{MAX_GOSSIP_BYTES, MAX_PAYLOAD_BYTES};
use barrel_p2p_base::{DecodeError, Reader, Writer};
use bytes::Bytes;

use crate::{directory, hyparview, plumtree, replication};

/// A message between two members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// About the views.
    HyParView(hyparview::Message),
    /// About broadcasts.
    Plumtree(plumtree::Message),
    /// About members.
    Directory(directory::Message),
    /// For the application of this one receiver.
    Direct(Bytes),
    /// About stores.
    Store(replication::Message),
}

/// What tells a broadcast from all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 16]);

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Message {
    /// The bytes of one frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::HyParView(message) => message.write(writer.u8(HYPARVIEW)),
            Self::Plumtree(message) => message.write(writer.u8(PLUMTREE)),
            Self::Directory(message) => message.write(writer.u8(DIRECTORY)),
            Self::Direct(payload) => {
                writer.u8(DIRECT).bytes(payload);
            }
            Self::Store(message) => message.write(writer.u8(STORE)),
        }
        writer.finish()
    }

    /// Reads one frame. A payload in the message keeps the frame alive instead of being copied.
    pub fn decode(frame: &Bytes) -> Result<Self, DecodeError> {
        if frame.len() > MAX_GOSSIP_BYTES {
            return Err(DecodeError::Trailing { offset: MAX_GOSSIP_BYTES });
        }
        let mut reader = Reader::new(frame);
        let message = match reader.u8()? {
            HYPARVIEW => Self::HyParView(hyparview::Message::read(&mut reader)?),
            PLUMTREE => Self::Plumtree(plumtree::Message::read(frame, &mut reader)?),
            DIRECTORY => Self::Directory(directory::Message::read(&mut reader)?),
            DIRECT => Self::Direct(read_payload(frame, &mut reader, MAX_PAYLOAD_BYTES)?),
            STORE => Self::Store(replication::Message::read(&mut reader)?),
            _ => return Err(DecodeError::BadValue { offset: 0 }),
        };
        reader.finish()?;
        Ok(message)
    }
}

/// The rest of the frame, not copied.
pub(crate) fn read_payload(frame: &Bytes, reader: &mut Reader<'_>, most: usize) -> Result<Bytes, DecodeError> {
    let offset = reader.offset();
    let count = frame.len() - offset;
    if count > most {
        return Err(DecodeError::BadValue { offset });
    }
    reader.take(count)?;
    Ok(frame.slice(offset..))
}

const HYPARVIEW: u8 = 1;
const PLUMTREE: u8 = 2;
const DIRECTORY: u8 = 3;
const DIRECT: u8 = 4;
const STORE: u8 = 5;
