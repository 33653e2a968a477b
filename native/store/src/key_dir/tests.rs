// SPDX-License-Identifier: Apache-2.0
use std::fs::Permissions;
use std::thread;

use barrel_p2p_identity::PinLevel;
use tempfile::{tempdir, TempDir};

use super::*;

#[test]
fn the_first_start_makes_an_identity_and_later_ones_find_it() {
    let root = tempdir().unwrap();
    let path = root.path().join("data/keys");
    let (dir, first) = KeyDir::open(&path).unwrap();
    assert_eq!(dir.path(), path);
    assert_eq!(fs::read(path.join("node.key")).unwrap(), first.keys.seed());
    assert_eq!(fs::read(path.join("node.pub")).unwrap(), first.keys.public().0);
    assert_eq!((first.rotation, first.trust, first.warnings), (None, TrustBook::new(), vec![]));
    for (name, expected) in [("", 0o700), ("trusted", 0o700), ("node.key", 0o600), ("node.pub", 0o600)] {
        assert_eq!(mode(&path.join(name)), expected, "{name:?}");
    }
    assert_eq!(names(&path), ["node.key", "node.pub", "trusted"]);

    let (_, second) = KeyDir::open(&path).unwrap();
    assert_eq!(second.keys.seed(), first.keys.seed());
}

