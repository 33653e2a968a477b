// SPDX-License-Identifier: Apache-2.0
//! The live nodes are one component, and no active view names the dead: at the moments that a scenario names.

use barrel_p2p_base::time::Time;

use super::{Views, Violation};

/// Is the overlay whole?
pub fn is_whole(views: &Views) -> bool {
    views.stale_neighbours() == 0 && views.components().len() <= 1
}

/// Says what is missing to be whole.
pub fn check(now: Time, views: &Views, violations: &mut Vec<Violation>) {
    if is_whole(views) {
        return;
    }
    let (sizes, stale) = (views.components(), views.stale_neighbours());
    let shown = &sizes[..sizes.len().min(8)];
    let alone =
        views.alive().find(|node| views.nodes[*node as usize].active.iter().all(|peer| !views.counts(*peer, *node)));
    let example = alone.map(|node| format!("; {node} is alone: {:?}", views.nodes[node as usize])).unwrap_or_default();
    let what = format!("{} components, largest {shown:?}, {stale} stale neighbours{example}", sizes.len());
    violations.push(Violation::everywhere("connectivity", now, what));
}
