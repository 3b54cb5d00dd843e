//! Tests unpacking: all files of valid archives, and no file of malicious ones.

use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Instant;

use tickless_events::fetch::{How, Limits, Presence, Then, fetch, status, unpack};
use tickless_events::problem::{ArchiveProblem, Problem};
use tickless_events::progress::Silent;
use tickless_events::{Error, Result};
use tickless_testing::assert_problem;
use zip::write::SimpleFileOptions;

use super::server::{Server, serve, source};

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A tar.gz with entries of any type; names are written unchanged, even invalid ones.
fn tar_gz(members: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best()));
    for (name, kind, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_mode(0o644);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Unpacks an archive with this name; returns `path: content` for each file, or the error.
fn unpacked(name: &str, bytes: &[u8], limits: Limits) -> Result<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join(name);
    std::fs::write(&archive, bytes).unwrap();
    let inner = folder.path().join("inner");
    let start = Instant::now();
    let result = unpack(&archive, &inner.join("target"), limits, &Silent);
    assert!(start.elapsed() < tickless_testing::hang::HUNG_AFTER, "{name}: {:?}", start.elapsed());
    // In every case, nothing has been written beside the target.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert_eq!(std::fs::read_dir(&inner).unwrap().count(), usize::from(result.is_ok()));
    match result {
        Ok(files) => {
            let mut lines = Vec::new();
            for file in files {
                let content = std::fs::read(inner.join("target").join(&file.path)).unwrap();
                assert_eq!(content.len() as u64, file.bytes);
                lines.push(format!("{}: {}", file.path, String::from_utf8_lossy(&content)));
            }
            lines.sort();
            Ok(lines)
        }
        Err(error) => {
            assert!(matches!(error, Error::Unexpected { .. } | Error::Io { .. }), "{error}");
            Err(error)
        }
    }
}

/// Asserts that an archive is refused because of a name.
fn name_refused(name: &str, bytes: &[u8]) {
    let error = refused(name, bytes);
    let of_name = |p: &Problem| {
        use ArchiveProblem::{Absolute, LeadsOutOfFolder, NotPortable};
        matches!(p, Problem::Archive(Absolute | LeadsOutOfFolder | NotPortable))
    };
    assert!(error.problem().is_some_and(of_name) && error.to_string().contains("entry "), "{error}");
}

fn refused(name: &str, bytes: &[u8]) -> Error {
    unpacked(name, bytes, Limits::default()).unwrap_err()
}

#[test]
fn zips_and_tars_unpack_and_a_zip_in_a_zip_does_in_its_place() {
    let own = zip(&[("cat/1.bin", b"one"), ("cat/2.bin", b"two"), ("__MACOSX/cat/._1.bin", b"?")]);
    let loose = zip(&[("1.bin", b"three")]);
    let outer = zip(&[("set/cat.zip", &own), ("set/dog.zip", &loose), ("set/.DS_Store", b"?"), ("read.me", b"text")]);
    let expected = ["read.me: text", "set/cat/1.bin: one", "set/cat/2.bin: two", "set/dog/1.bin: three"];
    assert_eq!(unpacked("a.zip", &outer, Limits::default()).unwrap(), expected);
    let tar = tar_gz(&[("set", b'5', b""), ("set/a.bin", b'0', b"one"), ("./b.bin", b'0', b"two")]);
    for name in ["a.tar.gz", "a.TGZ"] {
        assert_eq!(unpacked(name, &tar, Limits::default()).unwrap(), ["b.bin: two", "set/a.bin: one"]);
    }
}

#[test]
fn names_that_lead_outside_are_refused() {
    for name in ["../a", "/a", "x/../../a", "..\\a", "C:\\a", "\\a", "x/../../../../tmp/a"] {
        name_refused("a.zip", &zip(&[("ok", b"1"), (name, b"2")]));
        name_refused("a.tar.gz", &tar_gz(&[("ok", b'0', b"1"), (name, b'0', b"2")]));
        name_refused("a.tar.gz", &tar_gz(&[(name, b'5', b"")]));
        name_refused("a.zip", &zip(&[("n.zip", &zip(&[(name, b"2")]))]));
    }
}

#[test]
fn links_and_devices_are_refused() {
    // Hard and symbolic links, devices and a pipe.
    for kind in [b'1', b'2', b'3', b'4', b'6'] {
        let tar = tar_gz(&[("x", kind, b""), ("x/a", b'0', b"1")]);
        let error = refused("a.tar.gz", &tar);
        assert!(error.to_string().contains("entry x: "), "{error}");
        assert_problem!(error, ArchiveProblem::LinkOrDevice);
    }
    let mut links = zip::ZipWriter::new(Cursor::new(Vec::new()));
    links.add_symlink("x", "/etc", SimpleFileOptions::default()).unwrap();
    links.start_file("x/a", SimpleFileOptions::default()).unwrap();
    let links = links.finish().unwrap().into_inner();
    let error = refused("a.zip", &links);
    assert!(error.to_string().contains("entry x: "), "{error}");
    assert_problem!(error, ArchiveProblem::LinkOrDevice);
}

