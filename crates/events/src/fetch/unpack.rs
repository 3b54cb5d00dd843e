//! Unpacks untrusted archives: zip, tar.gz, and zip archives inside a zip archive.
//!
//! Nothing is written outside the target. A name is refused if it is absolute, contains `..` or a
//! drive, or is not portable text; an entry is refused if it is neither a plain file nor a folder
//! (for example, a link or a device). The target is a new folder, so it contains no link that leads
//! elsewhere. The number of entries, the sum of their bytes and their compression ratio are limited
//! by what is actually written, whatever the headers state. If an archive is refused, all its files
//! are deleted.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::tar::{self, Fault, Kind, Refusal};
use crate::problem::{ArchiveProblem, Problem};
use crate::progress::Progress;
use crate::{Error, Result, zip_index};

/// Limits for unpacking an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Total size of all files in bytes.
    pub bytes: u64,
    /// Number of files and folders.
    pub entries: u64,
    /// Largest ratio of the files' size to that of the archive, not counting the first
    /// [`Limits::FREE`] bytes. Recordings compress to about a fifth, the zeros of a decompression
    /// bomb to a thousandth.
    pub growth: u64,
}

impl Limits {
    /// Number of bytes that any archive may unpack to, regardless of its size.
    pub const FREE: u64 = 16 << 20;
}

impl Default for Limits {
    /// 64 GiB, 500,000 entries and a ratio of 100; the largest data set here has 70,000 recordings.
    fn default() -> Limits {
        Limits { bytes: 64 << 30, entries: 500_000, growth: 100 }
    }
}

/// An unpacked file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Path relative to the target, with `/` as separator.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Unpacks `archive` (`.zip`, `.tar.gz` or `.tgz`, by its name) into the new folder `to`. A zip
/// archive inside a zip archive is unpacked too, and then deleted. Its files go into a folder of
/// its name, unless they are all in such a folder already.
///
/// # Errors
/// [`Error::Unexpected`], with the entry that is broken, malicious or too large; [`Error::Io`];
/// [`Error::Cancelled`]. `to` is then deleted.
pub fn unpack(archive: &Path, to: &Path, limits: Limits, progress: &dyn Progress) -> Result<Vec<Unpacked>> {
    let io = |source| Error::Io { path: archive.to_path_buf(), source };
    let file = File::open(archive).map_err(io)?;
    let packed = file.metadata().map_err(io)?.len();
    let most = limits.bytes.min(packed.saturating_mul(limits.growth).saturating_add(Limits::FREE));
    if let Some(above) = to.parent() {
        fs::create_dir_all(above).map_err(|source| Error::Io { path: above.into(), source })?;
    }
    fs::create_dir(to).map_err(|source| Error::Io { path: to.into(), source })?;
    let name = archive.display().to_string();
    let mut unpacker = Unpacker { name, to, limits, bytes_left: most, entries: 0, files: Vec::new(), progress };
    let lower = archive.to_string_lossy().to_ascii_lowercase();
    let done = if lower.ends_with(".zip") {
        unpacker.zip(BufReader::with_capacity(1 << 16, file), "", true)
    } else if lower.ends_with(".tar.gz") || lower.ends_with(".tgz") {
        unpacker.tar_gz(file)
    } else {
        Err(unpacker.refuse("(the archive)", "neither .zip nor .tar.gz"))
    };
    let files = unpacker.files;
    done.map(|()| files).inspect_err(|_| drop(fs::remove_dir_all(to)))
}

struct Unpacker<'a> {
    name: String,
    to: &'a Path,
    limits: Limits,
    bytes_left: u64,
    entries: u64,
    files: Vec<Unpacked>,
    progress: &'a dyn Progress,
}

