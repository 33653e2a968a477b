// SPDX-License-Identifier: Apache-2.0
use std::os::unix::fs::PermissionsExt;

use tempfile::{tempdir, TempDir};

use super::*;

#[test]
fn the_first_start_makes_a_certificate_and_later_ones_find_it() {
    let root = tempdir().unwrap();
    let made = open(&root, NOW_S);
    assert_eq!((mode(root.path(), "node.crt"), mode(root.path(), "node.key")), (0o644, 0o600));
    assert_eq!(open(&root, NOW_S).cert_der, made.cert_der);
}

#[test]
fn our_certificate_is_renewed_in_the_last_thirty_days_and_after_them() {
    for days in [335, 365, 3650] {
        let root = tempdir().unwrap();
        let made = open(&root, NOW_S);
        assert_eq!(open(&root, NOW_S + 334 * DAY_S).cert_der, made.cert_der);
        let renewed = open(&root, NOW_S + days * DAY_S);
        assert_ne!(renewed.cert_der, made.cert_der);
        assert_eq!(open(&root, NOW_S + days * DAY_S).cert_der, renewed.cert_der);
    }
}

#[test]
fn what_a_crash_leaves_of_our_certificate_is_replaced() {
    type Change = fn(&Path);
    let cases: [Change; 4] = [
        |dir| fs::remove_file(dir.join("node.crt")).unwrap(),
        |dir| fs::remove_file(dir.join("node.key")).unwrap(),
        |dir| write(dir, "node.key", Certificate::generate("n", NOW_S, [1; 16]).unwrap().key_pem.as_bytes()),
        |dir| write(dir, "node.key", b"no key"),
    ];
    for change in cases {
        let root = tempdir().unwrap();
        let made = open(&root, NOW_S);
        change(root.path());
        let renewed = open(&root, NOW_S);
        assert_ne!(renewed.cert_der, made.cert_der);
        assert_eq!(open(&root, NOW_S).cert_der, renewed.cert_der);
    }
}

/// Made by an operator, and expired: still theirs.
#[test]
fn a_certificate_of_the_operator_is_used_as_it_is() {
    let root = tempdir().unwrap();
    write(root.path(), "node.crt", OPERATORS_CERT.as_bytes());
    write(root.path(), "node.key", OPERATORS_KEY.as_bytes());
    let opened = open(&root, NOW_S);
    assert_eq!(opened.cert_pem, OPERATORS_CERT);
    assert_eq!(fs::read(root.path().join("node.key")).unwrap(), OPERATORS_KEY.as_bytes());
}

#[test]
fn files_of_the_operator_that_do_not_fit_are_reported_and_kept() {
    type Change = fn(&Path);
    let cases: [(Change, &str, &str); 3] = [
        (|dir| write(dir, "node.crt", b"no certificate"), "node.crt", "no readable certificate"),
        (|dir| fs::remove_file(dir.join("node.key")).unwrap(), "node.key", "no readable private key"),
        (
            |dir| write(dir, "node.key", Certificate::generate("n", NOW_S, [1; 16]).unwrap().key_pem.as_bytes()),
            "node.key",
            "certificate and private key do not belong together",
        ),
    ];
    for (change, name, reason) in cases {
        let root = tempdir().unwrap();
        write(root.path(), "node.crt", OPERATORS_CERT.as_bytes());
        write(root.path(), "node.key", OPERATORS_KEY.as_bytes());
        change(root.path());
        let cert = fs::read(root.path().join("node.crt")).unwrap();
        let error = CertDir::open(root.path(), "n", NOW_S).unwrap_err();
        let path = root.path().join(name);
        assert_eq!((error.code(), error.detail()), ("certificate_corrupt", format!("{}: {reason}", path.display())));
        assert_eq!(fs::read(root.path().join("node.crt")).unwrap(), cert);
    }
}

#[test]
fn a_rotation_backs_up_and_replaces_whatever_is_there() {
    let root = tempdir().unwrap();
    write(root.path(), "node.crt", OPERATORS_CERT.as_bytes());
    write(root.path(), "node.key", OPERATORS_KEY.as_bytes());
    let (dir, _) = CertDir::open(root.path(), "n", NOW_S).unwrap();
    let backup = root.path().join("backups/1");
    let rotated = dir.rotate("n", NOW_S, &backup).unwrap();
    assert_eq!(fs::read(backup.join("node.crt")).unwrap(), OPERATORS_CERT.as_bytes());
    assert_eq!(fs::read(backup.join("node.key")).unwrap(), OPERATORS_KEY.as_bytes());
    assert_eq!(mode(&backup, "node.key"), 0o600);
    assert_eq!(open(&root, NOW_S).cert_der, rotated.cert_der);
    assert_eq!(dir.rotate("n", NOW_S, &backup).unwrap_err().code(), "backup_failed");
    assert_eq!(open(&root, NOW_S).cert_der, rotated.cert_der);
}

#[test]
fn a_directory_that_cannot_be_made_is_reported() {
    let root = tempdir().unwrap();
    write(root.path(), "file", b"");
    let error = CertDir::open(&root.path().join("file/quic"), "n", NOW_S).unwrap_err();
    assert_eq!((error.code(), error.path), ("dir_unwritable", root.path().join("file/quic")));
}

const NOW_S: u64 = 1_800_000_000;
const DAY_S: u64 = 86_400;

/// Made with openssl for these tests alone, valid for one day long before [`NOW_S`]; the key is in SEC1 form.
const OPERATORS_CERT: &str = include_str!("operator.crt");
const OPERATORS_KEY: &str = include_str!("operator.key");

fn open(root: &TempDir, now_s: u64) -> Certificate {
    CertDir::open(root.path(), "node@host", now_s).unwrap().1
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    atomic::write_secure(&dir.join(name), bytes).unwrap();
}

fn mode(dir: &Path, name: &str) -> u32 {
    fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777
}
