//! Makes archives of data sets for tests, and counts what is read from a part.

use std::io::{Cursor, Write};

use tickless_events::{Dataset, Recording, Sample, Split};
use zip::write::SimpleFileOptions;

use super::folder::File;

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
