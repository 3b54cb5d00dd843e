//! A zip archive that many threads read at once.
//!
//! The index is read once. Each access gets a cursor of its own on the shared file and reads at
//! positions, so there is no lock, and an archive of a gigabyte does not sit in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;

use crate::{Error, Result};

/// A larger member is taken for a bomb: the longest recordings known are far below.
const LARGEST_MEMBER: u64 = 64 << 20;

/// See the module.
pub struct Archive {
    path: PathBuf,
    zip: ZipArchive<Cursor>,
}

impl Archive {
    /// Reads the index of the archive.
    pub fn open(path: &Path) -> Result<Archive> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let cursor = Cursor { file: Arc::new(file), at: 0, len };
        let zip = ZipArchive::new(cursor).map_err(|e| {
            let problem = format!("not a readable zip archive ({e})");
            Error::unexpected(path.display().to_string(), problem, "download the file again")
        })?;
        Ok(Archive { path: path.to_path_buf(), zip })
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.zip.len()
    }

    /// The name of a member, `?` where it cannot be read.
    pub fn name(&self, index: usize) -> String {
        match self.zip.name_for_index(index) {
            Some(Ok(name)) => name.into_owned(),
            _ => "?".into(),
        }
    }

    /// How errors name a member.
    pub fn label(&self, index: usize) -> String {
        format!("{}: member {}", self.path.display(), self.name(index))
    }

    /// Decompresses one member; its checksum is verified.
    pub fn read(&self, index: usize) -> Result<Vec<u8>> {
        let broken = |problem: String| Error::unexpected(self.label(index), problem, "download the archive again");
        // The index is behind an Arc: this copies a cursor, not 60,000 names.
        let mut zip = self.zip.clone();
        let member = zip.by_index(index).map_err(|e| broken(e.to_string()))?;
        let size = member.size();
        let mut bytes = Vec::new();
        if size <= LARGEST_MEMBER {
            // The header may lie about the size, so it is only a hint, and reading has a limit.
            bytes.reserve(size.min(1 << 20) as usize);
            let mut limited = member.take(LARGEST_MEMBER + 1);
            limited.read_to_end(&mut bytes).map_err(|e| broken(e.to_string()))?;
        }
        if size.max(bytes.len() as u64) > LARGEST_MEMBER {
            return Err(broken("more than 64 MB, no recording is that long".into()));
        }
        Ok(bytes)
    }
}

/// A position of its own in a shared file.
#[derive(Clone)]
struct Cursor {
    file: Arc<File>,
    at: u64,
    len: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = read_at(&self.file, buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

#[cfg(not(any(unix, windows)))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
