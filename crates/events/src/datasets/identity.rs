//! Says whether two parts of data sets have the same samples, and if not, what differs.
//!
//! Names within their common folder, sizes and content count. Paths and times of change do not,
//! because they change if somebody copies, moves or unpacks a data set again.
//!
//! The content is a digest over the bytes of all files if they are at most 512 MiB together. Of more
//! bytes than that, only the begin and the end of the files are read, because reading all of a large
//! data set would delay every training. If then also a path or a time differs,
//! [`Comparison::Moved`] says that the files are probably the same. Members of a zip archive are not
//! read at all: the archive holds a checksum of each.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::key::{Key, Parts};
use crate::progress::Progress;
use crate::{Error, Result};

/// Number of bytes up to which all files of a part are read whole, and about the most that is read
/// of larger ones: a second or two from a local disk.
const WHOLE: u64 = 512 << 20;
/// Bytes that are read of a file at least, half of them from each end, if it is read in part.
const LEAST: u64 = 4096;
/// Bytes from which on reading is shown as a task.
const SHOWN: u64 = 64 << 20;

/// The files and settings that the samples of a part depend on, in a form that survives a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// Number of files, or of members of archives.
    pub files: u64,
    /// Their size in bytes; that of members is unpacked.
    pub bytes: u64,
    /// Digest of the settings with which they are read, such as those of a simulated camera.
    pub settings: String,
    /// Digest of names within their common folder and sizes, and of members' checksums.
    pub names: String,
    /// Digest of the bytes that were read.
    pub content: String,
    /// Number of the files' bytes that were not read.
    pub unread: u64,
    /// Digest of absolute paths and times of change.
    pub places: String,
}

/// The result of comparing two identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comparison {
    /// The samples are the same.
    Same,
    /// Paths or times of change differ; all else is the same, but not all bytes were read.
    Moved,
    /// There are more or fewer files or bytes.
    Amount,
    /// Names or single sizes of the files differ, or checksums of members.
    Names,
    /// Names and sizes are the same and bytes of the files differ.
    Content,
    /// The files are read with other settings.
    Settings,
}

impl Identity {
    /// Compares with another state of the same part.
    pub fn compare(&self, other: &Identity) -> Comparison {
        if (self.files, self.bytes) != (other.files, other.bytes) {
            Comparison::Amount
        } else if self.names != other.names {
            Comparison::Names
        } else if self.content != other.content {
            Comparison::Content
        } else if self.settings != other.settings {
            Comparison::Settings
        } else if self.unread > 0 && self.places != other.places {
            Comparison::Moved
        } else {
            Comparison::Same
        }
    }
}

impl Key {
    /// Reads the files that were added and returns their identity.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read, [`Error::Cancelled`] if the user stops.
    pub fn identify(self, progress: &dyn Progress) -> Result<Identity> {
        identify(self.parts, WHOLE, progress)
    }
}

fn identify(parts: Parts, whole: u64, progress: &dyn Progress) -> Result<Identity> {
    let Parts { settings, mut listed, members, member_bytes, places, files } = parts;
    // Several samples may lie in one file.
    let mut seen = HashSet::new();
    let files: Vec<&(PathBuf, u64)> = files.iter().filter(|file| seen.insert(&file.0)).collect();
    let folder = common_folder(files.iter().map(|file| file.0.as_path()));
    for (path, size) in &files {
        let name = path.strip_prefix(&folder).unwrap_or(path).to_string_lossy();
        listed.update((name.len() as u64).to_le_bytes());
        listed.update(name.as_bytes());
        listed.update(size.to_le_bytes());
    }
    let bytes: u64 = files.iter().map(|file| file.1).sum();
    let count = files.len() as u64;
    // Of files larger than `share`, both ends are read; if there are very many, of every `step`-th.
    let (share, step) = match bytes <= whole {
        true => (u64::MAX, 1),
        false => ((whole / count.max(1)).max(LEAST), count.div_ceil((whole / LEAST).max(1)).max(1)),
    };
    let chosen = || files.iter().step_by(usize::try_from(step).unwrap_or(usize::MAX));
    let read: u64 = chosen().map(|file| file.1.min(share)).sum();
    let shown = read >= SHOWN;
    if shown {
        progress.start("compare the data set", read, "byte");
    }
    let mut content = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for (path, size) in chosen() {
        if progress.cancelled() {
            return Err(Error::Cancelled { what: "comparing the files of the data set".into() });
        }
        add_content(&mut content, path, *size, share, &mut buffer)
            .map_err(|source| Error::Io { path: path.clone(), source })?;
        if shown {
            progress.advance((*size).min(share), "");
        }
    }
    if shown {
        progress.finish();
    }
    Ok(Identity {
        files: count + members,
        bytes: bytes.saturating_add(member_bytes),
        settings: short(settings),
        names: short(listed),
        content: short(content),
        unread: bytes - read,
        places: short(places),
    })
}

/// Adds the bytes of a file, or those of both its ends, `share` in total.
fn add_content(hash: &mut Sha256, path: &Path, size: u64, share: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    if size <= share {
        return add_bytes(hash, &mut file, buffer);
    }
    add_bytes(hash, &mut Read::by_ref(&mut file).take(share / 2), buffer)?;
    file.seek(SeekFrom::End(-i64::try_from(share / 2).unwrap_or(i64::MAX)))?;
    add_bytes(hash, &mut file, buffer)
}

