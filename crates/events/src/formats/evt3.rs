//! Prophesee EVT 3.0 (`.raw`): 16-bit words that change a state; some of them are events.
//!
//! The header (see `prophesee`) is followed by little-endian words with a type in bits 15–12 and a
//! value of 12 bits:
//!
//! - 0 ADDR_Y: the row, in the low 11 bits;
//! - 2 ADDR_X: an event with the polarity in bit 11 and x in the bits below;
//! - 3 VECT_BASE_X: polarity and x for the vectors that follow;
//! - 4 VECT_12 and 5 VECT_8: a mask whose bit i stands for an event at x + i; afterwards x is 12 or
//!   8 larger;
//! - 6 TIME_LOW and 8 TIME_HIGH: the low and high 12 bits of the time.
//!
//! The decoder skips triggers and all other types. It drops events before the first TIME_HIGH,
//! because they have no time.
//!
//! Times are in µs of the camera's clock, without any shift: TIME_HIGH·4096 + TIME_LOW, plus 2²⁴
//! for each overflow of TIME_HIGH (16.8 s). The decoder recognises an overflow if TIME_HIGH falls
//! by at least half of its range. If a TIME_HIGH changes the value, it sets TIME_LOW to 0, because
//! the vendor's decoders do so; if it repeats the value, TIME_LOW stays. Some cameras' TIME_LOW
//! steps back by a few µs; readers that force times to never fall give other times there.
//!
//! x counts from the left and y from the top. Source: the public description of EVT 3.0 in
//! Prophesee's documentation.
//!
//! Decoding has three fast paths, which run one after another, each as far as it can:
//!
//! - `wide` decodes rows, times and single events, if the processor has AVX-512;
//! - `frequent` decodes the same words on every processor. It has no branches, because the order of
//!   the words is unpredictable;
//! - `vectors` decodes the vectors of events.
//!
//! Their caller decodes the first TIME_HIGH and every TIME_HIGH that falls, and reports errors.

mod wide;

use std::hint::select_unpredictable;

use tickless_simd::{Isa, Loop};

use super::block::{COUNTS, LANES};
use super::encoder::{Encoder, refuse};
use super::evt::{High, Version, run};
use super::oddities::{Odd, Oddities};
use super::prophesee::{Headed, Header, Words};
use super::records::{RecordDecoder, SliceOrigin};
use super::{Format, Reading, SupportedOption};
use crate::problem::AddressProblem;
use crate::{Columns, Event, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "evt3",
    about: "Prophesee RAW, EVT 3.0",
    extensions: &["raw"],
    axes: super::Axes::UpperLeft,
    fits: |probe| VERSION.fits(probe),
    supports: &[SupportedOption::LiteralTimes],
    read: Reading::Stream(|file, options| Box::new(RecordDecoder::new(Headed::<Evt3>::new(options), file))),
    write: Some(|sensor| Ok(Box::new(Writer::new(sensor)))),
};

const VERSION: Version = Version { evt: "3.0", format: "EVT3" };
const ADDR_Y: u16 = 0;
const ADDR_X: u16 = 2;
const VECT_BASE_X: u16 = 3;
const VECT_12: u16 = 4;
const VECT_8: u16 = 5;
const TIME_LOW: u16 = 6;
const TIME_HIGH: u16 = 8;
const CONTINUED_4: u16 = 7;
const EXT_TRIGGER: u16 = 0xA;
const OTHERS: u16 = 0xE;
const CONTINUED_12: u16 = 0xF;
const HIGH_BITS: u32 = 12;
const LOW_BITS: u32 = 12;

/// Number of words that one search for odd words covers.
const LOOK: usize = 2048;
/// Number of events that the decoder packs before it writes them to the columns.
const BLOCK: usize = 2048;
/// Free space that a vector needs, because the decoder writes it in whole bytes of its mask.
const LANES_FREE: usize = 16;
/// The types at which [`frequent`] stops, one bit each. It skips unknown types.
const RARE: u32 = 1 << VECT_BASE_X | 1 << VECT_12 | 1 << VECT_8;
const COLUMNS: u64 = 1 << 11;
const ON: u32 = 11;
const Y: u32 = 12;
const LOW: u32 = 23;
const HIGH: u32 = 35;

