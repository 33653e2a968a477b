// SPDX-License-Identifier: Apache-2.0
//! Which claims are believed.

use proptest::prelude::*;

use super::*;

#[test]
fn a_stranger_that_lives_is_a_member() {
    let mut directory = with_neighbours(&[1]);
    assert_eq!(hear(&mut directory, at(1), 1, vec![claim(2, 1, Alive)]), [up(2)]);
    assert_eq!(hear(&mut directory, at(1), 1, vec![claim(2, 1, Alive)]), []);
    assert_eq!(state(&directory, 2), Some(Alive));
    assert_eq!(directory.live(), 3);
}

#[test]
fn a_stranger_that_is_gone_is_nobody() {
    let mut directory = with_neighbours(&[1]);
    assert_eq!(hear(&mut directory, at(1), 1, vec![claim(2, 1, Down), claim(3, 1, Left)]), []);
    assert_eq!((state(&directory, 2), state(&directory, 3)), (None, None));
}

#[test]
fn an_older_claim_changes_nothing() {
    let mut directory = with_neighbours(&[1]);
    hear(&mut directory, at(1), 1, vec![claim(2, 5, Alive)]);
    let old = [claim(2, 4, Down), claim(2, 4, Left), claim(2, 4, Alive), claim(2, 4, Suspect), claim(2, 5, Alive)];
    assert_eq!(hear(&mut directory, at(1), 1, old.to_vec()), [rumours(1, vec![claim(2, 5, Alive)])], "it was refuted");
    let former = Record { contact: contact(2, 0), version: 9, state: Left };
    let later = Record { contact: contact(2, 1), version: 1, state: Alive };
    hear(&mut directory, at(1), 1, vec![later.clone()]);
    assert_eq!(hear(&mut directory, at(1), 1, vec![former]), []);
    assert_eq!(directory.member(&name(2)), Some((&later.contact, Alive)));
}

#[test]
fn a_later_life_ends_the_former_one_and_begins_its_own() {
    let mut directory = with_neighbours(&[1]);
    hear(&mut directory, at(1), 1, vec![claim(2, 5, Alive)]);
    let later = Record { contact: contact(2, 1), version: 1, state: Alive };
    let begun = Output::Event(Event::MemberUp(contact(2, 1)));
    assert_eq!(hear(&mut directory, at(1), 1, vec![later]), [down(2, Down), begun]);
    assert_eq!(directory.live(), 3);
}

#[test]
fn somebody_elses_down_is_a_suspicion_here() {
    let mut directory = with_neighbours(&[1, 3]);
    hear(&mut directory, at(1), 1, vec![claim(2, 1, Alive)]);
    assert_eq!(hear(&mut directory, at(1), 1, vec![claim(2, 1, Down)]), []);
    assert_eq!(state(&directory, 2), Some(Suspect));
    assert_eq!(hear(&mut directory, at(100), 1, vec![claim(2, 2, Alive)]), []);
    assert_eq!(state(&directory, 2), Some(Alive));
}

#[test]
fn every_change_shows_in_the_generation_and_nothing_else_does() {
    let mut directory = with_neighbours(&[1]);
    let mut last = directory.generation();
    for (claim, changes) in [
        (claim(2, 1, Alive), true),
        (claim(2, 1, Alive), false),
        (claim(2, 1, Suspect), true),
        (claim(2, 1, Down), false),
        (claim(2, 2, Left), true),
        (claim(2, 1, Alive), false),
    ] {
        hear(&mut directory, at(1), 1, vec![claim]);
        assert_eq!(directory.generation() > last, changes);
        last = directory.generation();
    }
    directory.leave(at(2), &mut Vec::new());
    assert!(directory.generation() > last);
}

#[test]
fn who_leaves_says_so_itself_and_is_gone_at_once() {
    let mut directory = with_neighbours(&[1]);
    assert_eq!(hear(&mut directory, at(1), 1, vec![claim(1, 2, Left)]), [down(1, Left)]);
    assert_eq!(state(&directory, 1), Some(Left));
    assert_eq!(hear(&mut directory, at(1), 1, vec![claim(1, 3, Alive)]), [up(1)]);
}

#[test]
fn a_lie_about_this_node_is_refuted_to_the_liar_and_to_all() {
    for state in [Suspect, Down, Left] {
        let mut directory = with_neighbours(&[1, 2]);
        let out = hear(&mut directory, at(200), 1, vec![claim(0, 1, state)]);
        assert_eq!(out, [rumours(1, vec![claim(0, 2, Alive)])]);
        let out = flush(&mut directory, at(200), &[]);
        assert_eq!(out, [rumours(1, vec![claim(0, 2, Alive)]), rumours(2, vec![claim(0, 2, Alive)])]);
        assert_eq!(directory.stats().refuted, 1);
    }
}

#[test]
fn a_version_that_this_node_never_had_is_overtaken() {
    let mut directory = with_neighbours(&[1]);
    let out = hear(&mut directory, at(200), 1, vec![claim(0, 1000, Alive)]);
    assert_eq!(out, [rumours(1, vec![claim(0, 1001, Alive)])]);
}

#[test]
fn who_is_behind_about_this_node_is_taught_once_per_message() {
    let mut directory = with_neighbours(&[1]);
    let former = Record { contact: contact(0, 0), version: 0, state: Alive };
    let out = hear(&mut directory, at(200), 1, vec![former.clone(), former.clone(), former]);
    assert_eq!(out, [rumours(1, vec![claim(0, 1, Alive)])]);
    assert_eq!(directory.stats().refuted, 0);
}

