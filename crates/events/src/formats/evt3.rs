//! Prophesee EVT 3.0 (`.raw`): words of 16 bits that change a state, some of which are events.
//!
//! After the header (see `prophesee`) little-endian words with the type in bits 15–12 and a value
//! of 12 bits: 0 ADDR_Y, the row in the low 11 bits; 2 ADDR_X, an event, polarity in bit 11, x
//! below; 3 VECT_BASE_X, polarity and x for what follows; 4 VECT_12 and 5 VECT_8, a mask whose bit
//! i stands for an event at that x + i, after which x is 12 or 8 larger; 6 TIME_LOW and 8
//! TIME_HIGH, the time in 24 bits. Triggers and all other types are skipped. Events before the
//! first TIME_HIGH have no time and are dropped.
//!
//! Times are raw, in µs of the camera's clock: literally TIME_HIGH·4096 + TIME_LOW, plus 2²⁴ for
//! each overflow of TIME_HIGH (16.8 s), which is a fall by half of its range or more. Some
//! cameras' TIME_LOW steps back by a few µs; readers that force times to never fall differ there.
//! x counts from the left and y from the top. Source: the public description of EVT 3.0 in
//! Prophesee's documentation.

use std::hint::select_unpredictable;

use super::block::Block;
use super::encoder::refuse;
use super::evt::{High, Version, run};
use super::prophesee::{Headed, Header, Words};
use super::records::{Place, RecordDecoder};
use super::{Encoder, Format, Reading};
use crate::{Columns, Event, Result};

/// See the module.
pub const FORMAT: Format = Format {
    name: "evt3",
    about: "Prophesee RAW, EVT 3.0",
    extensions: &["raw"],
    fits: |probe| VERSION.fits(probe),
    read: Reading::Stream(|file| Box::new(RecordDecoder::new(Headed::<Evt3>::new(), file))),
    write: Some(|sensor| {
        let header = Some(VERSION.header(sensor, ""));
        Ok(Box::new(Writer { header, high: High::default(), low: None, y: None, count: 0 }))
    }),
};

const VERSION: Version = Version { evt: "3.0", format: "EVT3" };
const ADDR_Y: u16 = 0;
const ADDR_X: u16 = 2;
const VECT_BASE_X: u16 = 3;
const VECT_12: u16 = 4;
const VECT_8: u16 = 5;
const TIME_LOW: u16 = 6;
const TIME_HIGH: u16 = 8;
const HIGH_BITS: u32 = 12;
const LOW_BITS: u32 = 12;

struct Evt3 {
    high: High,
    low: u64,
    y: u16,
    /// Where the next vector begins, and its polarity.
    vector: (u16, bool),
    block: Box<Block>,
}

impl Words for Evt3 {
    const WORD: usize = 2;
    const WHAT: &'static str = "the last word";

    fn start(header: &Header, _: &[u8], place: Place<'_>) -> Result<Evt3> {
        VERSION.check(header, place)?;
        Ok(Evt3 { high: High::default(), low: 0, y: 0, vector: (0, false), block: Box::new(Block::new()) })
    }

    fn words(&mut self, mut bytes: &[u8], out: &mut Columns) {
        let word = |r: &[u8]| u16::from_le_bytes([r[0], r[1]]);
        while self.high.base_us.is_none() {
            let Some((first, rest)) = bytes.split_at_checked(2) else { return };
            let w = word(first);
            if w >> 12 == TIME_HIGH {
                self.high.set(u32::from(w & 0xFFF), HIGH_BITS, LOW_BITS);
            }
            bytes = rest;
        }
        // The state in locals, so that it lives in registers.
        let Evt3 { high, low, y, vector, block } = self;
        let (mut base, mut time_low, mut row) = (high.base_us.unwrap_or(0), *low, *y);
        let (mut from, mut vector_on) = *vector;
        let mut n = 0;
        for r in bytes.chunks_exact(2) {
            let w = word(r);
            let (kind, value) = (w >> 12, w & 0xFFF);
            n = block.make_room(n, out);
            // The three types that nearly all words have, without a branch: their order is noise.
            row = select_unpredictable(kind == ADDR_Y, value & 0x7FF, row);
            time_low = select_unpredictable(kind == TIME_LOW, value.into(), time_low);
            let t_us = base + time_low;
            let event = Event { t_us, x: value & 0x7FF, y: row, on: value >> 11 == 1 };
            n = block.put(n, event, kind == ADDR_X);
            if COMMON >> kind & 1 == 1 {
                continue;
            }
            let event = Event { t_us, x: from, y: row, on: vector_on };
            match kind {
                VECT_BASE_X => (from, vector_on) = (value & 0x7FF, value >> 11 == 1),
                VECT_8 => {
                    n = block.put_mask(n, event, value as u8);
                    from = from.wrapping_add(8);
                }
                VECT_12 => {
                    n = block.put_mask(n, event, value as u8);
                    n = block.put_mask(n, Event { x: from.wrapping_add(8), ..event }, (value >> 8) as u8);
                    from = from.wrapping_add(12);
                }
                TIME_HIGH => {
                    high.set(u32::from(value), HIGH_BITS, LOW_BITS);
                    // The low bits that belong to it follow in a word of their own.
                    let new = high.base_us.unwrap_or(0);
                    time_low = if new == base { time_low } else { 0 };
                    base = new;
                }
                _ => {}
            }
        }
        (*low, *y, *vector) = (time_low, row, (from, vector_on));
        block.flush(n, out);
    }
}

/// A bit for each of the types that take no branch.
const COMMON: u32 = 1 << ADDR_Y | 1 << ADDR_X | 1 << TIME_LOW;

/// Writes words; neighbours of one time, row and polarity become vectors where that is shorter.
struct Writer {
    header: Option<Vec<u8>>,
    high: High,
    low: Option<u16>,
    y: Option<u16>,
    count: u64,
}

impl Encoder for Writer {
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        let mut at = 0;
        while let Some(e) = events.get(at) {
            let Event { t_us, x, y, on } = e;
            if x > 0x7FF || y > 0x7FF {
                let why = ("x or y is above 2047", "scale the recording down");
                return Err(refuse(FORMAT.name, self.count, e, why));
            }
            let mut word = |kind: u16, value: u16| out.extend((kind << 12 | value).to_le_bytes());
            let high = self.high.words_to(t_us, HIGH_BITS, LOW_BITS);
            for value in high.map_err(|why| refuse(FORMAT.name, self.count, e, why))? {
                word(TIME_HIGH, value as u16);
                self.low = None;
            }
            let low = (t_us & 0xFFF) as u16;
            if self.low.replace(low) != Some(low) {
                word(TIME_LOW, low);
            }
            if self.y.replace(y) != Some(y) {
                word(ADDR_Y, y);
            }
            let polarity = u16::from(on) << 11;
            let n = run(events.iter_from(at), 32);
            if n > 4 {
                // A base and three masks are four words for 32 pixels.
                let mask = events.x()[at..at + n].iter().fold(0u32, |mask, column| mask | 1 << (column - x));
                word(VECT_BASE_X, polarity | x);
                word(VECT_12, (mask & 0xFFF) as u16);
                word(VECT_12, (mask >> 12 & 0xFFF) as u16);
                word(VECT_8, (mask >> 24) as u16);
            } else {
                events.x()[at..at + n].iter().for_each(|column| word(ADDR_X, polarity | column));
            }
            at += n;
            self.count += n as u64;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}
