//! Decoded events per second on one core, for containers mapped into memory, which
//! [`tickless_events::formats::open`] reads piece by piece into a reused buffer.
//!
//! `real` uses the recordings in the folder `TICKLESS_DATA`, if they exist. `made` uses 2²⁰ events
//! of a sensor of 640×480 that imitate moving edges, so that they compress similarly to recordings.

use std::path::{Path, PathBuf};

use divan::{Bencher, counter::ItemsCount};
use tickless_events::formats::aedat4::{self, Compression};
use tickless_events::{Columns, Event, Sensor, formats, rng::Rng};

const EVENTS: usize = 1 << 20;
const SENSOR: Sensor = Sensor { width: 640, height: 480 };

fn main() {
    divan::main();
}

/// The names of the recordings that exist.
fn recordings() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("TICKLESS_DATA").map_or(root, PathBuf::from).join("formats");
    let names = [
        "aestream_davis346.aedat4",
        "aedat4_plain.aedat4",
        "aedat4_zstd.aedat4",
        "ecf_gen3_evt2.hdf5",
        "ecf_modes.hdf5",
        "gesture_like.npy",
        "shd_like.h5",
        "struct_txyp.npy",
    ];
    let found = names.iter().map(|name| folder.join(name)).filter(|path| path.exists());
    found.map(|path| path.display().to_string()).collect()
}

#[divan::bench(args = recordings())]
fn real(bencher: Bencher<'_, '_>, path: &str) {
    measure(bencher, Path::new(path));
}

#[divan::bench(args = ["npy", "prophesee-hdf5", "aedat4 plain", "aedat4 LZ4", "aedat4 ZSTD"])]
fn made(bencher: Bencher<'_, '_>, what: &str) {
    let bytes = match what {
        "aedat4 plain" => packets(Compression::None),
        "aedat4 LZ4" => packets(Compression::Lz4),
        "aedat4 ZSTD" => packets(Compression::Zstd),
        format => formats::encode(format, &events(), Some(SENSOR)).expect("events the format holds"),
    };
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("space for a temporary file");
    measure(bencher, file.path());
}

fn measure(bencher: Bencher<'_, '_>, path: &Path) {
    let all = formats::read(path).expect("a whole file").events.len();
    // A run repeats small files, so that it takes at least some milliseconds.
    let times = (EVENTS / 2).div_ceil(all);
    let mut chunk = Columns::new();
    bencher.counter(ItemsCount::new(all * times)).bench_local(|| {
        for _ in 0..times {
            let mut reader = formats::open(path).expect("a whole file");
            let mut count = 0;
            while reader.next(&mut chunk).expect("a whole file") {
                count += chunk.len();
            }
            assert_eq!(count, all);
        }
    });
}

fn packets(compression: Compression) -> Vec<u8> {
    let (mut encoder, mut bytes) = (aedat4::encoder(Some(SENSOR), compression).expect("a sensor"), Vec::new());
    encoder.push(&events(), &mut bytes).expect("events on the sensor");
    encoder.finish(&mut bytes).expect("events on the sensor");
    bytes
}

/// About 40 vertical edges that move to the right; at each time, a few rows of one edge change.
fn events() -> Columns {
    let mut rng = Rng::new(1, 0);
    let mut events = Columns::with_capacity(EVENTS);
    let mut t_us = 1_000_000;
    while events.len() < EVENTS {
        t_us += rng.below(4);
        let edge = rng.below(40);
        let x = (edge * 16 + t_us / 500 + rng.below(3)) % 632;
        let y = rng.below(480) as u16;
        let run = 1 + rng.below(5);
        events.extend((0..run).map(|i| Event { t_us, x: (x + i) as u16, y, on: edge.is_multiple_of(2) }));
    }
    events.truncate(EVENTS);
    events
}
