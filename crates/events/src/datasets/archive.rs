//! Reads a zip archive from many threads at once.
//!
//! The archive's index is read once. Each access has its own cursor on the shared file and reads at
//! explicit offsets, so no lock is needed, and an archive of a gigabyte is never held in memory. An
//! archive that is stored uncompressed inside another one is read in place.
//!
//! Nothing is written to disk. Still, the whole archive is refused if a member's name leads out of
//! it (`../x`, `/x`, `C:\x`), because such names are made to overwrite other files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::{files, key::Key};
use crate::problem::{ArchiveProblem, Problem};
use crate::{Error, Result, source, zip_index};

/// Members larger than this are refused.
const LARGEST_MEMBER: u64 = 1 << 30;
/// A member up to this size may have any compression ratio. A larger one is refused as a
/// decompression bomb if its ratio exceeds [`DENSEST`].
const HARMLESS: u64 = 64 << 20;
/// The largest plausible compression ratio: recordings compress to a fifth, text files of events to
/// a tenth.
const DENSEST: u64 = 100;

/// The name of a member whose name cannot be decoded.
pub const UNREADABLE: &str = "?";

/// An open zip archive; see the module.
pub struct Archive {
    path: PathBuf,
    /// The name of this archive inside the archive at `path`, followed by `/`; empty if it is the
    /// file at `path` itself.
    inside: String,
    /// Size of the archive in bytes.
    size: u64,
    zip: ZipArchive<Cursor>,
}

impl Archive {
    /// Reads the index of the archive.
    pub fn open(path: &Path) -> Result<Archive> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        Archive::at(path.to_path_buf(), String::new(), Cursor { file: Arc::new(file), start: 0, at: 0, len })
    }

    fn at(path: PathBuf, inside: String, cursor: Cursor) -> Result<Archive> {
        let label =
            if inside.is_empty() { path.display().to_string() } else { format!("{}: {inside}", path.display()) };
        let size = cursor.len;
        let zip = zip_index::open(cursor).map_err(|e| {
            let problem = Problem::Unreadable { what: "zip archive", reason: e.to_string() };
            Error::unexpected(label, problem, "download the file again")
        })?;
        let archive = Archive { path, inside, size, zip };
        match (0..archive.len()).find(|&i| leads_out(&archive.name(i))) {
            Some(i) => {
                let remedy = "do not use this archive, it was made to do harm";
                Err(Error::unexpected(archive.label(i), ArchiveProblem::LeadsOut, remedy))
            }
            None => Ok(archive),
        }
    }

    /// Opens the archive that is member `index` of this one.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if the member is compressed, because it can then not be read at
    /// offsets.
    pub fn inner(&self, index: usize) -> Result<Archive> {
        let label = self.label(index);
        let mut zip = self.zip.clone();
        let cursor = zip.clone().into_inner();
        let member = zip.by_index(index).map_err(|e| Error::unexpected(&label, e.to_string(), AGAIN))?;
        let (Some(start), CompressionMethod::Stored) = (member.data_start(), member.compression()) else {
            let problem = ArchiveProblem::Compressed;
            return Err(Error::unexpected(label, problem, "unpack the outer archive and give the folder"));
        };
        let (start, len) = (cursor.start.saturating_add(start), member.size());
        if start.saturating_add(len) > cursor.start + cursor.len {
            return Err(Error::unexpected(label, "longer than the archive it lies in", AGAIN));
        }
        let inside = format!("{}{}/", self.inside, self.name(index));
        Archive::at(self.path.clone(), inside, Cursor { start, at: 0, len, ..cursor })
    }

    /// Size of the archive in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.zip.len()
    }

    /// The name of a member, or [`UNREADABLE`] if it cannot be decoded. The name is normalised to
    /// `/` as separator, without empty parts and `.`, because `./a/b`, `a//b` and the `a\b` of old
    /// archivers name the same file as `a/b`.
    pub fn name(&self, index: usize) -> String {
        match self.zip.name_for_index(index) {
            Some(Ok(name)) => plain(&name),
            _ => UNREADABLE.into(),
        }
    }

    /// The name of a member in error messages.
    pub fn label(&self, index: usize) -> String {
        format!("{}: member {}{}", self.path.display(), self.inside, self.name(index))
    }

    /// Name, size and checksum of a member; they differ if the member has changed.
    pub fn fingerprint(&self, index: usize) -> (String, u64, u32) {
        let facts = self.zip.by_index_data(index).map(|m| (m.size(), m.crc32()));
        let (size, checksum) = facts.unwrap_or_default();
        (format!("{}{}", self.inside, self.name(index)), size, checksum)
    }

    /// Whether a member is a symbolic link: its bytes are the name of another file.
    pub fn is_link(&self, index: usize) -> bool {
        self.zip.by_index_data(index).is_ok_and(|m| m.is_symlink())
    }

    /// Adds the archive's file to a key.
    pub fn add_to(&self, key: &mut Key) -> Result<()> {
        key.archive(&self.path)
    }

    /// Decompresses one member and verifies its checksum.
    pub fn read(&self, index: usize) -> Result<Vec<u8>> {
        let broken = |problem: Problem| Error::unexpected(self.label(index), problem, AGAIN);
        // The index is behind an `Arc`, so this clones a cursor and not 60,000 names.
        let mut zip = self.zip.clone();
        let how = zip.by_index_data(index).map(|m| (m.compression(), m.encrypted()));
        match how {
            Ok((CompressionMethod::Stored | CompressionMethod::Deflated, false)) | Err(_) => {}
            Ok((method, encrypted)) => {
                let how = match encrypted {
                    true => ArchiveProblem::Encrypted,
                    false => ArchiveProblem::Method { method: method.to_string() },
                };
                let remedy = "unpack the archive and give the folder, or pack it again with deflate and no password";
                return Err(Error::unexpected(self.label(index), how, remedy));
            }
        }
        let member = zip.by_index(index).map_err(|e| broken(e.to_string().into()))?;
        let (size, packed) = (member.size(), member.compressed_size());
        let limit = HARMLESS.max(packed.saturating_mul(DENSEST)).min(LARGEST_MEMBER);
        // The header may state a wrong size, so the number of bytes read is limited too.
        let bytes = if size > limit {
            None
        } else {
            source::at_most(member, limit).map_err(|e| broken(e.to_string().into()))?
        };
        bytes.ok_or_else(|| broken(ArchiveProblem::Bomb { limit_mb: limit >> 20, packed_kb: packed >> 10 }.into()))
    }
}

