//! Malicious archives are refused, and quickly.

use std::path::Path;
use std::time::Instant;

use tickless_events::problem::{ArchiveProblem, DatasetProblem, Problem};
use tickless_events::{DataRequest, Error, Result, Sensor, Split, datasets};
use tickless_testing::assert_problem;

use super::folder::{File, folder};
use super::made::{events, file};
use super::parts::zip_bytes;

const SENSOR: Sensor = Sensor { width: 32, height: 20 };

fn recordings() -> Vec<File> {
    let recording = |n: usize| file("es", &events(n, SENSOR, 0), Some(SENSOR));
    ["a/1.es", "a/2.es", "b/1.es", "b/2.es"].map(|name| (name.to_string(), recording(9))).into()
}

/// Opens the data set and reads every sample; returns the number of samples or the first error.
fn walk(path: &Path) -> Result<usize> {
    let data = datasets::open(&DataRequest::new("folder", Some(path)))?;
    let mut count = 0;
    for split in [Split::Train, Split::Test] {
        for i in 0..data.len(split) {
            data.sample(split, i)?;
            count += 1;
        }
    }
    Ok(count)
}

/// As `walk`, for an archive of these bytes; panics if it hangs.
fn soon(bytes: &[u8]) -> Result<usize> {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.zip");
    std::fs::write(&path, bytes).unwrap();
    let start = Instant::now();
    let result = walk(&path);
    assert!(start.elapsed() < tickless_testing::hang::HUNG_AFTER, "{result:?}");
    result
}

/// The error that reading an archive of these bytes returns.
fn refused(bytes: &[u8]) -> Error {
    let error = soon(bytes).err().unwrap();
    assert!(error.to_string().contains("x.zip"), "{error}");
    error
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../a/1.es", "a/../../1.es", "/a/1.es", "a\\..\\..\\1.es", "C:\\a\\1.es", "a/1.es\0.txt"] {
        // The writer normalises some names, so the test overwrites a name of the same length.
        let placeholder: String = "q".repeat(name.len());
        let mut bytes = zip_bytes(&[recordings(), vec![(placeholder.clone(), vec![])]].concat(), false);
        for at in 0..bytes.len() - name.len() {
            if bytes[at..].starts_with(placeholder.as_bytes()) {
                bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
            }
        }
        assert_problem!(refused(&bytes), ArchiveProblem::LeadsOut, "{name}");
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let bomb = ("a/0.es".to_string(), vec![0; (64 << 20) + 5]);
    let error = refused(&zip_bytes(&[recordings(), vec![bomb]].concat(), false));
    assert!(error.to_string().contains("a/0.es: "), "{error}");
    let bomb = |p: &Problem| matches!(p, Problem::Archive(ArchiveProblem::Bomb { limit_mb: 64, .. }));
    assert!(error.problem().is_some_and(bomb), "{error}");
}

/// At each occurrence of `magic`, overwrites the bytes that begin `at` bytes after its start.
fn patch(bytes: &mut [u8], magic: &[u8], at: usize, with: &[u8]) {
    for i in 0..bytes.len() {
        if bytes[i..].starts_with(magic) && i + at + with.len() <= bytes.len() {
            bytes[i + at..i + at + with.len()].copy_from_slice(with);
        }
    }
}

#[test]
fn claims_of_10_to_the_12_are_refused() {
    let whole = zip_bytes(&recordings(), false);
    // Central directory: compressed size at 20, size at 24. End record: number of entries at 8 and
    // 10, size of the directory at 12, its offset at 16.
    for (magic, at, with) in [
        (b"PK\x01\x02", 20, &[0xFE; 4][..]),
        (b"PK\x01\x02", 24, &[0xFE; 4]),
        (b"PK\x01\x02", 20, &[0xFF; 8]),
        (b"PK\x05\x06", 8, &[0xFF, 0xFE, 0xFF, 0xFE]),
        (b"PK\x05\x06", 12, &[0xFE; 8]),
    ] {
        let mut bytes = whole.clone();
        patch(&mut bytes, magic, at, with);
        assert_ne!(bytes, whole);
        // A wrong redundant field may be ignored (the end of the directory is stated twice). The
        // recordings must then be correct, which their checksums guarantee.
        match soon(&bytes) {
            Ok(count) => assert_eq!(count, 4),
            Err(error) => assert!(error.to_string().contains("x.zip"), "{error}"),
        }
    }
    // A zip64 end record that states 10^12 members, before a plain end record that refers to it.
    let end = whole.len() - 22;
    let start = u32::from_le_bytes(whole[end + 16..end + 20].try_into().unwrap());
    let mut bytes = whole[..end].to_vec();
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0]);
    bytes.extend([0; 8]);
    bytes.extend(1_000_000_000_000u64.to_le_bytes());
    bytes.extend(1_000_000_000_000u64.to_le_bytes());
    bytes.extend((end as u64 - u64::from(start)).to_le_bytes());
    bytes.extend(u64::from(start).to_le_bytes());
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend((end as u64).to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([0xFF; 12]);
    bytes.extend([0, 0]);
    refused(&bytes);
}

