//! Gathers everything that samples depend on: files, members of archives, settings.
//!
//! [`Key::finish`] gives a digest that names a cache: equal digests mean equal samples. A file
//! contributes its path, size and modification time, so it need not be read. [`Key::identify`]
//! reads the files as well and gives an [`Identity`](super::Identity), which survives a copy.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// What is gathered so far; see the module.
#[derive(Default)]
pub struct Key {
    hash: Sha256,
    /// The archive that was added last. Thousands of consecutive members of one archive add it only
    /// once.
    last: Option<PathBuf>,
    pub(super) parts: Parts,
}

/// What a key has gathered, kind by kind.
#[derive(Default)]
pub(super) struct Parts {
    /// Texts and numbers: the settings with which files are read.
    pub settings: Sha256,
    /// Names without their folder, sizes and checksums of what is not read as a file: members of
    /// archives, and the names of a listing.
    pub listed: Sha256,
    /// Number of members.
    pub members: u64,
    /// Their size in bytes, unpacked.
    pub member_bytes: u64,
    /// Absolute paths, sizes and times of change of files and archives, and folders of listings.
    pub places: Sha256,
    /// Path and size of each file that is not an archive, in the order of the samples.
    pub files: Vec<(PathBuf, u64)>,
}

/// Adds a text and its length, so that two texts cannot be confused with their concatenation.
fn add_text(hash: &mut Sha256, text: &str) {
    add_number(hash, text.len() as u64);
    hash.update(text);
}

fn add_number(hash: &mut Sha256, number: u64) {
    hash.update(number.to_le_bytes());
}

impl Key {
    /// Adds a setting in words.
    pub fn text(&mut self, text: &str) -> &mut Key {
        for hash in [&mut self.hash, &mut self.parts.settings] {
            add_text(hash, text);
        }
        self
    }

    /// Adds a setting that is a number.
    pub fn number(&mut self, number: u64) -> &mut Key {
        for hash in [&mut self.hash, &mut self.parts.settings] {
            add_number(hash, number);
        }
        self
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file does not exist.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let (whole, size) = self.place(path)?;
        self.parts.files.push((whole, size));
        Ok(())
    }

    /// Adds an archive, unless the last call of this function added the same one. What is read of
    /// it is added as its [members](Key::member).
    ///
    /// # Errors
    /// As [`Key::file`].
    pub fn archive(&mut self, path: &Path) -> Result<()> {
        if self.last.as_deref() != Some(path) {
            self.place(path)?;
            self.last = Some(path.to_path_buf());
        }
        Ok(())
    }

    /// Adds a member of an archive by its name, its unpacked size in bytes and its checksum.
    pub fn member(&mut self, name: &str, size: u64, checksum: u32) {
        for hash in [&mut self.hash, &mut self.parts.listed] {
            add_text(hash, name);
            add_number(hash, size);
            add_number(hash, checksum.into());
        }
        self.parts.members += 1;
        self.parts.member_bytes = self.parts.member_bytes.saturating_add(size);
    }

    /// Adds the names of the files in a folder, which are too many to look at each.
    pub fn listing(&mut self, folder: &Path, names: &str, ends: &[usize]) {
        let folder = folder.to_string_lossy();
        add_text(&mut self.hash, &folder);
        add_text(&mut self.parts.places, &folder);
        for hash in [&mut self.hash, &mut self.parts.listed] {
            add_text(hash, names);
            ends.iter().for_each(|end| add_number(hash, *end as u64));
        }
    }

    /// Adds path, size and time of change; returns the absolute path and the size.
    fn place(&mut self, path: &Path) -> Result<(PathBuf, u64)> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let facts = std::fs::metadata(path).map_err(io)?;
        let whole = std::path::absolute(path).map_err(io)?;
        // If the system has no modification times, only path and size count.
        let changed = facts.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        for hash in [&mut self.hash, &mut self.parts.places] {
            add_text(hash, &whole.to_string_lossy());
            for number in [facts.len(), changed.as_secs(), changed.subsec_nanos().into()] {
                add_number(hash, number);
            }
        }
        Ok((whole, facts.len()))
    }

    /// The digest that names a cache.
    pub fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}