const AGAIN: &str = "download the archive again";

/// Normalises a name, see [`Archive::name`]. A `/` at the start or at the end is kept, because it
/// has a meaning: an absolute path, or a folder.
fn plain(name: &str) -> String {
    let name = if name.contains('/') { name.to_owned() } else { name.replace('\\', "/") };
    if !name.contains("./") && !name.contains("//") {
        return name;
    }
    let last = name.split('/').count() - 1;
    let stays = |&(i, part): &(usize, &str)| part != "." && (!part.is_empty() || i == 0 || i == last);
    let parts: Vec<&str> = name.split('/').enumerate().filter(stays).map(|(_, part)| part).collect();
    parts.join("/")
}

/// Whether a name refers to a place outside the folder to which the archive would be unpacked.
fn leads_out(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    let drive = matches!(name.as_bytes(), [a, b':', b'/' | b'\\', ..] if a.is_ascii_alphabetic());
    name.starts_with(['/', '\\']) || drive || name.contains('\0') || parts.any(|p| p == "..")
}

/// A read position of its own in a range of a shared file.
#[derive(Clone)]
struct Cursor {
    file: Arc<File>,
    start: u64,
    at: u64,
    len: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX));
        let n = files::read_at(&self.file, &mut buffer[..most], self.start + self.at)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_place_are_one_name() {
        for name in ["a/b.bin", "./a/b.bin", "a/./b.bin", "././a//b.bin", "a\\b.bin", ".\\a\\b.bin"] {
            assert_eq!(plain(name), "a/b.bin", "{name}");
        }
        for (name, expected) in
            [("./", ""), ("./a/", "a/"), ("/a", "/a"), ("a./b", "a./b"), ("../a", "../a"), ("a/.x", "a/.x")]
        {
            assert_eq!(plain(name), expected, "{name}");
        }
    }
}
