//! A zip archive that many threads read at once.
//!
//! The index is read once. Each access gets a cursor of its own on the shared file and reads at
//! positions, so there is no lock, and an archive of a gigabyte does not sit in memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;

use crate::{Error, Result};

/// A larger member is taken for a bomb: the longest recordings known are far below.
const LARGEST_MEMBER: u64 = 64 << 20;

/// See the module.
pub struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<Cursor>>,
}

impl Archive {
    /// Reads the index of the archive.
    pub fn open(path: &Path) -> Result<Archive> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let cursor = Cursor { file: Arc::new(file), at: 0, len };
        let zip = ZipArchive::new(BufReader::new(cursor)).map_err(|e| {
            let problem = format!("not a readable zip archive ({e})");
            Error::unexpected(path.display().to_string(), problem, "download the file again")
        })?;
        Ok(Archive { path: path.to_path_buf(), zip })
    }

    /// The names of all members; the index is what [`Archive::read`] takes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.zip.len()).map(|i| self.zip.name_for_index(i).unwrap_or(""))
    }

    /// How errors name a member.
    pub fn label(&self, index: usize) -> String {
        let member = self.zip.name_for_index(index).unwrap_or("?");
        format!("{}: member {member}", self.path.display())
    }

    /// Decompresses one member.
    pub fn read(&self, index: usize) -> Result<Vec<u8>> {
        let broken = |problem: String| {
            Error::unexpected(self.label(index), problem, "download the archive again")
        };
        // The parsed index is behind an Arc: this copies a cursor, not 60,000 names.
        let cursor = BufReader::new(self.zip_cursor());
        let mut zip = unsafe_free_clone(&self.zip, cursor);
        let member = zip.by_index(index).map_err(|e| broken(e.to_string()))?;
        if member.size() > LARGEST_MEMBER {
            return Err(broken(format!("{} bytes, more than 64 MB", member.size())));
        }
        let mut bytes = Vec::with_capacity(member.size() as usize);
        member.take(LARGEST_MEMBER + 1).read_to_end(&mut bytes).map_err(|e| broken(e.to_string()))?;
        // The header may lie about the size.
        if bytes.len() as u64 > LARGEST_MEMBER {
            return Err(broken("more than 64 MB".into()));
        }
        Ok(bytes)
    }
}