struct Evt3 {
    high: High,
    /// The part of the time that comes from overflows of TIME_HIGH, in µs.
    overflowed: u64,
    state: Fields,
    vector: Vector,
    /// Packed events: x, polarity, y, TIME_LOW and TIME_HIGH start at bits 0, 11, 12, 23 and 35.
    packed: Box<[u64; BLOCK]>,
    /// Number of packed events.
    n: usize,
    isa: Isa,
}

/// The x at which the next vector begins, at most [`COLUMNS`], and its polarity bit of a packed
/// event.
#[derive(Clone, Copy, Default)]
struct Vector {
    x: u64,
    on: u64,
}

/// The fields that words set, each shifted to its bits of a packed event.
#[derive(Clone, Copy, Default)]
struct Fields {
    y: u64,
    low: u64,
    high: u64,
}

impl Words for Evt3 {
    const WORD: usize = 2;
    const WHAT: &'static str = "the last word";

    fn start(header: &Header, _: &[u8], literal: bool, place: SliceOrigin<'_>) -> Result<Evt3> {
        VERSION.check(header, place)?;
        let (high, state, packed) = (High::new(literal), Fields::default(), Box::new([0; BLOCK]));
        let (vector, isa) = (Vector::default(), Isa::best());
        Ok(Evt3 { high, overflowed: 0, state, vector, packed, n: 0, isa })
    }

    fn words(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        let (mut words, _) = bytes.as_chunks::<2>();
        if self.high.base_us.is_none() {
            let Some(first) = words.iter().position(|&w| u16::from_le_bytes(w) >> 12 == TIME_HIGH) else {
                return Ok(());
            };
            words = &words[first..];
            self.time_high(u16::from_le_bytes(words[0]) & 0xFFF, out);
        }
        while !words.is_empty() {
            if self.n > BLOCK - LANES_FREE {
                self.flush(out);
            }
            // The AVX-512 form decodes first; `frequent` decodes the words that it leaves.
            let piece = &words[..words.len().min(self.before_step_back(words))];
            let (mut done, n, state) = wide::frequent(self.isa, &mut self.packed, self.n, piece, self.state);
            let (more, n, state) = frequent(&mut self.packed, n, &piece[done..], state);
            (self.n, self.state) = (n, state);
            done += more;
            let (more, n, vector) = vectors(&mut self.packed, self.n, &piece[done..], self.state, self.vector);
            (self.n, self.vector) = (n, vector);
            done += more;
            let steps_back = done == piece.len();
            words = &words[done..];
            let Some(&w) = words.first() else { break };
            let w = u16::from_le_bytes(w);
            let (kind, value) = (w >> 12, w & 0xFFF);
            if kind == TIME_HIGH && (steps_back || u64::from(value) << HIGH < self.state.high) {
                self.time_high(value, out);
            } else if vector.is_beyond(kind, value) {
                let at = bytes.len() - 2 * words.len();
                return Err(place.error(at, AddressProblem::Vector, "get the file again"));
            }
        }
        self.flush(out);
        Ok(())
    }

    fn overflows(&self) -> u64 {
        self.high.overflows()
    }

    fn look(&self, bytes: &[u8], at: u64, oddities: &mut Oddities) {
        let (words, mut at) = (bytes.as_chunks::<2>().0, at);
        for block in words.chunks(LOOK) {
            let started = oddities.timed && oddities.has_row;
            if !started || may_be_odd(block, oddities.has_column) {
                Evt3::look_at(block, at, oddities);
            }
            at += size_of_val(block) as u64;
        }
    }
}

/// Whether any of the words may be odd if the stream has stated a time and a row: a word of an
/// unknown type, or, if `has_column` is false, a word of a vector. The loop has no branches, so
/// that the compiler vectorises it.
fn may_be_odd(words: &[[u8; 2]], has_column: bool) -> bool {
    let vector = u16::from(!has_column);
    words.iter().fold(0, |any, w| {
        let kind = u16::from_le_bytes(*w) >> 12;
        let unknown = u16::from(kind & 7 == 1) | u16::from(kind.wrapping_sub(0xB) < 3);
        any | unknown | u16::from(kind.wrapping_sub(VECT_BASE_X) < 3) & vector
    }) != 0
}

