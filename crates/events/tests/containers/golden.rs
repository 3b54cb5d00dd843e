//! Real and converted files decode to the events that are published beside them.

use std::collections::BTreeMap;
use std::path::Path;

use tickless_events::formats::shd::Shd;
use tickless_events::info::{EventsInfo, digest};
use tickless_events::{Columns, Recording, formats};

use tickless_testing::folders;

/// The rows of a CSV file, each as a map from column names to values.
fn csv(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').map(String::from).collect();
    lines.map(|l| names.iter().cloned().zip(l.split(',').map(String::from)).collect()).collect()
}

#[test]
fn golden_containers_have_the_expected_digests() {
    let Some(table) = folders::data("formats/expected.csv") else { return };
    let root = table.parent().unwrap().parent().unwrap();
    let ours = [".hdf5", ".h5", ".aedat4", ".npy"];
    let rows: Vec<_> = csv(&table).into_iter().filter(|r| ours.iter().any(|e| r["file"].ends_with(e))).collect();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let file = &row["file"];
        let stream = formats::read(&root.join(file)).unwrap();
        let found = EventsInfo::of(&stream);
        let number = |name: &str| row[name].parse::<u64>().unwrap();
        assert_eq!(found.events as u64, number("events"), "{file}");
        assert_eq!(found.on as u64, number("on_events"), "{file}");
        assert_eq!(found.t_first_us, Some(number("t_first_us")), "{file}");
        assert_eq!(found.t_last_us, Some(number("t_last_us")), "{file}");
        let range = |(a, b): (u16, u16)| (u64::from(a), u64::from(b));
        assert_eq!(found.x.map(range), Some((number("x_min"), number("x_max"))), "{file}");
        assert_eq!(found.y.map(range), Some((number("y_min"), number("y_max"))), "{file}");
        assert_eq!(found.sha256, row["sha256_of_13_byte_records"], "{file}");
        if !file.ends_with(".npy") {
            let sensor = stream.sensor.unwrap();
            assert_eq!(sensor.to_string(), row["sensor"], "{file}");
        }
    }
}

#[test]
fn golden_containers_read_alike_piece_by_piece_and_from_a_pipe() {
    let Some(table) = folders::data("formats/expected.csv") else { return };
    let root = table.parent().unwrap().parent().unwrap();
    for name in ["ecf_modes.hdf5", "shd_like.h5", "aedat4_zstd.aedat4", "aestream_davis346.aedat4", "gesture_like.npy"]
    {
        let path = root.join("formats").join(name);
        let whole = formats::read(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut reader = formats::EventReader::from_read(std::io::Cursor::new(bytes), name).unwrap();
        let (mut chunk, mut all, mut pieces) = (Columns::new(), Columns::new(), 0);
        while reader.next(&mut chunk).unwrap() {
            assert!(chunk.len() <= 100_000, "{name}: a piece of {} events", chunk.len());
            all.append(&chunk);
            pieces += 1;
        }
        assert!(pieces > 1 || name.ends_with(".npy"), "{name}");
        assert_eq!(all, whole.events, "{name}");
        assert_eq!((reader.format(), reader.sensor()), (whole.format, whole.sensor));
    }
}

#[test]
fn golden_shd_samples_are_the_published_ones() {
    let Some(table) = folders::data("formats/shd_like.samples.csv") else { return };
    let bytes = std::fs::read(table.with_file_name("shd_like.h5")).unwrap();
    let shd = Shd::open(&bytes, "shd_like.h5").unwrap();
    let rows = csv(&table);
    assert_eq!(shd.len(), rows.len());
    for (i, row) in rows.iter().enumerate() {
        let mut events = Columns::new();
        shd.sample(&bytes, i, &mut events).unwrap();
        check_sample(row, shd.labels()[i], &events);
        let (recording, _): (Recording, usize) = shd.recording(&bytes, i).unwrap();
        assert_eq!(recording.len(), events.len());
    }
    assert!(shd.sample(&bytes, rows.len(), &mut Columns::new()).is_err());
}

fn check_sample(row: &BTreeMap<String, String>, label: u16, events: &Columns) {
    assert_eq!(row["label"], label.to_string());
    let count = row.get("events").or(row.get("spikes")).unwrap();
    assert_eq!(*count, events.len().to_string());
    let (_, sha) = row.iter().find(|(name, _)| name.starts_with("sha256")).unwrap();
    assert_eq!(*sha, digest(events));
}
