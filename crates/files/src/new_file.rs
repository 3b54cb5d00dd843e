//! A file that is written completely or not at all.

use crate::temporary::{create, folder_of, sweep_of};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of bytes that are collected before a write.
const BUFFER: usize = 1 << 16;

/// A file under construction. [`commit`](Self::commit) turns it into the target.
///
/// If it is dropped before, the target is unchanged and no temporary file remains. Writes are
/// buffered.
#[derive(Debug)]
pub struct NewFile {
    // Fields are dropped in this order, so the file is closed before `place` removes it.
    out: BufWriter<File>,
    place: Place,
}

/// The place to which the bytes are written before the commit.
#[derive(Debug)]
enum Place {
    /// To a temporary file, which will be renamed to the target.
    Beside { temporary: Temporary, target: PathBuf },
    /// To the target itself, because it is not a regular file.
    Into,
}

/// The path of a temporary file, which is removed on drop.
#[derive(Debug)]
struct Temporary(PathBuf);

/// The temporary files that this process has not yet committed or removed.
static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn made() -> MutexGuard<'static, Vec<PathBuf>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Temporary {
    fn new(path: PathBuf) -> Self {
        made().push(path.clone());
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        made().retain(|path| *path != self.0);
    }
}

/// Removes every file of this process that has not been committed. For a program that exits while
/// other threads still write; their commits fail afterwards.
pub fn abandon_all() {
    for path in made().drain(..) {
        let _ = fs::remove_file(path);
    }
}

impl NewFile {
    /// Begins a new content for `target`, whose folder must exist.
    ///
    /// An existing file keeps its permissions. A symbolic link is replaced, and the file to which
    /// it leads is unchanged. Only a link to something else than a regular file, and the links in
    /// `/dev` and `/proc` (`/dev/stdout`), are followed. Temporary files of killed writers of the
    /// same target are removed.
    ///
    /// # Errors
    /// If the target is a folder or write-protected, or if no file can be created in its folder.
    pub fn create(target: &Path) -> io::Result<Self> {
        let there = fs::symlink_metadata(target).ok();
        let is_link = there.as_ref().is_some_and(|m| m.file_type().is_symlink());
        let end = if is_link { fs::metadata(target).ok() } else { there };
        if let Some(end) = &end {
            if end.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            if !end.is_file() || is_link && is_of_the_system(target) {
                // A regular file behind `/dev/stdout` may already have content (`>> file`), so it
                // is appended to.
                let file = OpenOptions::new().write(true).append(end.is_file()).open(target)?;
                return Ok(Self { out: BufWriter::with_capacity(BUFFER, file), place: Place::Into });
            }
            if !is_link && end.permissions().readonly() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file is write-protected"));
            }
        }
        sweep_of(target);
        let (file, path) = create(target)?;
        let temporary = Temporary::new(path);
        if let Some(end) = end.filter(|_| !is_link) {
            file.set_permissions(end.permissions())?;
        }
        let place = Place::Beside { temporary, target: target.to_owned() };
        Ok(Self { out: BufWriter::with_capacity(BUFFER, file), place })
    }

    /// As [`create`](Self::create), for a name that the user gave: a symbolic link is kept, and the
    /// file to which it leads gets the new content.
    ///
    /// # Errors
    /// As [`create`](Self::create); also if the link leads nowhere.
    pub fn create_following(target: &Path) -> io::Result<Self> {
        let is_link = fs::symlink_metadata(target).is_ok_and(|m| m.file_type().is_symlink());
        match is_link && !is_of_the_system(target) && fs::metadata(target).is_ok_and(|m| m.is_file()) {
            true => Self::create(&fs::canonicalize(target)?),
            false if is_link && fs::metadata(target).is_err() => {
                Err(io::Error::new(io::ErrorKind::NotFound, "a symbolic link that leads nowhere"))
            }
            false => Self::create(target),
        }
    }

    /// Whether bytes that have been written can be overwritten before the commit. This is not
    /// possible in a FIFO, in a terminal, or in a file that is appended to.
    pub fn can_go_back(&mut self) -> bool {
        match &self.place {
            Place::Beside { .. } => true,
            Place::Into => {
                let appends = self.out.get_ref().metadata().is_ok_and(|m| m.is_file());
                !appends && self.out.stream_position().is_ok()
            }
        }
    }

    /// Turns the written content into the target: syncs it to disk and renames it.
    ///
    /// # Errors
    /// If writing, syncing or renaming fails; the target is then unchanged. If only the last step,
    /// syncing the folder, fails, the target is new but may be the old one again after a power
    /// failure.
    pub fn commit(mut self) -> io::Result<()> {
        self.out.flush()?;
        match &self.place {
            Place::Into => synced(self.out.get_ref().sync_all()),
            Place::Beside { temporary, target } => {
                self.out.get_ref().sync_all()?;
                rename(&temporary.0, target)
            }
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Seek for NewFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.out.seek(to)
    }
}

/// Renames a file whose content has been synced, and syncs the folder, so that the name is on disk.
///
/// # Errors
/// If renaming or syncing fails.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    // A folder without read permission cannot be opened, so it cannot be synced.
    match File::open(folder_of(to)) {
        Ok(folder) => synced(folder.sync_all()),
        Err(_) => Ok(()),
    }
}

