// SPDX-License-Identifier: Apache-2.0
//! Whom a broadcast is for: the application, or the stores. One byte in front of the payload says it.

use barrel_p2p_base::DecodeError;
use bytes::Bytes;

use crate::replication::Delta;

/// A broadcast that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broadcast {
    /// For the application.
    Application(Bytes),
    /// About a store.
    Delta(Delta),
}

impl Broadcast {
    pub(super) fn open(payload: &Bytes) -> Result<Self, DecodeError> {
        let kind = payload.first().ok_or(DecodeError::Truncated { offset: 0 })?;
        let rest = payload.slice(1..);
        match *kind {
            APPLICATION => Ok(Self::Application(rest)),
            DELTA => Delta::read(&rest).map(Self::Delta),
            _ => Err(DecodeError::BadValue { offset: 0 }),
        }
    }
}

/// A payload of the application, to be broadcast.
pub(super) fn application(payload: &[u8]) -> Bytes {
    prefixed(APPLICATION, payload)
}

/// What is new in a store, to be broadcast.
pub(super) fn delta(delta: &[u8]) -> Bytes {
    prefixed(DELTA, delta)
}

fn prefixed(kind: u8, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(1 + payload.len());
    bytes.push(kind);
    bytes.extend_from_slice(payload);
    bytes.into()
}

const APPLICATION: u8 = 0;
const DELTA: u8 = 1;
