//! Seconds to decode a file mapped into memory, on one core; `benches/decode/compare.py` runs it
//! beside other readers.
//!
//! ```text
//! decode_speed make FORMAT FILE OUT EVENTS   a file of so many events: those of FILE again and again
//! decode_speed run FILE                      a line in: `chunks` (into memory that is used again), `whole` (all
//!                                            events in new memory), `bound chunks`, `bound whole`;
//!                                            a line out: events, seconds
//! ```
//!
//! `bound` is what memory allows: the file's bytes, already in memory, are read once and 13 bytes
//! are written for each event, as `chunks` or as `whole` does, with nothing in between.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use tickless_events::formats::{self, aedat4};
use tickless_events::{Columns, Event};

/// Bytes decoded at a time.
const PIECE: usize = 64 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", format, file, out, events] => make(format, Path::new(file), Path::new(out), events.parse()?),
        ["run", file] => run(Path::new(file)),
        _ => Err("usage: decode_speed make FORMAT FILE OUT EVENTS | run FILE".into()),
    }
}

fn make(format: &str, file: &Path, out: &Path, most: usize) -> Result<(), Box<dyn Error>> {
    let stream = formats::read(file)?;
    let sensor = stream.sensor.or(Some(stream.events.bounding()));
    let (recording, _) = stream.into_recording(sensor)?;
    let events = Columns::from(&recording.iter().collect::<Vec<Event>>()[..]);
    let first = events.t_us().first().copied().unwrap_or(0);
    let turn = events.t_us().last().map_or(1, |last| last - first + 50);
    let mut encoder = match format.split_once('+') {
        Some(("aedat4", "zstd")) => aedat4::encoder(sensor, aedat4::Compression::Zstd)?,
        Some(("aedat4", "none")) => aedat4::encoder(sensor, aedat4::Compression::None)?,
        _ => formats::encoder(format, sensor)?,
    };
    let (mut to, mut bytes, mut count) = (BufWriter::new(File::create(out)?), Vec::new(), 0);
    for i in 0.. {
        let shifted = events.iter().take(most - count).map(|e| Event { t_us: e.t_us - first + i * turn, ..e });
        let shifted: Columns = shifted.collect();
        encoder.push(&shifted, &mut bytes)?;
        to.write_all(&bytes)?;
        bytes.clear();
        count += shifted.len();
        if count >= most || shifted.is_empty() {
            break;
        }
    }
    encoder.finish(&mut bytes)?;
    to.write_all(&bytes)?;
    Ok(to.flush()?)
}

fn run(file: &Path) -> Result<(), Box<dyn Error>> {
    let (bytes, mut chunk, mut piece) = (std::fs::read(file)?, Columns::new(), Vec::new());
    let mut events = 0;
    for line in std::io::stdin().lines() {
        let start = Instant::now();
        match line?.as_str() {
            "chunks" => {
                let mut reader = formats::open(file)?;
                events = 0;
                while reader.next(&mut chunk)? {
                    events += chunk.len();
                }
            }
            "whole" => events = std::hint::black_box(formats::read(file)?).events.len(),
            what @ ("bound chunks" | "bound whole") => bound(&bytes, events, what == "bound whole", &mut piece),
            other => return Err(format!("unknown: {other}").into()),
        }
        println!("{events} {:.6}", start.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Reads the bytes piece by piece and writes 13 bytes for each event, with nothing in between.
fn bound(bytes: &[u8], events: usize, fresh: bool, piece: &mut Vec<u8>) {
    let share = 13 * events / bytes.len().div_ceil(PIECE).max(1);
    let (mut all, mut sum) = (Vec::with_capacity(if fresh { 13 * events } else { 0 }), 0u64);
    for part in bytes.chunks(PIECE) {
        sum = part.as_chunks::<8>().0.iter().fold(sum, |sum, b| sum ^ u64::from_le_bytes(*b));
        let to = if fresh { &mut all } else { &mut *piece };
        if !fresh {
            to.clear();
        }
        to.resize(to.len() + share, sum as u8);
        std::hint::black_box(&to);
    }
}
