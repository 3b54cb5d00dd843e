//! Makes the files of recordings for tests.

use std::io::Write;

use tickless_events::{Columns, Event, Sensor, formats};

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

/// Compresses bytes with gzip.
pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
