//! Event Stream 2 (`.es`): times are stored as differences of one byte.
//!
//! The header has 20 bytes: `Event Stream`, 3 bytes of version, the type (1 DVS, 2 ATIS), u16
//! width, u16 height, little endian. Then follow events, by type:
//! - DVS: a byte dt·2 + p, u16 x, u16 y. The byte 0xFF adds 127 µs; 0xFE is a reset.
//! - ATIS: a byte dt·4 + kind (0 OFF, 2 ON; 1 and 3 begin and end an exposure and are skipped), u16
//!   x, u16 y. A byte 0xFC | n adds 63·n µs (n = 0 is a reset).
//!
//! The decoder ignores resets. Times begin at 0. x counts from the left; **y counts from the bottom
//! row** in the file, and the decoder returns height − 1 − y, so that it counts from the top.
//! Source: the public description of the Event Stream specification 2.0 (Marcireau).

use super::axes::turned;
use super::block::Block;
use super::encoder::EventEncoder;
use super::records::{RecordDecoder, Records, SliceOrigin};
use super::{Encoder, Format, Reading};
use crate::problem::Problem;
use crate::{Choice, Columns, Error, Event, Remedy, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "es",
    about: "Event Stream 2 (DVS and ATIS)",
    extensions: &["es"],
    axes: super::Axes::LowerLeft,
    fits: |probe| probe.begins_with(MAGIC),
    supports: &[],
    read: Reading::Stream(|file, options| {
        let block = Box::new(Block::new());
        let es = Es { start: None, given: options.sensor, drop: options.drop_outside, count: 0, t_us: 0, block };
        Box::new(RecordDecoder::new(es, file))
    }),
    write: Some(encoder),
};

const MAGIC: &[u8; 12] = b"Event Stream";
const HEADER: usize = 20;
const RECORD: usize = 5;
const DVS: u8 = 1;
const ATIS: u8 = 2;

/// The pixel of an event outside the sensor. No sensor contains it, so the reader drops the event.
const NOWHERE: (u16, u16) = (u16::MAX, u16::MAX);

/// The first event outside the sensor: its offset, its index, and its stored pixel.
struct Stray {
    at: usize,
    index: u64,
    x: u16,
    y: u16,
}

struct Es {
    /// Type and sensor, after the header has been decoded.
    start: Option<(u8, Sensor)>,
    /// The sensor of the options. If it is larger than the header's, y is flipped with its height.
    given: Option<Sensor>,
    /// Whether events outside the sensor are dropped.
    drop: bool,
    /// Number of events decoded.
    count: u64,
    t_us: u64,
    block: Box<Block>,
}

impl Records for Es {
    const LONGEST: usize = HEADER;

    fn decode(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<usize> {
        let Some((kind, sensor)) = self.start else {
            let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(0) };
            self.start = Some(parse(header, place)?);
            return Ok(HEADER);
        };
        let given = self.given.unwrap_or(sensor);
        let sensor = Sensor { width: sensor.width.max(given.width), height: sensor.height.max(given.height) };
        let mut outside = None;
        let n = match kind {
            DVS => self.events::<1>(bytes, sensor, &mut outside, out),
            _ => self.events::<2>(bytes, sensor, &mut outside, out),
        };
        match outside.filter(|_| !self.drop) {
            Some(Stray { at, index, x, y }) => {
                let problem = Problem::OutsideFromBottom { sensor, given: self.given.is_some(), index, x, y };
                Err(place.error(
                    at,
                    problem,
                    Remedy::with(
                        "state a larger sensor, leave such events out, or get the file again",
                        &[Choice::Sensor, Choice::DropOutside],
                    ),
                ))
            }
            None => Ok(n),
        }
    }

    fn finish(&mut self, rest: &[u8], place: SliceOrigin<'_>, _: &mut Columns) -> Result<()> {
        match self.start {
            None => Err(place.truncated("the header", rest.len(), HEADER)),
            Some(_) if rest.is_empty() => Ok(()),
            Some(_) => Err(place.truncated("the last event", rest.len(), RECORD)),
        }
    }

    fn sensor(&self) -> Option<Sensor> {
        self.start.map(|(_, sensor)| sensor)
    }
}

