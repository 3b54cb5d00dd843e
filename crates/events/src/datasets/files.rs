//! Finds the files of a data set in its folder, plain or gzipped.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// `folder/name` or `folder/name.gz`, the first that exists; `None` if neither exists.
pub fn plain_or_gz(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|p| p.is_file())
}

/// As [`plain_or_gz`], but an error if neither exists.
pub fn need(folder: &Path, name: &str) -> Result<PathBuf> {
    plain_or_gz(folder, name).ok_or_else(|| Error::Missing {
        path: folder.to_path_buf(),
        what: format!("{name} (plain or .gz)"),
        remedy: "put it there or give the folder that holds it".into(),
    })
}

/// The entries of a folder, sorted by name. Hidden files and those of desktop systems are ignored.
///
/// # Errors
/// [`Error::Io`]; [`Error::Unexpected`] for an entry that is neither a file nor a folder, such as a
/// pipe, because reading a pipe blocks until another program writes to it.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io { path: folder.to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if is_litter(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        let mut kind = entry.file_type().map_err(io)?;
        if kind.is_symlink() {
            kind = std::fs::metadata(&path).map_err(|source| Error::Io { path: path.clone(), source })?.file_type();
        }
        if !kind.is_file() && !kind.is_dir() {
            return Err(Error::unexpected(path.display().to_string(), "neither a file nor a folder", "move it away"));
        }
        paths.push(path);
    }
    paths.sort();
    Ok(paths)
}

/// Whether operating systems create files of this name in folders and archives.
pub fn is_litter(name: &str) -> bool {
    name.starts_with('.') || matches!(name, "__MACOSX" | "Thumbs.db" | "desktop.ini")
}

/// Reads at offset `at`, independently of other threads that read the same file. Returns the number
/// of bytes read.
#[cfg(unix)]
pub fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

/// Reads at offset `at` of the file. The position of the file changes, so threads must not share it
/// between this call and a sequential read. Returns the number of bytes read.
#[cfg(windows)]
pub fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

/// Always fails, on systems without files.
#[cfg(not(any(unix, windows)))]
pub fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