#[test]
fn a_later_life_of_this_node_is_an_impostor() {
    let mut directory = with_neighbours(&[1]);
    let later = Record { contact: contact(0, 1), version: 1, state: Alive };
    assert_eq!(hear(&mut directory, at(200), 1, vec![later]), []);
    assert_eq!(directory.stats().impostors, 1);
    assert_eq!(directory.member(&name(0)), Some((&contact(0, 0), Alive)));
}

#[test]
fn a_life_from_the_far_future_is_refused_unless_a_link_proves_it() {
    let mut directory = with_neighbours(&[1]);
    let day = 24 * 3600 * 1000;
    let claim = |life| Record { contact: contact(2, life), version: 1, state: Alive };
    assert_eq!(hear(&mut directory, at(0), 1, vec![claim(day + 1)]), []);
    assert_eq!((directory.stats().refused_future, state(&directory, 2)), (1, None));
    hear(&mut directory, at(0), 1, vec![claim(day)]);
    assert_eq!(state(&directory, 2), Some(Alive));

    let far = Record { contact: contact(3, 9 * day), version: 1, state: Alive };
    let message = Message::Rumours { records: vec![far.clone()], beats: Vec::new() };
    let mut out = Vec::new();
    directory.on_message(at(0), &far.contact, message, &mut out);
    assert_eq!(out, [Output::Event(Event::MemberUp(far.contact.clone()))]);
    assert_eq!(directory.stats().refused_future, 1);
}

#[test]
fn whoever_speaks_is_a_member_until_it_says_more_about_itself() {
    let mut directory = directory();
    let digest = Message::Digest { fingerprint: 0, live: 1, stamp: stamp(0) };
    assert_eq!(receive(&mut directory, at(1), 1, digest), [up(1)]);
    // Nobody else needs to hear it from here.
    assert!(!directory.flush_due(at(200)));
    hear(&mut directory, at(200), 1, vec![claim(1, 1, Alive)]);
    assert!(directory.flush_due(at(200)));
}

#[test]
fn a_flood_of_invented_members_ends_at_the_limit() {
    let mut directory = with_neighbours(&[1]);
    let limit = barrel_p2p_base::limits::MAX_MEMBERS;
    for member in 2..limit + 100 {
        hear(&mut directory, at(1), 1, vec![claim(member, 1, Alive)]);
    }
    assert_eq!(directory.live(), limit);
    assert_eq!(directory.stats().refused_full, 100);
    // Who is known is still heard.
    assert_eq!(hear(&mut directory, at(1), 1, vec![claim(1, 2, Left)]), [down(1, Left)]);
}

#[test]
fn the_gone_are_forgotten_after_a_day_and_the_longest_gone_first() {
    let mut directory = with_neighbours(&[1]);
    let limit = barrel_p2p_base::limits::MAX_DEPARTED;
    for member in 2..limit + 3 {
        hear(&mut directory, at(1), 1, vec![claim(member, 1, Alive)]);
        hear(&mut directory, at(member as u64), 1, vec![claim(member, 2, Left)]);
    }
    assert_eq!((directory.departed(), directory.live()), (limit, 2));
    assert_eq!((state(&directory, 2), state(&directory, 3)), (None, Some(Left)));
    directory.timers = Default::default();
    run(&mut directory, 24 * 3600 * 1000 + 3);
    assert_eq!((state(&directory, 3), state(&directory, 4)), (None, Some(Left)));
}

proptest! {
    /// Of any claims all orders, repeated or not, leave the same one: merging is commutative, associative, idempotent.
    #[test]
    fn the_order_of_claims_does_not_matter(claims in prop::collection::vec(any_claim(), 1..12), seed in any::<u64>()) {
        let merge = |claims: &[Record]| {
            let mut best = claims[0].clone();
            for claim in claims {
                if claim.supersedes(&best) {
                    best = claim.clone();
                }
            }
            best
        };
        let mut shuffled = claims.clone();
        shuffled.extend_from_slice(&claims[..claims.len() / 2]);
        let count = shuffled.len();
        barrel_p2p_base::Random::new(seed).sample(&mut shuffled, count);
        prop_assert_eq!(merge(&claims), merge(&shuffled));
        let (left, right) = claims.split_at(claims.len() / 2);
        if !left.is_empty() {
            prop_assert_eq!(merge(&[merge(left), merge(right)]), merge(&claims));
        }
    }

    /// What a directory believes after any claims does not depend on their order, once suspicions have ended.
    #[test]
    fn directories_that_heard_the_same_believe_the_same(
        claims in prop::collection::vec(any_claim(), 1..12), seed in any::<u64>()
    ) {
        let believe = |claims: &[Record]| {
            let mut directory = with_neighbours(&[1]);
            // A first claim makes the member known: strangers that are gone are nobody.
            hear(&mut directory, at(1), 1, vec![claim(2, 0, Alive)]);
            for claim in claims {
                hear(&mut directory, at(1), 1, vec![claim.clone()]);
            }
            run(&mut directory, 2001);
            let (contact, state) = directory.member(&name(2)).unwrap();
            (contact.clone(), state, directory.fingerprint())
        };
        let mut shuffled = claims.clone();
        let count = shuffled.len();
        barrel_p2p_base::Random::new(seed).sample(&mut shuffled, count);
        prop_assert_eq!(believe(&claims), believe(&shuffled));
    }
}

/// A claim about member 2, honest or not.
fn any_claim() -> impl Strategy<Value = Record> {
    let state = prop::sample::select([Alive, Suspect, Down, Left].as_slice());
    (0..3_u64, 0..3_u32, state, 0..2_u16).prop_map(|(life, version, state, lie)| {
        let mut contact = Contact::clone(&contact(2, life));
        contact.addresses[0].set_port(lie);
        Record { contact: Arc::new(contact), version, state }
    })
}
