//! Tests miniature versions of published data sets, and real recordings if they exist.

use std::path::Path;

use tickless_events::info::{Info, digest, info};
use tickless_events::problem::DatasetProblem;
use tickless_events::{Choice, Columns, DataRequest, Dataset, Error, Event, Result, Sensor, Split, datasets};

use super::folder::{File, folder};
use super::made::{events, file, gz};
use super::parts::{part, recording, zip_bytes};
use tickless_testing::generate::recordings;
use tickless_testing::{assert_problem, folders};

const DVS128: Sensor = Sensor { width: 128, height: 128 };

fn open(name: &str, path: &Path) -> Result<Box<dyn Dataset>> {
    datasets::open(&DataRequest::new(name, Some(path)))
}

const CIFAR: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// 902 recordings of each class, which differ in their number of events.
#[cfg(feature = "aedat4")]
fn cifar(format: &str, extension: &str) -> Vec<File> {
    let name = |class: &str, i: usize| format!("{class}/cifar10_{class}_{i}.{extension}");
    let recordings = |class: &'static str, n: usize| {
        (0..n).map(move |i| (name(class, i), file(format, &events(1 + i % 7, DVS128, 5), Some(DVS128))))
    };
    CIFAR.iter().flat_map(|&class| recordings(class, 902)).collect()
}

#[cfg(feature = "aedat4")]
#[test]
fn cifar10_dvs_trains_on_the_first_900_of_each_class() {
    let root = tempfile::tempdir().unwrap();
    let (folders, zips) = (root.path().join("folders"), root.path().join("zips"));
    let files = cifar("aedat4", "aedat4");
    folder(&folders, &files);
    let by_class = CIFAR.map(|class| {
        let of: Vec<File> = files.iter().filter(|(name, _)| name.starts_with(class)).cloned().collect();
        (format!("{class}.zip"), zip_bytes(&of, false))
    });
    folder(&zips, &by_class);
    for path in [&folders, &zips] {
        let data = open("cifar10-dvs", path).unwrap();
        assert_eq!((data.len(Split::Train), data.len(Split::Test)), (9000, 20));
        assert_eq!(data.class_names(), CIFAR);
        // The order is by number: the last recordings are 900 and 901, not 98 and 99.
        let expected: Vec<_> = (0..10).flat_map(|c| [(c, 1 + 900 % 7), (c, 1 + 901 % 7)]).collect();
        assert_eq!(part(&*data, Split::Test), expected);
        let Info::Dataset(found) = info(path).unwrap() else { panic!() };
        assert_eq!(found.name, "cifar10-dvs");
    }
    std::fs::remove_file(zips.join("cat.zip")).unwrap();
    let error = open("cifar10-dvs", &zips).err().unwrap();
    let found = CIFAR.into_iter().filter(|class| *class != "cat").map(String::from).collect();
    assert_problem!(error, DatasetProblem::Classes { found, expected: CIFAR.map(String::from).into() });
}

#[test]
fn cifar10_dvs_turns_aedat2_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let stored = [Event { t_us: 5, x: 3, y: 100, on: true }, Event { t_us: 9, x: 127, y: 0, on: false }];
    let bytes = |format| file(format, &Columns::from(&stored[..]), Some(DVS128));
    let mut files: Vec<File> = Vec::new();
    for class in CIFAR {
        files.push((format!("{class}/cifar10_{class}_1.aedat"), bytes("aedat2")));
        files.push((format!("{class}/cifar10_{class}_2.dat"), bytes("dat")));
    }
    folder(root.path(), &files);
    let mut request = DataRequest::new("cifar10-dvs", Some(root.path()));
    request.train_first = Some(1);
    let data = datasets::open(&request).unwrap();
    let turned = [Event { t_us: 5, x: 27, y: 124, on: false }, Event { t_us: 9, x: 127, y: 0, on: true }];
    assert_eq!(recording(&*data, Split::Train, 0).columns().to_vec(), turned);
    assert_eq!(recording(&*data, Split::Test, 0).columns().to_vec(), stored);
}

