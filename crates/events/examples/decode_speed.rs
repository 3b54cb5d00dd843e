//! Measures the seconds to decode a file mapped into memory, on one core.
//! `benches/decode/compare.py` runs it and compares it with other readers.
//!
//! ```text
//! decode_speed make FORMAT FILE OUT EVENTS   writes EVENTS events to OUT, repeating those of FILE
//! decode_speed run FILE                      answers each line of input by: events, seconds
//! ```
//!
//! The lines of input select a measurement. `chunks` decodes piece by piece into a reused buffer,
//! `whole` into newly allocated memory, `again` into memory that holds all events and has been used
//! before. `bound` before one of these words measures the limit that memory sets, without decoding:
//! the file is mapped anew, its bytes are copied piece by piece into a buffer that stays in the
//! cache, and 13 bytes per event are written to the memory that the word selects. `unpack` only
//! decompresses the packets of AEDAT4, with the usual libraries (`lz4_flex`, `zstd`).

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;
use std::time::Instant;

use tickless_events::formats::{self, aedat4};
use tickless_events::{Columns, Event, source};

/// Number of bytes decoded at a time.
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
    // Times start at 0, except for HDF5, because evlib 0.13 misreads chunks of ECF that begin near
    // 0.
    let begin = if format == "prophesee-hdf5" { first } else { 0 };
    let turn = events.t_us().last().map_or(1, |last| last - first + 50);
    let mut encoder = match format.split_once('+') {
        Some(("aedat4", "zstd")) => aedat4::encoder(sensor, aedat4::Compression::Zstd)?,
        Some(("aedat4", "none")) => aedat4::encoder(sensor, aedat4::Compression::None)?,
        _ => formats::encoder(format, sensor)?,
    };
    let (mut to, mut bytes, mut count) = (BufWriter::new(File::create(out)?), Vec::new(), 0);
    for i in 0.. {
        let shifted = events.iter().take(most - count).map(|e| Event { t_us: e.t_us - first + begin + i * turn, ..e });
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
    to.rewind()?;
    to.write_all(encoder.head())?;
    Ok(to.flush()?)
}

fn run(file: &Path) -> Result<(), Box<dyn Error>> {
    let (mut chunk, mut all, mut pieces) = (Columns::new(), Columns::new(), [Vec::new(), Vec::new()]);
    let (mut events, mut zeros) = (0, Columns::new());
    for line in std::io::stdin().lines() {
        let line = line?;
        if zeros.is_empty() && line.starts_with("bound") {
            events = formats::read(file)?.events.len();
            zeros.extend((0..1 << 14).map(|_| Event { t_us: 0, x: 0, y: 0, on: false }));
        }
        let start = Instant::now();
        match line.as_str() {
            "chunks" => {
                let mut reader = formats::open(file)?;
                events = 0;
                while reader.next(&mut chunk)? {
                    events += chunk.len();
                }
            }
            "whole" => events = std::hint::black_box(formats::read(file)?).events.len(),
            "again" => {
                all.clear();
                formats::open(file)?.read_into(&mut all)?;
                events = all.len();
            }
            "bound chunks" => {
                let bytes = source::bytes(file)?;
                let share = 13 * events / bytes.len().div_ceil(PIECE).max(1);
                for part in bytes.chunks(PIECE) {
                    pieces[0].clear();
                    pieces[0].extend_from_slice(part);
                    pieces[1].clear();
                    pieces[1].resize(share, pieces[0][0]);
                    std::hint::black_box(&pieces);
                }
            }
            "bound whole" => {
                bound(&source::bytes(file)?, events, &zeros, &mut pieces[0], &mut Columns::with_capacity(events))
            }
            "bound again" => {
                all.clear();
                bound(&source::bytes(file)?, events, &zeros, &mut pieces[0], &mut all);
            }
            "unpack" => unpack(&source::bytes(file)?)?,
            other => return Err(format!("unknown: {other}").into()),
        }
        println!("{events} {:.6}", start.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Copies the bytes piece by piece and appends a proportional number of events from a cached
/// buffer.
fn bound(bytes: &[u8], events: usize, zeros: &Columns, piece: &mut Vec<u8>, all: &mut Columns) {
    for (i, part) in bytes.chunks(PIECE).enumerate() {
        piece.clear();
        piece.extend_from_slice(part);
        while all.len() + zeros.len() <= events
            && all.len() as u64 * bytes.len() as u64 <= (i * PIECE) as u64 * events as u64
        {
            all.append(zeros);
        }
        std::hint::black_box(&piece);
    }
    std::hint::black_box(all);
}

/// Decompresses the packets that [`aedat4::encoder`] writes, each into the same buffer.
fn unpack(bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let number = |at: usize| -> Option<usize> { Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize) };
    let (mut to, mut zstd) = (vec![0; 1 << 20], zstd::bulk::Decompressor::new()?);
    let mut at = 18 + number(14).ok_or("no header")?;
    while let Some(size) = number(at + 4) {
        let packet = bytes.get(at + 8..at + 8 + size).ok_or("a cut packet")?;
        at += 8 + size;
        if packet.starts_with(&0x184D_2204u32.to_le_bytes()) {
            // Blocks have at most 64 KiB, and each may refer to the previous one.
            let (mut from, mut n) = (&packet[7..], 0);
            while let Some((size, rest)) = from.split_first_chunk().map(|(s, r)| (u32::from_le_bytes(*s), r)) {
                let (block, rest) = rest.split_at((size & 0x7FFF_FFFF) as usize);
                let (before, behind) = to.split_at_mut(n);
                if size >> 31 == 1 {
                    behind[..block.len()].copy_from_slice(block);
                    n += block.len();
                } else if size > 0 {
                    n += lz4_flex::block::decompress_into_with_dict(block, behind, before)?;
                }
                from = rest;
            }
        } else {
            zstd.decompress_to_buffer(packet, &mut to)?;
        }
        std::hint::black_box(&to);
    }
    Ok(())
}
