//! Tests a user's own folder or zip archive: layouts, formats, sensors, splits.

use std::path::Path;

use tickless_events::problem::{ArchiveProblem, DatasetProblem};
use tickless_events::{Choice, DataRequest, Dataset, Error, Sensor, Split, datasets};
use tickless_testing::assert_problem;

use super::folder::{File, folder};
use super::made::{events, file, gz};
use super::parts::{part, zip_bytes};

const SENSOR: Sensor = Sensor { width: 32, height: 20 };

fn open(path: &Path, change: impl FnOnce(&mut DataRequest)) -> Result<Box<dyn Dataset>, Error> {
    let mut request = DataRequest::new("folder", Some(path));
    change(&mut request);
    datasets::open(&request)
}

/// The error of a request that is refused.
fn refused(path: &Path, change: impl FnOnce(&mut DataRequest)) -> Error {
    open(path, change).err().expect("refused")
}

/// A file of `n` events that states its sensor.
fn stating(n: usize) -> Vec<u8> {
    file("es", &events(n, SENSOR, n as u64), Some(SENSOR))
}

fn named(files: &[(&str, usize)]) -> Vec<File> {
    files.iter().map(|&(name, n)| (name.to_string(), stating(n))).collect()
}

/// A data set of the classes a2, a10 and b, with recordings whose natural order matters.
fn layout() -> Vec<File> {
    named(&[("b/x.es", 6), ("a10/r10.es", 3), ("a10/r9.es", 2), ("a10/more/r1.es", 1), ("a2/1.es", 4), ("a2/2.es", 5)])
}

/// Verifies the data set, with the first recording of each class for training.
fn check(data: &dyn Dataset) {
    assert_eq!(data.class_names(), ["a2", "a10"]);
    assert_eq!(part(data, Split::Train), [(0, 4), (1, 1)]);
    assert_eq!(part(data, Split::Test), [(0, 5), (1, 2), (1, 3)]);
    let error = data.sample(Split::Test, 3).unwrap_err();
    let Error::NoSample { dataset, split: "test", index: 3, len: 3 } = &error else { panic!("{error}") };
    assert_eq!(dataset, "folder");
}

#[test]
fn folders_zips_and_wrapped_zips_read_alike() {
    let root = tempfile::tempdir().unwrap();
    let files: Vec<File> = layout().into_iter().filter(|(name, _)| !name.starts_with('b')).collect();
    let first = |r: &mut DataRequest| r.train_first = Some(1);
    let readme = ("readme.md".to_string(), vec![1]);
    let wrap = |files: &[File], by: &str| -> Vec<File> {
        files.iter().map(|(name, bytes)| (format!("{by}/{name}"), bytes.clone())).collect()
    };
    let plain = root.path().join("plain");
    folder(&plain, &[files.clone(), vec![readme.clone()]].concat());
    check(&*open(&plain, first).unwrap());
    let wrapped = root.path().join("wrapped");
    folder(&wrapped, &[wrap(&wrap(&files, "data"), "outer"), wrap(std::slice::from_ref(&readme), "outer")].concat());
    check(&*open(&wrapped, first).unwrap());
    for (i, stored) in [true, false].into_iter().enumerate() {
        // Opens the archive itself, and a folder that contains only the archive.
        let zipped = root.path().join(format!("zipped{i}"));
        let bytes = zip_bytes(&[wrap(&files, "top"), vec![readme.clone()]].concat(), stored);
        folder(&zipped, &[("set.zip".into(), bytes)]);
        check(&*open(&zipped.join("set.zip"), first).unwrap());
        check(&*open(&zipped, first).unwrap());
    }
    // One zip archive for each class, in a folder and stored in another zip archive.
    let by_class: Vec<File> = ["a2", "a10"]
        .map(|class| {
            let of: Vec<File> =
                files.iter().filter(|(name, _)| name.starts_with(&format!("{class}/"))).cloned().collect();
            (format!("{class}.zip"), zip_bytes(&of, false))
        })
        .into();
    let zips = root.path().join("zips");
    folder(&zips, &by_class);
    check(&*open(&zips, first).unwrap());
    let nested = root.path().join("nested.zip");
    std::fs::write(&nested, zip_bytes(&by_class, true)).unwrap();
    check(&*open(&nested, first).unwrap());
    std::fs::write(&nested, zip_bytes(&by_class, false)).unwrap();
    assert_problem!(refused(&nested, first), ArchiveProblem::Compressed);
}

