//! AEDAT 3.1 (`.aedat`): the format that cAER writes, used by DVS-Gesture.
//!
//! The header consists of lines that begin with `#`, from `#!AER-DAT3.1` to `#!END-HEADER`. Then
//! follow packets. A packet header has 28 bytes, little endian: u16 type, u16 source, u32 size of
//! an event, u32 offset of the time in an event, u32 overflows of the time, u32 capacity, u32
//! number of events, u32 number of valid events. Packets of type 1 (polarity) contain events of 8
//! bytes: a u32 with valid in bit 0, polarity in bit 1, y in bits 2–16 and x in bits 17–31, then a
//! u32 time of 31 bits. Packets of other types are skipped as a whole; invalid events are skipped
//! one by one.
//!
//! The header names the sources (`#Source 2: DAVIS346`). Polarity events of several sources are
//! separate streams; the caller must choose one by the number of its source.
//!
//! Times are in µs: time | overflows << 31. x counts from the left and y from the top. Source:
//! iniVation's description of AEDAT 3.1.

use super::aedat::{self, Front, front};
use super::block::Block;
use super::encoder::refuse;
use super::records::{RecordDecoder, Records, SliceOrigin};
use super::{Encoder, Format, Reading, StreamInfo, SupportedOption};
use crate::problem::{PacketProblem, Problem, Truncation};
use crate::{Columns, Error, Event, Remedy, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "aedat31",
    about: "AEDAT 3.1 of cAER (DVS-Gesture)",
    extensions: &["aedat"],
    axes: super::Axes::UpperLeft,
    fits: |probe| probe.begins_with(MAGIC),
    supports: &[SupportedOption::Stream],
    read: Reading::Stream(|file, options| {
        let (stage, wanted, sources) = (Stage::First, options.stream, Vec::new());
        let block = Box::new(Block::new());
        Box::new(RecordDecoder::new(Aedat31 { stage, wanted, sources, seen: None, block }, file))
    }),
    write: Some(|sensor| Ok(Box::new(Writer { header: Some(header(sensor)), count: 0 }))),
};

const MAGIC: &[u8] = b"#!AER-DAT3.1";
const END: &str = "#!END-HEADER";
const PACKET: usize = 28;
const EVENT: usize = 8;
const POLARITY: u16 = 1;
const MOST_SOURCES: usize = 64;
const REMEDY: &str = "get the file again";

enum Stage {
    First,
    Header,
    /// The next bytes are the header of a packet.
    Packets,
    /// In a packet of polarity events: the number of remaining events, and the upper bits of times.
    Events {
        left: u32,
        base: u64,
    },
    /// In a packet of another type: the number of remaining bytes.
    Skip {
        left: u64,
    },
}

struct Aedat31 {
    stage: Stage,
    /// The source that the options select.
    wanted: Option<i32>,
    /// The sources that the header lists, and those of which packets have been read.
    sources: Vec<StreamInfo>,
    /// The source whose events are read, after its first packet.
    seen: Option<i32>,
    block: Box<Block>,
}

impl Records for Aedat31 {
    const LONGEST: usize = aedat::LONGEST_LINE + 1;

