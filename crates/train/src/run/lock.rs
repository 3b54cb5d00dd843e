//! One process at a time writes to a run's folder.
//!
//! Two trainings in one folder would overwrite each other's checkpoints without a word. The lock
//! is the system's on an open file, so it ends with the process, however that ends; the file
//! itself says nothing and may stay.

use crate::error::{Error, Result};
use std::fs::{File, TryLockError};
use std::path::Path;

/// Held while a process trains in a folder.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock of a run's folder.
    ///
    /// # Errors
    /// If another process holds it.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(Error::RunFile {
                path: folder.to_owned(),
                problem: "another process is training in this folder: wait for it, or name another folder with \
                          `--output`"
                    .into(),
            }),
            // Some network file systems have no locks; there the user has to take care.
            Err(TryLockError::Error(_)) => Ok(Self { _file: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer_and_is_free_when_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Lock::take(folder.path()).expect("free");
        let error = Lock::take(folder.path()).expect_err("taken").to_string();
        assert!(error.contains("another process is training in this folder"), "{error}");
        drop(first);
        Lock::take(folder.path()).expect("free again");
    }
}
