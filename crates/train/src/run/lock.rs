//! Locks a run's folder, so that only one process at a time writes to it: two trainings in one
//! folder would silently overwrite each other's checkpoints.

use crate::error::{Error, Result};
use std::path::Path;

/// Held while a process trains in a folder.
#[derive(Debug)]
pub(super) struct Lock {
    _held: tickless_files::Lock,
}

impl Lock {
    /// Takes the lock of a run's folder.
    ///
    /// # Errors
    /// If another process holds it, or `lock` is not a regular file.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        match tickless_files::Lock::try_take(&path).map_err(|e| Error::io(&path, e))? {
            Some(held) => Ok(Self { _held: held }),
            None => Err(Error::Busy { path: folder.to_owned() }),
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
        let error = Lock::take(folder.path()).expect_err("taken");
        assert!(matches!(&error, Error::Busy { path } if path == folder.path()), "{error}");
        drop(first);
        Lock::take(folder.path()).expect("free again");
    }
}