impl Evt3 {
    fn look_at(words: &[[u8; 2]], at: u64, oddities: &mut Oddities) {
        for (w, at) in words.iter().zip((at..).step_by(Self::WORD)) {
            match u16::from_le_bytes(*w) >> 12 {
                ADDR_X | VECT_12 | VECT_8 if !oddities.timed => oddities.note(Odd::Untimed, at),
                TIME_HIGH => oddities.timed = true,
                // The decoder skips rows before the first time.
                ADDR_Y => oddities.has_row |= oddities.timed,
                VECT_BASE_X => oddities.has_column |= oddities.timed,
                VECT_12 | VECT_8 if !oddities.has_column => oddities.note(Odd::NoColumn, at),
                ADDR_X | VECT_12 | VECT_8 if !oddities.has_row => oddities.note(Odd::NoRow, at),
                ADDR_X | VECT_12 | VECT_8 | TIME_LOW | CONTINUED_4 | EXT_TRIGGER | OTHERS | CONTINUED_12 => {}
                _ => oddities.note(Odd::Unknown, at),
            }
        }
    }
}

/// Decodes words up to the first [`RARE`] one, up to a TIME_HIGH that falls, or until the block is
/// full. Returns the number of words, the number of events and the new state. The loop has no
/// branches, because the order of the words is unpredictable. The function is not inlined, so that
/// all its variables stay in registers.
#[inline(never)]
fn frequent(packed: &mut [u64; BLOCK], mut n: usize, words: &[[u8; 2]], state: Fields) -> (usize, usize, Fields) {
    let Fields { mut y, mut low, mut high } = state;
    // Each word yields at most one event.
    let words = &words[..words.len().min(BLOCK - n.min(BLOCK))];
    let mut done = 0;
    for &w in words {
        let w = u16::from_le_bytes(w);
        let (kind, value) = (w >> 12, u64::from(w & 0xFFF));
        // Whether the word is a TIME_HIGH below the current one.
        let falls = w.wrapping_sub(TIME_HIGH << 12) < (high >> HIGH) as u16;
        if (RARE >> kind & 1 != 0) | falls {
            break;
        }
        y = select_unpredictable(kind == ADDR_Y, (value & 0x7FF) << Y, y);
        let new_high = select_unpredictable(kind == TIME_HIGH, value << HIGH, high);
        low = select_unpredictable(kind == TIME_LOW, value << LOW, low);
        low = select_unpredictable(new_high == high, low, 0);
        high = new_high;
        packed[n & (BLOCK - 1)] = high | low | y | value;
        n += usize::from(kind == ADDR_X);
        done += 1;
    }
    (done, n, Fields { y, low, high })
}

/// Decodes vectors up to the first other word, up to a vector with an event beyond the last column,
/// or until the block is full. Returns the number of words, the number of events and the new
/// vector.
#[inline(never)]
fn vectors(
    packed: &mut [u64; BLOCK],
    mut n: usize,
    words: &[[u8; 2]],
    state: Fields,
    mut vector: Vector,
) -> (usize, usize, Vector) {
    let base = state.high | state.low | state.y;
    let mut done = 0;
    for &w in words {
        let w = u16::from_le_bytes(w);
        let (kind, value) = (w >> 12, w & 0xFFF);
        if kind == VECT_BASE_X {
            vector = Vector { x: u64::from(value) & (COLUMNS - 1), on: u64::from(value) & 1 << ON };
        } else {
            let (Some(width), true) = (width(kind), n <= BLOCK - LANES_FREE) else { break };
            if vector.is_beyond(kind, value) {
                break;
            }
            let event = base | vector.on | vector.x;
            n = lanes(packed, n, event, value as u8);
            if width == 12 {
                n = lanes(packed, n, event + 8, (value >> 8) as u8);
            }
            vector.x = (vector.x + width).min(COLUMNS);
        }
        done += 1;
    }
    (done, n, vector)
}

/// Writes `event` at x + i for each set bit i of `mask`; returns the new number of events.
#[inline(always)]
fn lanes(packed: &mut [u64; BLOCK], n: usize, event: u64, mask: u8) -> usize {
    let at = n.min(BLOCK - 8);
    for (to, lane) in packed[at..at + 8].iter_mut().zip(&LANES[usize::from(mask)]) {
        *to = event + u64::from(*lane);
    }
    n + usize::from(COUNTS[usize::from(mask)])
}

