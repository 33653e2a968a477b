// SPDX-License-Identifier: Apache-2.0
//! Every member and its state.

use barrel_p2p_base::{DecodeError, Reader, Writer};

/// What members tell each other about members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {}

impl Message {
    /// Appends the bytes of it.
    pub fn write(&self, _writer: &mut Writer) {
        match *self {}
    }

    /// Reads what [`Message::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Err(DecodeError::BadValue { offset: reader.offset() })
    }
}