    fn decode(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<usize> {
        match self.stage {
            Stage::First | Stage::Header => self.line(bytes, place),
            Stage::Packets => {
                let Some(header) = bytes.first_chunk::<PACKET>() else { return Ok(0) };
                self.stage = packet(header, place)?;
                if let Stage::Events { left, .. } = self.stage {
                    let source = i32::from(u16::from_le_bytes([header[2], header[3]]));
                    if !self.reads(source, place)? {
                        self.stage = Stage::Skip { left: u64::from(left) * EVENT as u64 };
                    }
                }
                Ok(PACKET)
            }
            Stage::Skip { left } => {
                let n = left.min(bytes.len() as u64);
                self.stage = if n == left { Stage::Packets } else { Stage::Skip { left: left - n } };
                Ok(n as usize)
            }
            Stage::Events { left, base } => {
                let (records, _) = bytes.as_chunks::<EVENT>();
                let n = records.len().min(left as usize);
                self.events(&records[..n], base, place, out)?;
                let left = left - n as u32;
                self.stage = if left == 0 { Stage::Packets } else { Stage::Events { left, base } };
                Ok(n * EVENT)
            }
        }
    }

    fn finish(&mut self, rest: &[u8], place: SliceOrigin<'_>, _: &mut Columns) -> Result<()> {
        match self.stage {
            Stage::First | Stage::Header => {
                Err(place.error(0, Truncation::Described(format!("the header has no line `{END}`").into()), REMEDY))
            }
            Stage::Packets if rest.is_empty() => match self.wanted {
                Some(wanted) if self.sources.iter().all(|s| s.number != wanted) => Err(self.refusal(place)),
                _ => Ok(()),
            },
            Stage::Packets => Err(place.truncated("the header of a packet", rest.len(), PACKET)),
            Stage::Events { left, .. } => {
                Err(place.error(0, Truncation::Packet { missing: left.into(), unit: "events" }, REMEDY))
            }
            Stage::Skip { left } => Err(place.error(0, Truncation::Packet { missing: left, unit: "bytes" }, REMEDY)),
        }
    }

    fn sensor(&self) -> Option<Sensor> {
        let number = self.wanted.or(self.seen);
        let source = self.sources.iter().find(|s| number.is_none_or(|number| s.number == number));
        // A writer may use other source numbers in packets than in the header.
        source.and_then(|s| s.sensor).or_else(|| match &self.sources[..] {
            [only] | [only, StreamInfo { sensor: None, .. }] => only.sensor,
            _ => None,
        })
    }
}

impl Aedat31 {
    /// Whether the polarity events of a source are read; an error if the caller must choose a
    /// source.
    fn reads(&mut self, source: i32, place: SliceOrigin<'_>) -> Result<bool> {
        if self.sources.iter().all(|s| s.number != source) {
            self.sources.push(StreamInfo { number: source, name: String::new(), sensor: None });
        }
        match self.wanted {
            Some(wanted) => Ok(wanted == source),
            None if *self.seen.get_or_insert(source) == source => Ok(true),
            None => Err(self.refusal(place)),
        }
    }

    fn refusal(&self, place: SliceOrigin<'_>) -> Error {
        let (wanted, streams) = (self.wanted, self.sources.clone());
        Error::Streams { file: place.file.into(), format: FORMAT.name, wanted, streams }
    }

    fn line(&mut self, bytes: &[u8], place: SliceOrigin<'_>) -> Result<usize> {
        let first = matches!(self.stage, Stage::First);
        let n = match front(bytes) {
            Front::More => return Ok(0),
            Front::Line(n) if !first || bytes.starts_with(MAGIC) => n,
            Front::Data if !first => {
                return Err(place.error(0, format!("the header has no line `{END}`"), REMEDY));
            }
            _ => return Err(place.error(0, Problem::FirstLine { expected: "#!AER-DAT3.1".into() }, REMEDY)),
        };
        self.stage = Stage::Header;
        let line = String::from_utf8_lossy(&bytes[..n]);
        let line = line.trim();
        if line == END {
            self.stage = Stage::Packets;
        } else if let Some(format) = line.strip_prefix("#Format:") {
            if format.trim() != "RAW" {
                let found = format.trim().to_owned();
                let problem = Problem::Unknown { what: "packets in the encoding `{}`", found };
                return Err(place.error(0, problem, "only RAW is read; convert it with cAER"));
            }
        } else if let Some((number, name)) = line.strip_prefix("#Source").and_then(|source| source.split_once(':')) {
            let number = number.trim().parse::<u16>().map_or(0, i32::from);
            // The number of sources is limited, because a malicious header could list any number.
            if self.sources.len() < MOST_SOURCES && self.sources.iter().all(|s| s.number != number) {
                let (name, sensor) = (name.trim().to_owned(), aedat::sensor(name));
                self.sources.push(StreamInfo { number, name, sensor });
            }
        }
        Ok(n)
    }

