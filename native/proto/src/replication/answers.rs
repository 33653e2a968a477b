// SPDX-License-Identifier: Apache-2.0
//! What a store says when it is asked. Nothing is remembered between two questions.
//!
//! Keeps: an answer takes at most [`MAX_CHUNK_BYTES`] and one entry, and well under a millisecond, whatever is asked.

use barrel_p2p_base::limits::{MAX_CHUNK_BYTES, MAX_CHUNK_ENTRIES, MAX_FINGERPRINTS};

use super::message::{Answer, Content, Question};
use crate::store::{Entry, Node, Prefix, Store};

/// Answers one question.
pub(super) fn answer(store: &Store, question: &Question) -> Answer {
    match question {
        Question::Compare(summary) if *summary == store.root() => Answer::Equal,
        Question::Compare(_) => Answer::Contents(vec![content(store, Prefix::ALL)]),
        Question::Describe(ranges) => {
            let mut bytes = 0;
            let mut contents = Vec::with_capacity(ranges.len());
            for range in ranges {
                let content = content(store, *range);
                bytes += content.size();
                contents.push(content);
                if bytes > MAX_CHUNK_BYTES {
                    break;
                }
            }
            Answer::Contents(contents)
        }
        Question::Fetch(wanted) => {
            let (mut about, mut bytes, mut looked_at) = (0, 0, 0);
            let mut entries = Vec::new();
            for (range, fingerprint) in wanted {
                if looked_at >= MAX_LOOKED_AT {
                    break;
                }
                let entry = store.find(*range, *fingerprint, &mut looked_at);
                bytes += entry.map_or(0, Entry::size);
                if about > 0 && bytes > MAX_CHUNK_BYTES {
                    break;
                }
                about += 1;
                entries.extend(entry.cloned());
            }
            Answer::Entries { about, entries }
        }
        Question::Load(range, after) => {
            let (entries, next) = store.scan(*range, after.as_ref(), MAX_CHUNK_ENTRIES, MAX_CHUNK_BYTES);
            let more = next.is_some() && !entries.is_empty();
            Answer::Chunk { entries, more }
        }
    }
}

/// What a store has in a range.
fn content(store: &Store, range: Prefix) -> Content {
    match store.node(range) {
        Node::List(mut fingerprints) => {
            // More than that are in one place only if somebody has chosen keys for it; the others have to wait.
            fingerprints.truncate(MAX_FINGERPRINTS);
            Content::Few(fingerprints)
        }
        Node::Branch(parts) => {
            let count = parts.iter().fold(0_u32, |count, part| count.saturating_add(part.count));
            Content::Many { count, parts: Box::new(parts.map(|part| part.fingerprint)) }
        }
    }
}

/// Entries (count) that are looked at for one question, for a millisecond at most. A question of the honest needs fewer:
/// what it wants lies in ranges that were listed.
const MAX_LOOKED_AT: usize = 16 * 1024;
