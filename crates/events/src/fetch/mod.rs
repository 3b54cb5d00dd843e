//! Downloads published data sets from their official sources, and reports which ones are present.
//!
//! [`SOURCES`] lists the data sets. [`fetch`] brings the files of one into a folder. Each file is
//! downloaded, unless the user has put it there, and verified by length and MD5; it is unpacked if
//! the data set is not read as an archive. Files that are present and correct are not downloaded
//! again, and an interrupted download is continued. An archive is unpacked into a hidden folder,
//! whose content is moved only when all of it is correct. A list of the unpacked files
//! (`.fetched-NAME`) stays in the folder, and later calls compare the files with it.
//!
//! ```no_run
//! use tickless_events::{fetch, progress::Silent};
//!
//! let source = fetch::source("shd")?;
//! for file in fetch::fetch(source, "data/shd".as_ref(), &fetch::Options::default(), &Silent)? {
//!     println!("{}: {:?}", file.name, file.how);
//! }
//! # Ok::<(), tickless_events::Error>(())
//! ```

mod http;
mod sources;
mod tar;
mod unpack;

use std::fs::{self, File as Handle, TryLockError};
use std::path::Path;
use std::time::Duration;

pub use http::Patience;
pub use sources::{File, SOURCES, Source, Then};
pub use unpack::{Limits, Unpacked, unpack};

use crate::progress::Progress;
use crate::{Error, Result};

/// Settings of a download.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The URL of a folder that contains the files under their names ([`File::name`]), to use
    /// instead of the official source.
    pub mirror: Option<String>,
    /// Timeouts and number of retries.
    pub patience: Patience,
    /// Limits for unpacking archives.
    pub limits: Limits,
}

/// A file that is present after a call of [`fetch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// Its name ([`File::name`]).
    pub name: &'static str,
    /// The way in which it got there.
    pub how: How,
}

/// The way in which a file got into the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was already there and correct.
    Found,
    /// It was downloaded; an earlier call had already received the first `resumed` bytes.
    Downloaded {
        /// Number of bytes that an earlier call had received.
        resumed: u64,
    },
}

/// Whether a file is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Neither the file nor a part of it exists.
    Missing,
    /// A download was interrupted after this many bytes.
    Partial {
        /// Number of bytes received.
        bytes: u64,
    },
    /// The file, or everything unpacked from it, exists with the correct lengths.
    There,
    /// The file has another length, or unpacked files are missing.
    Damaged,
}

/// The source with this name.
///
/// # Errors
/// [`Error::UnknownDataset`] if no source has this name; it lists the names.
pub fn source(name: &str) -> Result<&'static Source> {
    SOURCES.iter().find(|s| s.name == name).ok_or_else(|| {
        let known: Vec<_> = SOURCES.iter().map(|s| s.name).collect();
        Error::UnknownDataset { name: name.into(), known: known.join(", ") }
    })
}

/// The state of each file of `source` in the folder `from`, judged by names and lengths. [`fetch`]
/// also compares checksums.
pub fn status(source: &Source, from: &Path) -> Vec<(File, Presence)> {
    source.files.iter().map(|file| (*file, state(file, from))).collect()
}

fn state(file: &File, from: &Path) -> Presence {
    let path = from.join(file.name);
    let length = |path: &Path| fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
    if file.then == Then::Unpack
        && let Ok(receipt) = fs::read_to_string(from.join(receipt_name(file)))
    {
        return if is_unpacked(&receipt, file, from) { Presence::There } else { Presence::Damaged };
    }
    match (length(&path), file.bytes, length(&http::with_end(&path, ".part"))) {
        (Some(_), None, _) => Presence::There,
        (Some(length), Some(bytes), _) if length == bytes => Presence::There,
        (Some(_), ..) => Presence::Damaged,
        (None, _, Some(bytes)) if bytes > 0 => Presence::Partial { bytes },
        (None, ..) => Presence::Missing,
    }
}

/// Brings all files of `source` into the folder `to`, which is created if needed. Unpacked files
/// replace existing ones of the same name. If another process is fetching into the same folder,
/// this call waits for it.
///
/// # Errors
/// [`Error::Fetch`], with the URL and how to download the file by hand; [`Error::Unexpected`] for
/// an archive that is broken or malicious; [`Error::Cancelled`]; [`Error::Io`].
pub fn fetch(source: &Source, to: &Path, options: &Options, progress: &dyn Progress) -> Result<Vec<Fetched>> {
    fs::create_dir_all(to).map_err(|source| Error::Io { path: to.into(), source })?;
    let _lock = lock(to, progress)?;
    source.files.iter().map(|file| fetch_file(file, to, options, progress)).collect()
}