impl Es {
    /// Decodes events. The lowest `KIND` bits of an event's first byte are its kind, the others the
    /// time difference. Returns the number of bytes consumed.
    #[inline(always)]
    fn events<const KIND: u32>(
        &mut self,
        bytes: &[u8],
        sensor: Sensor,
        outside: &mut Option<Stray>,
        out: &mut Columns,
    ) -> usize {
        // The largest dt is not a time difference: it marks an overflow, which adds the kind times
        // 127 µs (DVS) or 63 µs (ATIS).
        let mark = u8::MAX >> KIND;
        let kinds = (1 << KIND) - 1;
        let (mut n, mut at, before) = (0, 0, out.len());
        while let Some(&first) = bytes.get(at) {
            let (dt, kind) = (first >> KIND, first & kinds);
            if dt == mark {
                // 0xFE and 0xFC are resets: their kind is 0, so they add nothing.
                self.t_us = self.t_us.saturating_add(u64::from(kind) * u64::from(if KIND == 1 { 127u8 } else { 63 }));
                at += 1;
                continue;
            }
            let Some(r) = bytes.get(at..at + RECORD) else { break };
            let (x, y) = (u16::from_le_bytes([r[1], r[2]]), u16::from_le_bytes([r[3], r[4]]));
            self.t_us = self.t_us.saturating_add(dt.into());
            n = self.block.make_room(n, out);
            let change = KIND == 1 || kind & 1 == 0;
            let (mut pixel, inside) = ((x, turned(y, sensor)), sensor.contains(x, y));
            if !inside {
                pixel = NOWHERE;
                let index = self.count + (out.len() - before + n) as u64;
                outside.get_or_insert(Stray { at, index, x, y });
            }
            let event = Event { t_us: self.t_us, x: pixel.0, y: pixel.1, on: kind >> (KIND - 1) == 1 };
            n = self.block.put(n, event, change);
            at += RECORD;
        }
        self.block.flush(n, out);
        self.count += (out.len() - before) as u64;
        at
    }
}

fn parse(h: &[u8; HEADER], place: SliceOrigin<'_>) -> Result<(u8, Sensor)> {
    let remedy = "read are Event Streams of version 2, of type 1 (DVS) and 2 (ATIS)";
    let unknown = |what, found| Problem::Unknown { what, found };
    if !h.starts_with(MAGIC) {
        return Err(place.error(0, "the file does not begin with `Event Stream`", remedy));
    }
    if h[12] != 2 {
        return Err(place.error(12, unknown("version {}", format!("{}.{}.{}", h[12], h[13], h[14])), remedy));
    }
    if !matches!(h[15], DVS | ATIS) {
        return Err(place.error(15, unknown("events of type {}", h[15].to_string()), remedy));
    }
    let long = |at: usize| u16::from_le_bytes([h[at], h[at + 1]]);
    Ok((h[15], Sensor { width: long(16), height: long(18) }))
}

