// SPDX-License-Identifier: Apache-2.0
//! One process' stores without gossip, and what gossip would be told.

use super::cell::{STEP_BYTES, STEP_ENTRIES};
use super::*;
use barrel_p2p_base::NodeName;
use barrel_p2p_proto::hlc::DEFAULT_MAX_SKEW_MS;
use barrel_p2p_proto::replication::Shelf;
use barrel_p2p_proto::store::Entry;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[derive(Default)]
struct Ear {
    staged: AtomicUsize,
    synced: AtomicU64,
}

struct Teller(Arc<Ear>);

impl Owner for Teller {
    fn staged(&self) {
        self.0.staged.fetch_add(1, Ordering::SeqCst);
    }

    fn synced(&self, up_to: u64) {
        self.0.synced.fetch_max(up_to, Ordering::SeqCst);
    }

    fn failed(&self, error: &LogError) {
        panic!("{error}");
    }
}

impl Ear {
    fn until_synced(&self, seq: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.synced.load(Ordering::SeqCst) < seq {
            assert!(Instant::now() < deadline, "not synced");
            std::thread::yield_now();
        }
    }
}

fn stores() -> Arc<Stores> {
    Arc::new(Stores::new(Arc::new(Clock::new(DEFAULT_MAX_SKEW_MS))))
}

fn open(stores: &Arc<Stores>, place: Option<&TempDir>) -> (Arc<Handle>, Arc<Ear>) {
    open_for(stores, place, 3_600_000)
}

fn open_for(stores: &Arc<Stores>, place: Option<&TempDir>, tombstone_ttl_ms: u64) -> (Arc<Handle>, Arc<Ear>) {
    let ear: Arc<Ear> = Arc::default();
    let options = Options { tombstone_ttl_ms, place: place.map(|dir| dir.path().to_owned()) };
    let opened = stores.open(b"s", options, |_| Arc::new(Teller(ear.clone()))).unwrap();
    (opened.handle, ear)
}

fn me() -> NodeName {
    NodeName::parse(b"me@here").unwrap()
}

fn theirs(key: &[u8], stamp_ms: u64) -> Entry {
    Entry::value(key, b"theirs", &NodeName::parse(b"peer@there").unwrap(), Timestamp { wall_ms: stamp_ms, logical: 0 })
        .unwrap()
}

fn name() -> StoreName {
    StoreName::parse(b"s").unwrap()
}

fn is_rung(bell: &Bell) -> bool {
    !bell.take().is_empty()
}

/// As gossip does when it has told everybody.
fn flush(stores: &Stores) {
    assert!(stores.visit(&name(), &mut |store| while !store.take_outgoing(usize::MAX).is_empty() {}));
}

#[test]
fn many_writes_between_two_flushes_ring_once() {
    let stores = stores();
    let (handle, _) = open(&stores, None);
    stores.bell.listen();
    assert!(stores.bell.set_audience(true));
    assert!(!stores.bell.set_audience(true));
    for n in 0..1_000_u32 {
        handle.put(&n.to_be_bytes(), b"v", &me()).unwrap();
        assert_eq!(is_rung(&stores.bell), n == 0, "at write {n}");
    }
    flush(&stores);
    handle.remove(b"k").unwrap();
    assert!(is_rung(&stores.bell));
}

#[test]
fn nobody_is_woken_without_gossip_or_without_neighbours() {
    let stores = stores();
    let (handle, _) = open(&stores, None);
    handle.put(b"1", b"v", &me()).unwrap();
    flush(&stores);
    let first = stores.bell.listen();
    assert!(!is_rung(&stores.bell), "what was before is void");
    handle.put(b"2", b"v", &me()).unwrap();
    assert!(!is_rung(&stores.bell), "no neighbour");
    flush(&stores);
    // A gossip that ends late does not silence the next one.
    stores.bell.listen();
    stores.bell.set_audience(true);
    stores.bell.leave(first);
    handle.put(b"3", b"v", &me()).unwrap();
    assert!(is_rung(&stores.bell));
}

