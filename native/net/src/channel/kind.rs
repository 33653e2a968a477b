// SPDX-License-Identifier: Apache-2.0
//! What a channel carries, which decides who owns its far end, how large its frames are and what goes first on the link.

use barrel_p2p_base::limits::{MAX_FRAME_BYTES, MAX_GOSSIP_BYTES};

/// The kinds of channels, as they stand in the first byte of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Erlang distribution, both directions on one channel.
    #[default]
    Dist,
    /// Membership and broadcast, from the side that opened the channel to the other.
    Gossip,
}

impl Kind {
    pub(crate) fn from_wire(byte: u8) -> Option<Self> {
        [Self::Dist, Self::Gossip].into_iter().find(|kind| kind.to_wire() == byte)
    }

    pub(crate) fn to_wire(self) -> u8 {
        match self {
            Self::Dist => 1,
            Self::Gossip => 2,
        }
    }

    /// Longer frames end the channel.
    pub(crate) fn max_frame_bytes(self) -> usize {
        match self {
            Self::Dist => MAX_FRAME_BYTES,
            Self::Gossip => MAX_GOSSIP_BYTES,
        }
    }

    /// Greater goes first on the link: news of who is there must not wait behind somebody's megabytes, nor small messages of distribution behind
    /// those of heavy senders.
    pub(crate) fn priority(self) -> i32 {
        match self {
            Self::Dist => 1,
            Self::Gossip => 2,
        }
    }
}

/// Of the lanes for heavy senders.
pub(crate) const HEAVY_PRIORITY: i32 = 0;