/// Writes `bytes` as the whole content of `target` (see [`NewFile`]).
///
/// # Errors
/// As [`NewFile::create`] and [`NewFile::commit`].
pub fn write(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NewFile::create(target)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Whether a link represents an open file of the process, by its folder.
fn is_of_the_system(link: &Path) -> bool {
    ["/dev", "/proc"].iter().any(|folder| link.starts_with(folder))
}

/// As [`write()`], for a name that the user gave (see [`NewFile::create_following`]).
///
/// # Errors
/// As [`NewFile::create_following`] and [`NewFile::commit`].
pub fn write_following(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NewFile::create_following(target)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Ignores the error that a device, or a folder on some file systems, returns because it cannot be
/// synced.
fn synced(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn names(folder: &Path) -> Vec<String> {
        let mut all: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    #[test]
    fn a_file_is_the_old_one_until_the_commit_and_whole_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        write(&target, b"old").unwrap();
        let mut new = NewFile::create(&target).unwrap();
        new.write_all(b"the new one").unwrap();
        new.flush().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        drop(new);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        let mut new = NewFile::create(&target).unwrap();
        new.write_all(b"xhe new one").unwrap();
        new.seek(SeekFrom::Start(0)).unwrap();
        new.write_all(b"t").unwrap();
        new.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"the new one");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn writers_of_one_target_do_not_mix_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let target = &folder.path().join("a");
        thread::scope(|scope| {
            for byte in b'a'..b'i' {
                scope.spawn(move || {
                    for _ in 0..20 {
                        write(target, &vec![byte; 200_000]).unwrap();
                    }
                });
            }
        });
        let read = fs::read(target).unwrap();
        assert!(read.len() == 200_000 && read.iter().all(|b| *b == read[0]));
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_folder_and_a_write_protected_file_are_refused_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        write(&target, b"old").unwrap();
        let mut permissions = fs::metadata(&target).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&target, permissions).unwrap();
        assert_eq!(write(&target, b"new").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(write(folder.path(), b"new").unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(write(&folder.path().join("none/a"), b"new").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::ffi::OsStr;
        use std::io::Read;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
        use std::process::Command;

        #[test]
        fn a_link_is_replaced_and_its_destination_stays() {
            let folder = tempfile::tempdir().unwrap();
            let (victim, link) = (folder.path().join("victim"), folder.path().join("link"));
            write(&victim, b"precious").unwrap();
            symlink(&victim, &link).unwrap();
            write(&link, b"new").unwrap();
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            assert!(fs::symlink_metadata(&link).unwrap().is_file());
            let dangling = folder.path().join("dangling");
            symlink(folder.path().join("nowhere"), &dangling).unwrap();
            write(&dangling, b"new").unwrap();
            assert_eq!(fs::read(&dangling).unwrap(), b"new");
            assert!(!folder.path().join("nowhere").exists());
        }

        #[test]
        fn a_device_and_a_fifo_are_written_into() {
            let folder = tempfile::tempdir().unwrap();
            let fifo = folder.path().join("fifo");
            assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
            let read = thread::spawn({
                let fifo = fifo.clone();
                move || {
                    let mut text = String::new();
                    File::open(fifo).unwrap().read_to_string(&mut text).map(|_| text)
                }
            });
            write(&fifo, b"through").unwrap();
            assert_eq!(read.join().unwrap().unwrap(), "through");
            assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
            let null = folder.path().join("null");
            symlink("/dev/null", &null).unwrap();
            write(&null, b"gone").unwrap();
            assert!(fs::symlink_metadata(&null).unwrap().file_type().is_symlink());
        }

        #[test]
        fn a_link_that_the_user_names_stays_and_its_destination_is_new() {
            let folder = tempfile::tempdir().unwrap();
            let (end, link) = (folder.path().join("end"), folder.path().join("link"));
            write(&end, b"old").unwrap();
            symlink("end", &link).unwrap();
            let mut new = NewFile::create_following(&link).unwrap();
            assert!(new.can_go_back());
            new.write_all(b"new").unwrap();
            new.commit().unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
            assert_eq!(fs::read(&end).unwrap(), b"new");
            fs::remove_file(&end).unwrap();
            let error = NewFile::create_following(&link).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
            assert_eq!(names(folder.path()), ["link"]);
        }

        #[test]
        fn a_fifo_cannot_be_gone_back_in() {
            let folder = tempfile::tempdir().unwrap();
            let fifo = folder.path().join("fifo");
            assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
            let read = thread::spawn({
                let fifo = fifo.clone();
                move || File::open(fifo).map(drop)
            });
            assert!(!NewFile::create(&fifo).unwrap().can_go_back());
            read.join().unwrap().unwrap();
            assert!(NewFile::create(Path::new("/dev/null")).unwrap().can_go_back());
        }

        #[test]
        fn a_full_disk_is_an_error() {
            if Path::new("/dev/full").exists() {
                let e = write(Path::new("/dev/full"), b"x").unwrap_err();
                assert_eq!(e.kind(), io::ErrorKind::StorageFull);
            }
        }

        #[test]
        fn permissions_stay_and_names_need_not_be_text_or_short() {
            let folder = tempfile::tempdir().unwrap();
            for name in [OsStr::from_bytes(b"b\xff"), OsStr::new(&"n".repeat(255)), OsStr::new(&"é".repeat(127))] {
                let target = folder.path().join(name);
                write(&target, b"old").unwrap();
                fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
                write(&target, b"new").unwrap();
                assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
                assert_eq!(fs::read(&target).unwrap(), b"new");
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        }
    }
}
