//! For a broken folder or archive, and for files that are not recordings, `info` names the cause.

use std::path::Path;

use tickless_events::formats;
use tickless_events::info::{Info, info};
use tickless_events::problem::{DatasetProblem, Problem};
use tickless_events::{Error, Sensor};
use tickless_testing::assert_problem;

use super::folder::{File, folder};
use super::made::{events, file, gz};
use super::parts::zip_bytes;

const SENSOR: Sensor = Sensor { width: 34, height: 34 };

fn dat() -> Vec<u8> {
    file("dat", &events(50, SENSOR, 1), Some(SENSOR))
}

/// The name of the data set at a path, and the number of its classes and samples.
fn known(path: &Path) -> (String, usize, usize) {
    match info(path).unwrap() {
        Info::Dataset(found) => (found.name, found.classes, found.train + found.test),
        other => panic!("{other}"),
    }
}

fn error(path: &Path) -> Error {
    let error = info(path).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with(&path.display().to_string()) && said.len() < 600, "{said}");
    error
}

/// What the data set at a path misses.
fn missing(path: &Path) -> String {
    match error(path) {
        Error::Missing { what, .. } => what,
        other => panic!("{other}"),
    }
}

fn not_a_zip(error: &Error) -> bool {
    matches!(error.problem(), Some(Problem::Unreadable { what: "zip archive", .. }))
}

#[test]
fn a_part_too_many_is_named() {
    let root = tempfile::tempdir().unwrap();
    let part_of_two_classes = |part: &'static str| ["a", "b"].map(|class| (format!("{part}/{class}/0.dat"), dat()));
    folder(root.path(), &["train", "valid", "test"].map(part_of_two_classes).concat());
    let [train, test, other] = ["train", "test", "valid"].map(String::from);
    assert_problem!(error(root.path()), DatasetProblem::ThirdPart { train, test, other });
}

#[test]
fn missing_labels_of_dvs_gesture_are_named() {
    let root = tempfile::tempdir().unwrap();
    let recording = || file("aedat31", &events(9, SENSOR, 1), None);
    let mut files: Vec<File> = Vec::new();
    for (user, part) in [("user01_led", "train"), ("user24_led", "test")] {
        files.push((format!("{user}.aedat"), recording()));
        files.push((format!("trials_to_{part}.txt"), format!("{user}.aedat\n").into_bytes()));
    }
    files.push(("user24_led_labels.csv".into(), b"class,startTime_usec,endTime_usec\n1,0,5000\n".to_vec()));
    folder(root.path(), &files);
    assert_eq!(missing(root.path()), "user01_led_labels.csv");
    std::fs::remove_file(root.path().join("trials_to_train.txt")).unwrap();
    assert_eq!(missing(root.path()), "trials_to_train.txt");
}

#[test]
fn parts_named_as_those_of_nmnist_do_not_make_nmnist() {
    let root = tempfile::tempdir().unwrap();
    let part_of_two_classes = |part: &'static str| ["a", "b"].map(|class| (format!("{part}/{class}/0.dat"), dat()));
    let files = ["Train", "Test"].map(part_of_two_classes).concat();
    folder(root.path(), &files);
    assert_eq!(known(root.path()), ("folder".into(), 2, 4));
    let zip = root.path().join("own.zip");
    std::fs::write(&zip, zip_bytes(&files, false)).unwrap();
    assert_eq!(known(&zip), ("folder".into(), 2, 4));
    // Class folders named by digits are not N-MNIST without its recordings.
    let digits = root.path().join("digits");
    folder(&digits, &["Train/0/0.dat", "Train/1/0.dat", "Test/0/0.dat", "Test/1/0.dat"].map(|n| (n.into(), dat())));
    assert_eq!(known(&digits), ("folder".into(), 2, 4));
}

