// SPDX-License-Identifier: Apache-2.0
//! Who a peer is: its name, its key, and which life of it is meant.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::limits::MAX_NAME_BYTES;

/// A node name in the form `name@host`, validated.
///
/// Keeps: at most [`MAX_NAME_BYTES`] bytes; exactly one `@` between two non-empty parts; letters, digits, `_`, `.` and
/// `-` in both, `:` in the host (an IPv6 literal); no part begins with `.` or `-`. So a name is also safe as a file
/// name and as a word in a log line, and cannot be taken for an option. A clone is a counter, not a copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName(Arc<str>);

/// Why bytes are not a node name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// A byte that names may not contain.
    #[error("node name has a character that is not allowed at byte {offset}")]
    BadCharacter {
        /// Where it stands.
        offset: usize,
    },
    /// A part is empty, or begins with `.` or `-`.
    #[error("node name has an empty part or one that begins with . or -")]
    BadPart,
    /// No `@`, or a second one.
    #[error("node name needs the form name@host")]
    NotOneAt,
    /// More than 255 bytes.
    #[error("node name is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
}

impl NodeName {
    /// Validates bytes, usually from a peer.
    pub fn parse(bytes: &[u8]) -> Result<Self, NameError> {
        if bytes.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        let mut ats = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'@');
        let (Some((at, _)), None) = (ats.next(), ats.next()) else {
            return Err(NameError::NotOneAt);
        };
        for (offset, byte) in bytes.iter().enumerate() {
            let allowed = match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' => true,
                b'@' => offset == at,
                b':' => offset > at,
                _ => false,
            };
            if !allowed {
                return Err(NameError::BadCharacter { offset });
            }
        }
        if bad_start(&bytes[..at]) || bad_start(&bytes[at + 1..]) {
            return Err(NameError::BadPart);
        }
        // Only ASCII is left, so this conversion cannot fail.
        std::str::from_utf8(bytes)
            .map(|text| Self(text.into()))
            .map_err(|error| NameError::BadCharacter { offset: error.valid_up_to() })
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before `@`.
    pub fn name(&self) -> &str {
        self.parts().0
    }

    /// The part after `@`.
    pub fn host(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('@').unwrap_or((&self.0, ""))
    }
}

impl Borrow<str> for NodeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Ed25519 public key as it travels. Whether it is a point on the curve is found out when a signature is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// SHA-256 of a public key: what people compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

/// Which life of a node: a restarted node has a larger one.
///
/// Ordered by start time; the rest only separates two starts within one millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation {
    /// When the node started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Random bits drawn at the start, [`RANDOM_BITS`] of them; above them the age of what the node has in memory then, in
    /// milliseconds.
    pub random: u64,
}

/// Random bits of an incarnation. The rest is enough for 34 years.
const RANDOM_BITS: u32 = 24;

impl Incarnation {
    /// A life that begins now, in a process that has kept its memory since then: times in milliseconds since the Unix epoch.
    pub fn new(started_ms: u64, remembers_since_ms: u64, random: u64) -> Self {
        let age = started_ms.saturating_sub(remembers_since_ms).min(u64::MAX >> RANDOM_BITS);
        Self { started_ms, random: age << RANDOM_BITS | random & ((1 << RANDOM_BITS) - 1) }
    }

    /// Since when the node has lost nothing from its memory: it may have had lives before this one.
    pub fn remembers_since_ms(&self) -> u64 {
        self.started_ms.saturating_sub(self.random >> RANDOM_BITS)
    }
}

/// Hex in full by `Display`, the first four bytes by `Debug`.
macro_rules! hex_format {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}
hex_format!(Fingerprint);
hex_format!(PublicKey);

fn bad_start(part: &[u8]) -> bool {
    matches!(part.first(), None | Some(b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_erlang_nodes_have_pass() {
        let longest = format!("{}@host", "a".repeat(250));
        for text in ["a@b", "node_1@host-2.example.com", "N9.x-y@10.0.0.1", "n@::1", "n@fe80::1:2", &longest] {
            let name = NodeName::parse(text.as_bytes()).unwrap();
            assert_eq!(name.as_str(), text);
            assert_eq!(format!("{}@{}", name.name(), name.host()), text);
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        use NameError::*;
        let too_long = format!("{}@host", "a".repeat(251));
        for (text, expected) in [
            ("", NotOneAt),
            ("a", NotOneAt),
            ("a@b@c", NotOneAt),
            ("@", BadPart),
            ("@b", BadPart),
            ("a@", BadPart),
            (".a@b", BadPart),
            ("-a@b", BadPart),
            ("a@.b", BadPart),
            ("a@-b", BadPart),
            ("a/b@c", BadCharacter { offset: 1 }),
            ("../x@c", BadCharacter { offset: 2 }),
            ("a:b@c", BadCharacter { offset: 1 }),
            ("a@b c", BadCharacter { offset: 3 }),
            ("a@b\0", BadCharacter { offset: 3 }),
            ("a@b\n", BadCharacter { offset: 3 }),
            ("\u{e9}@b", BadCharacter { offset: 0 }),
            (&too_long, TooLong),
        ] {
            assert_eq!(NodeName::parse(text.as_bytes()), Err(expected), "for {text:?}");
        }
    }

    #[test]
    fn keys_print_short_for_debug_and_whole_for_display() {
        let key = PublicKey([0xab; 32]);
        assert_eq!(format!("{key:?}"), "abababab");
        assert_eq!(key.to_string(), "ab".repeat(32));
    }

    #[test]
    fn a_later_start_is_a_larger_incarnation() {
        let early = Incarnation { started_ms: 1, random: u64::MAX };
        let late = Incarnation { started_ms: 2, random: 0 };
        assert!(early < late);
    }

    #[test]
    fn an_incarnation_tells_since_when_its_memory_lasts() {
        for (started_ms, since_ms, expected_ms) in [
            (1_000, 1_000, 1_000),
            (1_000, 400, 400),
            // The clock went back meanwhile.
            (1_000, 1_100, 1_000),
            (1 << 41, 0, (1 << 41) - ((1 << 40) - 1)),
        ] {
            let life = Incarnation::new(started_ms, since_ms, u64::MAX);
            assert_eq!((life.started_ms, life.remembers_since_ms()), (started_ms, expected_ms));
            assert_ne!(life, Incarnation::new(started_ms, since_ms, 0));
        }
        assert_eq!(Incarnation { started_ms: 1, random: u64::MAX }.remembers_since_ms(), 0);
    }
}
