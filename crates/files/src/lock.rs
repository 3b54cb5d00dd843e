//! A lock between processes that is released when its holder ends.
//!
//! It is the operating system's lock on an open file, so it is released however the process ends.
//! The lock file is empty and is not deleted.

use crate::no_follow;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// The locked file; `None` if the file system has no locks, so that nothing is locked.
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock on a file, which is created if it does not exist. Returns `None` if another
    /// holder has the lock.
    ///
    /// # Errors
    /// If the file cannot be created, or is a symbolic link or anything else than a regular file;
    /// it is then neither followed nor changed.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = open_no_follow(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(_)) => Ok(Some(Self { _file: None })),
        }
    }

    /// As [`try_take`](Self::try_take), but waits until the lock is free. Use it for locks that are
    /// held only while a file is read and written.
    ///
    /// # Errors
    /// As [`try_take`](Self::try_take).
    /// As [`try_take`](Self::try_take).
    pub fn wait(path: &Path) -> io::Result<Self> {
        let file = open_no_follow(path)?;
        let locked = file.lock().is_ok();
        Ok(Self { _file: locked.then_some(file) })
    }
}

/// Opens a file, whose name the program made up, for reading and writing. The file is created if it
/// does not exist, and keeps its content if it does.
///
/// # Errors
/// If the file cannot be created, or is a symbolic link or anything else than a regular file; it is
/// then neither followed nor changed.
pub fn open_no_follow(path: &Path) -> io::Result<File> {
    let not_regular = || io::Error::new(io::ErrorKind::InvalidInput, "is no regular file; remove it");
    if std::fs::symlink_metadata(path).is_ok_and(|m| !m.is_file()) {
        return Err(not_regular());
    }
    // The check above gives a clear error. The flag also covers a link that is created after the
    // check.
    let file = no_follow(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_is_free_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lock::try_take(&path).unwrap().expect("free");
        assert!(Lock::try_take(&path).unwrap().is_none());
        let waits = std::thread::spawn({
            let path = path.clone();
            move || Lock::wait(&path).map(drop)
        });
        drop(first);
        waits.join().unwrap().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn the_content_of_a_lock_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, "content").unwrap();
        drop(Lock::try_take(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), folder.path().join("lock"));
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        for result in [Lock::try_take(&link).map(|_| ()), Lock::wait(&link).map(|_| ())] {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert!(!victim.exists(), "nothing was made where the link leads");
    }
}