#[test]
fn ncaltech101_leaves_annotations_out_and_keeps_the_background_class() {
    let root = tempfile::tempdir().unwrap();
    let bin = |n| file("nmnist-bin", &events(n, Sensor { width: 234, height: 174 }, 3), None);
    let mut inner: Vec<File> = Vec::new();
    for class in ["BACKGROUND_Google", "Faces_easy", "accordion"] {
        inner.extend((1..=20).map(|i| (format!("Caltech101/{class}/image_{i:04}.bin"), bin(i))));
    }
    let annotations: Vec<File> = vec![("Caltech101_annotations/accordion/annotation_0001.bin".into(), vec![1, 2])];
    let unpacked = root.path().join("unpacked");
    folder(&unpacked, &[inner.clone(), annotations.clone()].concat());
    let outer = [
        ("Caltech101.zip".to_string(), zip_bytes(&inner, false)),
        ("Caltech101_annotations.zip".into(), zip_bytes(&annotations, false)),
        ("README.md".into(), b"read me".to_vec()),
    ];
    let zip = root.path().join("N-Caltech101-archive.zip");
    std::fs::write(&zip, zip_bytes(&outer, true)).unwrap();
    for path in [unpacked, zip] {
        let data = open("ncaltech101", &path).unwrap();
        assert_eq!(data.class_names(), ["BACKGROUND_Google", "Faces_easy", "accordion"]);
        assert_eq!((data.len(Split::Train), data.len(Split::Test)), (54, 6));
        assert_eq!(data.kind(), datasets::SampleKind::Events(Sensor { width: 240, height: 180 }));
        assert!(part(&*data, Split::Test).iter().all(|&(_, n)| (1..=20).contains(&n)));
    }
}

#[test]
fn golden_ncaltech101_recording_lies_on_its_sensor() {
    let Some(real) = folders::data("ncaltech101/Faces_easy_image_0001.bin") else { return };
    let bytes = std::fs::read(real).unwrap();
    let root = tempfile::tempdir().unwrap();
    let name = |i| (format!("Faces_easy/image_000{i}.bin"), bytes.clone());
    folder(root.path(), &[name(1), name(2)]);
    let data = open("ncaltech101", root.path()).unwrap();
    let found = recording(&*data, Split::Test, 0);
    assert_eq!(found.len(), 67_445);
    assert_eq!(found.sensor(), Sensor { width: 240, height: 180 });
}