#[test]
fn what_is_wrong_with_nmnist_is_named() {
    let root = tempfile::tempdir().unwrap();
    let bin = || file("nmnist-bin", &events(20, SENSOR, 1), None);
    let mut names: Vec<String> =
        ["Train", "Test"].iter().flat_map(|part| (0..10).map(move |d| format!("{part}/{d}/1.bin"))).collect();
    names.push("Train/extra/1.bin".into());
    folder(root.path(), &names.iter().map(|name| (name.clone(), bin())).collect::<Vec<_>>());
    let found = info(root.path()).unwrap_err();
    assert!(found.to_string().contains("Train/extra/1.bin: "), "{found}");
    assert_problem!(found, DatasetProblem::NoDigit { class: "extra".into() });
    std::fs::remove_dir_all(root.path().join("Train/extra")).unwrap();
    assert_eq!(known(root.path()), ("nmnist".into(), 10, 20));
    std::fs::remove_dir_all(root.path().join("Test")).unwrap();
    assert!(missing(root.path()).starts_with("Test.zip "));
    std::fs::remove_dir_all(root.path().join("Train")).unwrap();
    std::fs::write(root.path().join("Train.zip"), b"no zip").unwrap();
    let found = info(root.path()).unwrap_err();
    assert!(not_a_zip(&found) && found.to_string().contains("Train.zip: "), "{found}");
}

#[test]
fn names_that_begin_with_a_dot_and_a_slash_are_names() {
    let root = tempfile::tempdir().unwrap();
    for (i, prefix) in ["./", "", "././", ".\\"].iter().enumerate() {
        let slash = if prefix.contains('\\') { "\\" } else { "/" };
        let name = |part: &str, class: &str| format!("{prefix}{part}{slash}{class}{slash}0.dat");
        let files = [("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")].map(|(p, c)| (name(p, c), dat()));
        let zip = root.path().join(format!("{i}.zip"));
        std::fs::write(&zip, zip_bytes(&files, false)).unwrap();
        assert_eq!(known(&zip), ("folder".into(), 2, 4), "{prefix}");
        // An archive is recognised whatever its name is.
        let other = root.path().join(format!("{i}.archive"));
        std::fs::copy(&zip, &other).unwrap();
        assert_eq!(known(&other), ("folder".into(), 2, 4));
    }
    let bin = file("nmnist-bin", &events(20, SENSOR, 1), None);
    let files = ["./Train/3/1.bin", "./Test/4/1.bin"].map(|name| (name.to_string(), bin.clone()));
    let zip = root.path().join("nmnist.zip");
    std::fs::write(&zip, zip_bytes(&files, false)).unwrap();
    assert_eq!(known(&zip), ("nmnist".into(), 10, 2));
}

#[test]
fn one_file_that_is_wrong_is_named_and_not_the_list_of_data_sets() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    folder(&path("stray"), &[("a/0.dat".into(), dat()), ("b/0.dat".into(), dat()), ("b/notes.pdf".into(), vec![1])]);
    let found = info(&path("stray")).unwrap_err();
    assert!(found.to_string().contains("notes.pdf: "), "{found}");
    assert_problem!(found, DatasetProblem::OtherFile);
    folder(&path("archive"), &[("a/0.dat".into(), dat()), ("b.zip".into(), b"broken".to_vec())]);
    let found = info(&path("archive")).unwrap_err();
    assert!(found.to_string().contains("b.zip: "), "{found}");
    assert_problem!(found, DatasetProblem::ArchiveBeside);
    folder(&path("flat"), &[("0.dat".into(), dat()), ("1.dat".into(), dat())]);
    let flat = error(&path("flat"));
    assert!(matches!(&flat, Error::Missing { path: of, .. } if *of == path("flat")), "{flat}");
    folder(&path("mnist"), &[("train-images-idx3-ubyte".into(), vec![0, 0, 8, 3])]);
    assert_eq!(missing(&path("mnist")), "train-labels-idx1-ubyte (plain or .gz)");
    std::fs::write(path("broken.zip"), b"PK").unwrap();
    assert!(not_a_zip(&error(&path("broken.zip"))));
    folder(&path("papers"), &[("a.pdf".into(), vec![1]), ("b.pdf".into(), vec![1])]);
    assert_problem!(error(&path("papers")), DatasetProblem::NoDataset { contents: "a.pdf, b.pdf".into() });
}

