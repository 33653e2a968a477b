// SPDX-License-Identifier: Apache-2.0
//! All directories say the same, and the truth: at the moments that a scenario names.
//!
//! The truth: who runs is alive, in its present life; who does not run is down or left, or unknown.

use barrel_p2p_base::time::Time;
use barrel_p2p_proto::MemberState;

use super::{Views, Violation};

/// What one directory says of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The member's index.
    pub member: u32,
    /// Is its present life meant?
    pub present_life: bool,
    /// What is claimed of it.
    pub state: MemberState,
}

/// Says what is wrong with the directory of one node; nothing if it is the truth.
pub fn fault(node: u32, claims: &[Claim], views: &Views) -> Option<String> {
    let mut found = 0;
    for claim in claims {
        let alive = views.nodes.get(claim.member as usize).is_some_and(|view| view.alive);
        let said_alive = matches!(claim.state, MemberState::Alive | MemberState::Suspect);
        if said_alive && !alive {
            return Some(format!("believes that {} lives: {:?}", claim.member, claim.state));
        }
        if alive && (claim.state != MemberState::Alive || !claim.present_life) {
            return Some(format!("has of {}, which lives: {claim:?}", claim.member));
        }
        found += usize::from(alive && claim.member != node);
    }
    let living = views.alive().filter(|alive| *alive != node).count();
    (found != living).then(|| format!("knows {found} of {living} other members"))
}

/// Turns the first fault of the given nodes into a violation.
pub fn check(now: Time, fault: Option<(u32, String)>, violations: &mut Vec<Violation>) {
    if let Some((node, what)) = fault {
        violations.push(Violation::new("directory_convergence", now, node, what));
    }
}

#[cfg(test)]
mod tests {
    use super::super::views::tests::views;
    use super::*;

    #[test]
    fn each_untruth_is_seen() {
        let mut views = views(&[&[], &[], &[]]);
        views.nodes[2].alive = false;
        let claim = |member, state| Claim { member, present_life: true, state };
        let truth = [claim(1, MemberState::Alive), claim(2, MemberState::Down)];
        assert_eq!(fault(0, &truth, &views), None);
        assert_eq!(fault(0, &truth[..1], &views), None, "the dead may be forgotten");
        assert!(fault(0, &[], &views).is_some(), "somebody is missing");
        for wrong in [
            claim(1, MemberState::Suspect),
            claim(1, MemberState::Down),
            claim(2, MemberState::Alive),
            Claim { present_life: false, ..claim(1, MemberState::Alive) },
        ] {
            assert!(fault(0, &[wrong], &views).is_some(), "{wrong:?}");
        }
    }
}