impl Unpacker<'_> {
    fn zip(&mut self, file: impl Read + Seek, below: &str, outermost: bool) -> Result<()> {
        let mut zip = zip_index::open(file).map_err(|e| self.refuse("(the index)", e.to_string()))?;
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(|e| self.refuse(&format!("number {index}"), e.to_string()))?;
            let name = entry.name().map_err(|e| self.refuse(&format!("number {index}"), e.to_string()))?;
            inside(&name).map_err(|problem| self.refuse(&name, problem))?;
            let name = format!("{below}{name}");
            if is_litter(&name) {
                continue;
            }
            if entry.is_dir() {
                self.folder(&name)?;
                continue;
            }
            // Bits 12 to 15 of a Unix mode are the type of the file; 8 is a plain file.
            if !matches!(entry.unix_mode().map_or(8, |mode| mode >> 12), 0 | 8) {
                return Err(self.refuse(&name, ArchiveProblem::LinkOrDevice));
            }
            let path = self.file(&name, &mut entry)?;
            drop(entry);
            if outermost && name.to_ascii_lowercase().ends_with(".zip") {
                self.inner(&name, &path)?;
            }
        }
        Ok(())
    }

    /// Unpacks a zip archive that is a member of a zip archive.
    fn inner(&mut self, name: &str, path: &Path) -> Result<()> {
        let io = |source| Error::Io { path: path.into(), source };
        let file = File::open(path).map_err(io)?;
        self.files.retain(|f| self.to.join(&f.path) != path);
        let (folder, stem) = name[..name.len() - 4].rsplit_once('/').unwrap_or(("", &name[..name.len() - 4]));
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inner = BufReader::with_capacity(1 << 16, file);
        let zip = zip_index::open(inner).map_err(|e| self.refuse(name, e.to_string()))?;
        let is_inside = |n: &str| is_litter(n) || n.strip_prefix(stem).is_some_and(|rest| rest.starts_with('/'));
        let below = match zip.file_names().all(|n| n.is_ok_and(|n| is_inside(&n))) {
            true => folder,
            false => format!("{folder}{stem}/"),
        };
        self.zip(zip.into_inner(), &below, false)?;
        fs::remove_file(path).map_err(io)
    }

    fn tar_gz(&mut self, file: File) -> Result<()> {
        // Headers do not count as content. A member has at most two headers of 512 bytes, and a
        // long name takes two more blocks.
        let headers = self.limits.entries.saturating_mul(4 * 512);
        let inner = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file));
        let left = self.bytes_left.saturating_add(headers);
        let overfull = Cell::new(false);
        let watched = Watched { inner, left, overfull: &overfull, progress: self.progress };
        let rest = tar::each(watched, |name, kind, content| {
            if is_litter(name) {
                return Ok(());
            }
            match kind {
                Kind::Folder => self.folder(name),
                Kind::File => self.file(name, content).map(drop),
                Kind::Other => Err(self.refuse(name, ArchiveProblem::LinkOrDevice)),
            }
        });
        let rest = rest.map_err(|fault| match fault {
            Fault::Own(error) => error,
            Fault::Refused(Refusal { entry, problem }) => self.refuse(&entry, problem),
            Fault::Broken(e) => self.broken(&e, overfull.get()),
        })?;
        // The gzip checksum follows the tar archive's end, so it is verified by reading to the end.
        let rest =
            io::copy(&mut rest.take(Limits::FREE + 1), &mut io::sink()).map_err(|e| self.broken(&e, overfull.get()))?;
        if rest > Limits::FREE {
            return Err(self.refuse("(the end)", "megabytes follow it"));
        }
        Ok(())
    }

    /// The error for an archive that cannot be read on, or that holds more than it may (`overfull`).
    fn broken(&self, e: &io::Error, overfull: bool) -> Error {
        if self.progress.cancelled() {
            return self.cancelled();
        }
        let reason = e.to_string();
        let problem: Problem = match overfull {
            true => ArchiveProblem::GrowsUnseen { reason }.into(),
            false => Problem::Broken { what: "a broken archive", reason },
        };
        Error::unexpected(self.name.as_str(), problem, REMEDY)
    }

    fn cancelled(&self) -> Error {
        Error::Cancelled { what: format!("unpacking {}", self.name) }
    }

    fn folder(&mut self, name: &str) -> Result<()> {
        let path = self.place(name)?;
        fs::create_dir_all(&path).map_err(|source| Error::Io { path, source })
    }

    fn file(&mut self, name: &str, content: &mut dyn Read) -> Result<PathBuf> {
        let path = self.place(name)?;
        let io = |source| Error::Io { path: path.clone(), source };
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(io)?;
        }
        let mut to = File::create_new(&path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => self.refuse(name, ArchiveProblem::Twice),
            _ => io(e),
        })?;
        let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
        loop {
            if self.progress.cancelled() {
                return Err(self.cancelled());
            }
            let n = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) if self.progress.cancelled() => return Err(self.cancelled()),
                Err(e) => return Err(self.refuse(name, Problem::Broken { what: "is broken", reason: e.to_string() })),
            };
            let Some(left) = self.bytes_left.checked_sub(n as u64) else {
                return Err(self.refuse(name, ArchiveProblem::Grows));
            };
            self.bytes_left = left;
            to.write_all(&buffer[..n]).map_err(io)?;
            bytes += n as u64;
            self.progress.advance(n as u64, "");
        }
        to.sync_all().map_err(io)?;
        let below = path.strip_prefix(self.to).unwrap_or(&path);
        let names: Vec<_> = below.iter().map(|n| n.to_string_lossy()).collect();
        self.files.push(Unpacked { path: names.join("/"), bytes });
        Ok(path)
    }

    /// Counts an entry and returns the path to write it to.
    fn place(&mut self, name: &str) -> Result<PathBuf> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(self.refuse(name, ArchiveProblem::Entries { limit: self.limits.entries }));
        }
        let below = inside(name).map_err(|problem| self.refuse(name, problem))?;
        Ok(self.to.join(below))
    }

    fn refuse(&self, entry: &str, problem: impl Into<Problem>) -> Error {
        // Names are escaped, because an archive could otherwise send control characters to a
        // terminal.
        let shown: String = entry.chars().take(200).flat_map(char::escape_debug).collect();
        Error::unexpected(format!("{}: entry {shown}", self.name), problem, REMEDY)
    }
}

