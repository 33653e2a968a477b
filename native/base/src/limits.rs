// SPDX-License-Identifier: Apache-2.0
//! Every bound on what a peer may send or make us hold: one constant each, with unit and reason.

/// Bytes of one HELLO. A full one (two names of 255 bytes, eight IPv6 addresses, a rotation statement) takes less than
/// a kilobyte; the rest is room for later fields. Raising it raises what an unauthenticated peer may make us buffer.
pub const MAX_HELLO_BYTES: usize = 4096;

/// Bytes of a node name: the longest atom OTP makes.
pub const MAX_NAME_BYTES: usize = 255;

/// Reachable addresses in one HELLO (count). A host has a few per family; each one is a dial that peers may try.
pub const MAX_ADDRESSES: usize = 8;

/// Connections (count) whose hello has not passed yet. More are refused with `overloaded`: 64 of them, each with
/// one HELLO buffered, cost 256 KiB.
pub const MAX_PENDING_PEERS: usize = 64;

/// Pending connections (count) above which a new peer must prove its address by a QUIC retry token first. Low enough
/// that spoofed addresses never fill [`MAX_PENDING_PEERS`], high enough that a cluster start pays no extra round trip.
pub const RETRY_ABOVE_PENDING: usize = 16;

/// Bytes of one frame on a dist channel. OTP cuts payloads into 64 KiB fragments, yet control parts and the
/// first fragment of a signal with large terms in its control tuple may be bigger; 4 MiB is far above both.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a broadcast's payload and of a direct message. Every node forwards and remembers payloads; larger state
/// is fetched from one peer instead.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

/// Bytes of a broadcast as it travels: the payload, and one byte that says whom it is for.
pub const MAX_BROADCAST_BYTES: usize = MAX_PAYLOAD_BYTES + 1;

/// Bytes of one gossip frame: the largest payload and its envelope.
pub const MAX_GOSSIP_BYTES: usize = MAX_PAYLOAD_BYTES + 1024;

/// Contacts (count) in one gossip message. A shuffle carries eight; each one costs its receiver a comparison with its
/// passive view.
pub const MAX_CONTACTS: usize = 32;

/// Announcements (count) in one gossip message: 18 bytes each, 18 KiB in all.
pub const MAX_ANNOUNCEMENTS: usize = 1024;

/// Members (count) that a directory holds, those that are gone included: six times the largest cluster that is
/// simulated. An entry with its contact takes some 300 bytes, so a flood of invented members ends at 20 MB.
pub const MAX_MEMBERS: usize = 65_536;

/// Members that are gone (count) and still remembered; the longest gone are forgotten first.
pub const MAX_DEPARTED: usize = 16_384;

/// Records of members (count) in one gossip message, and as many signs of life. A record takes at most 462 bytes, so a
/// message of records stays below 64 KiB and holds up the broadcast behind it only shortly.
pub const MAX_RECORDS: usize = 128;

/// Bytes of the name of a store. It becomes a part of file names.
pub const MAX_STORE_NAME_BYTES: usize = 255;

/// Bytes of a key in a store: what a length of two bytes can say.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// Bytes of a value in a store. An entry travels in one piece, so with its key it stays below [`MAX_PAYLOAD_BYTES`].
pub const MAX_VALUE_BYTES: usize = 512 * 1024;

/// Bytes of entries that wait in one store for their owner's judgement. What does not fit is refused and comes again
/// with a later comparison; one entry of the largest size fits many times.
pub const MAX_STAGED_BYTES: usize = 8 * 1024 * 1024;

/// Keys (count) that a host has written and that wait to be sent. More are forgotten and found by comparison with the
/// neighbours, which is cheaper then.
pub const MAX_OUTGOING_KEYS: usize = 65_536;

/// Versions (count) per store that its owner has rejected and that are remembered, so that they are not offered again in
/// every round. One costs some 150 bytes and its key.
pub const MAX_REJECTIONS: usize = 1_024;

/// Tombstones (count) in one store; beyond that the oldest are forgotten before their time. A tombstone takes about as
/// much memory as a small value, so this is some 200 MB.
pub const MAX_TOMBSTONES: usize = 1_000_000;

/// Bytes of entries, or of what describes them, in one message about a store; one entry may be larger. A link is shared
/// with broadcasts, which wait for no longer than this takes.
pub const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// Entries (count) in one message about a store. The smallest takes some 12 bytes, so bytes are the bound that counts.
pub const MAX_CHUNK_ENTRIES: usize = 8192;

/// Ranges (count) of a store in one question; their description takes at most 17 KiB.
pub const MAX_RANGES: usize = 128;

/// Entries (count) that one question may want.
pub const MAX_WANTED: usize = 1024;

/// Fingerprints (count) in the description of one range. One with more than 32 entries is described by its parts, unless
/// somebody has chosen keys that cannot be told apart by their places.
pub const MAX_FINGERPRINTS: usize = 254;
