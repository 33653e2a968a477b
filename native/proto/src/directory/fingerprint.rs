// SPDX-License-Identifier: Apache-2.0
//! Eight bytes that tell two directories apart, and where they differ.
//!
//! Keeps: the fingerprint depends on which members are live, in which life and version, and on nothing else: not on
//! the order in which they became known, nor on who is a suspect, which passes by itself. Members that are gone do not
//! count, because each node forgets them at its own time.
//! Leaves to others: forgery. Somebody inside the cluster can make two sets collide; a lie is as easy.

use std::sync::Arc;

use crate::contact::Contact;

/// How many parts a directory is compared in. With 10,000 members one difference costs the exchange of 40 records.
pub const BUCKETS: usize = 256;

#[derive(Debug)]
pub(super) struct Fingerprint {
    /// Sums of the hashes of all members that fall into each bucket.
    buckets: Box<[u64; BUCKETS]>,
}

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self { buckets: Box::new([0; BUCKETS]) }
    }

    pub(super) fn add(&mut self, contact: &Arc<Contact>, version: u32) {
        let (bucket, hash) = hash(contact, version);
        self.buckets[bucket] = self.buckets[bucket].wrapping_add(hash);
    }

    pub(super) fn remove(&mut self, contact: &Arc<Contact>, version: u32) {
        let (bucket, hash) = hash(contact, version);
        self.buckets[bucket] = self.buckets[bucket].wrapping_sub(hash);
    }

    pub(super) fn whole(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, bucket| sum.wrapping_add(*bucket))
    }

    /// Each bucket, shortened to what a summary carries.
    pub(super) fn summary(&self) -> Box<[u32; BUCKETS]> {
        Box::new(self.buckets.map(|bucket| (bucket >> 32) as u32))
    }
}

/// In which bucket a member is.
pub(super) fn bucket(contact: &Contact) -> usize {
    name_hash(contact) as usize % BUCKETS
}

fn hash(contact: &Contact, version: u32) -> (usize, u64) {
    let name = name_hash(contact);
    let life = mix(contact.incarnation.started_ms ^ mix(contact.incarnation.random));
    (name as usize % BUCKETS, mix(name ^ mix(life ^ u64::from(version))))
}

/// FNV-1a, with its bits mixed.
fn name_hash(contact: &Contact) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(contact.name.as_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The finalizer of splitmix64: every input bit reaches every output bit.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