/// Locks the folder for this process, and returns `None` if its file system has no locks. Dropping
/// the handle releases the lock.
fn lock(to: &Path, progress: &dyn Progress) -> Result<Option<Handle>> {
    let Ok(folder) = Handle::open(to) else { return Ok(None) };
    let mut said = false;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut said, true) {
                    progress.line(&format!("{}: another program is fetching into it; waiting", to.display()));
                }
                if progress.cancelled() {
                    return Err(Error::Cancelled { what: format!("waiting for {}", to.display()) });
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn fetch_file(file: &File, to: &Path, options: &Options, progress: &dyn Progress) -> Result<Fetched> {
    let found = Fetched { name: file.name, how: How::Found };
    if progress.cancelled() {
        return Err(Error::Cancelled { what: format!("fetching {}", file.name) });
    }
    let path = to.join(file.name);
    let receipt = to.join(receipt_name(file));
    if file.then == Then::Unpack && state(file, to) == Presence::There && receipt.exists() {
        return Ok(found);
    }
    let mut how = How::Found;
    let right = is_right(file, &path, progress)?;
    if !right {
        if path.exists() {
            progress.line(&format!("{} is there, but not as published; fetching it", path.display()));
        }
        let url = match &options.mirror {
            Some(mirror) => format!("{}/{}", mirror.trim_end_matches('/'), file.name),
            None => file.url.into(),
        };
        let resumed = http::download(file, &url, &path, options.patience, progress)?;
        how = How::Downloaded { resumed };
    }
    if file.then == Then::Unpack {
        let hidden = to.join(format!(".unpacking-{}", file.name));
        if hidden.exists() {
            fs::remove_dir_all(&hidden).map_err(|source| Error::Io { path: hidden.clone(), source })?;
        }
        progress.start(&format!("unpacking {}", file.name), 0, "byte");
        let files = unpack(&path, &hidden, options.limits, progress);
        progress.finish();
        let files = files?;
        merge(&hidden, to)?;
        let lines: String = files.iter().map(|f| format!("{} {}\n", f.bytes, f.path)).collect();
        let text = format!("md5 {}\n{lines}", file.md5);
        tickless_files::write(&receipt, text.as_bytes())
            .map_err(|source| Error::Io { path: receipt.clone(), source })?;
        // A file that the user put there is not deleted.
        if !right {
            fs::remove_file(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        }
    }
    Ok(Fetched { how, ..found })
}

/// Whether the file exists with the published length and checksum.
fn is_right(file: &File, path: &Path, progress: &dyn Progress) -> Result<bool> {
    let io = |source| Error::Io { path: path.into(), source };
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        return Err(Error::unexpected(path.display().to_string(), crate::Problem::NoRegularFile, "move it away"));
    }
    let mut handle = match Handle::open(path) {
        Ok(handle) => handle,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(io(e)),
    };
    let length = handle.metadata().map_err(io)?.len();
    if file.bytes.is_some_and(|bytes| bytes != length) {
        return Ok(false);
    }
    let md5 = http::md5_of(&mut handle, progress).map_err(|e| match progress.cancelled() {
        true => Error::Cancelled { what: format!("checking {}", path.display()) },
        false => io(e),
    })?;
    Ok(md5 == file.md5)
}

/// Moves the content of `from` into `to`, folder by folder, and removes `from`.
fn merge(from: &Path, to: &Path) -> Result<()> {
    let io = |path: &Path, source| Error::Io { path: path.into(), source };
    for entry in fs::read_dir(from).map_err(|e| io(from, e))? {
        let entry = entry.map_err(|e| io(from, e))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() && target.is_dir() {
            merge(&path, &target)?;
        } else {
            fs::rename(&path, &target).map_err(|e| io(&target, e))?;
        }
    }
    fs::remove_dir(from).map_err(|e| io(from, e))
}

fn receipt_name(file: &File) -> String {
    format!(".fetched-{}", file.name)
}

/// Whether every file that a receipt lists exists with its length.
fn is_unpacked(receipt: &str, file: &File, folder: &Path) -> bool {
    let mut lines = receipt.lines();
    let there = |line: &str| {
        let (bytes, path) = line.split_once(' ').unwrap_or(("", ""));
        let length = fs::metadata(folder.join(path)).ok().filter(|m| m.is_file()).map(|m| m.len());
        length.is_some() && length == bytes.parse().ok()
    };
    lines.next().and_then(|l| l.strip_prefix("md5 ")) == Some(file.md5) && lines.all(there)
}
