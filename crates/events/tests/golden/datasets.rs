//! Real data sets have the counts, labels, ranges and digests that are published beside them.

use std::collections::BTreeMap;
use std::path::Path;

use tickless_events::info::{Info, info};
use tickless_events::{DataRequest, Dataset, Sample, Split, datasets};

use tickless_testing::folders;

fn open(name: &str, path: &Path) -> Box<dyn Dataset> {
    let data = datasets::open(&DataRequest::new(name, Some(path))).unwrap();
    let published = datasets::list().iter().find(|d| d.name == name).unwrap().samples.unwrap();
    assert_eq!((data.kind(), data.classes()), (published.kind, published.classes));
    data
}

/// The rows of a CSV file, each as a map from column names to values.
fn csv(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').map(String::from).collect();
    lines.map(|l| names.iter().cloned().zip(l.split(',').map(String::from)).collect()).collect()
}

#[test]
fn golden_bin_files_have_the_expected_digests() {
    let Some(table) = folders::data("formats/expected.csv") else { return };
    let root = table.parent().unwrap().parent().unwrap();
    let rows = csv(&table);
    let bins: Vec<_> = rows.iter().filter(|r| r["file"].ends_with(".bin")).collect();
    assert!(!bins.is_empty());
    for row in bins {
        let Info::Events(found) = info(&root.join(&row["file"])).unwrap() else {
            panic!("{} is no file of events", row["file"]);
        };
        let number = |name: &str| row[name].parse::<u64>().unwrap();
        assert_eq!(found.events as u64, number("events"));
        assert_eq!(found.on as u64, number("on_events"));
        assert_eq!(found.t_first_us, Some(number("t_first_us")));
        assert_eq!(found.t_last_us, Some(number("t_last_us")));
        let range = |(a, b): (u16, u16)| (u64::from(a), u64::from(b));
        assert_eq!(found.x.map(range), Some((number("x_min"), number("x_max"))));
        assert_eq!(found.y.map(range), Some((number("y_min"), number("y_max"))));
        assert_eq!(found.sha256, row["sha256_of_13_byte_records"], "{}", row["file"]);
    }
}

#[test]
fn golden_nmnist_holds_what_its_index_says() {
    let Some(table) = folders::data("nmnist/index.csv") else { return };
    let data = open("nmnist", table.parent().unwrap());
    let mut rows = csv(&table);
    // Sorted by part and then by id, which is the order of the data set.
    rows.sort_by_key(|r| (r["path"].starts_with("Test"), r["path"].rsplit('/').next().map(String::from)));
    let train = data.len(Split::Train);
    assert_eq!(rows.len(), train + data.len(Split::Test));
    let check = |(i, row): (usize, &BTreeMap<String, String>)| {
        let (split, at) = if i < train { (Split::Train, i) } else { (Split::Test, i - train) };
        let Sample::Events(recording) = data.sample(split, at).unwrap() else { panic!() };
        let number = |prefix: &str| {
            let (_, value) = row.iter().find(|(name, _)| name.starts_with(prefix)).unwrap();
            value.parse::<u64>().unwrap()
        };
        assert_eq!(data.label(split, at) as u64, number("label"));
        assert_eq!(recording.len() as u64, number("events"));
        assert_eq!(recording.t_first_us(), Some(number("t_first")));
        assert_eq!(recording.t_last_us(), Some(number("t_last")));
        assert_eq!(recording.on_count() as u64, number("on"));
    };
    // Several threads read the same archive.
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let rows = &rows;
            scope.spawn(move || rows.iter().enumerate().skip(worker).step_by(4).for_each(check));
        }
    });
}

/// The decompressed size, which a gzip file states in its last four bytes.
fn unpacked(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    u32::from_le_bytes(bytes[bytes.len() - 4..].try_into().unwrap()) as usize
}

#[test]
fn golden_image_sets_hold_every_record_of_their_files() {
    // Name, size of the file header, size of a record, training files, test file.
    for (name, header, record, train, test) in [
        ("mnist", 16, 784, "train-images", "t10k-images"),
        ("cifar10", 0, 3073, "data_batch_", "test_batch"),
        ("cifar100", 0, 3074, "train.bin", "test.bin"),
    ] {
        let Some(folder) = folders::data(name) else { continue };
        let data = open(name, &folder);
        let count = |prefix: &str| -> usize {
            let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
            let files = files.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with(prefix));
            files.map(|p| (unpacked(&p) - header) / record).sum()
        };
        assert_eq!(data.len(Split::Train), count(train), "{name}");
        assert_eq!(data.len(Split::Test), count(test), "{name}");
        assert_eq!(data.class_names().len(), data.classes());
        let mut seen = vec![false; data.classes()];
        (0..data.len(Split::Test)).for_each(|i| seen[data.label(Split::Test, i)] = true);
        assert!(seen.iter().all(|&s| s), "{name}: a class without a test sample");
        let last = data.len(Split::Train) - 1;
        let Sample::Image(image) = data.sample(Split::Train, last).unwrap() else { panic!() };
        assert!(image.pixels().iter().any(|&p| p > 0));
        let Info::Dataset(found) = info(&folder).unwrap() else { panic!("{name}") };
        assert_eq!(found, data.describe());
    }
}

#[test]
fn golden_cifar10_training_pixels_have_the_published_mean() {
    let Some(folder) = folders::data("cifar10") else { return };
    let data = open("cifar10", &folder);
    let mut sums = [0u64; 3];
    for i in 0..2_000 {
        let Sample::Image(image) = data.sample(Split::Train, i).unwrap() else { panic!() };
        for (sum, plane) in sums.iter_mut().zip(image.pixels().chunks_exact(1024)) {
            *sum += plane.iter().map(|&p| u64::from(p)).sum::<u64>();
        }
    }
    let mean = sums.map(|s| s as f64 / (255.0 * 1024.0 * 2_000.0));
    for (found, published) in mean.iter().zip([0.4914, 0.4822, 0.4465]) {
        assert!((found - published).abs() < 0.02, "{mean:?}");
    }
}

#[test]
fn golden_mnist_through_the_camera_is_like_nmnist_in_size() {
    let Some(folder) = folders::data("mnist") else { return };
    let data = open("mnist-dvs-sim", &folder);
    let events = |i| match data.sample(Split::Train, i).unwrap() {
        Sample::Events(recording) => recording.len(),
        Sample::Image(_) => 0,
    };
    let mean = (0..200).map(events).sum::<usize>() / 200;
    assert!((2_500..5_000).contains(&mean), "{mean}");
    assert!(data.describe().simulated);
}
