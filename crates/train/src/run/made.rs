//! Makes the folder of a run and removes it again if the training is refused.
//!
//! A refused training must leave no folder behind: the corrected command would find a run in it,
//! or the user an empty folder.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// A folder and its ancestors; dropping this removes those that it made, unless they are kept.
#[derive(Debug)]
pub(super) struct Made {
    /// The folders that were made, the deepest first.
    new: Vec<PathBuf>,
}

impl Made {
    /// Makes the folder.
    ///
    /// # Errors
    /// If the system refuses, or a file is in its place.
    pub fn at(path: &Path) -> Result<Self> {
        let missing = |p: &&Path| !p.as_os_str().is_empty() && !p.exists();
        let new = path.ancestors().take_while(missing).map(Path::to_owned).collect();
        // If an error drops this, the ancestors that could be made are removed.
        let made = Self { new };
        std::fs::create_dir_all(path).map_err(|e| Error::io(path, e))?;
        Ok(made)
    }

    /// Keeps the folder.
    pub fn keep(mut self) {
        self.new.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(run) = self.new.first() {
            // A refused run can have written nothing but the lock.
            let _ = std::fs::remove_file(run.join("lock"));
        }
        for folder in &self.new {
            // A folder that is not empty belongs to somebody else and stays, because this call
            // fails.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_goes_unless_it_is_kept_and_what_was_there_stays() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (runs, run) = (scratch.path().join("runs"), scratch.path().join("runs/a/b"));
        drop(Made::at(&run).expect("made"));
        assert!(!runs.exists() && scratch.path().exists());
        Made::at(&run).expect("made").keep();
        assert!(run.is_dir());
        drop(Made::at(&run).expect("there"));
        assert!(run.is_dir(), "it was there before");
        let other = runs.join("c/d");
        let made = Made::at(&other).expect("made");
        std::fs::write(runs.join("c/mine.txt"), "keep").expect("a file");
        drop(made);
        assert!(!other.exists() && runs.join("c/mine.txt").is_file(), "what others put there stays");
        std::fs::write(runs.join("file"), "").expect("a file");
        let error = Made::at(&runs.join("file/run")).expect_err("a file is in the way").to_string();
        assert!(error.contains("file/run") || error.contains("file\\run"), "{error}");
    }
}