#[test]
fn nodes_that_start_in_one_directory_at_once_share_one_identity() {
    for _ in 0..20 {
        let root = tempdir().unwrap();
        let keys = thread::scope(|scope| {
            let nodes: Vec<_> = (0..4).map(|_| scope.spawn(|| open(&root).keys.public())).collect();
            nodes.into_iter().map(|node| node.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(keys, [open(&root).keys.public(); 4]);
    }
}

#[test]
fn key_files_that_do_not_fit_are_reported_with_path_and_reason() {
    type Change = fn(&Path);
    let cases: [(Change, &str, &str, &str); 5] = [
        (|dir| write(dir, "node.key", &[1; 31]), "key_file_corrupt", "node.key", "does not hold 32 bytes"),
        (|dir| write(dir, "node.pub", &[1; 33]), "key_file_corrupt", "node.pub", "does not hold 32 bytes"),
        (|dir| write(dir, "node.key", b""), "key_file_corrupt", "node.key", "does not hold 32 bytes"),
        (
            |dir| write(dir, "node.key", &[1; 32]),
            "key_pair_mismatch",
            "node.pub",
            "does not belong to the secret key beside it",
        ),
        (|dir| fs::remove_file(dir.join("node.key")).unwrap(), "key_file_incomplete", "node.key", "missing"),
    ];
    for (change, code, name, reason) in cases {
        let root = tempdir().unwrap();
        open(&root);
        change(root.path());
        let error = KeyDir::open(root.path()).unwrap_err();
        let path = root.path().join(name);
        assert_eq!((error.code(), error.detail()), (code, format!("{}: {reason}", path.display())));
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_reported() {
    let root = tempdir().unwrap();
    write(root.path(), "file", b"");
    let path = root.path().join("file/keys");
    let error = KeyDir::open(&path).unwrap_err();
    assert_eq!((error.code(), error.detail()), ("dir_unwritable", format!("{}: not a directory", path.display())));
}

#[test]
fn leftovers_of_a_crash_do_not_disturb() {
    let root = tempdir().unwrap();
    let before = open(&root).keys.public();
    write(root.path(), ".tmp-0000000000000000", b"half a k");
    write(&root.path().join("trusted"), ".tmp-0000000000000000", b"half a p");
    let after = open(&root);
    assert_eq!((after.keys.public(), after.trust, after.warnings), (before, TrustBook::new(), vec![]));
}

#[test]
fn a_crash_in_the_first_start_is_finished() {
    let root = tempdir().unwrap();
    let before = open(&root).keys.public();
    fs::remove_file(root.path().join("node.pub")).unwrap();
    assert_eq!(open(&root).keys.public(), before);
    assert_eq!(fs::read(root.path().join("node.pub")).unwrap(), before.0);
}

#[test]
fn a_rotation_is_vouched_for_and_backed_up() {
    let root = tempdir().unwrap();
    let (dir, old) = KeyDir::open(root.path()).unwrap();
    let backup = root.path().join("backups/1");
    let (fresh, rotation) = dir.rotate(&old.keys, &backup).unwrap();
    assert_ne!(fresh.public(), old.keys.public());
    assert_eq!((rotation.old, rotation.new, rotation.verify()), (old.keys.public(), fresh.public(), Ok(())));
    assert_eq!(fs::read(backup.join("node.key")).unwrap(), old.keys.seed());
    assert_eq!(fs::read(backup.join("node.pub")).unwrap(), old.keys.public().0);
    assert_eq!((mode(&backup), mode(&backup.join("node.key"))), (0o700, 0o600));

    let reopened = open(&root);
    assert_eq!((reopened.keys.public(), reopened.rotation), (fresh.public(), Some(rotation)));

    let backup = root.path().join("backups/2");
    dir.rotate(&fresh, &backup).unwrap();
    assert_eq!(fs::read(backup.join("node.rotation")).unwrap(), rotation.encode());
}

/// Two rotations into one directory would leave no copy of the first key.
#[test]
fn a_backup_is_never_overwritten() {
    let root = tempdir().unwrap();
    let (dir, old) = KeyDir::open(root.path()).unwrap();
    let backup = root.path().join("backups");
    let (fresh, _) = dir.rotate(&old.keys, &backup).unwrap();
    let error = dir.rotate(&fresh, &backup).unwrap_err();
    assert_eq!((error.code(), error.path), ("backup_failed", backup.join("node.key")));
    assert_eq!(fs::read(backup.join("node.key")).unwrap(), old.keys.seed());
    assert_eq!(open(&root).keys.public(), fresh.public());
}

#[test]
fn a_backup_that_cannot_be_made_changes_nothing() {
    let root = tempdir().unwrap();
    let (dir, old) = KeyDir::open(root.path()).unwrap();
    let error = dir.rotate(&old.keys, &root.path().join("node.key/backup")).unwrap_err();
    assert_eq!(error.code(), "backup_failed");
    assert_eq!((open(&root).keys.public(), open(&root).rotation), (old.keys.public(), None));
}

#[test]
fn a_crash_before_the_new_key_leaves_the_old_identity() {
    let root = tempdir().unwrap();
    let old = open(&root).keys;
    let statement = Rotation::sign(&old, KeyPair::from_seed(&[9; 32]).public());
    write(root.path(), "node.rotation", &statement.encode());
    let after = open(&root);
    assert_eq!((after.keys.public(), after.rotation, after.warnings), (old.public(), None, vec![]));
    assert!(!root.path().join("node.rotation").exists());
}

#[test]
fn a_crash_between_the_new_key_and_its_public_half_is_finished() {
    let root = tempdir().unwrap();
    let old = open(&root).keys;
    let fresh = KeyPair::from_seed(&[9; 32]);
    let statement = Rotation::sign(&old, fresh.public());
    write(root.path(), "node.rotation", &statement.encode());
    write(root.path(), "node.key", fresh.seed());
    let after = open(&root);
    assert_eq!((after.keys.public(), after.rotation), (fresh.public(), Some(statement)));
    assert_eq!(fs::read(root.path().join("node.pub")).unwrap(), fresh.public().0);
}

/// The public half cannot be written: a directory is in its place.
#[test]
fn a_rotation_that_fails_half_way_keeps_the_old_identity() {
    let root = tempdir().unwrap();
    let (dir, old) = KeyDir::open(root.path()).unwrap();
    let public = root.path().join("node.pub");
    fs::remove_file(&public).unwrap();
    fs::create_dir(&public).unwrap();
    let error = dir.rotate(&old.keys, &root.path().join("backup")).unwrap_err();
    assert_eq!((error.code(), &error.path), ("key_write_failed", &public));
    fs::remove_dir(&public).unwrap();
    let after = open(&root);
    assert_eq!((after.keys.public(), after.rotation), (old.keys.public(), None));
}

#[test]
fn a_statement_that_vouches_for_nothing_is_not_used() {
    let root = tempdir().unwrap();
    let keys = open(&root).keys;
    let mut forged = Rotation::sign(&KeyPair::from_seed(&[8; 32]), KeyPair::from_seed(&[9; 32]).public());
    let foreign = forged.encode();
    forged.new = keys.public();
    for bytes in [foreign, forged.encode(), vec![0; 12]] {
        write(root.path(), "node.rotation", &bytes);
        let opened = open(&root);
        let warning = Warning::UselessRotation(root.path().join("node.rotation"));
        assert_eq!((opened.keys.public(), opened.rotation, opened.warnings), (keys.public(), None, vec![warning]));
    }
}

#[test]
fn pins_survive_a_restart() {
    let root = tempdir().unwrap();
    let (dir, _) = KeyDir::open(root.path()).unwrap();
    let pins = [("a@h", 1), ("b.c@host.example.com", 2), ("a@h", 3), ("n@::1", 4)];
    for (node, key) in pins {
        dir.store_pin(&name(node), &PublicKey([key; 32])).unwrap();
    }
    assert_eq!(names(&root.path().join("trusted")), ["a@h.pub", "b.c@host.example.com.pub", "n@::1.pub"]);
    assert_eq!(mode(&root.path().join("trusted/a@h.pub")), 0o600);
    let loaded: Vec<_> = keys_of(&open(&root).trust);
    assert_eq!(loaded, [("a@h".into(), 3), ("b.c@host.example.com".into(), 2), ("n@::1".into(), 4)]);
    assert!(open(&root).trust.iter().all(|(_, pin)| pin.level == PinLevel::Permanent && pin.added_ms > 0));

    dir.delete_pin(&name("a@h")).unwrap();
    dir.delete_pin(&name("a@h")).unwrap();
    let loaded: Vec<_> = keys_of(&open(&root).trust);
    assert_eq!(loaded, [("b.c@host.example.com".into(), 2), ("n@::1".into(), 4)]);
}

#[test]
fn other_files_among_the_pins_are_ignored_and_odd_names_reported() {
    let root = tempdir().unwrap();
    open(&root);
    let trusted = root.path().join("trusted");
    for other in ["README", "a@h.pub.bak", "a@h", ".pub"] {
        write(&trusted, other, b"x");
    }
    write(&trusted, "no-at.pub", &[1; 32]);
    let opened = open(&root);
    assert_eq!(opened.trust, TrustBook::new());
    assert_eq!(opened.warnings, [Warning::NoNodeName(trusted.join("no-at.pub"))]);
}

/// Were it skipped, the name would be free for any key.
#[test]
fn a_damaged_pin_is_an_error() {
    let root = tempdir().unwrap();
    open(&root);
    write(&root.path().join("trusted"), "a@h.pub", &[1; 31]);
    let error = KeyDir::open(root.path()).unwrap_err();
    assert_eq!((error.code(), error.path), ("pin_file_corrupt", root.path().join("trusted/a@h.pub")));
}

#[test]
fn a_pin_that_cannot_be_written_names_the_directory() {
    let root = tempdir().unwrap();
    let (dir, _) = KeyDir::open(root.path()).unwrap();
    fs::remove_dir(root.path().join("trusted")).unwrap();
    let error = dir.store_pin(&name("a@h"), &PublicKey([1; 32])).unwrap_err();
    assert_eq!((error.code(), error.path), ("dir_unwritable", root.path().join("trusted")));
}

/// Valid as a name, too long as a file.
#[test]
fn a_pin_for_the_longest_name_fails_cleanly() {
    let root = tempdir().unwrap();
    let (dir, _) = KeyDir::open(root.path()).unwrap();
    let long = name(&format!("{}@h", "a".repeat(253)));
    let error = dir.store_pin(&long, &PublicKey([1; 32])).unwrap_err();
    assert_eq!(error.code(), "pin_write_failed");
    assert_eq!(names(&root.path().join("trusted")), [""; 0]);
}

#[test]
fn a_secret_that_others_can_read_is_reported() {
    let root = tempdir().unwrap();
    open(&root);
    let path = root.path().join("node.key");
    for open_mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, Permissions::from_mode(open_mode)).unwrap();
        let warning = Warning::ReadableByOthers(path.clone());
        assert_eq!(open(&root).warnings, [warning]);
    }
}

fn open(root: &TempDir) -> Contents {
    KeyDir::open(root.path()).unwrap().1
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    atomic::write_secure(&dir.join(name), bytes).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text.as_bytes()).unwrap()
}

fn keys_of(trust: &TrustBook) -> Vec<(String, u8)> {
    trust.iter().map(|(name, pin)| (name.to_string(), pin.key.0[0])).collect()
}
