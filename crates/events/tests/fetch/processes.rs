//! Several processes download and unpack at the same time, are killed at any moment, or are asked
//! to stop. A process is this test program, which then runs a single test that is otherwise
//! ignored.

use std::io::{Cursor, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tickless_events::Error;
use tickless_events::fetch::{Fetched, How, Options, Presence, Then, fetch, status};
use tickless_events::problem::Problem;
use tickless_events::progress::{Progress, Silent};
use tickless_testing::assert_problem;

use super::server::source;

/// The environment variables that tell the child where the archive and its target folder are.
const ARCHIVE: &str = "TICKLESS_TEST_ARCHIVE";
const FOLDER: &str = "TICKLESS_TEST_FOLDER";

/// An archive of 40 classes with 10 files each.
fn archive() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for class in 0..40 {
        for file in 0..10 {
            zip.start_file(format!("set/{class}/{file}.bin"), options).unwrap();
            zip.write_all(&content(class, file)).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

fn content(class: usize, file: usize) -> Vec<u8> {
    (0..3000).map(|i| (i * (class + 3) + file * 7) as u8).collect()
}

/// A folder that contains the archive, as if the user had put it there.
fn folder(archive: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("data");
    std::fs::create_dir(&to).unwrap();
    std::fs::write(to.join("set.zip"), archive).unwrap();
    std::fs::write(folder.path().join("archive"), archive).unwrap();
    (folder, to)
}

fn fetched(archive: &[u8], to: &Path, progress: &dyn Progress) -> Result<Vec<Fetched>, Error> {
    fetch(&source("set.zip", archive, true, Then::Unpack), to, &Options::default(), progress)
}

#[test]
#[ignore = "the other tests run it in processes of their own"]
fn child() {
    let (Ok(archive), Ok(to)) = (std::env::var(ARCHIVE), std::env::var(FOLDER)) else { return };
    fetched(&std::fs::read(archive).unwrap(), to.as_ref(), &Silent).unwrap();
}

fn start(folder: &Path, to: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::child", "--ignored"]);
    command.env(ARCHIVE, folder.join("archive")).env(FOLDER, to);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn is_whole(archive: &[u8], to: &Path) {
    assert_eq!(status(&source("set.zip", archive, true, Then::Unpack), to)[0].1, Presence::There);
    for (class, file) in (0..40).flat_map(|c| (0..10).map(move |f| (c, f))) {
        let found = std::fs::read(to.join(format!("set/{class}/{file}.bin"))).unwrap();
        assert!(found == content(class, file), "{class}/{file}");
    }
    let left: Vec<_> = std::fs::read_dir(to).unwrap().map(|e| e.unwrap().file_name()).collect();
    let left: Vec<_> =
        left.iter().map(|n| n.to_string_lossy()).filter(|n| n.contains("unpacking") || n.ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_processes_that_fetch_into_one_folder_both_end_well() {
    let archive = archive();
    for round in 0..4 {
        let (folder, to) = folder(&archive);
        let mut children = [start(folder.path(), &to), start(folder.path(), &to)];
        if round % 2 == 1 {
            std::thread::sleep(Duration::from_millis(5 * round));
        }
        let mut third = start(folder.path(), &to);
        assert!(children.iter_mut().all(|c| c.wait().unwrap().success()));
        assert!(third.wait().unwrap().success());
        is_whole(&archive, &to);
        assert_eq!(fetched(&archive, &to, &Silent).unwrap()[0].how, How::Found);
    }
}

#[test]
fn a_killed_process_leaves_what_the_next_one_mends() {
    let archive = archive();
    let begun = Instant::now();
    {
        let (folder, to) = folder(&archive);
        assert!(start(folder.path(), &to).wait().unwrap().success());
    }
    let whole = begun.elapsed();
    for round in 1..=12 {
        let (folder, to) = folder(&archive);
        let mut child = start(folder.path(), &to);
        std::thread::sleep(whole * round / 12);
        let _ = child.kill();
        child.wait().unwrap();
        // Either all files exist, or `status` reports that some are missing.
        if status(&source("set.zip", &archive, true, Then::Unpack), &to)[0].1 == Presence::There
            && !to.join("set.zip").exists()
        {
            is_whole(&archive, &to);
        }
        if !to.join("set.zip").exists()
            && status(&source("set.zip", &archive, true, Then::Unpack), &to)[0].1 != Presence::There
        {
            panic!("neither the archive nor its files are there");
        }
        fetched(&archive, &to, &Silent).unwrap();
        is_whole(&archive, &to);
    }
}

#[test]
fn a_stop_while_unpacking_leaves_the_archive_and_nothing_else() {
    struct StopAfter(AtomicU64);
    impl Progress for StopAfter {
        fn advance(&self, n: u64, _: &str) {
            self.0.fetch_sub(n.min(self.0.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
        fn cancelled(&self) -> bool {
            self.0.load(Ordering::Relaxed) == 0
        }
    }
    let archive = archive();
    for bytes in [1, 3000, 100_000, 1_190_000] {
        let (_folder, to) = folder(&archive);
        let error = fetched(&archive, &to, &StopAfter(AtomicU64::new(bytes))).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
        let left: Vec<_> = std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["set.zip"], "stopped after {bytes} bytes");
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_links_are_not_followed() {
    use super::server::{Server, body, serve};
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let server = Server::new(|_, request, stream| serve(stream, request, &body(1000)));
    let source = source("a.bin", &body(1000), true, Then::Keep);
    let to = folder.path().join("to");
    std::fs::create_dir(&to).unwrap();
    std::os::unix::fs::symlink(&victim, to.join("a.bin.part.tag")).unwrap();
    fetch(&source, &to, &server.options(), &Silent).unwrap();
    std::fs::remove_file(to.join("a.bin")).unwrap();
    std::os::unix::fs::symlink(&victim, to.join("a.bin.part")).unwrap();
    let error = fetch(&source, &to, &server.options(), &Silent).unwrap_err();
    let Error::Io { path, source: refused } = &error else { panic!("{error}") };
    assert!(path.ends_with("a.bin.part") && refused.kind() == ErrorKind::InvalidInput, "{error}");
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    // A named pipe in place of the file is an error; opening it must not block.
    std::fs::remove_file(to.join("a.bin.part")).unwrap();
    assert!(Command::new("mkfifo").arg(to.join("a.bin")).status().unwrap().success());
    let error = fetch(&source, &to, &server.options(), &Silent).unwrap_err();
    assert_problem!(error, at format!("{}: ", to.join("a.bin").display()), Problem::NoRegularFile);
}
