//! Prophesee DAT (`.dat`): a header and records of 8 bytes.
//!
//! After the header (see `prophesee`) follow one byte with the type of the events (0 and 12 are
//! changes at a pixel; others are refused) and one byte with their size (8). A record is a little
//! endian u32 time in µs and a little endian u32 with the pixel: in version 2, x in bits 0–13, y in
//! bits 14–27 and polarity in bit 28; in version 1 (ATIS), x in bits 0–8, y in bits 9–16 and
//! polarity in bit 17.
//!
//! Times have 32 bits and wrap around after 71.6 minutes; the decoder continues them (see `clock`),
//! unless the options ask for literal times. x counts from the left and y from the top. Source: the
//! public description of the DAT format in Prophesee's documentation.

use tickless_simd::{Isa, Loop};

use super::clock::Clock;
use super::encoder::EventEncoder;
use super::prefetch::prefetch_a_page_ahead;
use super::prophesee::{Headed, Header, Words};
use super::records::{RecordDecoder, SliceOrigin};
use super::{Encoder, Fit, Format, Probe, Reading, SupportedOption};
use crate::problem::Problem;
use crate::{Columns, Remedy, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "dat",
    about: "Prophesee DAT (types 0 and 12)",
    extensions: &["dat"],
    axes: super::Axes::UpperLeft,
    fits,
    supports: &[SupportedOption::LiteralTimes],
    read: Reading::Stream(|file, options| Box::new(RecordDecoder::new(Headed::<Dat>::new(options), file))),
    write: Some(encoder),
};

const RECORD: usize = 8;
/// Number of records whose columns are written in one block.
const BLOCK: usize = 1024;
/// Number of records that are decoded together in vector registers.
const GROUP: usize = 16;
/// The types of events that are changes at a pixel.
const TYPES: [u8; 2] = [0, 12];

struct Dat {
    version: Version,
    clock: Clock<32>,
}

/// The layout of the second half of a record.
enum Version {
    One,
    Two,
}

impl Words for Dat {
    const PREFIX: usize = 2;
    const WORD: usize = RECORD;
    const WHAT: &'static str = "the last event";

    fn start(header: &Header, prefix: &[u8], literal: bool, place: SliceOrigin<'_>) -> Result<Dat> {
        let version = match header.get("Version") {
            Some("2") => Version::Two,
            Some("1") => Version::One,
            other => {
                let found = other.unwrap_or("(nothing)").to_owned();
                let problem = Problem::Unknown { what: "the header states version `{}`", found };
                return Err(SliceOrigin { at: 0, ..place }.error(
                    0,
                    problem,
                    "known are `% Version 1` and `% Version 2`",
                ));
            }
        };
        match *prefix {
            [kind, 8] if TYPES.contains(&kind) => Ok(Dat { version, clock: Clock::new(literal) }),
            [kind, size] => {
                let found = format!("{kind} and {size}");
                let problem = Problem::Unknown { what: "events of type {} bytes", found };
                Err(place.error(0, problem, "read are changes only, of type 0 or 12 and 8 bytes"))
            }
            _ => Err(place.error(0, "no type of events after the header", "get the file again")),
        }
    }

    fn words(&mut self, bytes: &[u8], _: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        // The widths are constants, so that the compiler vectorises the loop for each version.
        let (records, _) = bytes.as_chunks::<RECORD>();
        let clock = &mut self.clock;
        match self.version {
            Version::One => Isa::best().run(Piece::<9, 8> { records, clock, out }),
            Version::Two => Isa::best().run(Piece::<14, 14> { records, clock, out }),
        }
        Ok(())
    }

    fn overflows(&self) -> u64 {
        self.clock.overflows()
    }
}

/// Records to decode, with x of `X` bits and y of `Y` bits.
struct Piece<'a, const X: u32, const Y: u32> {
    records: &'a [[u8; RECORD]],
    clock: &'a mut Clock<32>,
    out: &'a mut Columns,
}

impl<const X: u32, const Y: u32> Loop for Piece<'_, X, Y> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        unpack::<X, Y>(self.records, self.clock, self.out);
    }
}

#[inline(always)]
fn unpack<const X: u32, const Y: u32>(records: &[[u8; RECORD]], clock: &mut Clock<32>, out: &mut Columns) {
    let x = |place: u32| (place & ((1 << X) - 1)) as u16;
    let y = |place: u32| (place >> X & ((1 << Y) - 1)) as u16;
    let on = |place: u32| place >> (X + Y) & 1 == 1;
    // Each block is so small that its columns stay in the L1 cache.
    for block in records.chunks(BLOCK) {
        let slots = out.grow(block.len());
        let (groups, rest) = block.as_chunks::<GROUP>();
        let (t, t_rest) = slots.t_us.as_chunks_mut::<GROUP>();
        let (xs, x_rest) = slots.x.as_chunks_mut::<GROUP>();
        let (ys, y_rest) = slots.y.as_chunks_mut::<GROUP>();
        let (ons, on_rest) = slots.on.as_chunks_mut::<GROUP>();
        for ((((group, t), xs), ys), ons) in groups.iter().zip(t).zip(xs).zip(ys).zip(ons) {
            prefetch_a_page_ahead(&group[0]);
            prefetch_a_page_ahead(&group[GROUP / 2]);
            let group = group.map(u64::from_le_bytes);
            let places = group.map(|r| (r >> 32) as u32);
            *t = group.map(|r| r & 0xFFFF_FFFF);
            *xs = places.map(x);
            *ys = places.map(y);
            *ons = places.map(on);
        }
        for (i, r) in rest.iter().enumerate() {
            let r = u64::from_le_bytes(*r);
            let place = (r >> 32) as u32;
            (t_rest[i], x_rest[i], y_rest[i], on_rest[i]) = (r & 0xFFFF_FFFF, x(place), y(place), on(place));
        }
        clock.follow(slots.t_us);
    }
}

