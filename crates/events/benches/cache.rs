//! Events per second in one epoch of a data set, decoded from its files and read from the cache.
//!
//! The data set has 200 recordings of 20,000 events on 128×128, in class folders.

use divan::{Bencher, counter::ItemsCount};
use tickless_events::{Columns, DataRequest, Dataset, Event, Sample, Sensor, Split, datasets, formats, rng::Rng};

const RECORDINGS: usize = 200;
const EVENTS: usize = 20_000;
const SENSOR: Sensor = Sensor { width: 128, height: 128 };

fn main() {
    divan::main();
}

fn events(seed: u64) -> Columns {
    let mut rng = Rng::new(seed, 0);
    let mut t_us = 0;
    let event = |_| {
        t_us += rng.below(20);
        Event { t_us, x: rng.below(128) as u16, y: rng.below(128) as u16, on: rng.coin() }
    };
    (0..EVENTS).map(event).collect()
}

/// Writes the data set and opens it.
fn set(root: &std::path::Path, format: &str, cached: bool) -> Box<dyn Dataset> {
    let extension = formats::by_name(format).expect("a known format").extensions[0];
    for i in 0..RECORDINGS {
        let folder = root.join(format!("set/{}", i % 10));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let bytes = formats::encode(format, &events(i as u64), Some(SENSOR)).expect("events every format holds");
        std::fs::write(folder.join(format!("{i}.{extension}")), bytes).expect("room for 50 MB");
    }
    let mut request = DataRequest::new("folder", Some(&root.join("set")));
    request.sensor = Some(SENSOR);
    request.cache = cached.then(|| root.join("cache"));
    datasets::open(&request).expect("the set just written")
}

fn epoch(data: &dyn Dataset) {
    let mut count = 0;
    for split in [Split::Train, Split::Test] {
        for i in 0..data.len(split) {
            if let Sample::Events(recording) = data.sample(split, i).expect("a recording just written") {
                count += recording.len();
            }
        }
    }
    assert_eq!(count, RECORDINGS * EVENTS);
}

fn run(bencher: Bencher<'_, '_>, format: &str, cached: bool) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let data = set(root.path(), format, cached);
    bencher.counter(ItemsCount::new(RECORDINGS * EVENTS)).bench_local(|| epoch(&*data));
}

const FORMATS: [&str; 5] = ["nmnist-bin", "aedat2", "aedat4", "npy", "text"];

/// Decodes the files, which the system keeps in memory.
#[divan::bench(args = FORMATS)]
fn files(bencher: Bencher<'_, '_>, format: &str) {
    run(bencher, format, false);
}

/// Reads the cache.
#[divan::bench(args = FORMATS[..1].iter())]
fn cache(bencher: Bencher<'_, '_>, format: &str) {
    run(bencher, format, true);
}
