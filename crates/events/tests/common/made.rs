//! Builds folders and archives for tests.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use tickless_events::{Columns, Dataset, Event, Recording, Sample, Sensor, Split, formats};
use zip::write::SimpleFileOptions;

/// The name and the bytes of a file.
pub type File = (String, Vec<u8>);

/// `n` events on a sensor; each `tag` gives other events.
pub fn events(n: usize, sensor: Sensor, tag: u64) -> Columns {
    let event = |i: u64| Event {
        t_us: 50 * i + tag,
        x: ((7 * i + tag) % u64::from(sensor.width)) as u16,
        y: ((3 * i + tag) % u64::from(sensor.height)) as u16,
        on: (i + tag).is_multiple_of(3),
    };
    (0..n as u64).map(event).collect()
}

/// The bytes of a file of events.
pub fn file(format: &str, events: &Columns, sensor: Option<Sensor>) -> Vec<u8> {
    formats::encode(format, events, sensor).unwrap()
}

/// Writes files into a folder.
pub fn folder(root: &Path, files: &[File]) {
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The bytes of a zip archive, compressed or stored.
pub fn zip_bytes(files: &[File], stored: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let how = if stored { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(how)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Compresses bytes with gzip.
pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The recording of a sample.
pub fn recording(data: &dyn Dataset, split: Split, index: usize) -> Recording {
    match data.sample(split, index).unwrap() {
        Sample::Events(recording) => recording,
        Sample::Image(_) => panic!("an image"),
    }
}

/// Label and number of events of each sample of a part.
pub fn part(data: &dyn Dataset, split: Split) -> Vec<(usize, usize)> {
    (0..data.len(split)).map(|i| (data.label(split, i), recording(data, split, i).len())).collect()
}