/// Whether the header states a version but no EVT format, and a valid type and size of events
/// follow.
fn fits(probe: &Probe<'_>) -> Fit {
    let (header, at) = Header::of(probe);
    let kind = matches!(probe.head.get(at..at + 2), Some([kind, 8]) if TYPES.contains(kind));
    let evt = header.get("evt").or(header.get("format"));
    match kind && header.get("Version").is_some() && evt.is_none() {
        true => Fit::Sure,
        false if Header::may_continue(probe, at) => Fit::Unknown,
        // The second of the two bytes after the header may not have come yet.
        false if probe.grows && at > 0 && probe.head.len() < at + 2 => Fit::Unknown,
        false => Fit::No,
    }
}

fn encoder(sensor: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    let mut header = b"% Data file containing CD events.\n% Version 2\n".to_vec();
    if let Some(Sensor { width, height }) = sensor {
        header.extend(format!("% Height {height}\n% Width {width}\n").bytes());
    }
    header.extend([12, RECORD as u8]);
    let mut clock = Clock::<32>::new(false);
    Ok(EventEncoder::boxed(FORMAT.name, header, move |e, bytes| {
        let Ok(t) = u32::try_from(e.t_us) else {
            return Err(("its time is above 2^32 µs", Remedy::START_AT_ZERO));
        };
        if clock.store(e.t_us).is_none() {
            return Err(("its time falls as far as at an overflow", Remedy::SORT));
        }
        if e.x >= 1 << 14 || e.y >= 1 << 14 {
            return Err(("x or y is above 16383", "scale the recording down".into()));
        }
        let place = u32::from(e.x) | u32::from(e.y) << 14 | u32::from(e.on) << 28;
        bytes.extend(t.to_le_bytes());
        bytes.extend(place.to_le_bytes());
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;

    fn decode(header: &str, record: [u8; 10]) -> Result<Vec<(u64, u16, u16, bool)>> {
        let stream = FORMAT.decode(&[header.as_bytes(), &record].concat(), "a.dat")?;
        Ok(stream.events.iter().map(|e| (e.t_us, e.x, e.y, e.on)).collect())
    }

    #[test]
    fn the_clock_goes_on_after_an_overflow_wherever_it_lies() {
        for first in [0, 1, 15, 16, 17, 1023, 1024, 8191, 8192, 9000] {
            let times: Vec<u32> = (0..first).map(|i| u32::MAX - first + i).chain(0..3000).collect();
            let mut bytes = b"% Version 2\n\x0C\x08".to_vec();
            times.iter().for_each(|t| bytes.extend([t.to_le_bytes(), [0; 4]].concat()));
            let stream = FORMAT.decode(&bytes, "a.dat").unwrap();
            let turns = |i: usize| u64::from(i as u32 >= first && first > 0) << 32;
            let expected = times.iter().enumerate().map(|(i, &t)| u64::from(t) + turns(i));
            assert!(stream.events.t_us().iter().copied().eq(expected), "{first}");
            let options = crate::formats::ReadOptions { literal_times: true, ..Default::default() };
            let literal = FORMAT.decode_with(&bytes, "a.dat", &options).unwrap();
            assert!(literal.events.t_us().iter().copied().eq(times.iter().map(|&t| u64::from(t))), "{first}");
        }
    }

    #[test]
    fn the_version_says_where_the_fields_lie() {
        let place: u32 = 300 | 200 << 9 | 1 << 17;
        let [a, b, c, d] = place.to_le_bytes();
        let record = |kind| [kind, 8, 1, 0, 0, 0x80, a, b, c, d];
        let t = 0x8000_0001;
        assert_eq!(decode("% Version 1\n", record(0)).unwrap(), [(t, 300, 200, true)]);
        let (x, y) = ((place & 0x3FFF) as u16, (place >> 14) as u16);
        assert_eq!(decode("% Version 2\n", record(12)).unwrap(), [(t, x, y, false)]);
        let error = |header, kind| decode(header, record(kind)).unwrap_err();
        let version = |found: &str| Problem::Unknown { what: "the header states version `{}`", found: found.into() };
        assert_problem!(error("% Version 3\n", 0), at "a.dat: byte 0: ", version("3"));
        assert_problem!(error("% Height 3\n", 0), at "a.dat: byte 0: ", version("(nothing)"));
        let kind = Problem::Unknown { what: "events of type {} bytes", found: "14 and 8".into() };
        assert_problem!(error("% Version 2\n", 14), at "a.dat: byte 12: ", kind);
    }
}
