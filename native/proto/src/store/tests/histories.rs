// SPDX-License-Identifier: Apache-2.0
//! Three replicas with clocks that differ, through every history of writes, deliveries, pulls and commits.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const REPLICAS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Put {
        at: usize,
        key: u8,
        text: u8,
    },
    Remove {
        at: usize,
        key: u8,
    },
    /// What one has written since goes to another.
    Send {
        from: usize,
        to: usize,
    },
    /// Everything that one has goes to another.
    SendAll {
        from: usize,
        to: usize,
    },
    Pull {
        at: usize,
    },
    Commit {
        at: usize,
    },
    Prune {
        at: usize,
        origin: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (at, key) = (0..REPLICAS, 0..12_u8);
    prop_oneof![
        4 => (at.clone(), key.clone(), any::<u8>()).prop_map(|(at, key, text)| Step::Put { at, key, text }),
        2 => (at.clone(), key).prop_map(|(at, key)| Step::Remove { at, key }),
        3 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::Send { from, to }),
        1 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::SendAll { from, to }),
        3 => at.clone().prop_map(|at| Step::Pull { at }),
        3 => at.clone().prop_map(|at| Step::Commit { at }),
        1 => (at.clone(), at).prop_map(|(at, origin)| Step::Prune { at, origin }),
    ]
}

struct Replica {
    store: Store,
    /// What its host believes, from what it wrote and what commits told.
    believed: BTreeMap<Vec<u8>, Entry>,
}

impl Replica {
    fn learns(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if let Some(old) = self.believed.insert(entry.key().to_vec(), entry.clone()) {
                assert!(entry.beats(&old), "{entry:?} after {old:?}");
            }
        }
        assert!(self.believed.values().all(|entry| self.store.get(entry.key()) == Some(entry)));
        assert_eq!(self.believed.len(), self.store.len() + self.store.tombstones());
        check(&self.store);
    }

    fn commits(&mut self) {
        let merged = self.store.commit(ALL_GOOD);
        self.learns(merged);
    }
}

fn play(replicas: &mut [Replica], steps: &[Step], skew_ms: &[u64]) {
    let stamp = |at: usize, number: usize| super::at(skew_ms[at] + number as u64);
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Put { at, key, text } => {
                let replica = &mut replicas[*at];
                let written = replica.store.put(&[*key], &[*text], &node(*at), stamp(*at, number)).unwrap();
                replica.learns(vec![written]);
            }
            Step::Remove { at, key } => {
                let replica = &mut replicas[*at];
                let written = replica.store.remove(&[*key], stamp(*at, number)).unwrap();
                replica.learns(vec![written]);
            }
            Step::Send { from, to } => {
                let entries = replicas[*from].store.take_outgoing(usize::MAX);
                replicas[*to].store.stage(entries);
            }
            Step::SendAll { from, to } => {
                let entries = everything(&replicas[*from].store);
                replicas[*to].store.stage(entries);
            }
            Step::Pull { at } => {
                let store = &mut replicas[*at].store;
                let pulled = store.pull(3, usize::MAX);
                assert_eq!(store.pull(9, usize::MAX), pulled);
            }
            Step::Commit { at } => replicas[*at].commits(),
            Step::Prune { at, origin } => {
                let (pruned, None) = replicas[*at].store.prune(&node(*origin), u64::MAX, None, usize::MAX) else {
                    panic!("a pruning without bounds ends")
                };
                replicas[*at].learns(pruned);
            }
        }
    }
}

proptest! {
    #[test]
    fn replicas_agree_once_everything_has_arrived(
        steps in prop::collection::vec(step(), 0..80),
        skew_ms in prop::collection::vec(0..30_u64, REPLICAS),
    ) {
        let mut replicas: Vec<Replica> =
            (0..REPLICAS).map(|_| Replica { store: store(), believed: BTreeMap::new() }).collect();
        play(&mut replicas, &steps, &skew_ms);
        // What lies in a hand was not agreed to yet.
        replicas.iter_mut().for_each(Replica::commits);
        for _ in 0..2 {
            for from in 0..REPLICAS {
                let entries = everything(&replicas[from].store);
                for to in (0..REPLICAS).filter(|to| *to != from) {
                    let merged = deliver(&mut replicas[to].store, entries.clone());
                    replicas[to].learns(merged);
                }
            }
        }
        for replica in &replicas[1..] {
            prop_assert_eq!(everything(&replica.store), everything(&replicas[0].store));
            prop_assert_eq!(replica.store.root(), replicas[0].store.root());
        }
    }
}