#[test]
fn a_long_name_of_a_tar_is_read_whichever_way_it_is_written() {
    let long = format!("{}/b.bin", "a".repeat(120));
    let pax = format!("{} path={long}\n", long.len() + 10);
    let gnu = tar_gz(&[("././@LongLink", b'L', format!("{long}\0").as_bytes()), ("short", b'0', b"one")]);
    let pax = tar_gz(&[("PaxHeaders/x", b'x', pax.as_bytes()), ("short", b'0', b"one"), ("next", b'0', b"two")]);
    assert_eq!(unpacked("a.tar.gz", &gnu, Limits::default()).unwrap(), [format!("{long}: one")]);
    let expected = [format!("{long}: one"), "next: two".into()];
    assert_eq!(unpacked("a.tar.gz", &pax, Limits::default()).unwrap(), expected);
}

#[test]
fn what_stands_before_a_member_of_a_tar_is_bounded() {
    let zeros = vec![0; 20 << 20];
    for (kind, holds) in [(b'L', "a name"), (b'x', "a list of properties")] {
        let error = refused("a.tar.gz", &tar_gz(&[("x", kind, &zeros), ("a", b'0', b"1")]));
        let Some(Problem::Archive(ArchiveProblem::LongEntry { what, size, .. })) = error.problem() else {
            panic!("{error}")
        };
        assert_eq!((*what, *size), (holds, 20 << 20), "{error}");
    }
    // Such entries are skipped, but only up to a limit: a tar.gz of 60 kB must not contain
    // gigabytes.
    let limits = Limits { bytes: 1000, entries: 10, growth: 100 };
    for kind in [b'g', b'K'] {
        let error = unpacked("a.tar.gz", &tar_gz(&[("x", kind, &zeros), ("a", b'0', b"1")]), limits).unwrap_err();
        let unseen = |p: &Problem| matches!(p, Problem::Archive(ArchiveProblem::GrowsUnseen { .. }));
        assert!(error.problem().is_some_and(unseen), "{error}");
    }
    for (property, problem) in
        [("13 size=9999\n", ArchiveProblem::SizeElsewhere), ("25 GNU.sparse.size=99999\n", ArchiveProblem::Holes)]
    {
        let error = refused("a.tar.gz", &tar_gz(&[("x", b'x', property.as_bytes()), ("a", b'0', b"1")]));
        assert_problem!(error, problem);
    }
    let error = refused("a.tar.gz", &tar_gz(&[("x", b'L', b"n\0")]));
    assert!(error.to_string().contains("entry n: "), "{error}");
    assert_problem!(error, ArchiveProblem::NotFollowed);
}