#[test]
fn an_archive_unpacked_beside_itself_does_not_count_twice() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &named(&[("a/1.es", 1), ("a/2.es", 2), ("b/1.es", 3), ("b/2.es", 4)]));
    let zip = zip_bytes(&named(&[("a/1.es", 1)]), false);
    folder(root.path(), &[("a.zip".into(), zip.clone())]);
    let data = open(root.path(), |_| ()).unwrap();
    assert_eq!(data.len(Split::Train) + data.len(Split::Test), 4);
    folder(root.path(), &[("all.zip".into(), zip)]);
    let place = format!("{}: ", root.path().join("all.zip").display());
    assert_problem!(refused(root.path(), |_| ()), at place, DatasetProblem::ArchiveBeside);
}

#[test]
fn all_formats_may_be_mixed_and_gzipped() {
    let root = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (i, format) in formats().enumerate() {
        let bytes = file(format.name, &events(20 + i, SENSOR, 1), Some(SENSOR));
        let name = format!("{}/{i:02}.{}", i % 2, format.extensions[0]);
        files.push((format!("{name}.gz"), gz(&bytes)));
        files.push((name, bytes));
    }
    let count = files.len();
    folder(&root.path().join("plain"), &files);
    let zip = root.path().join("all.zip");
    std::fs::write(&zip, zip_bytes(&files, false)).unwrap();
    for path in [root.path().join("plain"), zip] {
        let data = open(&path, |r| r.sensor = Some(SENSOR)).unwrap();
        assert_eq!(data.len(Split::Train) + data.len(Split::Test), count);
        let mut seen: Vec<_> = [Split::Train, Split::Test].iter().flat_map(|&s| part(&*data, s)).collect();
        seen.sort_unstable_by_key(|&(_, n)| n);
        let expected: Vec<_> = formats().enumerate().flat_map(|(i, _)| [(i % 2, 20 + i); 2]).collect();
        assert_eq!(seen, expected);
    }
}

/// The formats that can hold any events of the sensor.
fn formats() -> impl Iterator<Item = &'static tickless_events::formats::Format> {
    tickless_events::formats::FORMATS.iter().filter(|f| f.write.is_some())
}

#[test]
fn the_sensor_is_given_or_stated_or_asked_for() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &named(&[("a/1.es", 9), ("a/2.es", 9), ("b/1.es", 9), ("b/2.es", 9)]));
    let data = open(root.path(), |_| ()).unwrap();
    assert_eq!(data.kind(), datasets::SampleKind::Events(SENSOR));
    let larger = Sensor { width: 64, height: 64 };
    assert_eq!(open(root.path(), |r| r.sensor = Some(larger)).unwrap().kind(), datasets::SampleKind::Events(larger));
    // One class does not state its sensor.
    let bin = file("nmnist-bin", &events(9, SENSOR, 0), None);
    folder(root.path(), &[("c/1.bin".into(), bin.clone()), ("c/2.bin".into(), bin)]);
    let error = refused(root.path(), |_| ());
    assert_eq!(error.choices(), [Choice::Sensor]);
    let error = error.to_string();
    assert!(error.contains(".bin: ") && error.contains("29x19"), "the file, and what its events reach: {error}");
    // If an event lies outside the sensor, the error names the file.
    let data = open(root.path(), |r| r.sensor = Some(Sensor { width: 32, height: 15 })).unwrap();
    let error = (0..data.len(Split::Train)).find_map(|i| data.sample(Split::Train, i).err()).unwrap();
    let Error::StrayEvent { file, sensor, .. } = &error else { panic!("{error}") };
    assert!(file.ends_with(".es") && *sensor == Sensor { width: 32, height: 15 }, "{error}");
}

