//! Names of temporary files, and the removal of those that killed processes have left.
//!
//! A temporary file of `run.json` is `.run.json.<16 random hexadecimal digits>.tmp` in the same
//! folder, because a rename works only within one file system. Its writer holds a lock on it, which
//! the system releases when the process ends, however it ends. Therefore a temporary file without a
//! lock is a leftover.

use crate::no_follow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// Number of random digits in a name.
const DIGITS: usize = 16;
/// Number of characters of the target's name that a temporary name contains, so that it stays below
/// the system's limit of 255 bytes.
const KEPT: usize = 48;
const END: &str = ".tmp";

/// The beginning of the names of all temporary files of `target`.
pub(crate) fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    format!(".{}.", name.chars().take(KEPT).collect::<String>())
}

/// Creates a temporary file for `target` and locks it.
pub(crate) fn create(target: &Path) -> io::Result<(File, PathBuf)> {
    let prefix = prefix(target);
    loop {
        // The system provides random keys, so every new `RandomState` differs.
        let random = RandomState::new().build_hasher().finish();
        let path = target.with_file_name(format!("{prefix}{random:016x}{END}"));
        // `create_new` fails if the name exists, even as a symbolic link.
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e),
        };
        match file.try_lock() {
            // Before the lock was taken, another process may have removed the file as a leftover.
            Ok(()) if fs::symlink_metadata(&path).is_err() => continue,
            Err(TryLockError::WouldBlock) => continue,
            // On a file system without locks, leftovers are not removed either.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok((file, path)),
        }
    }
}

/// Removes the temporary files in `folder` whose writers were killed.
///
/// Files of active writers are kept. A leftover that cannot be removed is ignored, because no
/// program reads it.
pub fn sweep(folder: &Path) {
    sweep_named(folder, |_| true);
}

/// As [`sweep`], for the temporary files of one target.
pub(crate) fn sweep_of(target: &Path) {
    let prefix = prefix(target);
    sweep_named(folder_of(target), |name| name.starts_with(&prefix));
}

fn sweep_named(folder: &Path, wanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name: OsString = entry.file_name();
        if is_temporary(&name) && name.to_str().is_some_and(&wanted) {
            remove_if_abandoned(&entry.path());
        }
    }
}

fn is_temporary(name: &OsStr) -> bool {
    let Some(rest) = name.to_str().and_then(|n| n.strip_prefix('.')).and_then(|n| n.strip_suffix(END)) else {
        return false;
    };
    let digits = rest.rsplit_once('.').map_or("", |(_, digits)| digits);
    digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

fn remove_if_abandoned(path: &Path) {
    let Ok(file) = no_follow(OpenOptions::new().read(true)).open(path) else { return };
    // The lock is held until the file has been removed, so that a writer that has just created it
    // can notice the removal.
    if file.metadata().is_ok_and(|m| m.is_file()) && file.try_lock().is_ok() {
        let _ = fs::remove_file(path);
    }
}

/// The folder that contains a path.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_go_and_files_of_writers_at_work_stay() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("run.json");
        let (at_work, kept) = create(&target).unwrap();
        let (killed, left) = create(&target).unwrap();
        drop(killed);
        for name in ["run.json", ".run.json.tmp", ".run.json.0123.tmp", "x.0123456789abcdef.tmp"] {
            fs::write(folder.path().join(name), "somebody else's").unwrap();
        }
        sweep(folder.path());
        assert!(kept.exists() && !left.exists());
        drop(at_work);
        sweep_of(&folder.path().join("other.json"));
        assert!(kept.exists(), "it is a temporary file of another target");
        sweep_of(&target);
        assert!(!kept.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "other files stay");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_with_the_name_of_a_temporary_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let link = folder.path().join(".run.json.0123456789abcdef.tmp");
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        sweep(folder.path());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
}
