//! Prophesee EVT 2.1 (`.raw`): words of 64 bits, each with up to 32 events of one row.
//!
//! The type is in bits 63–60. Types 0 (OFF) and 1 (ON) are events: the low 6 bits of the time in
//! bits 59–54, x in bits 53–43, y in bits 42–32 and a mask in bits 31–0, whose bit i stands for an
//! event at x + i. Type 8 (TIME_HIGH) contains the upper 28 bits of the time in bits 59–32.
//! Triggers and all other types are skipped. Events before the first TIME_HIGH have no time and are
//! dropped.
//!
//! The byte order is `little` (a word is one little endian number) or `legacy` (the upper 32 bits
//! come first, each half is little endian; IMX636). A reader that assumes the wrong one returns
//! wrong events without an error. The order is stated as `endianness=` in the line `% format`, or
//! else in the line `% endianness`. If neither exists, the order is legacy if plug-in and camera
//! are Prophesee's and 0 < system_ID < 55, otherwise little. This crate writes `little`.
//!
//! Times are in µs of the camera's clock; overflows of TIME_HIGH (after 4.7 hours) are counted. x
//! counts from the left and y from the top. Source: the public description of EVT 2.1 in
//! Prophesee's documentation.

use super::block::Block;
use super::encoder::refuse;
use super::evt::{High, Version, run};
use super::oddities::{Odd, Oddities};
use super::prophesee::{Headed, Header, Words};
use super::records::{RecordDecoder, SliceOrigin};
use super::{Encoder, Format, Reading, SupportedOption};
use crate::problem::Problem;
use crate::{Columns, Event, Result};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "evt21",
    about: "Prophesee RAW, EVT 2.1 (little and legacy)",
    extensions: &["raw"],
    axes: super::Axes::UpperLeft,
    fits: |probe| VERSION.fits(probe),
    supports: &[SupportedOption::LiteralTimes],
    read: Reading::Stream(|file, options| Box::new(RecordDecoder::new(Headed::<Evt21>::new(options), file))),
    write: Some(|sensor| {
        let header = Some(VERSION.header(sensor, ";endianness=little"));
        Ok(Box::new(Writer { header, high: High::default(), count: 0 }))
    }),
};

const VERSION: Version = Version { evt: "2.1", format: "EVT21" };
const TIME_HIGH: u64 = 8;
const EXT_TRIGGER: u64 = 0xA;
const OTHERS: u64 = 0xE;
const CONTINUED: u64 = 0xF;
const HIGH_BITS: u32 = 28;
const LOW_BITS: u32 = 6;

struct Evt21 {
    legacy: bool,
    high: High,
    block: Box<Block>,
}

impl Words for Evt21 {
    const WORD: usize = 8;
    const WHAT: &'static str = "the last word";

    fn start(header: &Header, _: &[u8], literal: bool, place: SliceOrigin<'_>) -> Result<Evt21> {
        VERSION.check(header, place)?;
        let stated = header.format_option("endianness").or(header.get("endianness"));
        let legacy = match stated.map(str::to_ascii_lowercase).as_deref() {
            Some("legacy") => true,
            Some("little") => false,
            Some(other) => {
                let problem = Problem::Unknown { what: "unknown endianness `{}` in the header", found: other.into() };
                let place = SliceOrigin { at: 0, ..place };
                return Err(place.error(0, problem, "state `little` or `legacy`"));
            }
            None => is_legacy(header),
        };
        Ok(Evt21 { legacy, high: High::new(literal), block: Box::new(Block::new()) })
    }

    fn words(&mut self, bytes: &[u8], _: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        // Rotating a word by half its width converts one byte order into the other.
        let turn = if self.legacy { 32 } else { 0 };
        let mut n = 0;
        for r in bytes.chunks_exact(8) {
            let w = u64::from_le_bytes([r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]]).rotate_left(turn);
            match w >> 60 {
                0 | 1 => {
                    let Some(base) = self.high.base_us else { continue };
                    let (x, y, mask) = ((w >> 43 & 0x7FF) as u16, (w >> 32 & 0x7FF) as u16, w as u32);
                    let event = Event { t_us: base + (w >> 54 & 0x3F), x, y, on: w >> 60 == 1 };
                    n = self.block.make_room(n, out);
                    if mask.is_power_of_two() {
                        n = self.block.put(n, Event { x: x + mask.trailing_zeros() as u16, ..event }, true);
                    } else {
                        for (i, byte) in (0u16..).zip(mask.to_le_bytes()).filter(|(_, byte)| *byte != 0) {
                            n = self.block.put_mask(n, Event { x: x + 8 * i, ..event }, byte);
                        }
                    }
                }
                TIME_HIGH => self.high.set((w >> 32 & 0x0FFF_FFFF) as u32, HIGH_BITS, LOW_BITS),
                _ => {}
            }
        }
        self.block.flush(n, out);
        Ok(())
    }

    fn overflows(&self) -> u64 {
        self.high.overflows()
    }

    fn look(&self, bytes: &[u8], at: u64, oddities: &mut Oddities) {
        let turn = if self.legacy { 32 } else { 0 };
        for (w, at) in bytes.as_chunks::<8>().0.iter().zip((at..).step_by(Self::WORD)) {
            match u64::from_le_bytes(*w).rotate_left(turn) >> 60 {
                0 | 1 if !oddities.timed => oddities.note(Odd::Untimed, at),
                TIME_HIGH => oddities.timed = true,
                0 | 1 | EXT_TRIGGER | OTHERS | CONTINUED => {}
                _ => oddities.note(Odd::Unknown, at),
            }
        }
    }
}