    fn events(&mut self, records: &[[u8; EVENT]], base: u64, place: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        let (mut n, mut all) = (0, 0);
        for r in records {
            let data = u32::from_le_bytes([r[0], r[1], r[2], r[3]]);
            let t = u32::from_le_bytes([r[4], r[5], r[6], r[7]]);
            all |= t;
            n = self.block.make_room(n, out);
            let (x, y) = ((data >> 17) as u16, (data >> 2 & 0x7FFF) as u16);
            let event = Event { t_us: u64::from(t) | base, x, y, on: data & 2 != 0 };
            n = self.block.put(n, event, data & 1 == 1);
        }
        self.block.flush(n, out);
        if all >> 31 != 0 {
            let at = records.iter().position(|r| r[7] >> 7 != 0).unwrap_or(0) * EVENT;
            return Err(place.error(at, PacketProblem::NegativeTime, REMEDY));
        }
        Ok(())
    }
}

fn packet(h: &[u8; PACKET], place: SliceOrigin<'_>) -> Result<Stage> {
    let long = |at: usize| u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]]);
    let (kind, size, overflows) = (u16::from_le_bytes([h[0], h[1]]), long(4), long(12));
    let (capacity, number, valid) = (long(16), long(20), long(24));
    let refuse = |at: usize, problem: PacketProblem| Err(place.error(at, problem, REMEDY));
    // cAER treats values above 31 bits as negative numbers.
    if [size, overflows, capacity].iter().any(|n| n >> 31 != 0) {
        return refuse(4, PacketProblem::Negative);
    }
    if number > capacity || valid > number {
        return refuse(16, PacketProblem::Counts { events: number, valid, capacity });
    }
    if kind == POLARITY {
        if size as usize != EVENT || long(8) != 4 {
            return refuse(4, PacketProblem::Layout { bytes: size, time_at: long(8) });
        }
        let base = u64::from(overflows) << 31;
        return Ok(if number == 0 { Stage::Packets } else { Stage::Events { left: number, base } });
    }
    if size == 0 && number > 0 {
        return refuse(4, PacketProblem::NoSize { events: number });
    }
    let left = u64::from(size) * u64::from(number);
    Ok(if left == 0 { Stage::Packets } else { Stage::Skip { left } })
}

fn header(sensor: Option<Sensor>) -> Vec<u8> {
    let source = match sensor {
        Some(Sensor { width: 240, height: 180 }) => "DAVIS240C",
        Some(Sensor { width: 346, height: 260 }) => "DAVIS346",
        Some(Sensor { width: 640, height: 480 }) => "DAVIS640",
        Some(Sensor { width: 128, height: 128 }) => "DVS128",
        // A name without a known size, so that no reader assumes another sensor.
        _ => "Unknown",
    };
    format!("#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: {source}\r\n{END}\r\n").into_bytes()
}

struct Writer {
    header: Option<Vec<u8>>,
    count: u64,
}