/// A reader that fails if the user asks to stop, or after more bytes than the archive may unpack
/// to. The limit includes members that a tar archive contains but that are skipped.
struct Watched<'a, R> {
    inner: R,
    left: u64,
    /// Is set when the limit is exceeded.
    overfull: &'a Cell<bool>,
    progress: &'a dyn Progress,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.cancelled() {
            return Err(io::Error::other("stopped"));
        }
        let n = self.inner.read(buffer)?;
        let left = self.left.checked_sub(n as u64);
        self.left = left.ok_or_else(|| {
            self.overfull.set(true);
            io::Error::other("more than an archive of this size may hold")
        })?;
        Ok(n)
    }
}

const REMEDY: &str = "get the archive again, from its official source; nothing of it was unpacked";

/// The relative path for a name in an archive; an error if the name is refused.
fn inside(name: &str) -> Result<PathBuf, Problem> {
    let mut path = PathBuf::new();
    if name.starts_with(['/', '\\']) {
        return Err(ArchiveProblem::Absolute.into());
    }
    for part in name.split(['/', '\\']) {
        match part {
            "" | "." => continue,
            ".." => return Err(ArchiveProblem::LeadsOutOfFolder.into()),
            _ if part.contains(|c: char| c.is_control() || c == ':') => return Err(ArchiveProblem::NotPortable.into()),
            _ if part.len() > 255 => return Err("a name of more than 255 bytes".into()),
            _ => path.push(part),
        }
    }
    match path.iter().count() {
        0 => Err("a name of nothing".into()),
        1..=32 => Ok(path),
        _ => Err("more than 32 folders deep".into()),
    }
}

/// Whether operating systems put a file of this name into archives.
fn is_litter(name: &str) -> bool {
    let hidden = ["__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"];
    name.split('/').any(|part| hidden.contains(&part) || part.starts_with("._"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(inside("a/./b//c.bin").unwrap(), Path::new("a/b/c.bin"));
        assert_eq!(inside("a\\b").unwrap(), Path::new("a/b"));
        assert_eq!(inside("a/..b/c..").unwrap(), Path::new("a/..b/c.."));
        let long = "a".repeat(256);
        let deep = "a/".repeat(40);
        for bad in [
            "/a",
            "\\a",
            "\\\\host\\a",
            "..",
            "a/../b",
            "a\\..\\b",
            "C:/a",
            "a:b",
            "a\0",
            "a\nb",
            "",
            "./.",
            &long,
            &deep,
        ] {
            assert!(inside(bad).is_err(), "{bad:?}");
        }
    }
}
