//! A digest of everything that samples depend on: equal keys mean equal samples.
//!
//! A file contributes its path, size and modification time, so it need not be read.

use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A digest under construction; see the module.
#[derive(Default)]
pub struct Key {
    hash: Sha256,
    /// The file that was added last. Thousands of consecutive members of one archive add it only
    /// once.
    last: Option<std::path::PathBuf>,
}

impl Key {
    /// Adds a text and its length, so that two texts cannot be confused with their concatenation.
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

    /// Adds a file by its path, size and modification time.
    ///
    /// # Errors
    /// [`Error::Io`] if the file does not exist.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let facts = std::fs::metadata(path).map_err(io)?;
        let whole = std::path::absolute(path).map_err(io)?;
        self.text(&whole.to_string_lossy()).number(facts.len());
        // If the system has no modification times, only path and size count.
        let changed = facts.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        self.number(changed.as_secs()).number(changed.subsec_nanos().into());
        Ok(())
    }

    /// Adds a file, unless the last call of this function added the same one.
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
