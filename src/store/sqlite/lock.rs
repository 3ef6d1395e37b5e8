//! The lock on a database, by which one process at a time uses it.
//! Does not write anything into the file.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The kernel's list of locks.
const LOCKS: &str = "/proc/locks";

/// Why a database was not locked.
pub(super) enum LockError {
    /// Another process holds the lock: this one, if the kernel names it.
    Held(Option<u32>),
    /// The file cannot be used.
    Unusable(String),
}

/// How often a file is opened again because another one was put in its place before it was locked.
const TRIES: usize = 10;

/// Locks the database, whatever its name, so that no second server opens it: each would assign seqs
/// without delivering to the other's clients. SQLite's own locks are of another kind, which the
/// process loses when it closes any handle of the file: this one is closed last.
pub(super) fn lock(place: &Path) -> Result<File, LockError> {
    let unusable = |error: std::io::Error| LockError::Unusable(error.to_string());
    if let Some(folder) = place
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let found = fs::metadata(folder);
        let missing = |error| LockError::Unusable(format!("{}: {error}", folder.display()));
        found.map_err(missing)?;
    }
    for _ in 0..TRIES {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(place)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, place) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&file))),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
    }
    Err(LockError::Unusable(
        "its file is replaced all the time".into(),
    ))
}

/// Whether this is the file at `place`: a backup may have been restored since it was opened.
pub(super) fn is_at(file: &File, place: &Path) -> bool {
    let id = |file: fs::Metadata| (file.dev(), file.ino());
    let there = fs::metadata(place).map(id).ok();
    there.is_some() && there == file.metadata().map(id).ok()
}

/// The process that holds the lock on this file. `None`: the kernel does not name it, as if it runs in
/// another container.
fn holder(file: &File) -> Option<u32> {
    let file = file.metadata().ok()?;
    let locks = fs::read_to_string(LOCKS).ok()?;
    let device = device(file.dev());
    locks
        .lines()
        .find_map(|line| held(line, device, file.ino()))
}

/// The major and the minor number of a device, as Linux puts them together.
const fn device(number: u64) -> (u64, u64) {
    let major = ((number >> 8) & 0xfff) | ((number >> 32) & 0xffff_f000);
    let minor = (number & 0xff) | ((number >> 12) & 0xffff_ff00);
    (major, minor)
}

/// The process of a line like `1: FLOCK  ADVISORY  WRITE 12977 fe:00:5517322 0 EOF`, if it is about
/// this file.
fn held(line: &str, device: (u64, u64), inode: u64) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    if (words.next()?, words.nth(1)?) != ("FLOCK", "WRITE") {
        return None;
    }
    let (process, file) = (words.next()?, words.next()?);
    let mut parts = file.split(':');
    let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
    if (number()?, number()?) != device || parts.next()?.parse() != Ok(inode) {
        return None;
    }
    process.parse().ok().filter(|process| *process > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_by_device_and_inode() {
        let line = "1: FLOCK  ADVISORY  WRITE 12977 fe:00:5517322 0 EOF";
        assert_eq!(held(line, (0xfe, 0), 5_517_322), Some(12_977));
        for (device, inode) in [
            ((0xfe, 1), 5_517_322),
            ((0, 0xfe), 5_517_322),
            ((0xfe, 0), 1),
        ] {
            assert_eq!(held(line, device, inode), None);
        }
        for other in [
            "1: POSIX  ADVISORY  WRITE 12977 fe:00:5517322 0 EOF",
            "1: -> FLOCK  ADVISORY  WRITE 12977 fe:00:5517322 0 EOF",
            "1: FLOCK  ADVISORY  READ 12977 fe:00:5517322 0 EOF",
            // Of a process that this one does not see.
            "1: FLOCK  ADVISORY  WRITE 0 fe:00:5517322 0 EOF",
            "1: FLOCK",
            "",
        ] {
            assert_eq!(held(other, (0xfe, 0), 5_517_322), None, "{other}");
        }
    }

    #[test]
    fn a_device_has_two_numbers() {
        assert_eq!(device(0xfe00), (0xfe, 0));
        assert_eq!(device(0x0000_1234_5678_9abc), (0x189a, 0x2345_67bc));
    }

    #[test]
    fn a_file_that_was_replaced_is_not_at_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let [place, other] = ["chat.db", "other.db"].map(|name| folder.path().join(name));
        let file = lock(&place).ok().expect("locked");
        assert!(is_at(&file, &place));
        fs::write(&other, "other").expect("written");
        fs::rename(&other, &place).expect("replaced");
        assert!(!is_at(&file, &place));
        assert!(lock(&place).is_ok(), "the new file is not locked");
        fs::remove_file(&place).expect("removed");
        assert!(!is_at(&file, &place));
    }

    #[test]
    fn a_second_lock_names_the_process_of_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("chat.db");
        let first = lock(&place).ok().expect("locked");
        let Err(LockError::Held(Some(process))) = lock(&place) else {
            panic!("it is locked, by a process that is known")
        };
        assert_eq!(process, std::process::id());
        drop(first);
        assert!(lock(&place).is_ok());
    }
}