#[test]
fn gossip_hears_of_opened_and_drained_stores() {
    let stores = stores();
    stores.bell.listen();
    let (handle, ear) = open(&stores, None);
    let opened = bell::Notes { opened: true, ..bell::Notes::default() };
    assert_eq!(stores.bell.take().into_iter().collect::<Vec<_>>(), [(name(), opened)]);
    assert!(stores.visit(&name(), &mut |store| {
        store.stage((0..300_u32).map(|n| theirs(&n.to_be_bytes(), unix_ms())).collect());
    }));
    stores.staged(&name());
    assert_eq!(ear.staged.load(Ordering::SeqCst), 1);
    let pulled = handle.pull();
    assert!(pulled.has_more);
    handle.commit(&[]).unwrap();
    assert!(!is_rung(&stores.bell), "some wait still");
    assert!(!handle.pull().has_more);
    handle.commit(&[]).unwrap();
    let drained = bell::Notes { drained: true, ..bell::Notes::default() };
    assert_eq!(stores.bell.take().into_iter().collect::<Vec<_>>(), [(name(), drained)]);
    assert_eq!(handle.info().values, 300);
}

/// A successor that wanted something else had to live with what its predecessor had wanted.
#[test]
fn next_owner_says_how_long_removals_are_told() {
    for (before_ms, after_ms, expected) in [(3_600_000, 1_000, 1), (1_000, 3_600_000, 0)] {
        let stores = stores();
        let (first, _) = open_for(&stores, None, before_ms);
        first.remove(b"k").unwrap();
        open_for(&stores, None, after_ms);
        let mut forgotten = None;
        let later = unix_ms() + 60_000;
        stores.visit(&name(), &mut |store| forgotten = Some(store.collect(later, true, u64::MAX).forgotten));
        assert_eq!(forgotten, Some(expected), "{before_ms} then {after_ms}");
    }
}