/// Whether the byte order is legacy, for a header that does not state it.
fn is_legacy(header: &Header) -> bool {
    let prophesee = |keys: [&str; 2]| {
        let stated = keys.into_iter().find_map(|k| header.get(k));
        stated.is_some_and(|name| name.eq_ignore_ascii_case("Prophesee"))
    };
    let system: Option<u32> = header.get("system_ID").and_then(|id| id.parse().ok());
    prophesee(["plugin_integrator_name", "integrator_name"])
        && prophesee(["camera_integrator_name", "integrator_name"])
        && system.is_some_and(|id| 0 < id && id < 55)
}

/// Writes words. Consecutive events of one time, row and polarity whose columns ascend share a
/// word.
struct Writer {
    header: Option<Vec<u8>>,
    high: High,
    count: u64,
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
            let words = self.high.words_to(t_us, HIGH_BITS, LOW_BITS);
            for word in words.map_err(|why| refuse(FORMAT.name, self.count, e, why))? {
                out.extend((TIME_HIGH << 60 | u64::from(word) << 32).to_le_bytes());
            }
            // Cameras write a multiple of 32 in the field x, so this writer does too.
            let first = x & !31;
            let n = run(events.iter_from(at), first + 32 - x);
            let mask = events.x()[at..at + n].iter().fold(0u64, |mask, x| mask | 1 << (x - first));
            let place = (t_us & 0x3F) << 54 | u64::from(first) << 43 | u64::from(y) << 32;
            out.extend((u64::from(on) << 60 | place | mask).to_le_bytes());
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
    use tickless_testing::assert_problem;

    use super::*;

    fn order(header: &str) -> Result<bool> {
        let (header, _) = Header::of(&super::super::Probe::whole(header.as_bytes()));
        Evt21::start(&header, &[], false, SliceOrigin { file: "a.raw", at: 99 }).map(|evt21| evt21.legacy)
    }

    #[test]
    fn the_byte_order_follows_from_the_header() {
        let camera = "% evt 2.1\n% plugin_integrator_name Prophesee\n% camera_integrator_name Prophesee\n";
        for (header, legacy) in [
            ("% format EVT21;endianness=legacy\n% endianness little\n".to_owned(), true),
            ("% evt 2.1\n% endianness legacy\n".into(), true),
            ("% evt 2.1\n% endianness little\n".into(), false),
            ("% evt 2.1\n".into(), false),
            (format!("{camera}% system_ID 49\n"), true),
            (format!("{camera}% system_ID 55\n"), false),
            (format!("{camera}% system_ID 0\n"), false),
            (camera.replace("Prophesee", "Other") + "% system_ID 49\n", false),
        ] {
            assert_eq!(order(&header).unwrap(), legacy, "{header}");
        }
        let error = order("% evt 2.1\n% endianness middle\n").unwrap_err();
        let unknown = Problem::Unknown { what: "unknown endianness `{}` in the header", found: "middle".into() };
        assert_problem!(error, at "a.raw: byte 0: ", unknown);
    }

    #[test]
    fn both_orders_give_the_same_events() {
        let words = [TIME_HIGH << 60 | 3 << 32, 1 << 60 | 2 << 54 | 40 << 43 | 7 << 32 | 0x8001_0401];
        let file = |order: &str, turn: u32| {
            let mut bytes = format!("% format EVT21;endianness={order}\n% end\n").into_bytes();
            words.iter().for_each(|w: &u64| bytes.extend(w.rotate_left(turn).to_le_bytes()));
            FORMAT.decode(&bytes, "a.raw").unwrap().events.to_vec()
        };
        let event = |x| Event { t_us: 194, x, y: 7, on: true };
        assert_eq!(file("little", 0), [40, 50, 56, 71].map(event));
        assert_eq!(file("legacy", 32), file("little", 0));
    }
}
