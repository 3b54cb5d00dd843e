//! Small files of every format that this crate writes, and random events that every format can
//! hold.

use proptest::prelude::*;
use tickless_events::formats::{FORMATS, Format, encode};
use tickless_events::{Columns, Event, Sensor};

pub const SENSOR: Sensor = Sensor { width: 128, height: 128 };

/// The formats that have an encoder.
pub fn writable() -> impl Iterator<Item = &'static Format> {
    FORMATS.iter().filter(|f| f.write.is_some())
}

/// Events sorted by time, with runs of neighbouring pixels like those of moving edges.
pub fn sorted(n: usize, gap_us: u64) -> impl Strategy<Value = Columns> {
    let one = (0..gap_us, 0u16..96, 0u16..128, any::<bool>(), 1u16..32, any::<u32>());
    prop::collection::vec(one, 0..n).prop_map(|groups| {
        let mut t_us = 0;
        let mut events = Columns::new();
        for (gap, x, y, on, width, mask) in groups {
            t_us += gap;
            events.extend((0..width).filter(|i| mask >> i & 1 == 1).map(|i| Event { t_us, x: x + i, y, on }));
        }
        events
    })
}

/// A file of 42 events.
pub fn file(format: &Format) -> Vec<u8> {
    let event =
        |i: u16| Event { t_us: 300 * u64::from(i / 9), x: 3 * i % 100 + i % 5, y: i / 9, on: i.is_multiple_of(2) };
    let run = |i: u16| Event { t_us: 5000, x: 40 + i + i / 5, y: 9, on: true };
    let events: Columns = (0..30).map(event).chain((0..12).map(run)).collect();
    encode(format.name, &events, Some(SENSOR)).unwrap()
}