fn add_bytes(hash: &mut Sha256, file: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<()> {
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The innermost folder that contains all files.
fn common_folder<'a>(mut files: impl Iterator<Item = &'a Path>) -> PathBuf {
    let Some(first) = files.next().and_then(Path::parent) else { return PathBuf::new() };
    files.fold(first.to_path_buf(), |folder, file| {
        let shared = |(a, b): &(std::path::Component<'_>, std::path::Component<'_>)| a == b;
        folder.components().zip(file.components()).take_while(shared).map(|(a, _)| a).collect()
    })
}

/// 16 hexadecimal digits of a digest.
fn short(hash: Sha256) -> String {
    hash.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use std::fs;
    use std::time::{Duration, SystemTime};

    /// The identity of the files in a folder, in the order of their names; `whole` is the number of
    /// bytes that may be read.
    fn of(folder: &Path, whole: u64) -> Identity {
        let mut files: Vec<PathBuf> = ["a", "b"]
            .iter()
            .flat_map(|sub| fs::read_dir(folder.join(sub)).unwrap())
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        let mut key = Key::default();
        key.text("camera");
        files.iter().for_each(|file| key.file(file).unwrap());
        identify(key.parts, whole, &Silent).unwrap()
    }

    /// Two folders with files of 20,000 bytes.
    fn made(folder: &Path) {
        for (k, name) in ["a/1", "a/2", "b/1"].iter().enumerate() {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), vec![k as u8; 20_000]).unwrap();
        }
    }

    /// Changes the byte at `at` and keeps size and time of change.
    fn change(file: &Path, at: usize) {
        let time = fs::metadata(file).unwrap().modified().unwrap();
        let mut bytes = fs::read(file).unwrap();
        bytes[at] ^= 1;
        fs::write(file, bytes).unwrap();
        File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn copies_and_other_times_are_the_same_samples_if_all_was_read() {
        let root = tempfile::tempdir().unwrap();
        let (here, there) = (root.path().join("here"), root.path().join("deep/er/there"));
        made(&here);
        let then = of(&here, WHOLE);
        assert_eq!((then.files, then.bytes, then.unread), (3, 60_000, 0));
        let past = SystemTime::now() - Duration::from_secs(10_000);
        File::options().write(true).open(here.join("a/2")).unwrap().set_modified(past).unwrap();
        let touched = of(&here, WHOLE);
        assert_ne!(touched.places, then.places);
        assert_eq!(then.compare(&touched), Comparison::Same);
        made(&there);
        assert_eq!(then.compare(&of(&there, WHOLE)), Comparison::Same);
    }

    #[test]
    fn of_large_sets_both_ends_are_read_and_a_copy_is_probably_the_same() {
        let root = tempfile::tempdir().unwrap();
        let (here, there) = (root.path().join("here"), root.path().join("there"));
        made(&here);
        let then = of(&here, 30_000);
        assert_eq!(then.unread, 30_000);
        assert_eq!(then.compare(&of(&here, 30_000)), Comparison::Same);
        made(&there);
        assert_eq!(then.compare(&of(&there, 30_000)), Comparison::Moved);
        for (at, expected) in [(0, Comparison::Content), (19_999, Comparison::Content), (10_000, Comparison::Same)] {
            change(&here.join("a/2"), at);
            assert_eq!(then.compare(&of(&here, 30_000)), expected, "byte {at}");
            change(&here.join("a/2"), at);
        }
        // Of very many files, only some are read.
        assert_eq!(of(&here, 4096).unread, 60_000 - 4096);
    }

    #[test]
    fn the_difference_is_named() {
        let root = tempfile::tempdir().unwrap();
        let here = root.path();
        made(here);
        let then = of(here, WHOLE);
        change(&here.join("b/1"), 10_000);
        assert_eq!(then.compare(&of(here, WHOLE)), Comparison::Content, "one byte, the same size and time");
        change(&here.join("b/1"), 10_000);
        assert_eq!(then.compare(&of(here, WHOLE)), Comparison::Same);
        fs::rename(here.join("b/1"), here.join("b/2")).unwrap();
        assert_eq!(then.compare(&of(here, WHOLE)), Comparison::Names);
        fs::remove_file(here.join("b/2")).unwrap();
        assert_eq!(then.compare(&of(here, WHOLE)), Comparison::Amount);
        made(here);
        assert_eq!(then.compare(&Identity { settings: String::new(), ..of(here, WHOLE) }), Comparison::Settings);
    }

    #[test]
    fn members_of_an_archive_count_by_name_size_and_checksum_wherever_the_archive_lies() {
        let root = tempfile::tempdir().unwrap();
        let of = |archive: &str, members: &[(&str, u64, u32)]| {
            let path = root.path().join(archive);
            fs::write(&path, archive).unwrap();
            let mut key = Key::default();
            for (name, size, checksum) in members {
                key.archive(&path).unwrap();
                key.member(name, *size, *checksum);
            }
            key.identify(&Silent).unwrap()
        };
        let then = of("one.zip", &[("a", 5, 1), ("b", 6, 2)]);
        assert_eq!((then.files, then.bytes, then.unread), (2, 11, 0));
        assert_eq!(then.compare(&of("two.zip", &[("a", 5, 1), ("b", 6, 2)])), Comparison::Same);
        assert_eq!(then.compare(&of("one.zip", &[("a", 5, 1), ("b", 6, 3)])), Comparison::Names);
        assert_eq!(then.compare(&of("one.zip", &[("a", 5, 1)])), Comparison::Amount);
    }

    #[test]
    fn a_file_that_is_gone_is_an_error_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("gone");
        fs::write(&file, "x").unwrap();
        let mut key = Key::default();
        key.file(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let e = key.identify(&Silent).unwrap_err();
        assert!(matches!(&e, Error::Io { path, .. } if *path == file), "{e}");
    }
}