#[test]
fn images_and_random_bytes_are_not_viewed_as_recordings() {
    let root = tempfile::tempdir().unwrap();
    let mut state = 7u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    // Five records of CIFAR-10 have 15,365 bytes, a multiple of five.
    let records: Vec<u8> = (0..5 * 3073).map(|i| if i % 3073 == 0 { i as u8 % 10 } else { byte() }).collect();
    for (name, bytes) in [("test_batch.bin", records.clone()), ("test_batch.bin.gz", gz(&records))] {
        let path = root.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let refused = formats::open(&path).err().unwrap();
        assert_problem!(refused, Problem::NoRecording { what: "images of CIFAR in binary records" });
        assert!(matches!(info(&path), Ok(Info::Images { format: "cifar10", count: 5, .. })));
    }
    let path = root.path().join("cut.bin.gz");
    let packed = gz(&records);
    std::fs::write(&path, &packed[..packed.len() - 9]).unwrap();
    let cut = info(&path).unwrap_err();
    assert!(matches!(cut.problem(), Some(Problem::Broken { what: "broken gzip stream", .. })), "{cut}");
    let path = root.path().join("images.idx");
    let header = [0, 0, 8, 3, 0, 0, 0, 100, 0, 0, 0, 28, 0, 0, 0, 28];
    let mut images = header.into_iter().chain([9; 100 * 784]).collect::<Vec<u8>>();
    std::fs::write(&path, &images).unwrap();
    assert!(matches!(info(&path), Ok(Info::Images { format: "idx", count: 100, shape: [1, 28, 28] })));
    images.pop();
    std::fs::write(&path, &images).unwrap();
    assert!(info(&path).is_err());
    let mut wrong = records;
    wrong[2 * 3073] = 10;
    for name in ["test_batch.bin", "test_batch.bin.gz"] {
        let path = root.path().join(name);
        std::fs::write(&path, if name.ends_with("gz") { gz(&wrong) } else { wrong.clone() }).unwrap();
        let refused = info(&path).unwrap_err();
        let (found, expected) = ("10".into(), "less than 10".into());
        assert_problem!(refused, at format!("{}: byte 6146: ", path.display()), Problem::Expected {
            what: "label {}",
            found,
            expected,
        });
    }
    let path = root.path().join("random.bin");
    std::fs::write(&path, (0..20_000).map(|_| byte()).collect::<Vec<u8>>()).unwrap();
    for refused in [formats::open(&path).err().unwrap(), info(&path).unwrap_err()] {
        assert!(matches!(refused.problem(), Some(Problem::TimesFall { .. })), "{refused}");
        assert!(refused.to_string().contains("random.bin: byte "), "{refused}");
    }
    for (name, bytes, what) in [
        ("a.raw", &b"#ROSBAG V2.0\n"[..], "a ROS bag"),
        ("x", b"MATLAB 5.0 MAT-file", "a MATLAB file"),
        ("a.bin", b"BZh9", "packed with bzip2"),
    ] {
        let path = root.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        for refused in [formats::open(&path).err().unwrap(), info(&path).unwrap_err()] {
            assert_problem!(refused, Problem::NoRecording { what });
        }
    }
}

#[test]
fn files_of_zeros_are_evidence_of_nothing() {
    let root = tempfile::tempdir().unwrap();
    let zeros = vec![0; 20 * 3073];
    for name in ["z.dat", "u.jpg", "a.tar", "a.raw", "a.es", "a.aedat", "a", "a.bin", "b.bin.gz", "5000.bin"] {
        let path = root.path().join(name);
        let bytes = if name == "5000.bin" { &zeros[..5000] } else { &zeros[..] };
        std::fs::write(&path, if name.ends_with("gz") { gz(bytes) } else { bytes.to_vec() }).unwrap();
        for refused in [formats::open(&path).and_then(|r| r.read_to_end()).err(), info(&path).err()] {
            let refused = refused.unwrap_or_else(|| panic!("{name} was read"));
            assert!(!matches!(refused.problem(), Some(Problem::NoRecording { .. })), "{refused}");
            let repeats = refused.problem() == Some(&Problem::OneEvent);
            assert_eq!(repeats, name.contains(".bin"), "{refused}");
        }
    }
    // The name of a member precedes the magic number of a tar archive, and its first byte may look
    // like a label.
    let mut tar: Vec<u8> = (0..20 * 3073u64).map(|i| if i % 3073 == 0 { 7 } else { (i * i / 7) as u8 }).collect();
    tar[257..262].copy_from_slice(b"ustar");
    std::fs::write(root.path().join("t"), tar).unwrap();
    for refused in [formats::open(&root.path().join("t")).err().unwrap(), info(&root.path().join("t")).unwrap_err()] {
        assert_problem!(refused, Problem::NoRecording { what: "a tar archive" });
    }
}