/// The number of pixels of a vector; `None` for other types.
#[inline(always)]
fn width(kind: u16) -> Option<u64> {
    match kind {
        VECT_12 => Some(12),
        VECT_8 => Some(8),
        _ => None,
    }
}

impl Vector {
    /// Whether a vector has an event beyond the last column.
    #[inline(always)]
    fn is_beyond(self, kind: u16, value: u16) -> bool {
        let Some(width) = width(kind) else { return false };
        let mask = u64::from(value) & ((1 << width) - 1);
        self.x + width > COLUMNS && mask >> (COLUMNS - self.x) != 0
    }
}

/// Packed events, and the columns to which they are written.
struct Spread<'a> {
    packed: &'a [u64],
    overflowed: u64,
    out: &'a mut Columns,
}

impl Loop for Spread<'_> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Spread { packed, overflowed, out } = self;
        out.t_us.extend(packed.iter().map(|p| overflowed + (p >> LOW)));
        out.x.extend(packed.iter().map(|p| (p & (COLUMNS - 1)) as u16));
        out.y.extend(packed.iter().map(|p| (p >> Y & 0x7FF) as u16));
        out.on.extend(packed.iter().map(|p| p >> ON & 1 == 1));
    }
}

impl Evt3 {
    /// Writes the packed events to the columns.
    fn flush(&mut self, out: &mut Columns) {
        let packed = &self.packed[..self.n.min(BLOCK)];
        self.isa.run(Spread { packed, overflowed: self.overflowed, out });
        self.n = 0;
    }

    /// The number of words before the first TIME_HIGH that may step back over a recent overflow;
    /// all words if no overflow is recent.
    #[inline]
    fn before_step_back(&self, words: &[[u8; 2]]) -> usize {
        if !self.high.may_step_back((self.state.high >> HIGH) as u32, HIGH_BITS) {
            return words.len();
        }
        let first = (1u32 << HIGH_BITS) as u16 - High::latest(HIGH_BITS) as u16;
        let steps_back = |w: &[u8; 2]| {
            let w = u16::from_le_bytes(*w);
            w >> 12 == TIME_HIGH && w & 0xFFF >= first
        };
        words.iter().position(steps_back).unwrap_or(words.len())
    }

    /// Processes the first TIME_HIGH, or one that falls and may have overflowed.
    fn time_high(&mut self, value: u16, out: &mut Columns) {
        self.flush(out);
        self.state.low = 0;
        // Record the value before the fall first, so that the fall is measured from it.
        if self.high.base_us.is_some() {
            self.high.risen((self.state.high >> HIGH) as u32);
        }
        self.high.set(value.into(), HIGH_BITS, LOW_BITS);
        self.state.high = u64::from(value) << HIGH;
        self.overflowed = self.high.base_us.unwrap_or(0) - (u64::from(value) << LOW_BITS);
    }
}

/// Writes events as words. If neighbouring events have the same time, row and polarity and a vector
/// is shorter than single events, it writes a vector.
struct Writer {
    header: Option<Vec<u8>>,
    high: High,
    low: Option<u16>,
    y: Option<u16>,
    count: u64,
}

impl Writer {
    fn new(sensor: Option<Sensor>) -> Writer {
        Writer { header: Some(VERSION.header(sensor, "")), high: High::default(), low: None, y: None, count: 0 }
    }
}

