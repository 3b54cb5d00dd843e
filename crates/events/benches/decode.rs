//! Decoded events per second on one core, from memory, for every format that this crate writes.
//!
//! The input is 2²⁰ events of a sensor of 128×128, half of them in rows of neighbouring pixels,
//! like those of moving edges.

use divan::{Bencher, counter::ItemsCount};
use tickless_events::formats::{FORMATS, Reading, by_name, encode};
use tickless_events::{Columns, Event, Sensor, rng::Rng};

const EVENTS: usize = 1 << 20;
const SENSOR: Sensor = Sensor { width: 128, height: 128 };

fn main() {
    divan::main();
}

fn events() -> Columns {
    let mut rng = Rng::new(1, 0);
    let mut events = Columns::with_capacity(EVENTS);
    let mut t_us = 0;
    while events.len() < EVENTS {
        t_us += rng.below(4);
        let (x, y, on) = (rng.below(116) as u16, rng.below(128) as u16, rng.coin());
        let run = if rng.below(8) == 0 { 1 + rng.below(12) as u16 } else { 1 };
        events.extend((0..run).map(|i| Event { t_us, x: x + i, y, on }));
    }
    events.truncate(EVENTS);
    events
}

fn writable() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().filter(|f| f.write.is_some()).map(|f| f.name)
}

/// Decodes into newly allocated memory, as [`tickless_events::formats::read`] does.
#[divan::bench(args = writable())]
fn whole(bencher: Bencher<'_, '_>, name: &str) {
    let bytes = encode(name, &events(), Some(SENSOR)).expect("events every format holds");
    let format = by_name(name).expect("a known format");
    let run = || format.decode(&bytes, "bench").expect("what was encoded");
    bencher.counter(ItemsCount::new(EVENTS)).bench(run);
}

fn streams() -> impl Iterator<Item = &'static str> {
    writable().filter(|name| by_name(name).is_ok_and(|f| matches!(f.read, Reading::Stream(_))))
}

/// Decodes in chunks into a reused buffer, as [`tickless_events::formats::open`] does.
#[divan::bench(args = streams())]
fn chunks(bencher: Bencher<'_, '_>, name: &str) {
    let bytes = encode(name, &events(), Some(SENSOR)).expect("events every format holds");
    let Reading::Stream(decoder) = by_name(name).expect("a known format").read else { return };
    let mut columns = Columns::new();
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut decoder = decoder("bench", &Default::default());
        let mut count = 0;
        for chunk in bytes.chunks(64 << 10) {
            columns.clear();
            decoder.push(chunk, &mut columns).expect("what was encoded");
            count += columns.len();
        }
        decoder.finish(&mut columns).expect("what was encoded");
        assert_eq!(count, EVENTS);
    });
}
