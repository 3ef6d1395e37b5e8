//! A file that has another name until it is whole: so the file under its own name always is.
//! Does not know what is in it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::lock::is_at;
use crate::store::OpenError;

/// What the other name ends with.
const ENDING: &str = ".part";

/// How often the file of a killed process is removed: another process may do the same.
const TRIES: usize = 3;

/// A file that is not whole yet, which only this user can read. It is locked, and removed unless it gets its name.
pub(super) struct Part {
    target: PathBuf,
    path: PathBuf,
    file: File,
    has_its_name: bool,
}

impl Part {
    /// An empty file beside `target`. One that a killed process left is removed.
    ///
    /// # Errors
    /// It cannot be created, or another process is writing it.
    pub(super) fn create(target: &Path) -> Result<Self, OpenError> {
        let path = beside(target, ENDING);
        let failed = |error: Error| OpenError(format!("{}: {error}", path.display()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        for _ in 0..TRIES {
            match options.open(&path) {
                Ok(file) => {
                    lock(&file, &path)?;
                    return Ok(Self {
                        target: target.to_owned(),
                        path,
                        file,
                        has_its_name: false,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    remove_left(&path)?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(ErrorKind::AlreadyExists.into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file the permissions and, as far as this user may, the owner of `model`.
    pub(super) fn resemble(&self, model: &Path) -> std::io::Result<()> {
        let (own, model) = (self.file.metadata()?, fs::metadata(model)?);
        if model.is_file() {
            self.file.set_permissions(model.permissions())?;
        }
        if (own.uid(), own.gid()) != (model.uid(), model.gid()) {
            // Only root may; for others the file is their own.
            let _ = fchown(&self.file, Some(model.uid()), Some(model.gid()));
        }
        Ok(())
    }

    /// Brings the file to the disk.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_all()
    }

    /// Gives the file its name once all of it is on the disk, in the place of another one. It stays locked as long as
    /// the answer is kept.
    pub(super) fn publish(mut self) -> std::io::Result<Self> {
        self.sync()?;
        fs::rename(&self.path, &self.target)?;
        self.has_its_name = true;
        sync_folder(&self.target)?;
        Ok(self)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.has_its_name {
            // What stays is removed by the next process.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The path with this after its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Brings the names in the folder of this file to the disk.
pub(super) fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// The URI by which SQLite opens this file with a parameter.
pub(super) fn uri(path: &Path, parameter: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    // Without repeated slashes, after which a host would be expected.
    let path: PathBuf = path.components().collect();
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            _ => {
                let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
                uri.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    uri + "?" + parameter
}

/// Removes a file that no process is writing.
fn remove_left(path: &Path) -> Result<(), OpenError> {
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    let left = match opened {
        Ok(left) => left,
        // Another process has given it its name, or removed it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpenError(format!("{}: {error}", path.display()))),
    };
    lock(&left, path)?;
    if is_at(&left, path) {
        fs::remove_file(path).map_err(|error| OpenError(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}

/// Locks the file if its file system has locks: two processes that write one file are the mistake of
/// an operator.
fn lock(file: &File, path: &Path) -> Result<(), OpenError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OpenError(format!(
            "another process is writing {}",
            path.display()
        ))),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_has_its_name_once_it_is_published_and_is_removed_otherwise() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("copy.db");
        let part = Part::create(&target).expect("a file");
        assert_eq!(part.path(), folder.path().join("copy.db.part"));
        let mode = fs::metadata(part.path()).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let why = Part::create(&target).err().expect("locked").to_string();
        assert!(why.contains("another process is writing"), "{why}");
        drop(part);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let part = Part::create(&target).expect("a file");
        fs::write(part.path(), "whole").expect("written");
        let part = part.publish().expect("published");
        drop(part);
        assert_eq!(fs::read_to_string(&target).expect("a text"), "whole");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn the_rest_of_a_killed_process_is_removed_and_no_link_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let [target, left, other] =
            ["copy.db", "copy.db.part", "other"].map(|name| folder.path().join(name));
        fs::write(&left, "a part").expect("written");
        let part = Part::create(&target).expect("a file");
        assert_eq!(fs::read_to_string(part.path()).expect("a text"), "");
        drop(part);
        fs::write(&other, "other").expect("written");
        symlink(&other, &left).expect("a link");
        assert!(Part::create(&target).is_err());
        assert_eq!(fs::read_to_string(&other).expect("a text"), "other");
        assert!(left.is_symlink());
    }

    #[test]
    fn a_uri_names_every_path() {
        let path = Path::new("//a b/%41?c#d/ü.db");
        assert_eq!(uri(path, "x=1"), "file:/a%20b/%2541%3Fc%23d/%C3%BC.db?x=1");
        assert_eq!(uri(Path::new("c.db"), "x=1"), "file:c.db?x=1");
    }
}