#[test]
fn bombs_are_refused_while_they_unpack() {
    let zeros = vec![0; 60 << 20];
    let bomb = zip(&[("zeros", &zeros)]);
    assert!(bomb.len() < 100_000);
    assert_problem!(refused("a.zip", &bomb), ArchiveProblem::Grows);
    assert_problem!(refused("a.tar.gz", &tar_gz(&[("zeros", b'0', &zeros)])), ArchiveProblem::Grows);
    assert_problem!(refused("a.zip", &zip(&[("a.zip", &bomb)])), ArchiveProblem::Grows);
    let limits = Limits { bytes: 1000, entries: 10, growth: 100 };
    let many: Vec<_> = (0..11).map(|i| format!("{i}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|n| (n.as_str(), &b"x"[..])).collect();
    assert_problem!(unpacked("a.zip", &zip(&many), limits).unwrap_err(), ArchiveProblem::Entries { limit: 10 });
    assert_eq!(unpacked("a.zip", &zip(&many[..10]), limits).unwrap().len(), 10);
    assert_problem!(unpacked("a.zip", &zip(&[("a", &[7; 1001])]), limits).unwrap_err(), ArchiveProblem::Grows);
    assert_eq!(unpacked("a.zip", &zip(&[("a", &[7; 1000])]), limits).unwrap().len(), 1);
}

#[test]
fn a_zip_that_claims_a_trillion_entries_or_bytes_is_refused_quickly() {
    let good = zip(&[("a.bin", b"hello"), ("b.bin", b"world")]);
    let end = good.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let index = good.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    // The end record: number of entries (twice), size of the index, offset of the index.
    for (at, width) in [(8, 2), (10, 2), (12, 4), (16, 4)] {
        for value in [0xFF, 0x7F] {
            let mut hostile = good.clone();
            hostile[end + at..end + at + width].fill(value);
            let _ = unpacked("a.zip", &hostile, Limits::default());
        }
    }
    // An entry of the index: compressed size, size, offset.
    for at in [20, 24, 42] {
        let mut hostile = good.clone();
        hostile[index + at..index + at + 4].fill(0xFE);
        let _ = unpacked("a.zip", &hostile, Limits::default());
    }
    // A zip64 end record that states 10¹² entries, and its locator, before the plain end record.
    let trillion = 10u64.pow(12).to_le_bytes();
    let head = [&b"PK\x06\x06"[..], &44u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 8]].concat();
    let record =
        [&head[..], &trillion, &trillion, &((end - index) as u64).to_le_bytes(), &(index as u64).to_le_bytes()];
    let locator = [&b"PK\x06\x07"[..], &[0; 4], &(end as u64).to_le_bytes(), &1u32.to_le_bytes()].concat();
    let mut hostile = [&good[..end], &record.concat(), &locator, &good[end..]].concat();
    let last = hostile.len() - (good.len() - end);
    hostile[last + 8..last + 20].fill(0xFF);
    assert!(refused("a.zip", &hostile).to_string().contains("index"));
}

#[test]
fn names_that_come_twice_or_clash_are_refused() {
    let twice = tar_gz(&[("a", b'0', b"1"), ("./a", b'0', b"2")]);
    assert_problem!(refused("a.tar.gz", &twice), ArchiveProblem::Twice);
    assert!(unpacked("a.tar.gz", &tar_gz(&[("a", b'0', b"1"), ("a/b", b'0', b"2")]), Limits::default()).is_err());
}

#[test]
fn an_archive_cut_or_changed_anywhere_unpacks_rightly_or_is_refused() {
    let files = ["set/a.bin: hello hello hello", "set/b.bin: world"];
    let members: [(&str, &[u8]); 2] = [("set/a.bin", b"hello hello hello"), ("set/b.bin", b"world")];
    let tar: Vec<_> = members.iter().map(|(name, bytes)| (*name, b'0', *bytes)).collect();
    for (name, bytes) in [("a.zip", zip(&members)), ("a.tar.gz", tar_gz(&tar))] {
        assert_eq!(unpacked(name, &bytes, Limits::default()).unwrap(), files);
        for cut in 0..bytes.len() {
            assert!(unpacked(name, &bytes[..cut], Limits::default()).is_err(), "{name} cut at {cut}");
        }
        for at in 0..bytes.len() {
            for bits in [0x01, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= bits;
                let Ok(files) = unpacked(name, &changed, Limits::default()) else { continue };
                // In a zip archive only contents have a checksum, not names.
                let content = |line: &String| line.split_once(": ").unwrap().1.to_owned();
                let known = ["hello hello hello", "world"];
                assert!(files.iter().all(|f| known.contains(&content(f).as_str())), "{name} at {at}: {files:?}");
            }
        }
    }
}

#[test]
fn an_archive_is_fetched_unpacked_removed_and_known_the_next_time() {
    let archive = zip(&[("set/cat.zip", &zip(&[("1.bin", b"one")])), ("set/dog/1.bin", b"two")]);
    let served = archive.clone();
    let server = Server::new(move |_, request, stream| serve(stream, request, &served));
    let folder = tempfile::tempdir().unwrap();
    let (to, source) = (folder.path().join("new/set"), source("set.zip", &archive, false, Then::Unpack));
    let run = || fetch(&source, &to, &server.options(), &Silent).unwrap()[0].how;
    let there = |path: &str| to.join(path).exists();
    assert_eq!(run(), How::Downloaded { resumed: 0 });
    assert!(there("set/cat/1.bin") && there("set/dog/1.bin") && !there("set.zip") && !there(".unpacking-set.zip"));
    assert_eq!((run(), server.requests().len()), (How::Found, 1));
    assert_eq!(status(&source, &to)[0].1, Presence::There);
    // Missing and shortened files are detected, and the other files do not prevent the repair.
    std::fs::write(to.join("set/dog/1.bin"), b"t").unwrap();
    assert_eq!(status(&source, &to)[0].1, Presence::Damaged);
    assert_eq!((run(), server.requests().len()), (How::Downloaded { resumed: 0 }, 2));
    assert_eq!(std::fs::read(to.join("set/dog/1.bin")).unwrap(), b"two");
    // An archive that the user put there is used and not deleted.
    std::fs::remove_dir_all(&to).unwrap();
    std::fs::create_dir_all(&to).unwrap();
    std::fs::write(to.join("set.zip"), &archive).unwrap();
    std::fs::create_dir_all(to.join(".unpacking-set.zip/half")).unwrap();
    assert_eq!((run(), server.requests().len()), (How::Found, 2));
    assert!(there("set/cat/1.bin") && there("set.zip") && !there(".unpacking-set.zip"));
}

#[test]
fn a_hostile_archive_of_the_right_checksum_leaves_the_folder_as_it_was() {
    let archive = zip(&[("fine", b"1"), ("../outside", b"2")]);
    let served = archive.clone();
    let server = Server::new(move |_, request, stream| serve(stream, request, &served));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("set");
    let error = fetch(&source("set.zip", &archive, true, Then::Unpack), &to, &server.options(), &Silent).unwrap_err();
    assert!(error.to_string().contains("entry ../outside: "), "{error}");
    assert_problem!(error, ArchiveProblem::LeadsOutOfFolder);
    let left: Vec<_> = std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["set.zip"]);
    assert!(!Path::new(&folder.path().join("outside")).exists());
}
