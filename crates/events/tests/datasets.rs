//! Tests data sets in generated folders and archives: layouts, and everything that can be wrong.

use std::fs;
use std::io::Write;
use std::path::Path;

use tickless_events::formats::nmnist_bin;
use tickless_events::problem::{ArchiveProblem, DatasetProblem, Problem, Truncation};
use tickless_events::{DataRequest, Dataset, Error, Event, Result, Sample, Sensor, Split, datasets};
use tickless_testing::assert_problem;
use zip::write::SimpleFileOptions;

fn open(name: &str, path: &Path) -> Result<Box<dyn Dataset>> {
    datasets::open(&DataRequest::new(name, Some(path)))
}

/// What a data set misses.
fn missing(name: &str, path: &Path) -> String {
    match open(name, path).err() {
        Some(Error::Missing { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

/// A recording of `n` events.
fn recording(n: u16) -> Vec<u8> {
    let event = |i| Event { t_us: u64::from(i) * 100, x: i % 34, y: i % 7, on: i % 3 == 0 };
    nmnist_bin::encode((0..n).map(event)).unwrap()
}

fn zip(path: &Path, members: &[(&str, Vec<u8>)]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn folder(root: &Path, members: &[(&str, Vec<u8>)]) {
    for (name, bytes) in members {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

const MEMBERS: [(&str, u16); 5] = [
    ("Train/7/00010.bin", 10),
    ("Train/3/00002.bin", 2),
    ("Train/7/00001.bin", 1),
    ("Test/0/00001.bin", 11),
    ("Test/9/00002.bin", 12),
];

fn members(part: &str) -> Vec<(&'static str, Vec<u8>)> {
    let of = MEMBERS.iter().filter(|(name, _)| name.starts_with(part));
    of.map(|&(name, n)| (name, recording(n))).collect()
}

fn check(data: &dyn Dataset) {
    let part = |split| {
        (0..data.len(split))
            .map(|i| match data.sample(split, i).unwrap() {
                Sample::Events(recording) => (data.label(split, i), recording.len()),
                Sample::Image(_) => panic!("an image"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(part(Split::Train), [(7, 1), (3, 2), (7, 10)], "sorted by id");
    assert_eq!(part(Split::Test), [(0, 11), (9, 12)]);
    let error = data.sample(Split::Test, 2).unwrap_err();
    let Error::NoSample { dataset, split: "test", index: 2, len: 2 } = &error else { panic!("{error}") };
    assert_eq!(dataset, "nmnist");
}

#[test]
fn nmnist_reads_alike_from_two_zips_one_zip_and_folders() {
    let root = tempfile::tempdir().unwrap();
    let zips = root.path().join("zips");
    fs::create_dir(&zips).unwrap();
    zip(&zips.join("Train.zip"), &members("Train"));
    zip(&zips.join("Test.zip"), &members("Test"));
    check(&*open("nmnist", &zips).unwrap());
    let one = root.path().join("all.zip");
    let litter = [("__MACOSX/x", vec![1]), ("Train/3/.DS_Store", vec![2])];
    zip(&one, &[members("Train"), members("Test"), litter.to_vec()].concat());
    check(&*open("nmnist", &one).unwrap());
    let folders = root.path().join("folders");
    folder(&folders, &members(""));
    folder(&folders, &[("Train/3/.hidden", vec![1]), ("readme.txt", vec![])]);
    check(&*open("nmnist", &folders).unwrap());
}

#[test]
fn a_missing_part_of_nmnist_is_named() {
    let root = tempfile::tempdir().unwrap();
    zip(&root.path().join("Train.zip"), &members("Train"));
    assert!(missing("nmnist", root.path()).starts_with("Test.zip "));
    let train = root.path().join("Train.zip");
    let error = open("nmnist", &train).err().unwrap();
    assert!(matches!(&error, Error::Missing { path, .. } if *path == train), "{error}");
}

#[test]
fn a_wrong_file_among_the_recordings_is_named() {
    let no_digit = |class: &str| DatasetProblem::NoDigit { class: class.into() };
    for (wrong, problem) in [
        ("Train/3/notes.txt", Some(DatasetProblem::NoRecording { file: "notes.txt".into() })),
        ("Train/x/00001.bin", Some(no_digit("x"))),
        ("Train/10/00001.bin", Some(no_digit("10"))),
        ("Train/00001.bin", Some(DatasetProblem::NotInClass)),
        ("Train/1/2/00001.bin", None),
    ] {
        let root = tempfile::tempdir().unwrap();
        folder(root.path(), &members(""));
        folder(root.path(), &[(wrong, recording(1))]);
        let error = open("nmnist", root.path()).err().unwrap();
        let name = wrong.trim_end_matches("/00001.bin");
        assert!(error.to_string().contains(name), "{error}");
        if let Some(problem) = problem {
            assert_problem!(error, problem);
        }
        let root = tempfile::tempdir().unwrap();
        zip(&root.path().join("Test.zip"), &members("Test"));
        zip(&root.path().join("Train.zip"), &[members("Train"), vec![(wrong, vec![])]].concat());
        let error = open("nmnist", root.path()).err().unwrap();
        assert!(error.to_string().contains(&format!("Train.zip: member {wrong}: ")), "{error}");
    }
}

#[test]
fn a_broken_recording_is_named_with_its_byte_and_harms_no_other() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &members(""));
    let truncated = recording(3)[..13].to_vec();
    let outside = nmnist_bin::encode([Event { t_us: 0, x: 1, y: 34, on: true }]).unwrap();
    let bad = [("Train/1/00003.bin", truncated), ("Train/1/00004.bin", outside)];
    folder(root.path(), &bad);
    let data = open("nmnist", root.path()).unwrap();
    let error = |i| data.sample(Split::Train, i).unwrap_err();
    assert!(error(2).to_string().contains("Train/1/00003.bin: byte 10: "), "{}", error(2));
    assert_problem!(error(2), Truncation::Size { part: "the last event".into(), found: 3, expected: 5 });
    assert!(error(3).to_string().contains("00004.bin: byte 0: "), "{}", error(3));
    assert_problem!(error(3), Problem::Outside { sensor: Sensor::NMNIST, x: 1, y: 34 });
    assert!(data.sample(Split::Train, 4).is_ok());
    zip(&root.path().join("all.zip"), &[members(""), bad.to_vec()].concat());
    let data = open("nmnist", &root.path().join("all.zip")).unwrap();
    let error = data.sample(Split::Train, 2).unwrap_err().to_string();
    assert!(error.contains("all.zip: member Train/1/00003.bin: byte 10"), "{error}");
}

#[test]
fn a_bomb_in_an_archive_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("all.zip");
    zip(&path, &[members(""), vec![("Train/1/00003.bin", vec![0; (64 << 20) + 5])]].concat());
    assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
    let data = open("nmnist", &path).unwrap();
    let error = data.sample(Split::Train, 2).unwrap_err();
    let bomb = |p: &Problem| matches!(p, Problem::Archive(ArchiveProblem::Bomb { limit_mb: 64, .. }));
    assert!(error.problem().is_some_and(bomb), "{error}");
}

#[test]
fn truncated_and_corrupt_archives_are_errors_and_never_panics() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("all.zip");
    zip(&path, &members(""));
    let whole = fs::read(&path).unwrap();
    let walk = || {
        let data = open("nmnist", &path)?;
        for split in [Split::Train, Split::Test] {
            for i in 0..data.len(split) {
                data.sample(split, i)?;
            }
        }
        Ok::<(), Error>(())
    };
    for cut in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(walk().is_err(), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut corrupt = whole.clone();
        corrupt[at] ^= 0x5A;
        fs::write(&path, &corrupt).unwrap();
        let _ = walk(); // a date or comment may change unnoticed; data may not, see the checksum
    }
}

#[test]
fn cifar10_takes_whatever_batches_there_are_in_order_of_number() {
    let root = tempfile::tempdir().unwrap();
    let record = |label: u8| [vec![label], vec![label; 3072]].concat();
    assert!(missing("cifar10", root.path()).starts_with("data_batch_1.bin "));
    folder(
        root.path(),
        &[
            ("data_batch_10.bin", record(3)),
            ("data_batch_2.bin", [record(1), record(2)].concat()),
            ("test_batch.bin", record(9)),
            ("readme.html", vec![]),
        ],
    );
    let data = open("cifar10", root.path()).unwrap();
    let labels: Vec<_> = (0..data.len(Split::Train)).map(|i| data.label(Split::Train, i)).collect();
    assert_eq!(labels, [1, 2, 3]);
    assert_eq!(data.class_names()[9], "truck");
    fs::write(root.path().join("test_batch.bin"), &record(9)[..3000]).unwrap();
    let error = open("cifar10", root.path()).err().unwrap();
    assert!(error.to_string().contains("test_batch.bin: byte 0: "), "{error}");
    assert_problem!(error, Truncation::Size { part: "the last record".into(), found: 3000, expected: 3073 });
}

#[test]
fn mnist_files_that_disagree_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let idx = |words: &[u32], values: &[u8]| {
        words.iter().flat_map(|w| w.to_be_bytes()).chain(values.iter().copied()).collect::<Vec<_>>()
    };
    let images = |n: u32| idx(&[2051, n, 2, 2], &vec![7; 4 * n as usize]);
    let good = [
        ("train-images-idx3-ubyte", images(2)),
        ("train-labels-idx1-ubyte", idx(&[2049, 2], &[1, 9])),
        ("t10k-images-idx3-ubyte", images(1)),
        ("t10k-labels-idx1-ubyte", idx(&[2049, 1], &[0])),
    ];
    folder(root.path(), &good);
    let data = open("mnist", root.path()).unwrap();
    assert_eq!((data.label(Split::Train, 1), data.len(Split::Test)), (9, 1));
    assert!(open("mnist-dvs-sim", root.path()).unwrap().sample(Split::Test, 0).is_ok());
    let (found, expected) = ("10".into(), "less than 10".into());
    let claimed = u128::from(u32::MAX) * 9999 * 9999;
    for (name, bytes, at, problem) in [
        (
            "t10k-labels-idx1-ubyte",
            idx(&[2049, 2], &[0, 0]),
            Some(4),
            DatasetProblem::Labels { labels: 2, images: 1 }.into(),
        ),
        (
            "train-labels-idx1-ubyte",
            idx(&[2049, 2], &[1, 10]),
            Some(9),
            Problem::Expected { what: "label {}", found, expected },
        ),
        ("t10k-images-idx3-ubyte", idx(&[2051, 1, 1, 4], &[0; 4]), None, DatasetProblem::ImageSizes.into()),
        (
            "train-images-idx3-ubyte",
            idx(&[2051, u32::MAX, 9999, 9999], &[]),
            Some(4),
            Truncation::Claim { claimed, held: 0, unit: "pixels" }.into(),
        ),
    ] {
        folder(root.path(), &good);
        folder(root.path(), &[(name, bytes)]);
        let error = open("mnist", root.path()).err().unwrap();
        assert_eq!(error.offset(), at, "{error}");
        assert_problem!(error, problem);
    }
    folder(root.path(), &good);
    fs::remove_file(root.path().join("train-labels-idx1-ubyte")).unwrap();
    assert!(missing("mnist", root.path()).starts_with("train-labels-idx1-ubyte "));
}
