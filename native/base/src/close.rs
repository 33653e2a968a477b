// SPDX-License-Identifier: Apache-2.0
//! Why a connection ends: the application close codes of QUIC, their numbers and their names.
//!
//! Keeps: numbers and names are part of the protocol and never change their meaning; a name is also the reason that
//! Erlang code sees. Leaves to others: failures that no peer has told us about (timeouts, unreachable addresses).

/// The reason in a QUIC application close.
///
/// Ordered by wire number. Each variant says when it is sent and what the operator of either side does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum CloseCode {
    /// The endpoint stops, by `net_kernel:stop/0` or a clean halt. Nothing to do.
    Shutdown = 0,
    /// No channel uses the link any more. Nothing to do; the next message dials again.
    Idle = 1,
    /// Both sides dialled at once and the other connection was kept. Nothing to do.
    Duplicate = 2,
    /// A newer incarnation of the same node has taken over. Nothing to do after a restart; if no node was restarted,
    /// two nodes run under one name: rename one.
    Superseded = 3,
    /// The VM halts. Nothing to do.
    Halted = 4,
    /// The peer sent bytes that the protocol does not know. Look for something else talking on the port, or a bug to
    /// report.
    ProtocolError = 5,
    /// The hello has a protocol version that this side does not speak. Upgrade the older node.
    UnsupportedVersion = 6,
    /// The hello claims a name that is no valid node name. Rename the node.
    InvalidName = 7,
    /// The signature in the hello does not fit key and connection. Somebody relays or replays; look who owns the
    /// address.
    BadSignature = 8,
    /// The cluster proof was made with another cookie. Set the same cookie on both nodes.
    WrongCookie = 9,
    /// Strict mode, and no key is pinned for the peer. Pin its key, if it is to be trusted.
    UnknownKey = 10,
    /// Another key is pinned for the peer's name. If the peer was rebuilt, delete the old pin; else somebody poses as
    /// it.
    KeyMismatch = 11,
    /// The peer is not the node that was dialled, or claims the receiver's own name. Correct discovery, or rename a
    /// node.
    NameMismatch = 12,
    /// One side has `auth_enabled` set to false and the other has not. Make them agree.
    AuthMismatch = 13,
    /// A setting that must be equal in the whole cluster differs. Make them agree.
    ConfigMismatch = 14,
    /// No complete hello arrived in time. Look at load and packet loss, or who else connects to the port.
    HelloTimeout = 15,
    /// The hello is longer than the limit. Look who else connects to the port.
    HelloTooLarge = 16,
    /// Too many peers are still saying hello. The dialler tries again; if it persists, look who connects.
    Overloaded = 17,
    /// A newer incarnation of this node is already linked. Nothing to do for a ghost of a restarted node.
    StaleIncarnation = 18,
    /// The receiver failed on its own side, such as a pin that could not be written. Its log has the cause.
    InternalError = 19,
    /// A number that this version does not know; never sent. Upgrade this node to learn the reason.
    Unknown = u32::MAX,
}

impl CloseCode {
    /// Every code with a meaning, in wire order.
    pub const ALL: [Self; 20] = [
        Self::Shutdown,
        Self::Idle,
        Self::Duplicate,
        Self::Superseded,
        Self::Halted,
        Self::ProtocolError,
        Self::UnsupportedVersion,
        Self::InvalidName,
        Self::BadSignature,
        Self::WrongCookie,
        Self::UnknownKey,
        Self::KeyMismatch,
        Self::NameMismatch,
        Self::AuthMismatch,
        Self::ConfigMismatch,
        Self::HelloTimeout,
        Self::HelloTooLarge,
        Self::Overloaded,
        Self::StaleIncarnation,
        Self::InternalError,
    ];

    /// The code for a number from a peer.
    pub fn from_wire(number: u64) -> Self {
        Self::ALL.into_iter().find(|code| u64::from(code.to_wire()) == number).unwrap_or(Self::Unknown)
    }

    /// Does it say that a hello was read and rejected?
    pub const fn rejects_hello(self) -> bool {
        matches!(
            self,
            Self::UnsupportedVersion
                | Self::InvalidName
                | Self::BadSignature
                | Self::WrongCookie
                | Self::UnknownKey
                | Self::KeyMismatch
                | Self::NameMismatch
                | Self::AuthMismatch
                | Self::ConfigMismatch
                | Self::StaleIncarnation
        )
    }

    /// The number that travels.
    pub const fn to_wire(self) -> u32 {
        self as u32
    }

    /// The word for logs and for Erlang, where it is an atom.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Idle => "idle",
            Self::Duplicate => "duplicate",
            Self::Superseded => "superseded",
            Self::Halted => "halted",
            Self::ProtocolError => "protocol_error",
            Self::UnsupportedVersion => "unsupported_version",
            Self::InvalidName => "invalid_name",
            Self::BadSignature => "bad_signature",
            Self::WrongCookie => "wrong_cookie",
            Self::UnknownKey => "unknown_key",
            Self::KeyMismatch => "key_mismatch",
            Self::NameMismatch => "name_mismatch",
            Self::AuthMismatch => "auth_mismatch",
            Self::ConfigMismatch => "config_mismatch",
            Self::HelloTimeout => "hello_timeout",
            Self::HelloTooLarge => "hello_too_large",
            Self::Overloaded => "overloaded",
            Self::StaleIncarnation => "stale_incarnation",
            Self::InternalError => "internal_error",
            Self::Unknown => "unknown_close_code",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_come_back() {
        for (number, code) in (0u32..).zip(CloseCode::ALL) {
            assert_eq!(code.to_wire(), number);
            assert_eq!(CloseCode::from_wire(u64::from(number)), code);
        }
    }

    #[test]
    fn an_unknown_number_is_unknown() {
        for number in [20, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            assert_eq!(CloseCode::from_wire(number), CloseCode::Unknown);
        }
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = CloseCode::ALL.map(CloseCode::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CloseCode::ALL.len());
    }
}
