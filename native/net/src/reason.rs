// SPDX-License-Identifier: Apache-2.0
//! Why a dial failed, a link died or a channel ended: one closed set, the same words on the wire, in Erlang and in the docs.

use barrel_p2p_base::CloseCode;
use quinn::ConnectionError;

/// A close code that one side sent, or what this side saw by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The other side (or we) ended the channel in an orderly way.
    Closed,
    /// Said by close code, either by the peer or by us.
    Code(CloseCode),
    /// No packet came back within the dial timeout.
    DialTimeout,
    /// The peer went silent for longer than the idle timeout.
    LinkTimeout,
    /// Discovery or the resolver knew no address.
    NoAddress,
    /// Nothing listens at the address: the host said so.
    Refused,
    /// This endpoint was stopped.
    Stopped,
    /// The host or network cannot be reached.
    Unreachable,
}

impl Reason {
    /// The atom that Erlang sees.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "connection_closed",
            Self::Code(code) => code.name(),
            Self::DialTimeout => "dial_timeout",
            Self::LinkTimeout => "link_timeout",
            Self::NoAddress => "no_address",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::Unreachable => "unreachable",
        }
    }

    /// Did the peer, or we, refuse the other's hello? Such a refusal is final; other failures may be cured by another address.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::Code(code) if code != CloseCode::Overloaded)
    }

    /// What to tell the peer when this ends something of ours.
    pub(crate) fn close_code(self) -> CloseCode {
        match self {
            Self::Code(code) => code,
            Self::Closed
            | Self::DialTimeout
            | Self::LinkTimeout
            | Self::NoAddress
            | Self::Refused
            | Self::Stopped
            | Self::Unreachable => CloseCode::Idle,
        }
    }

    pub(crate) fn of_connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                Self::Code(CloseCode::from_wire(close.error_code.into_inner()))
            }
            ConnectionError::TimedOut | ConnectionError::Reset => Self::LinkTimeout,
            ConnectionError::LocallyClosed => Self::Stopped,
            // An endpoint that answers `CONNECTION_REFUSED` protects itself from too many strangers.
            ConnectionError::ConnectionClosed(close)
                if close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED =>
            {
                Self::Code(CloseCode::Overloaded)
            }
            ConnectionError::ConnectionClosed(_)
            | ConnectionError::TransportError(_)
            | ConnectionError::VersionMismatch
            | ConnectionError::CidsExhausted => Self::Code(CloseCode::ProtocolError),
        }
    }
}