fn encoder(sensor: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    /// Larger gaps are refused, because their overflow bytes would outweigh the events.
    const LONGEST_GAP_US: u64 = 1 << 30;
    let Some(sensor) = sensor else {
        let what = "the format es states a sensor, and none is given";
        return Err(Error::setting(what, Remedy::STATE_SENSOR));
    };
    let mut header = MAGIC.to_vec();
    header.extend([2, 0, 0, DVS]);
    header.extend(sensor.width.to_le_bytes());
    header.extend(sensor.height.to_le_bytes());
    let mut before = 0;
    Ok(EventEncoder::boxed(FORMAT.name, header, move |e, bytes| {
        if !sensor.contains(e.x, e.y) {
            return Err(("it lies outside the sensor", Remedy::INSIDE_SENSOR));
        }
        let Some(mut dt) = e.t_us.checked_sub(before) else {
            return Err(("its time falls", Remedy::SORT));
        };
        if dt > LONGEST_GAP_US {
            return Err(("it follows a gap above 2^30 µs", Remedy::START_AT_ZERO));
        }
        before = e.t_us;
        while dt >= 127 {
            bytes.push(0xFF);
            dt -= 127;
        }
        bytes.push((dt as u8) << 1 | u8::from(e.on));
        bytes.extend(e.x.to_le_bytes());
        bytes.extend(turned(e.y, sensor).to_le_bytes());
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;
    use crate::problem::Truncation;

    use crate::formats::{ReadOptions, decode};

    fn file(kind: u8, body: &[u8]) -> Vec<u8> {
        [&MAGIC[..], &[2, 0, 0, kind, 8, 0, 6, 0], body].concat()
    }

    #[test]
    fn marks_move_the_time_and_exposures_are_no_events() {
        let dvs = [0xFF, 0xFE, 0xFF, 3, 7, 0, 5, 0, 2, 1, 0, 2, 0];
        let events = decode(&file(DVS, &dvs), "a.es").unwrap().events.to_vec();
        // The sensor has six rows; the stored rows 5 and 2 are rows 0 and 3 from the top.
        let expected = [Event { t_us: 255, x: 7, y: 0, on: true }, Event { t_us: 256, x: 1, y: 3, on: false }];
        assert_eq!(events, expected);
        // 3·63, a reset, an ON event, an exposure of either kind, an OFF event.
        let atis = [0xFF, 0xFC, 6, 1, 0, 2, 0, 5, 1, 0, 2, 0, 7, 1, 0, 2, 0, 4, 3, 0, 4, 0];
        let stream = decode(&file(ATIS, &atis), "a.es").unwrap();
        let expected = [Event { t_us: 190, x: 1, y: 3, on: true }, Event { t_us: 193, x: 3, y: 1, on: false }];
        assert_eq!(stream.events.to_vec(), expected);
        assert_eq!(stream.sensor, Some(Sensor { width: 8, height: 6 }));
    }

    #[test]
    fn rows_are_stored_from_the_bottom_and_read_from_the_top() {
        let sensor = Sensor { width: 640, height: 480 };
        let events: Columns = [Event { t_us: 5, x: 10, y: 1, on: true }].into_iter().collect();
        let bytes = crate::formats::encode(FORMAT.name, &events, Some(sensor)).unwrap();
        assert_eq!(bytes[HEADER..], [5 << 1 | 1, 10, 0, 478u16.to_le_bytes()[0], 478u16.to_le_bytes()[1]]);
        assert_eq!(decode(&bytes, "a.es").unwrap().events, events);
    }

    #[test]
    fn stray_events_are_named_and_obey_the_options() {
        let bytes = file(DVS, &[3, 7, 0, 5, 0, 2, 8, 0, 1, 0, 2, 1, 0, 6, 0, 2, 1, 0, 2, 0]);
        let error = decode(&bytes, "a.es").unwrap_err();
        let outside = |(width, height), given, index, x, y| Problem::OutsideFromBottom {
            sensor: Sensor { width, height },
            given,
            index,
            x,
            y,
        };
        assert_problem!(error, at "a.es: byte 25: ", outside((8, 6), false, 1, 8, 1));
        let read = |drop_outside, sensor: Option<(u16, u16)>| {
            let sensor = sensor.map(|(width, height)| Sensor { width, height });
            let options = ReadOptions { drop_outside, sensor, ..ReadOptions::default() };
            let found = FORMAT.decode_with(&bytes, "a.es", &options);
            found.map(|s| s.events.iter().map(|e| (e.t_us, e.x, e.y)).collect::<Vec<_>>())
        };
        assert_eq!(read(true, None).unwrap(), [(1, 7, 0), (4, 1, 3)]);
        assert_eq!(read(false, Some((9, 7))).unwrap(), [(1, 7, 1), (2, 8, 5), (3, 1, 0), (4, 1, 4)]);
        let error = read(false, Some((9, 6))).unwrap_err();
        assert_problem!(error, outside((9, 6), true, 2, 1, 6));
        assert_eq!(read(true, Some((9, 6))).unwrap(), [(1, 7, 0), (2, 8, 4), (4, 1, 3)]);
    }

    #[test]
    fn what_is_not_read_is_named() {
        let error = |bytes: &[u8]| decode(bytes, "a.es").unwrap_err();
        let unknown = |what, found: &str| Problem::Unknown { what, found: found.into() };
        let sensor = Sensor { width: 8, height: 6 };
        let outside = Problem::OutsideFromBottom { sensor, given: false, index: 0, x: 8, y: 0 };
        assert_problem!(error(&file(DVS, &[0, 8, 0, 0, 0])), at "a.es: byte 20: ", outside);
        assert_problem!(error(&file(4, &[])), at "a.es: byte 15: ", unknown("events of type {}", "4"));
        let old = error(&[&MAGIC[..], &[1, 0, 0, 1, 0, 0, 0, 0]].concat());
        assert_problem!(old, at "a.es: byte 12: ", unknown("version {}", "1.0.0"));
        let cut = Truncation::Size { part: "the last event".into(), found: 3, expected: 5 };
        assert_problem!(error(&file(DVS, &[0, 1, 0])), at "a.es: byte 20: ", cut);
    }
}