/// Schedulers of the host make these calls, and one that is in a call does nothing else.
#[test]
fn no_call_deals_with_more_than_a_step_however_much_there_is() {
    let stores = stores();
    let (handle, _) = open(&stores, None);
    let large = vec![7; 50_000];
    let largest = theirs(b"", 0).size() + 8 + large.len();
    for chunk in 0..100_u32 {
        assert!(stores.visit(&name(), &mut |store| {
            let stamp = Timestamp { wall_ms: unix_ms(), logical: 0 };
            let origin = NodeName::parse(b"peer@there").unwrap();
            // One in a thousand is large.
            let entries = (0..1_000_u32).map(|n| {
                let value: &[u8] = if n == 0 { &large } else { b"v" };
                Entry::value(&(chunk * 1_000 + n).to_be_bytes(), value, &origin, stamp).unwrap()
            });
            assert_eq!(store.stage(entries.collect()).dropped, 0);
        }));
        loop {
            let pulled = handle.pull();
            let bytes: usize = pulled.entries.iter().map(Entry::size).sum();
            assert!(pulled.entries.len() <= STEP_ENTRIES && bytes <= STEP_BYTES + largest, "{bytes} bytes");
            handle.commit(&[]).unwrap();
            if !pulled.has_more {
                break;
            }
        }
    }
    let (mut scanned, mut after) = (0, None);
    loop {
        let (entries, next) = handle.scan(after.as_ref());
        let bytes: usize = entries.iter().map(Entry::size).sum();
        assert!(entries.len() <= STEP_ENTRIES && bytes <= STEP_BYTES + largest, "{bytes} bytes");
        scanned += entries.len();
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((handle.info().values, scanned), (100_000, 100_000));
    let (peer, mut pruned, mut after) = (NodeName::parse(b"peer@there").unwrap(), 0, None);
    loop {
        let some = handle.prune(&peer, u64::MAX, after.as_ref()).unwrap();
        assert!(some.entries.len() <= STEP_ENTRIES);
        pruned += some.entries.len();
        after = some.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pruned, 100_000);
}

#[test]
fn next_owner_takes_over_and_the_last_one_is_out() {
    let stores = stores();
    let (first, gone) = open(&stores, None);
    first.put(b"k", b"v", &me()).unwrap();
    first.abandon();
    stores.visit(&name(), &mut |store| {
        store.stage(vec![theirs(b"l", unix_ms())]);
    });
    stores.staged(&name());
    assert_eq!(gone.staged.load(Ordering::SeqCst), 0);
    let options = Options { tombstone_ttl_ms: 1, place: None };
    let opened = stores.open(b"s", options, |_| Arc::new(Teller(Arc::default()))).unwrap();
    assert!(opened.has_staged);
    assert_eq!(first.put(b"k", b"w", &me()), Err(Refused::Closed));
    assert!(first.pull().entries.is_empty());
    first.close();
    assert_eq!(opened.handle.get(b"k").unwrap().bytes(), Some(&b"v"[..]));
    opened.handle.close();
    assert!(!stores.visit(&name(), &mut |_| panic!("closed")));
    assert!(stores.names().is_empty());
}

#[test]
fn next_owner_hears_of_what_the_last_one_pulled_and_did_not_commit() {
    let stores = stores();
    let (first, _) = open(&stores, None);
    stores.visit(&name(), &mut |store| {
        store.stage(vec![theirs(b"l", unix_ms())]);
    });
    assert_eq!(first.pull().entries.len(), 1);
    first.abandon();
    let options = Options { tombstone_ttl_ms: 1, place: None };
    let opened = stores.open(b"s", options, |_| Arc::new(Teller(Arc::default()))).unwrap();
    assert!(opened.has_staged);
    assert_eq!(opened.handle.pull().entries.len(), 1);
}

#[test]
fn snapshots_replace_what_was_logged_and_lose_nothing() {
    let dir = TempDir::new().unwrap();
    let stores = stores();
    let (handle, ear) = open(&stores, Some(&dir));
    let value = vec![7; 20_000];
    let mut last = 0;
    // 40 MB for 50 keys: the log asks for snapshots on the way.
    for n in 0..2_000_u32 {
        last = loop {
            match handle.put(&(n % 50).to_be_bytes(), &value, &me()) {
                Err(Refused::Busy) => std::thread::yield_now(),
                written => break written.unwrap(),
            }
        };
    }
    handle.remove(&0_u32.to_be_bytes()).unwrap();
    ear.until_synced(last + 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while walk(dir.path()) > 20_000_000 {
        assert!(Instant::now() < deadline, "{} bytes", walk(dir.path()));
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = handle.scan(None).0;
    handle.close();
    let (again, _) = open(&stores, Some(&dir));
    assert_eq!(again.scan(None).0, before);
    assert_eq!(again.info().tombstones, 1);
    again.delete().unwrap();
    assert_eq!(walk(dir.path()), 0);
}

/// Bytes of all files below a directory.
fn walk(dir: &Path) -> u64 {
    let sizes = std::fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            walk(&entry.path())
        } else {
            meta.len()
        }
    });
    sizes.sum()
}

/// A restarted node has a clock that knows nothing.
#[test]
fn clock_passes_what_was_read() {
    let dir = TempDir::new().unwrap();
    let ahead_ms = unix_ms() + 30_000;
    let (first, _) = open(&stores(), Some(&dir));
    first.stage(vec![Some(theirs(b"k", ahead_ms))]).unwrap();
    first.pull();
    first.commit(&[]).unwrap();
    first.close();
    let restarted = stores();
    let (second, _) = open(&restarted, Some(&dir));
    assert_eq!(second.get(b"k").unwrap().bytes(), Some(&b"theirs"[..]));
    second.put(b"other", b"ours", &me()).unwrap();
    assert!(second.get(b"other").unwrap().stamp().wall_ms >= ahead_ms);
}

/// Members may be away with what a tombstone buries, and only gossip knows them.
#[test]
fn removals_are_not_forgotten_while_gossip_is_away() {
    let stores = stores();
    let options = Options { tombstone_ttl_ms: 0, place: None };
    let handle = stores.open(b"s", options, |_| Arc::new(Teller(Arc::default()))).unwrap().handle;
    handle.remove(b"k").unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while handle.scan(None).0.iter().any(|entry| entry.key() == b"k") {
        assert!(Instant::now() < deadline, "old ones are not told any more");
        handle.put(b"l", b"v", &me()).unwrap();
    }
    handle.put(b"l", b"v", &me()).unwrap();
    assert_eq!(handle.info().tombstones, 1);
}