#[test]
fn parts_may_be_folders_or_zips_with_the_same_classes() {
    let root = tempfile::tempdir().unwrap();
    let files = named(&[("Train/a/1.es", 1), ("Train/b/2.es", 2), ("TEST/a/3.es", 3)]);
    folder(&root.path().join("parts"), &files);
    let zips = [
        ("train.zip".to_string(), zip_bytes(&named(&[("Train/a/1.es", 1), ("Train/b/2.es", 2)]), false)),
        ("test.zip".to_string(), zip_bytes(&named(&[("a/3.es", 3)]), false)),
    ];
    folder(&root.path().join("zips"), &zips);
    for path in ["parts", "zips"] {
        let data = open(&root.path().join(path), |_| ()).unwrap();
        assert_eq!(part(&*data, Split::Train), [(0, 1), (1, 2)]);
        assert_eq!(part(&*data, Split::Test), [(0, 3)]);
        let error = refused(&root.path().join(path), |r| r.test_share = Some(0.5));
        assert_eq!(error.choices(), [Choice::TestShare, Choice::TrainFirst], "{error}");
    }
    folder(&root.path().join("parts"), &named(&[("TEST/c/3.es", 3)]));
    let error = refused(&root.path().join("parts"), |_| ());
    assert_problem!(error, DatasetProblem::TestClass { class: "c".into() });
    folder(&root.path().join("zips"), &named(&[("val/c/3.es", 3)]));
    assert_problem!(refused(&root.path().join("zips"), |_| ()), DatasetProblem::ArchiveBeside);
    let third = root.path().join("third");
    folder(&third, &named(&[("train/a/1.es", 1), ("test/a/1.es", 1), ("val/a/1.es", 1)]));
    let [train, test, other] = ["train", "test", "val"].map(String::from);
    assert_problem!(refused(&third, |_| ()), DatasetProblem::ThirdPart { train, test, other });
}

#[test]
fn the_split_is_by_share_and_seed_unless_said_otherwise() {
    let root = tempfile::tempdir().unwrap();
    let files: Vec<File> = (0..40).map(|i| (format!("{}/{i}.es", i % 2), stating(i + 1))).collect();
    folder(root.path(), &files);
    let test = |change: &dyn Fn(&mut DataRequest)| part(&*open(root.path(), change).unwrap(), Split::Test);
    assert_eq!(test(&|_| ()).len(), 8, "a fifth");
    assert_eq!(test(&|_| ()), test(&|_| ()));
    assert_ne!(test(&|r| r.seed = 1), test(&|_| ()));
    assert_eq!(test(&|r| r.test_share = Some(0.5)).len(), 20);
    assert_eq!(test(&|r| r.train_first = Some(19)), [(0, 39), (1, 40)]);
    let both = &[Choice::TestShare, Choice::TrainFirst][..];
    for (change, value, choices) in [
        (&(|r: &mut DataRequest| r.train_first = Some(20)) as &dyn Fn(&mut DataRequest), "`0` has 20 ", both),
        (&|r| r.train_first = Some(0), "0 recordings", &[Choice::TrainFirst]),
        (&|r| r.test_share = Some(1.0), " of 1 ", &[Choice::TestShare]),
        (&|r| r.test_share = Some(f64::NAN), " of NaN ", &[Choice::TestShare]),
        (&|r| (r.test_share, r.train_first) = (Some(0.5), Some(1)), "both ", both),
    ] {
        let error = refused(root.path(), change);
        assert_eq!(error.choices(), choices, "{error}");
        assert!(error.to_string().contains(value), "{error}");
    }
    let note = open(root.path(), |r| r.seed = 9).unwrap().describe().to_string();
    assert!(note.contains("0.2000 of ") && note.contains(" seed 9"), "{note}");
}

#[test]
fn what_does_not_belong_in_a_class_is_named() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &layout());
    folder(root.path(), &[("b/.hidden".into(), vec![1]), ("b/y.es".into(), stating(3))]);
    assert!(open(root.path(), |_| ()).is_ok(), "hidden files are no recordings");
    folder(root.path(), &[("b/notes.pdf".into(), vec![1])]);
    let place = format!("{}: ", root.path().join("b/notes.pdf").display());
    assert_problem!(refused(root.path(), |_| ()), at place, DatasetProblem::OtherFile);
    std::fs::remove_file(root.path().join("b/notes.pdf")).unwrap();
    std::fs::create_dir(root.path().join("c")).unwrap();
    let place = format!("{}: ", root.path().join("c").display());
    assert_problem!(refused(root.path(), |_| ()), at place, DatasetProblem::Empty);
    let flat = root.path().join("flat");
    folder(&flat, &named(&[("1.es", 1)]));
    let error = refused(&flat, |_| ());
    let Error::Missing { path, remedy, .. } = &error else { panic!("{error}") };
    assert!(*path == flat && remedy.to_string().contains("CLASS/RECORDING"), "{error}");
}