impl Encoder for Writer {
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        let mut at = 0;
        while let Some(e) = events.get(at) {
            let Event { t_us, x, y, on } = e;
            if x > 0x7FF || y > 0x7FF {
                let why = ("x or y is above 2047", "scale the recording down".into());
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
                // A base and three masks are four words and cover 32 pixels, so a vector is shorter
                // than five events or more.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tickless_testing::assert_problem;

    use super::*;
    use crate::formats::ReadOptions;

    fn decode(words: &[(u16, u16)]) -> Result<Vec<(u64, u16, u16, bool)>> {
        let mut bytes = b"% evt 3.0\n% end\n".to_vec();
        words.iter().for_each(|(kind, value)| bytes.extend((kind << 12 | value).to_le_bytes()));
        let events = FORMAT.decode(&bytes, "a.raw")?.events;
        Ok(events.iter().map(|e| (e.t_us, e.x, e.y, e.on)).collect())
    }

    #[test]
    fn vectors_follow_each_other_without_a_new_base() {
        let words = [
            (ADDR_X, 1),
            (TIME_HIGH, 1),
            (TIME_LOW, 2),
            (ADDR_Y, 9),
            (VECT_BASE_X, 0x800 | 100),
            (VECT_12, 0x801),
            (VECT_8, 0xF82),
            (0xE, 5),
            (ADDR_X, 3),
        ];
        let t = 4098;
        let expected = [(t, 100, 9, true), (t, 111, 9, true), (t, 113, 9, true), (t, 119, 9, true), (t, 3, 9, false)];
        assert_eq!(decode(&words).unwrap(), expected);
    }

    #[test]
    fn a_vector_beyond_the_last_column_is_an_error() {
        let vector = |from, kind, mask| decode(&[(TIME_HIGH, 0), (VECT_BASE_X, from), (kind, mask), (VECT_8, 0)]);
        assert_eq!(vector(2040, VECT_8, 0xFF).unwrap().len(), 8);
        assert_eq!(vector(2040, VECT_12, 0x0FF).unwrap().len(), 8);
        for wrong in [vector(2041, VECT_8, 0x80), vector(2040, VECT_12, 0x100), vector(2047, VECT_12, 0x800)] {
            assert_problem!(wrong.unwrap_err(), at "a.raw: byte 20: ", AddressProblem::Vector);
        }
        let on = decode(&[(TIME_HIGH, 0), (VECT_BASE_X, 2040), (VECT_8, 0), (VECT_8, 1)]);
        assert_problem!(on.unwrap_err(), at "a.raw: byte 22: ", AddressProblem::Vector);
    }

    #[test]
    fn times_are_literal_and_overflows_are_counted() {
        let x = (ADDR_X, 0);
        let high = |value| (TIME_HIGH, value);
        let words = [
            high(4095),
            (TIME_LOW, 9),
            x,
            (TIME_LOW, 2),
            x,
            high(0),
            (TIME_LOW, 0),
            x,
            high(0),
            x,
            high(4000),
            x,
            high(3999),
            x,
            high(5),
            x,
        ];
        let times: Vec<_> = decode(&words).unwrap().iter().map(|e| e.0).collect();
        let turn = 1 << 24;
        let expected =
            [turn - 4096 + 9, turn - 4096 + 2, turn, turn, turn + 4000 * 4096, turn + 3999 * 4096, 2 * turn + 5 * 4096];
        assert_eq!(times, expected);
    }

    #[test]
    fn a_time_high_that_steps_back_over_its_own_overflow_counts_it_once() {
        let (x, high, turn) = ((ADDR_X, 0), |value| (TIME_HIGH, value), 1u64 << 24);
        // At every position of a register of 16 words, and in the words after the last register.
        for before in 0..40 {
            let fill = || std::iter::repeat_n((ADDR_Y, 3), before);
            let words = [high(4095), x, high(0), x, (TIME_LOW, 7)].into_iter().chain(fill());
            let words = words.chain([high(4095), x, (TIME_LOW, 5), x, high(4095), x]).chain(fill());
            let words = words.chain([high(0), x, high(15), x, high(4090), x, high(4095), x, high(0), x, high(2050), x]);
            let words: Vec<_> = words.chain([high(4095), x, high(1), x]).collect();
            let times: Vec<_> = decode(&words).unwrap().iter().map(|e| e.0).collect();
            let time = |turns: u64, high: u64| turns * turn + 4096 * high;
            let expected = [
                time(0, 4095),
                time(1, 0),
                time(0, 4095),
                time(0, 4095) + 5,
                time(0, 4095) + 5,
                time(1, 0),
                time(1, 15),
                time(1, 4090),
                time(1, 4095),
                time(2, 0),
                time(2, 2050),
                time(2, 4095),
                time(3, 1),
            ];
            assert_eq!(times, expected, "{before}");
        }
    }

    #[test]
    fn words_that_lack_what_they_need_are_counted_with_the_first_byte() {
        let words = [
            (ADDR_X, 1),
            (ADDR_Y, 5),
            (TIME_HIGH, 1),
            (VECT_8, 1),
            (ADDR_X, 2),
            (ADDR_Y, 5),
            (VECT_BASE_X, 9),
            (VECT_12, 1),
            (ADDR_X, 3),
            (0xB, 0),
            (TIME_LOW, 2),
            (0xE, 5),
            (0xA, 1),
            (1, 7),
            (0x7, 0),
            (0xF, 0),
        ];
        let mut bytes = b"% evt 3.0\n% end\n".to_vec();
        words.iter().for_each(|(kind, value)| bytes.extend((kind << 12 | value).to_le_bytes()));
        let path = tempfile::tempdir().unwrap();
        let path = path.path().join("a.raw");
        std::fs::write(&path, &bytes).unwrap();
        let options = ReadOptions { note_oddities: true, ..ReadOptions::default() };
        let (mut reader, mut events) = (crate::formats::open_with(&path, &options).unwrap(), Columns::new());
        reader.read_into(&mut events).unwrap();
        let found: Vec<_> =
            reader.oddities().iter().map(|o| (o.what.split(',').next().unwrap(), o.count, o.first_byte)).collect();
        let expected = [
            ("event before the first time", 1, 16),
            ("vector of events before the first column", 1, 22),
            ("event before the first row", 1, 24),
            ("unknown type", 2, 34),
        ];
        assert_eq!(found, expected);
        assert!(crate::formats::open(&path).unwrap().oddities().is_empty(), "not asked for");
    }

    #[test]
    fn a_time_high_that_changes_sets_the_low_time_to_zero_and_one_that_repeats_does_not() {
        let x = |column| (ADDR_X, column);
        let fill = |n: usize| std::iter::repeat_n((ADDR_Y, 3), n);
        // The words take every position in a vector register of 16 words and in the scalar rest.
        for before in 0..40 {
            let words = std::iter::once((TIME_HIGH, 1))
                .chain(fill(before))
                .chain([(TIME_LOW, 7), x(1), (TIME_HIGH, 1), x(2), (TIME_HIGH, 2), x(3)])
                .chain([(VECT_BASE_X, 9), (VECT_8, 1), (TIME_LOW, 5), x(4), (TIME_HIGH, 1), x(5), (TIME_LOW, 6)])
                .chain(fill(before))
                .chain([(TIME_HIGH, 3), (VECT_BASE_X, 8), (VECT_12, 2), (VECT_8, 2)])
                .chain(fill(before));
            let found: Vec<_> = decode(&words.collect::<Vec<_>>()).unwrap().iter().map(|e| (e.0, e.1)).collect();
            let expected = [(4103, 1), (4103, 2), (8192, 3), (8192, 9), (8197, 4), (4096, 5), (12288, 9), (12288, 21)];
            assert_eq!(found, expected, "{before}");
        }
    }

    /// Words as a camera sends them: mostly rows, times and single events, occasionally any type.
    fn word() -> impl Strategy<Value = u16> {
        let kind = prop_oneof![
            10 => Just(ADDR_Y),
            10 => Just(ADDR_X),
            10 => Just(TIME_LOW),
            1 => Just(TIME_HIGH),
            1 => 0u16..16,
        ];
        (kind, prop_oneof![0u16..4, 0u16..0x1000]).prop_map(|(kind, value)| kind << 12 | value)
    }

    proptest! {
        #[test]
        fn vectors_of_every_width_decode_the_same(words in prop::collection::vec(word(), 0..6000), cut in 0usize..6000) {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            let cut = 2 * cut.min(words.len());
            let decoded: Vec<_> = Isa::available().into_iter().map(|isa| {
                let place = SliceOrigin { file: "a.raw", at: 0 };
                let (header, _) = Header::of(&super::super::Probe::whole(b"% evt 3.0\n"));
                let (mut evt3, mut out) = (Evt3::start(&header, &[], false, place).unwrap(), Columns::new());
                evt3.isa = isa;
                let result = evt3.words(&bytes[..cut], place, &mut out).and_then(|()| {
                    evt3.words(&bytes[cut..], SliceOrigin { at: cut as u64, ..place }, &mut out)
                });
                (result.map_err(|e| e.to_string()), out)
            }).collect();
            prop_assert!(decoded.iter().all(|d| *d == decoded[0]));
        }
    }
}
