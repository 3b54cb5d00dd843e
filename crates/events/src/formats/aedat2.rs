//! AEDAT 2.0 (`.aedat`): the format that jAER writes.
//!
//! The header consists of lines that begin with `#`, the first being `#!AER-DAT2.0`. Then follow
//! events of 8 bytes, big endian: u32 address, u32 time in µs. The header line `# AEChip:` names
//! the camera:
//! - DVS128 (the default): polarity in bit 0, x in bits 1–7, y in bits 8–14. Records with bit 15
//!   set are not changes at a pixel and are skipped.
//! - DAVIS: polarity in bit 11, x in bits 12–21, y in bits 22–30. Bit 31 marks frames and inertial
//!   samples, bit 10 external signals; both are skipped.
//!
//! Times are unsigned 32 bits that wrap around after 71.6 minutes; the decoder continues them (see
//! `clock`), unless the options ask for literal times. x, y and polarity are returned as stored,
//! because programs disagree about the origin. jAER shows x and y from the lower right of a DVS128
//! (lower left of a DAVIS) and uses polarity 0 for ON. Some readers therefore return 127 − x,
//! 127 − y and 1 − p; if a data set (CIFAR10-DVS) is used that way, its loader does the
//! conversion. Source: jAER's description of AER-DAT 2.0.

use super::aedat::{self, Front, front};
use super::block::Block;
use super::clock::Clock;
use super::encoder::EventEncoder;
use super::records::{RecordDecoder, Records, SliceOrigin};
use super::{Axes, Encoder, Format, ReadOptions, Reading, SupportedOption};
use crate::problem::{AddressProblem, Problem, Truncation};
use crate::{Columns, Error, Event, Remedy, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "aedat2",
    about: "AEDAT 2.0 of jAER (DVS128, DAVIS)",
    extensions: &["aedat"],
    axes: AXES,
    fits: |probe| probe.begins_with(Aedat2::<RECORD>::MAGIC),
    supports: &[SupportedOption::LiteralTimes],
    read: Reading::Stream(|file, options| Box::new(RecordDecoder::new(Aedat2::<RECORD>::new(options), file))),
    write: Some(encoder),
};

pub(super) const AXES: Axes =
    Axes::AsStored("jAER shows a DVS128 from the lower right and a DAVIS from the lower left");
const RECORD: usize = 8;

/// The layout of addresses.
#[derive(Clone, Copy)]
enum Chip {
    Dvs128,
    Davis,
}

#[derive(PartialEq)]
enum Stage {
    First,
    Header,
    Events,
}

/// The decoder for events of `RECORD` bytes, of which the last four are the time: 8 bytes in AEDAT
/// 2.0, 6 in AER-DAT 1.0.
pub(super) struct Aedat2<const RECORD: usize> {
    stage: Stage,
    chip: Chip,
    sensor: Option<Sensor>,
    clock: Clock<32>,
    block: Box<Block>,
}

impl<const RECORD: usize> Records for Aedat2<RECORD> {
    const LONGEST: usize = aedat::LONGEST_LINE + 1;

    fn decode(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<usize> {
        if self.stage != Stage::Events {
            match front(bytes) {
                Front::More => return Ok(0),
                Front::Line(n) => {
                    self.line(&bytes[..n], place)?;
                    return Ok(n);
                }
                Front::Data if self.stage == Stage::First => return Err(no_magic::<RECORD>(place)),
                Front::Data => self.stage = Stage::Events,
            }
        }
        let before = out.len();
        match self.chip {
            Chip::Dvs128 => self.dvs128(bytes, place, out)?,
            Chip::Davis => self.davis(bytes, out),
        }
        self.clock.follow(&mut out.t_us[before..]);
        Ok(bytes.len() - bytes.len() % RECORD)
    }

    fn finish(&mut self, rest: &[u8], place: SliceOrigin<'_>, _: &mut Columns) -> Result<()> {
        match self.stage {
            Stage::First => Err(no_magic::<RECORD>(place)),
            _ if rest.is_empty() => Ok(()),
            Stage::Header => Err(place.error(
                0,
                Truncation::Described("the file ends inside its header".into()),
                "get the file again",
            )),
            Stage::Events => Err(place.truncated("the last event", rest.len(), RECORD)),
        }
    }

    fn sensor(&self) -> Option<Sensor> {
        self.sensor
    }

    fn overflows(&self) -> u64 {
        self.clock.overflows()
    }
}

impl<const RECORD: usize> Aedat2<RECORD> {
    /// The beginning of the first line of a file.
    pub(super) const MAGIC: &[u8] = if RECORD == 6 { b"#!AER-DAT1.0" } else { b"#!AER-DAT2.0" };

