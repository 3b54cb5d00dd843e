//! Writes one recording in every format that this crate can write, for other readers to open;
//! `.ci/python/event_files.py` reads the files.
//!
//! ```text
//! event_files DIR [FILE [EVENTS]]   writes truth.bin, sensor.txt and <format>.<ext> files into DIR
//! ```
//!
//! `truth.bin` contains records of u64 t, u16 x, u16 y, u8 p. The recording is `FILE`, or its first
//! `EVENTS` events, or a synthetic one.

use std::error::Error;
use std::path::Path;

use tickless_events::formats::{self, FORMATS};
use tickless_events::{Columns, Event, Sensor, rng::Rng};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first().map(Path::new) else {
        return Err("usage: event_files DIR [FILE [EVENTS]]".into());
    };
    std::fs::create_dir_all(folder)?;
    let (mut events, sensor) = match arguments.get(1) {
        Some(file) => {
            let stream = formats::read(Path::new(file))?;
            let sensor = stream.sensor.unwrap_or_else(|| stream.events.bounding());
            (stream.events, sensor)
        }
        None => made(),
    };
    if let Some(most) = arguments.get(2) {
        events.truncate(most.parse()?);
    }
    let record = |e: Event| {
        let places = [e.x, e.y].map(u16::to_le_bytes).concat();
        [&e.t_us.to_le_bytes()[..], &places, &[e.on.into()]].concat()
    };
    std::fs::write(folder.join("truth.bin"), events.iter().flat_map(record).collect::<Vec<u8>>())?;
    std::fs::write(folder.join("sensor.txt"), format!("{} {}\n", sensor.width, sensor.height))?;
    for format in FORMATS.iter().filter(|f| f.write.is_some()) {
        let path = folder.join(format!("{}.{}", format.name, format.extensions[0]));
        match formats::encode(format.name, &events, Some(sensor)) {
            Ok(bytes) => {
                std::fs::write(&path, bytes)?;
                println!("{}", path.display());
            }
            Err(e) => println!("not as {}: {e}", format.name),
        }
    }
    Ok(())
}

/// Edges that move over a sensor of 128×128, which every format can hold.
fn made() -> (Columns, Sensor) {
    // Times start later, because evlib cannot read HDF5 chunks that begin at 4 to 262,143 µs, with
    // any encoder.
    let (mut rng, mut events, mut t_us) = (Rng::new(1, 0), Columns::new(), 1_000_000);
    while events.len() < 50_000 {
        t_us += rng.below(20);
        let (x, y, on) = (rng.below(120) as u16, rng.below(128) as u16, rng.coin());
        events.extend((0..1 + rng.below(8) as u16).map(|i| Event { t_us, x: x + i, y, on }));
    }
    (events, Sensor { width: 128, height: 128 })
}