#[test]
fn golden_mnist_dvs_holds_100_recordings_of_ten_digits() {
    let Some(path) = folders::data("mnist-dvs") else { return };
    let data = open("mnist-dvs", &path).unwrap();
    assert_eq!((data.len(Split::Train), data.len(Split::Test)), (80, 20));
    assert_eq!(data.class_names(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let mut events = 0;
    for split in [Split::Train, Split::Test] {
        for i in 0..data.len(split) {
            let found = recording(&*data, split, i);
            assert_eq!((found.t_first_us().is_some(), found.t_last_us() <= Some(200_010)), (true, true));
            events += found.len();
        }
        for class in 0..10 {
            let count = (0..data.len(split)).filter(|&i| data.label(split, i) == class).count();
            assert_eq!(count, if split == Split::Train { 8 } else { 2 });
        }
    }
    assert_eq!(events, 538_109);
    let Info::Dataset(found) = info(&path).unwrap() else { panic!() };
    assert_eq!(found, data.describe());
    // Reading the zip archive itself gives the same recordings.
    let zip = open("mnist-dvs", &path.join("mnist-dvs-100.zip")).unwrap();
    assert_eq!(recording(&*zip, Split::Test, 3), recording(&*data, Split::Test, 3));
}

#[test]
fn golden_mnist_dvs_as_text_equals_its_array() {
    let (Some(set), Some(npy)) = (folders::data("mnist-dvs"), folders::data("formats/struct_txyp.npy")) else { return };
    let data = open("mnist-dvs", &set).unwrap();
    let wanted = digest(&tickless_events::formats::read(&npy).unwrap().events);
    let parts = [Split::Train, Split::Test].map(|s| (0..data.len(s)).map(move |i| (s, i)));
    let found = parts.into_iter().flatten().filter(|&(s, i)| digest(recording(&*data, s, i).columns()) == wanted);
    let labels: Vec<_> = found.map(|(s, i)| data.label(s, i)).collect();
    assert_eq!(labels, [3], "mnist-dvs/3/m33.txt");
}

/// A trial of DVS-Gesture.
fn gesture_array(events: &Columns) -> Vec<u8> {
    recordings::gesture_array(events.iter().map(|e| (e.t_us, e.x, e.y, e.on)))
}

#[test]
fn dvs_gesture_arrays_are_split_by_people() {
    let root = tempfile::tempdir().unwrap();
    let made: Vec<Columns> = (1..=5).map(|n| events(n, DVS128, 17)).collect();
    let arrays = [
        ("ibmGestureTrain/user02_led/10.npy", 0),
        ("ibmGestureTrain/user02_led/9.npy", 1),
        ("ibmGestureTrain/user23_natural/0.npy", 2),
        ("ibmGestureTest/user24_fluorescent/3.npy", 3),
        ("ibmGestureTest/user29_lab/1.npy", 4),
    ];
    folder(root.path(), &arrays.map(|(name, i)| (name.to_string(), gesture_array(&made[i]))));
    folder(root.path(), &[("LICENSE.txt".into(), vec![])]);
    let data = open("dvs-gesture", root.path()).unwrap();
    assert_eq!(part(&*data, Split::Train), [(9, 2), (10, 1), (0, 3)]);
    assert_eq!(part(&*data, Split::Test), [(3, 4), (1, 5)]);
    assert_eq!(recording(&*data, Split::Train, 1).columns(), &made[0]);
    let Info::Dataset(found) = info(root.path()).unwrap() else { panic!() };
    assert_eq!(found.name, "dvs-gesture");
    for wrong in ["user30_led/1.npy", "user02_led/11.npy", "user02_led/a.npy", "led/1.npy"] {
        let root = tempfile::tempdir().unwrap();
        folder(root.path(), &[(wrong.into(), gesture_array(&made[0]))]);
        let error = open("dvs-gesture", root.path()).err().unwrap();
        assert_problem!(error, DatasetProblem::NoTrial);
    }
}

#[test]
fn dvs_gesture_trials_are_cut_out_of_aedat31_by_their_labels() {
    let root = tempfile::tempdir().unwrap();
    // An event every 50 µs, from time 0 on.
    let all = events(40_000, DVS128, 0);
    let labels = b"class,startTime_usec,endTime_usec\n1,1000,2000\n11,2000,1000000\r\n3,1900000,5000000\n";
    let files = |extra: &[(&str, &[u8])]| -> Vec<File> {
        let mut files = vec![
            ("trials_to_train.txt".to_string(), b"user01_led.aedat\n\n".to_vec()),
            ("trials_to_test.txt".into(), b"user24_lab.aedat\n".to_vec()),
            ("user01_led_labels.csv".into(), labels.to_vec()),
            ("user24_lab_labels.csv".into(), labels[..labels.len() - 20].to_vec()),
        ];
        for user in ["user01_led", "user24_lab"] {
            files.push((format!("{user}.aedat"), file("aedat31", &all, Some(DVS128))));
        }
        files.extend(extra.iter().map(|(name, bytes)| (name.to_string(), bytes.to_vec())));
        files.into_iter().map(|(name, bytes)| (format!("DvsGesture/{name}"), bytes)).collect()
    };
    folder(root.path(), &files(&[]));
    let zip = root.path().join("DvsGesture.zip");
    let data = open("dvs-gesture", &root.path().join("DvsGesture")).unwrap();
    std::fs::write(&zip, zip_bytes(&files(&[]), false)).unwrap();
    let zipped = open("dvs-gesture", &zip).unwrap();
    for data in [&data, &zipped] {
        // [1000, 2000) contains the events at 1000, 1050, …, 1950.
        assert_eq!(part(&**data, Split::Train), [(0, 20), (10, (1_000_000 - 2000) / 50), (2, 2000)]);
        assert_eq!(part(&**data, Split::Test).len(), 2);
        let first = recording(&**data, Split::Train, 0);
        assert_eq!((first.t_first_us(), first.t_last_us()), (Some(1000), Some(1950)));
    }
    for (name, bytes, at, line) in [
        ("user01_led_labels.csv", &b"12,0,5\n"[..], 0, "12,0,5"),
        ("user01_led_labels.csv", b"class,a,b\n1,5,5\n", 10, "1,5,5"),
        ("user01_led_labels.csv", b"class,a,b\n1,5\n", 10, "1,5"),
    ] {
        folder(root.path(), &files(&[(name, bytes)]));
        let error = open("dvs-gesture", &root.path().join("DvsGesture")).err().unwrap();
        assert_eq!(error.offset(), Some(at), "{error}");
        assert_problem!(error, DatasetProblem::NoGesture { line: line.into() });
    }
    for (name, bytes, missing) in [
        ("trials_to_train.txt", &b"user02_led.aedat\n"[..], "user02_led.aedat"),
        ("trials_to_test.txt", b"\n", "test part"),
    ] {
        folder(root.path(), &files(&[(name, bytes)]));
        let error = open("dvs-gesture", &root.path().join("DvsGesture")).err().unwrap();
        assert!(matches!(&error, Error::Missing { what, .. } if what.ends_with(missing)), "{error}");
    }
    folder(root.path(), &files(&[("user01_led_labels.csv", b"1,9000000,9000001\n")]));
    let data = open("dvs-gesture", &root.path().join("DvsGesture")).unwrap();
    let error = data.sample(Split::Train, 0).unwrap_err();
    assert!(error.to_string().contains("user01_led.aedat: "), "{error}");
    assert_problem!(error, DatasetProblem::NoEvents { start_us: 9_000_000, end_us: 9_000_001 });
}

#[cfg(feature = "hdf5")]
#[test]
fn golden_shd_files_are_two_parts_of_recordings() {
    let Some(like) = folders::data("formats/shd_like.h5") else { return };
    let bytes = std::fs::read(&like).unwrap();
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &[("shd_train.h5".into(), bytes.clone()), ("shd_test.h5.gz".into(), gz(&bytes))]);
    let data = open("shd", root.path()).unwrap();
    assert_eq!((data.len(Split::Train), data.len(Split::Test), data.classes()), (20, 20, 20));
    assert_eq!(recording(&*data, Split::Train, 7).len(), 0, "the empty sample");
    let rows = std::fs::read_to_string(like.with_file_name("shd_like.samples.csv")).unwrap();
    let rows: Vec<Vec<&str>> = rows.lines().map(|l| l.split(',').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|&n| n == name).unwrap();
    for (i, row) in rows[1..].iter().enumerate() {
        assert_eq!(data.label(Split::Train, i).to_string(), row[column("label")]);
        assert_eq!(recording(&*data, Split::Test, i).len().to_string(), row[column("spikes")]);
    }
    assert!(data.sample(Split::Test, 20).is_err());
    let Info::Dataset(found) = info(root.path()).unwrap() else { panic!() };
    assert_eq!(found.name, "shd");
    std::fs::remove_file(root.path().join("shd_test.h5.gz")).unwrap();
    let error = open("shd", root.path()).err().unwrap();
    assert!(matches!(&error, Error::Missing { what, .. } if what.starts_with("shd_test.h5 ")), "{error}");
}

#[test]
fn settings_that_a_set_does_not_support_are_refused() {
    for (name, change, choice) in [
        ("nmnist", &(|r: &mut DataRequest| r.sensor = Some(DVS128)) as &dyn Fn(&mut DataRequest), Choice::Sensor),
        ("mnist", &|r| r.test_share = Some(0.5), Choice::TestShare),
        ("dvs-gesture", &|r| r.train_first = Some(5), Choice::TrainFirst),
        ("mnist-dvs", &|r| r.sensor = Some(DVS128), Choice::Sensor),
    ] {
        let mut request = DataRequest::new(name, Some(Path::new(".")));
        change(&mut request);
        let error = datasets::open(&request).err().unwrap();
        assert_eq!(error.choices(), [choice], "{error}");
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
}
