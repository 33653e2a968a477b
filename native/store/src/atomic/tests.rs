// SPDX-License-Identifier: Apache-2.0
use std::os::unix::fs::PermissionsExt;
use std::thread;

use tempfile::{tempdir, TempDir};

use super::*;

#[test]
fn a_file_is_replaced_whole_with_its_mode() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    File::create(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    write_secure(&path, b"secret").unwrap();
    assert_eq!((read(&path), mode(&path)), (b"secret".to_vec(), 0o600));
    write_public(&path, b"public").unwrap();
    assert_eq!((read(&path), mode(&path)), (b"public".to_vec(), 0o644));
    assert_eq!(names(&dir), ["file"]);
}

/// The target is a directory, so the rename fails.
#[test]
fn a_failure_leaves_nothing_behind() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("occupied");
    fs::create_dir(&path).unwrap();
    write_secure(&path, b"secret").unwrap_err();
    assert_eq!(create_secure(&path, b"secret").unwrap(), Creation::Exists);
    assert_eq!(names(&dir), ["occupied"]);
}

#[test]
fn a_failed_write_keeps_the_old_file() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file/below");
    write_secure(&dir.path().join("file"), b"old").unwrap();
    assert_eq!(write_secure(&path, b"new").unwrap_err().kind(), io::ErrorKind::NotADirectory);
    assert_eq!(read(&dir.path().join("file")), b"old");
}

#[test]
fn of_many_creators_exactly_one_wins_and_all_see_its_content() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    let creations = thread::scope(|scope| {
        let creators: Vec<_> = (0..8_u8)
            .map(|byte| {
                (
                    byte,
                    scope.spawn({
                        let path = &path;
                        move || create_secure(path, &[byte; 32]).unwrap()
                    }),
                )
            })
            .collect();
        creators.into_iter().map(|(byte, creator)| (byte, creator.join().unwrap())).collect::<Vec<_>>()
    });
    let winners: Vec<_> = creations.iter().filter(|(_, creation)| *creation == Creation::Created).collect();
    assert_eq!(winners.len(), 1, "{creations:?}");
    assert_eq!((read(&path), mode(&path)), (vec![winners[0].0; 32], 0o600));
    assert_eq!(names(&dir), ["file"]);
}

#[test]
fn removing_what_is_not_there_is_fine() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    write_secure(&path, b"").unwrap();
    remove(&path).unwrap();
    remove(&path).unwrap();
    assert_eq!(names(&dir), [""; 0]);
}

#[test]
fn only_the_last_directory_is_closed_to_others() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a/b/c");
    create_secure_dir(&path).unwrap();
    create_secure_dir(&path).unwrap();
    let usual = dir.path().join("usual");
    fs::create_dir(&usual).unwrap();
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(path.parent().unwrap()), mode(&usual));
}

#[test]
fn exactly_the_wanted_bytes_are_read() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    for (content, expected) in [(&b"abc"[..], None), (b"abcd", Some(*b"abcd")), (b"abcde", None), (b"", None)] {
        write_secure(&path, content).unwrap();
        assert_eq!(read_exactly::<4>(&path).unwrap().map(|bytes| *bytes), expected, "{content:?}");
    }
    assert_eq!(read_exactly::<4>(dir.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
}

#[test]
fn a_bare_file_name_lives_in_the_current_directory() {
    assert_eq!(parent(Path::new("file")), Path::new("."));
    assert_eq!(parent(Path::new("dir/file")), Path::new("dir"));
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(dir: &TempDir) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