#[test]
fn truncated_and_corrupt_archives_are_errors_and_never_panics() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.zip");
    let whole = zip_bytes(&recordings(), false);
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(walk(&path).unwrap(), 4);
    for cut in (0..whole.len()).step_by(3) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(walk(&path).is_err(), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut corrupt = whole.clone();
        corrupt[at] ^= 0x5A;
        std::fs::write(&path, &corrupt).unwrap();
        let _ = walk(&path); // a date may change unnoticed
    }
}

#[test]
fn archives_in_archives_that_could_go_on_for_ever_are_refused() {
    let inner = zip_bytes(&recordings(), false);
    let wrap = |zip: &[u8]| zip_bytes(&[("in.zip".to_string(), zip.to_vec())], true);
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.zip");
    std::fs::write(&path, wrap(&inner)).unwrap();
    assert_eq!(walk(&path).unwrap(), 4);
    assert_problem!(refused(&wrap(&wrap(&inner))), ArchiveProblem::Nested);
    // Nine members that all refer to the bytes of the first.
    let many: Vec<File> = (0..9).map(|i| (format!("{i}.zip"), inner.clone())).collect();
    let mut bytes = zip_bytes(&many, true);
    let end = bytes.len() - 22;
    let start = u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap()) as usize;
    patch(&mut bytes[start..], b"PK\x01\x02", 42, &[0; 4]);
    // Removes the bytes of the other members, so that the directory follows the first one.
    let first = 30 + 5 + inner.len();
    bytes[end + 16..end + 20].copy_from_slice(&(first as u32).to_le_bytes());
    bytes.drain(first..start);
    let error = refused(&bytes);
    assert!(error.to_string().contains("1.zip: "), "{error}");
    assert_problem!(error, ArchiveProblem::SharedBytes);
}

#[cfg(unix)]
#[test]
fn links_that_lead_back_are_refused() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &recordings());
    let elsewhere = tempfile::tempdir().unwrap();
    folder(elsewhere.path(), &recordings());
    std::os::unix::fs::symlink(elsewhere.path().join("a"), root.path().join("c")).unwrap();
    assert_eq!(walk(root.path()).unwrap(), 6, "a link to another place is a folder like any other");
    for i in 0..9 {
        std::os::unix::fs::symlink(root.path(), root.path().join(format!("a/loop{i}"))).unwrap();
    }
    let error = walk(root.path()).err().unwrap();
    assert!(error.to_string().contains("loop0: "), "{error}");
    assert_problem!(error, DatasetProblem::LinkBack);
}

#[cfg(unix)]
#[test]
fn a_link_to_a_recording_that_is_listed_itself_does_not_count_twice() {
    for to in ["a/1.es", "a"] {
        let root = tempfile::tempdir().unwrap();
        folder(root.path(), &recordings());
        let link = root.path().join(if to == "a" { "c" } else { "b/3.es" });
        std::os::unix::fs::symlink(root.path().join(to), &link).unwrap();
        let error = walk(root.path()).unwrap_err();
        let target = root.path().join(to).canonicalize().unwrap().display().to_string();
        assert_problem!(error, at format!("{}: ", link.display()), DatasetProblem::LinkInside { target });
        std::fs::remove_file(&link).unwrap();
        assert_eq!(walk(root.path()).unwrap(), 4, "the remedy works");
    }
}

#[test]
fn a_link_in_an_archive_is_no_recording() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in recordings() {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &bytes).unwrap();
    }
    zip.add_symlink("b/3.es", "../a/1.es", zip::write::SimpleFileOptions::default()).unwrap();
    let error = soon(&zip.finish().unwrap().into_inner()).unwrap_err();
    assert!(error.to_string().contains("member b/3.es: "), "{error}");
    assert_problem!(error, ArchiveProblem::Link);
}

#[test]
fn a_member_of_another_method_or_with_a_password_is_named_with_what_helps() {
    // 12 is bzip2, 14 LZMA, 93 Zstandard; bit 0 of the flags says that a member is encrypted.
    for (method, flags) in [(12u16, 0u16), (14, 0), (93, 0), (8, 1)] {
        let mut bytes = zip_bytes(&recordings(), false);
        for (magic, at) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
            patch(&mut bytes, magic, at, &[flags.to_le_bytes(), method.to_le_bytes()].concat());
        }
        let error = soon(&bytes).unwrap_err();
        assert!(error.to_string().contains(".es: "), "{method}: {error}");
        match error.problem() {
            Some(Problem::Archive(ArchiveProblem::Encrypted)) => assert_eq!(flags, 1, "{method}: {error}"),
            Some(Problem::Archive(ArchiveProblem::Method { .. })) => assert_eq!(flags, 0, "{method}: {error}"),
            _ => panic!("{method}: {error}"),
        }
        let Error::Unexpected { remedy, .. } = &error else { panic!("{method}: {error}") };
        assert!(remedy.to_string().contains("deflate"), "{method}: {error}");
    }
}