#[test]
fn store_without_an_owner_opens_with_files_elsewhere() {
    let dir = TempDir::new().unwrap();
    let stores = stores();
    let (first, _) = open(&stores, Some(&dir));
    first.put(b"k", b"v", &me()).unwrap();
    let elsewhere = Options { tombstone_ttl_ms: 1, place: None };
    let open_elsewhere = || stores.open(b"s", elsewhere.clone(), |_| Arc::new(Teller(Arc::default())));
    assert!(matches!(open_elsewhere(), Err(OpenError::OtherPlace)));
    first.abandon();
    let second = open_elsewhere().unwrap().handle;
    assert!(second.get(b"k").is_none());
    assert_eq!(first.put(b"k", b"w", &me()), Err(Refused::Closed));
    second.abandon();
    let (third, _) = open(&stores, Some(&dir));
    assert_eq!(third.get(b"k").unwrap().bytes(), Some(&b"v"[..]));
}

/// The tombstones of one step fit into the log's queue together, or the step is not taken.
#[test]
fn a_prune_that_the_log_has_no_room_for_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let stores = stores();
    let (handle, _) = open(&stores, Some(&dir));
    let mut key = vec![0; 60_000];
    for n in 0..300_u32 {
        key[..4].copy_from_slice(&n.to_be_bytes());
        while handle.put(&key, b"", &me()) == Err(Refused::Busy) {
            std::thread::yield_now();
        }
    }
    let (mut after, mut steps) = (None, 0);
    loop {
        let before = handle.info().tombstones;
        match handle.prune(&me(), u64::MAX, after.as_ref()) {
            Ok(pruned) => {
                let bytes: usize = pruned.entries.iter().map(Entry::size).sum();
                assert!(bytes < 2 * 64 * 1024, "{bytes} bytes in one step");
                steps += 1;
                after = pruned.next;
                if after.is_none() {
                    break;
                }
            }
            Err(refused) => {
                assert_eq!((refused, handle.info().tombstones), (Refused::Busy, before));
                std::thread::yield_now();
            }
        }
    }
    assert!(steps >= 150, "{steps}");
    assert_eq!((handle.info().values, handle.info().tombstones), (0, 300));
}

#[test]
fn what_is_no_entry_is_counted_as_rejected() {
    let (handle, _) = open(&stores(), None);
    handle.stage(vec![None, Some(theirs(b"k", unix_ms())), Some(theirs(b"l", unix_ms() + 3_600_000)), None]).unwrap();
    assert_eq!(handle.pull().entries.len(), 1);
    assert_eq!(handle.info().rejected, 3);
}

#[test]
fn owners_and_gossip_meet_without_losing_anything() {
    let stores = stores();
    let (handle, _) = open(&stores, None);
    stores.bell.listen();
    stores.bell.set_audience(true);
    let taken = std::thread::scope(|scope| {
        let gossip = scope.spawn(|| {
            let mut taken = std::collections::BTreeSet::new();
            while taken.len() < 20_000 {
                if is_rung(&stores.bell) {
                    stores.visit(&name(), &mut |store| loop {
                        let entries = store.take_outgoing(10_000);
                        if entries.is_empty() {
                            return;
                        }
                        taken.extend(entries.iter().map(|entry| entry.key().to_vec()));
                    });
                }
            }
            taken.len()
        });
        for n in 0..20_000_u32 {
            handle.put(&n.to_be_bytes(), b"v", &me()).unwrap();
            if n % 1_000 == 0 {
                handle.stage(vec![Some(theirs(&n.to_be_bytes(), 1))]).unwrap();
                handle.pull();
                handle.commit(&[]).unwrap();
            }
        }
        gossip.join().unwrap()
    });
    assert_eq!(taken, 20_000);
}