    /// Creates a decoder for the beginning of a file.
    pub(super) fn new(options: &ReadOptions) -> Aedat2<RECORD> {
        let clock = Clock::new(options.literal_times);
        Aedat2 { stage: Stage::First, chip: Chip::Dvs128, sensor: None, clock, block: Box::new(Block::new()) }
    }

    fn line(&mut self, line: &[u8], place: SliceOrigin<'_>) -> Result<()> {
        if self.stage == Stage::First && !line.starts_with(Self::MAGIC) {
            return Err(no_magic::<RECORD>(place));
        }
        self.stage = Stage::Header;
        let line = String::from_utf8_lossy(line);
        if line.trim().eq_ignore_ascii_case("#End Of ASCII Header") {
            self.stage = Stage::Events;
        } else if let Some(chip) = line.strip_prefix("# AEChip:") {
            let name = chip.trim().rsplit('.').next().unwrap_or_default().to_ascii_uppercase();
            self.chip = if name.contains("DAVIS") && RECORD < 8 {
                return Err(place.error(0, AddressProblem::Davis, "convert it with jAER"));
            } else if name.contains("DAVIS") {
                Chip::Davis
            } else if name.contains("DVS128") || name.contains("TMPDIFF128") {
                Chip::Dvs128
            } else {
                let found = chip.trim().to_owned();
                let problem = Problem::Unknown { what: "addresses of the camera `{}`", found };
                return Err(place.error(0, problem, "known are those of DVS128 and DAVIS; convert it with jAER"));
            };
            self.sensor = aedat::sensor(&name);
        }
        Ok(())
    }

    fn dvs128(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        let (records, _) = bytes.as_chunks::<RECORD>();
        let (mut n, mut all) = (0, 0);
        for r in records {
            let (address, t_us) = fields(r);
            all |= address;
            n = self.block.make_room(n, out);
            let (x, y) = ((address >> 1 & 0x7F) as u16, (address >> 8 & 0x7F) as u16);
            n = self.block.put(n, Event { t_us, x, y, on: address & 1 == 1 }, address & 0x8000 == 0);
        }
        self.block.flush(n, out);
        if all >> 16 != 0 {
            let at = records.iter().position(|r| fields(r).0 >> 16 != 0).unwrap_or(0) * RECORD;
            let problem = AddressProblem::Beyond16Bits;
            return Err(place.error(at, problem, "name the camera in a line `# AEChip:` if it is a DAVIS"));
        }
        Ok(())
    }

