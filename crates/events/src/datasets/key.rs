//! A digest of what samples are made of: the same key, the same samples.
//!
//! Files count by path, size and time of change, so that a key is made without reading them.

use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// See the module.
#[derive(Default)]
pub struct Key {
    hash: Sha256,
    /// The archive that was added last: thousands of members follow each other.
    last: Option<std::path::PathBuf>,
}

impl Key {
    /// Adds a text; texts do not run into each other.
    pub fn text(&mut self, text: &str) -> &mut Key {
        self.number(text.len() as u64);
        self.hash.update(text);
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Key {
        self.hash.update(number.to_le_bytes());
        self
    }

    /// Adds a file by its path, size and time of change.
    ///
    /// # Errors
    /// [`Error::Io`] when it is not there.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let facts = std::fs::metadata(path).map_err(io)?;
        let whole = std::path::absolute(path).map_err(io)?;
        self.text(&whole.to_string_lossy()).number(facts.len());
        // A system without times of change has size and name only.
        let changed = facts.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        self.number(changed.as_secs()).number(changed.subsec_nanos().into());
        Ok(())
    }

    /// Adds a file, unless it is the one that was added so before.
    ///
    /// # Errors
    /// As [`Key::file`].
    pub fn file_once(&mut self, path: &Path) -> Result<()> {
        if self.last.as_deref() != Some(path) {
            self.file(path)?;
            self.last = Some(path.to_path_buf());
        }
        Ok(())
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}
