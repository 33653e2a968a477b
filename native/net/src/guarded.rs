// SPDX-License-Identifier: Apache-2.0
//! A connection that is closed with a code when it is dropped: by a timeout, by a faster rival. quinn alone would close it with code 0,
//! which means to the peer that this node stops.

use crate::congestion;
use barrel_p2p_base::CloseCode;
use quinn::Connection;

pub(crate) struct Guarded {
    connection: Connection,
    code: Option<CloseCode>,
}

impl Guarded {
    pub(crate) fn new(connection: Connection, code: CloseCode) -> Self {
        Self { connection, code: Some(code) }
    }

    /// It has a keeper now, or an end of its own.
    pub(crate) fn release(mut self) {
        self.code = None;
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(code) = self.code {
            congestion::close(&self.connection, code);
        }
    }
}