    fn davis(&mut self, bytes: &[u8], out: &mut Columns) {
        let mut n = 0;
        for r in bytes.as_chunks::<RECORD>().0 {
            let (address, t_us) = fields(r);
            n = self.block.make_room(n, out);
            let (x, y) = ((address >> 12 & 0x3FF) as u16, (address >> 22 & 0x1FF) as u16);
            n = self.block.put(n, Event { t_us, x, y, on: address >> 11 & 1 == 1 }, address & 0x8000_0400 == 0);
        }
        self.block.flush(n, out);
    }
}

/// The address and the time of an event.
#[inline(always)]
fn fields<const RECORD: usize>(r: &[u8; RECORD]) -> (u32, u64) {
    let number = |bytes: &[u8]| bytes.iter().fold(0u32, |n, &b| n << 8 | u32::from(b));
    let (address, t) = r.split_at(RECORD - 4);
    (number(address), number(t).into())
}

fn no_magic<const RECORD: usize>(place: SliceOrigin<'_>) -> Error {
    let remedy = "read are AER-DAT 1.0, AEDAT 2.0, 3.1 and 4; convert other files with jAER";
    let magic = String::from_utf8_lossy(Aedat2::<RECORD>::MAGIC);
    place.error(0, Problem::FirstLine { expected: magic.into_owned() }, remedy)
}

fn encoder(sensor: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    if let Some(Sensor { width, height }) = sensor
        && (width > 128 || height > 128)
    {
        let what = format!("a sensor of {width}x{height} does not fit the format aedat2 (DVS128)");
        return Err(Error::setting(what, "choose another format, or scale the recording down"));
    }
    let header = b"#!AER-DAT2.0\r\n# Data format is int32 address, int32 timestamp (8 bytes total), \
                   repeated for each event\r\n# Timestamps tick: 1 us\r\n\
                   # AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n#End Of ASCII Header\r\n";
    let mut clock = Clock::<32>::new(false);
    Ok(EventEncoder::boxed(FORMAT.name, header.to_vec(), move |e, bytes| {
        let Ok(t) = u32::try_from(e.t_us) else {
            return Err(("its time is above 2^32 µs", Remedy::START_AT_ZERO));
        };
        if clock.store(e.t_us).is_none() {
            return Err(("its time falls as far as at an overflow", Remedy::SORT));
        }
        if e.x > 127 || e.y > 127 {
            return Err(("x or y is above 127", "choose another format, or scale the recording down".into()));
        }
        let address = u32::from(e.on) | u32::from(e.x) << 1 | u32::from(e.y) << 8;
        bytes.extend(address.to_be_bytes());
        bytes.extend(t.to_be_bytes());
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;

    use crate::formats::decode;

    fn file(chip: &str, records: &[(u32, u32)]) -> Vec<u8> {
        let mut bytes = format!("#!AER-DAT2.0\r\n{chip}").into_bytes();
        records.iter().for_each(|(address, t)| bytes.extend([address.to_be_bytes(), t.to_be_bytes()].concat()));
        bytes
    }

    #[test]
    fn the_camera_says_where_the_fields_lie() {
        let bytes = file("", &[(0x0503, 7), (0x8503, 8), (0x7FFE, u32::MAX)]);
        let events = decode(&bytes, "a.aedat").unwrap().events.to_vec();
        let expected =
            [Event { t_us: 7, x: 1, y: 5, on: true }, Event { t_us: u32::MAX.into(), x: 127, y: 127, on: false }];
        assert_eq!(events, expected, "what bit 15 marks is skipped");
        let davis = "# AEChip: eu.seebetter.ini.chips.davis.Davis346B\r\n";
        let bytes = file(davis, &[(259 << 22 | 345 << 12 | 1 << 11, 9), (1 << 31, 9), (1 << 10, 9)]);
        let stream = decode(&bytes, "a.aedat").unwrap();
        assert_eq!(stream.sensor, Some(Sensor { width: 346, height: 260 }));
        assert_eq!(stream.events.to_vec(), [Event { t_us: 9, x: 345, y: 259, on: true }]);
    }

    #[test]
    fn the_clock_goes_on_after_an_overflow_in_both_layouts() {
        let davis = "# AEChip: eu.seebetter.ini.chips.davis.Davis346B\r\n";
        for chip in ["", davis] {
            // The overflow lies between two chunks of input, and a whole chunk follows it.
            let times = (0..30_000u32).map(|i| u32::MAX - 10_000 + i % 3).chain((0..30_000).map(|i| i % 5));
            let records: Vec<_> = times.map(|t| (0, t)).collect();
            let bytes = file(chip, &records);
            let stream = decode(&bytes, "a.aedat").unwrap();
            let expected = records.iter().enumerate().map(|(i, r)| u64::from(r.1) + (u64::from(i >= 30_000) << 32));
            assert!(stream.events.t_us().iter().copied().eq(expected), "{chip}");
            let options = crate::formats::ReadOptions { literal_times: true, ..Default::default() };
            let literal = FORMAT.decode_with(&bytes, "a.aedat", &options).unwrap();
            assert!(literal.events.t_us().iter().copied().eq(records.iter().map(|r| u64::from(r.1))), "{chip}");
        }
    }

    #[test]
    fn addresses_of_another_camera_are_refused() {
        let bytes = file("", &[(1, 0), (1 << 16, 0)]);
        let error = decode(&bytes, "a.aedat").unwrap_err();
        assert_problem!(error, at "a.aedat: byte 22: ", AddressProblem::Beyond16Bits);
        let error = decode(&file("# AEChip: ch.Cochlea\n", &[]), "a.aedat").unwrap_err();
        let camera = Problem::Unknown { what: "addresses of the camera `{}`", found: "ch.Cochlea".into() };
        assert_problem!(error, at "a.aedat: byte 14: ", camera);
        let error = decode(b"#!AER-DAT0.9\r\n", "a.aedat").unwrap_err();
        assert_problem!(error, Problem::FirstLine { expected: "#!AER-DAT2.0".into() });
    }
}
