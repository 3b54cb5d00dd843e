//! The shared recordings have the counts, ranges and digests that `expected.csv` lists.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use tickless_events::Columns;
use tickless_events::formats::{EventReader, EventStream, FORMATS, open};
use tickless_events::info::{EventsInfo, Info, info};

use tickless_testing::folders;

type Row = BTreeMap<String, String>;

/// The rows whose files this build can read, with their paths.
fn rows() -> Vec<(std::path::PathBuf, Row)> {
    let Some(table) = folders::data("formats/expected.csv") else { return Vec::new() };
    let root = table.parent().and_then(Path::parent).unwrap();
    let text = std::fs::read_to_string(&table).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').map(String::from).collect();
    let row = |line: &str| names.iter().cloned().zip(line.split(',').map(String::from)).collect::<Row>();
    let known = |row: &Row| {
        let name = row["file"].trim_end_matches(".gz").to_owned();
        FORMATS.iter().any(|f| f.extensions.iter().any(|e| name.ends_with(&format!(".{e}"))))
    };
    let rows: Vec<_> = lines.map(row).filter(known).map(|r| (root.join(&r["file"]), r)).collect();
    assert!(rows.len() >= 13, "the table has lost rows");
    rows
}

fn check(found: &EventsInfo, row: &Row) {
    let file = &row["file"];
    let number = |name: &str| row[name].parse::<u64>().unwrap();
    let range = |(a, b): (u16, u16)| (u64::from(a), u64::from(b));
    assert_eq!(found.events as u64, number("events"), "{file}");
    assert_eq!(found.on as u64, number("on_events"), "{file}");
    assert_eq!(found.t_first_us, Some(number("t_first_us")), "{file}");
    assert_eq!(found.t_last_us, Some(number("t_last_us")), "{file}");
    assert_eq!(found.x.map(range), Some((number("x_min"), number("x_max"))), "{file}");
    assert_eq!(found.y.map(range), Some((number("y_min"), number("y_max"))), "{file}");
    assert_eq!(found.sha256, row["sha256_of_13_byte_records"], "{file}");
    if let Some(sensor) = found.sensor {
        assert_eq!(sensor.to_string(), row["sensor"], "{file}");
    }
}

#[test]
fn golden_recordings_have_the_expected_digests() {
    for (path, row) in rows() {
        let Info::Events(found) = info(&path).unwrap() else { panic!("{} is no file of events", row["file"]) };
        check(&found, &row);
        let stated = matches!(found.format, "aedat2" | "aedat31" | "es" | "evt2" | "evt21" | "evt3");
        assert!(found.sensor.is_some() || !stated, "{}", row["file"]);
    }
}

#[test]
fn golden_recordings_read_alike_gzipped_and_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    for (path, row) in rows() {
        let other = if row["file"].ends_with(".gz") {
            let plain = folder.path().join(path.file_stem().unwrap());
            let mut bytes = Vec::new();
            let file = std::fs::File::open(&path).unwrap();
            std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(file), &mut bytes).unwrap();
            std::fs::write(&plain, bytes).unwrap();
            plain
        } else {
            let packed = folder.path().join(format!("{}.gz", path.file_name().unwrap().to_string_lossy()));
            let file = std::fs::File::create(&packed).unwrap();
            let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            gz.write_all(&std::fs::read(&path).unwrap()).unwrap();
            gz.finish().unwrap();
            packed
        };
        let mut reader: EventReader = open(&other).unwrap();
        let (mut chunk, mut all) = (Columns::new(), Columns::new());
        while reader.next(&mut chunk).unwrap() {
            all.append(&chunk);
        }
        // The digest covers the stored coordinates, whatever the origin of the format is.
        let stream = EventStream { format: reader.format(), sensor: reader.sensor(), events: all };
        let found = EventsInfo::of(&stream).sha256;
        assert_eq!(found, row["sha256_of_13_byte_records"], "{}", other.display());
    }
}