impl Encoder for Writer {
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()> {
        const PACKET_EVENTS: usize = 4096;
        out.extend(self.header.take().unwrap_or_default());
        let mut at = 0;
        while at < events.len() {
            let times = &events.t_us()[at..events.len().min(at + PACKET_EVENTS)];
            let overflows = times[0] >> 31;
            let n = times.iter().take_while(|&&t| t >> 31 == overflows).count();
            out.extend(POLARITY.to_le_bytes());
            out.extend(1u16.to_le_bytes());
            for field in [EVENT as u32, 4, overflows as u32, n as u32, n as u32, n as u32] {
                out.extend(field.to_le_bytes());
            }
            for e in events.iter_from(at).take(n) {
                let why = if e.x > 0x7FFF || e.y > 0x7FFF {
                    Some(("x or y is above 32767", "scale the recording down".into()))
                } else {
                    (e.t_us >> 62 != 0).then_some(("its time is above 2^62 µs", Remedy::START_AT_ZERO))
                };
                if let Some(why) = why {
                    return Err(refuse(FORMAT.name, self.count, e, why));
                }
                let data = u32::from(e.x) << 17 | u32::from(e.y) << 2 | u32::from(e.on) << 1 | 1;
                out.extend(data.to_le_bytes());
                out.extend((e.t_us as u32 & 0x7FFF_FFFF).to_le_bytes());
                self.count += 1;
            }
            at += n;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;

    use crate::formats::decode;

    fn file(packets: &[([u32; 6], u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = header(Some(Sensor { width: 128, height: 128 }));
        for (fields, kind, body) in packets {
            bytes.extend([*kind, 1].map(u16::to_le_bytes).concat());
            bytes.extend(fields.map(u32::to_le_bytes).concat());
            bytes.extend(body);
        }
        bytes
    }

    #[test]
    fn packets_of_other_types_and_invalid_events_are_skipped() {
        let event = |data: u32, t: u32| [data.to_le_bytes(), t.to_le_bytes()].concat();
        let (good, bad) = (event(3 << 17 | 4 << 2 | 3, 5), event(3 << 17 | 4 << 2 | 2, 5));
        let bytes = file(&[
            ([36, 4, 0, 2, 2, 2], 3, vec![0xFF; 72]),
            ([8, 4, 1, 2, 2, 1], 1, [bad, good].concat()),
            ([8, 4, 0, 0, 0, 0], 1, vec![]),
        ]);
        let events = decode(&bytes, "a.aedat").unwrap().events.to_vec();
        assert_eq!(events, [Event { t_us: (1 << 31) + 5, x: 3, y: 4, on: true }]);
    }

    #[test]
    fn of_two_sources_one_is_chosen() {
        use crate::formats::ReadOptions;
        let text = format!("#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Source 2: DAVIS346\r\n{END}\r\n");
        let packet = |source: u16, kind: u16, x: u32| {
            let head = [kind, source].map(u16::to_le_bytes).concat();
            let fields = [8u32, 4, 0, 1, 1, 1].map(u32::to_le_bytes).concat();
            [head, fields, (x << 17 | 4 << 2 | 3).to_le_bytes().to_vec(), 5u32.to_le_bytes().to_vec()].concat()
        };
        let bytes = [text.as_bytes(), &packet(1, 1, 3), &packet(2, 1, 300), &packet(1, 1, 4)].concat();
        let read = |bytes: &[u8], stream| {
            let options = ReadOptions { stream, ..ReadOptions::default() };
            let found = FORMAT.decode_with(bytes, "a.aedat", &options)?;
            Ok::<_, Error>((found.events.x().to_vec(), found.sensor.map(|s| s.width)))
        };
        let error = read(&bytes, None).unwrap_err();
        let Error::Streams { streams, wanted: None, .. } = &error else { panic!("{error}") };
        let listed: Vec<String> = streams.iter().map(ToString::to_string).collect();
        assert_eq!(listed, ["1 (DVS128, 128x128)", "2 (DAVIS346, 346x260)"]);
        assert_eq!(read(&bytes, Some(1)).unwrap(), (vec![3, 4], Some(128)));
        assert_eq!(read(&bytes, Some(2)).unwrap(), (vec![300], Some(346)));
        assert!(matches!(read(&bytes, Some(3)), Err(Error::Streams { wanted: Some(3), .. })));
        // A packet of another type, or a source without events, is not a stream of events.
        let one = [text.as_bytes(), &packet(2, 1, 300), &packet(1, 2, 0)].concat();
        assert_eq!(read(&one, None).unwrap(), (vec![300], Some(346)));
    }

    #[test]
    fn a_packet_that_cannot_be_is_refused_at_its_byte() {
        let at = header(Some(Sensor { width: 128, height: 128 })).len();
        let counts = |events, valid, capacity| PacketProblem::Counts { events, valid, capacity }.into();
        for (fields, kind, problem) in [
            ([8, 4, 0, 1, 2, 1], 1, counts(2, 1, 1)),
            ([8, 4, 0, 2, 1, 2], 1, counts(1, 2, 2)),
            ([9, 4, 0, 1, 1, 1], 1, PacketProblem::Layout { bytes: 9, time_at: 4 }.into()),
            ([0, 4, 0, 1, 1, 1], 2, PacketProblem::NoSize { events: 1 }.into()),
            ([8, 4, 1 << 31, 1, 1, 1], 1, PacketProblem::Negative.into()),
            (
                [1 << 30, 4, 0, 1 << 30, 1 << 30, 0],
                2,
                Truncation::Packet { missing: 1_152_921_504_606_846_968, unit: "bytes" }.into(),
            ),
            ([8, 4, 0, 2, 2, 2], 1, Truncation::Packet { missing: 1, unit: "events" }.into()),
        ] {
            let error = decode(&file(&[(fields, kind, vec![0; 8])]), "a.aedat").unwrap_err();
            assert!(error.offset().is_some_and(|byte| byte >= at as u64), "{error}");
            assert_problem!(error, Problem::clone(&problem));
        }
    }
}
