//! Decodes AEDAT4 packet by packet, out of chunks of bytes of any size.

use super::flat::{Place, Table};
use super::header::{self, Header, Stream};
use super::unpack::{Unpacked, Unpacker};
use super::{Compression, MAGIC};
use crate::formats::Decoder;
use crate::formats::kernel::{Loop, Vectors};
use crate::formats::records::PIECE;
use crate::{Columns, Error, Result, Sensor};

/// The largest header that is believed.
const MOST_HEADER: usize = 4 << 20;
const EVENT: usize = 16;
/// Events whose columns are written together.
const BLOCK: usize = 1024;

/// A decoder of the events of one stream: of number `stream`, or the only one. `file` is for
/// messages.
pub fn decoder(file: &str, stream: Option<i32>) -> Box<dyn Decoder> {
    Box::new(Packets {
        file: file.into(),
        wanted: stream,
        at: 0,
        need: MAGIC.len() + 4,
        rest: Vec::new(),
        skip: 0,
        unpacker: Unpacker::default(),
        open: None,
    })
}

struct Packets {
    file: String,
    wanted: Option<i32>,
    /// Offset in the file of the next byte to be taken: of `rest` where there is any.
    at: u64,
    /// Bytes that the next step needs.
    need: usize,
    /// Bytes of a step that is not complete.
    rest: Vec<u8>,
    /// Bytes to pass by.
    skip: u64,
    unpacker: Unpacker,
    /// What the header said, and the stream of events.
    open: Option<(Header, Stream)>,
}

impl Decoder for Packets {
    fn push(&mut self, mut bytes: &[u8], out: &mut Columns) -> Result<()> {
        loop {
            if self.skip > 0 {
                let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[n..];
                self.skip -= n as u64;
                self.at += n as u64;
            }
            if self.in_table() || self.skip > 0 {
                return Ok(());
            }
            if self.rest.is_empty() && bytes.len() >= self.need {
                let taken = self.step(bytes, out)?;
                bytes = &bytes[taken..];
                self.at += taken as u64;
                continue;
            }
            let (more, left) = bytes.split_at(bytes.len().min(self.need - self.rest.len()));
            self.rest.extend_from_slice(more);
            bytes = left;
            if self.rest.len() < self.need {
                return Ok(());
            }
            let mut rest = std::mem::take(&mut self.rest);
            let taken = self.step(&rest, out)?;
            // A step takes all it asked for, or asks for more.
            if taken > 0 {
                rest.clear();
            }
            self.at += taken as u64;
            self.rest = rest;
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Columns) -> Result<usize> {
        // A packet as it lies there, or two of them.
        if self.rest.is_empty() && self.skip == 0 && bytes.len() >= self.need && !self.in_table() {
            let taken = self.step(bytes, out)?;
            self.at += taken as u64;
            if taken > 0 {
                return Ok(taken);
            }
        }
        let n = bytes.len().min(PIECE);
        self.push(&bytes[..n], out)?;
        Ok(n)
    }

    fn finish(&mut self, _: &mut Columns) -> Result<()> {
        if self.in_table() {
            return Ok(());
        }
        let what = match &self.open {
            None => "the header".into(),
            Some((Header { end: Some(end), .. }, _)) if self.rest.is_empty() && self.skip == 0 => {
                format!("the header says that packets go up to byte {end}, and the file")
            }
            Some(_) if self.rest.is_empty() && self.skip == 0 => return Ok(()),
            Some(_) => "a packet".into(),
        };
        Err(self.fault(format!("truncated: {what} is not complete")))
    }

    fn sensor(&self) -> Option<Sensor> {
        self.open.as_ref().and_then(|(_, stream)| stream.sensor)
    }
}

impl Packets {
    fn fault(&self, problem: impl Into<String>) -> Error {
        Error::malformed(&self.file, self.at, problem, "get the file again")
    }

    /// Whether all packets have been read, and what follows is the table of them.
    fn in_table(&self) -> bool {
        self.open.as_ref().is_some_and(|(header, _)| header.end == Some(self.at) && self.rest.is_empty())
    }

    /// Takes what it finds at the front of at least `need` bytes. Sets `need` for the next step;
    /// returns 0 to be called again with that much.
    fn step(&mut self, bytes: &[u8], out: &mut Columns) -> Result<usize> {
        match &self.open {
            None => self.header(bytes),
            Some((header, stream)) => {
                let (compression, end, id) = (header.compression, header.end, stream.id);
                self.packet(bytes, compression, end, id, out)
            }
        }
    }

    fn header(&mut self, bytes: &[u8]) -> Result<usize> {
        let start = MAGIC.len();
        if !bytes.starts_with(&MAGIC) {
            return Err(self.fault("this file does not begin with #!AER-DAT4.0"));
        }
        let size = bytes[start..].first_chunk().map_or(0, |&b| u32::from_le_bytes(b)) as usize;
        if size > MOST_HEADER {
            return Err(self.fault(format!("a header of {size} bytes")));
        }
        self.need = start + 4 + size;
        if bytes.len() < self.need {
            return Ok(0);
        }
        let header = header::parse(&bytes[start..self.need], &self.file, start as u64)?;
        let taken = self.need;
        if let Some(end) = header.end.filter(|&end| end < taken as u64) {
            return Err(self.fault(format!("packets up to byte {end}, which lies inside the header")));
        }
        let stream = self.choose(&header)?;
        self.open = Some((header, stream));
        self.need = 8;
        Ok(taken)
    }

    fn choose(&self, header: &Header) -> Result<Stream> {
        let events: Vec<_> = header.streams.iter().filter(|s| s.events).collect();
        let found = match (self.wanted, &events[..]) {
            (Some(id), _) => events.iter().find(|s| s.id == id).copied(),
            (None, [one]) => Some(*one),
            (None, _) => None,
        };
        found.cloned().ok_or_else(|| {
            let ids: Vec<_> = events.iter().map(|s| s.id.to_string()).collect();
            let problem = match &ids[..] {
                [] => "no stream of events".into(),
                ids => format!("{} streams of events: {}", ids.len(), ids.join(", ")),
            };
            Error::malformed(&self.file, MAGIC.len() as u64, problem, "name one that the file has")
        })
    }

    fn packet(
        &mut self,
        bytes: &[u8],
        compression: Compression,
        end: Option<u64>,
        events: i32,
        out: &mut Columns,
    ) -> Result<usize> {
        let (id, size) = self.head(bytes, 0, end)?;
        if id != events {
            self.skip = size as u64;
            self.need = 8;
            return Ok(8);
        }
        self.need = 8 + size;
        let Some(packed) = bytes.get(8..self.need) else { return Ok(0) };
        let mut taken = self.need;
        self.need = 8;
        let place = Place { file: &self.file, at: self.at, what: "a packet of events" };
        if compression == Compression::Lz4
            && let Some((start, next)) = self.next(bytes, taken, end, events)
        {
            let second = Place { at: self.at + start as u64, ..place };
            taken = start + 8 + next.len();
            let [a, b] = self.unpacker.unpack_two([packed, next]);
            append(a, place, out)?;
            append(b, second, out)?;
        } else {
            append(self.unpacker.unpack(compression, packed), place, out)?;
        }
        Ok(taken)
    }

    /// The stream and the size of the packet that begins at byte `start` of `bytes`.
    fn head(&self, bytes: &[u8], start: usize, end: Option<u64>) -> Result<(i32, usize)> {
        let number = |at: usize| bytes[start + at..].first_chunk().map_or(0, |&b| i32::from_le_bytes(b));
        let (id, size) = (number(0), number(4));
        let known = self.open.as_ref().is_some_and(|(header, _)| header.streams.iter().any(|s| s.id == id));
        let Some(size) = usize::try_from(size).ok().filter(|_| known) else {
            return Err(self.fault(format!(
                "a packet of {size} bytes of stream {id}; the header knows no such stream, or no packet has such a size"
            )));
        };
        let behind = self.at + (start + 8 + size) as u64;
        if end.is_some_and(|end| behind > end) {
            return Err(self.fault(format!("a packet up to byte {behind}, behind the end of all packets")));
        }
        Ok((id, size))
    }

    /// The next packet of events from byte `start` on that is there as a whole, if nothing is
    /// wrong before it.
    fn next<'a>(&self, bytes: &'a [u8], mut start: usize, end: Option<u64>, events: i32) -> Option<(usize, &'a [u8])> {
        loop {
            if bytes.len() < start + 8 || end == Some(self.at + start as u64) {
                return None;
            }
            let (id, size) = self.head(bytes, start, end).ok()?;
            let packed = bytes.get(start + 8..start + 8 + size)?;
            if id == events {
                return Some((start, packed));
            }
            start += 8 + size;
        }
    }
}

/// Appends the events of an unpacked packet.
fn append(unpacked: Unpacked<'_>, place: Place<'_>, out: &mut Columns) -> Result<()> {
    let unpacked = unpacked.map_err(|problem| place.fault(problem))?;
    let elements = Table::root(unpacked, *b"EVTS", place)?.vector(0, EVENT)?;
    add(elements, out).map_err(|problem| place.fault(problem))
}

fn add(elements: &[u8], out: &mut Columns) -> Result<(), String> {
    let before = out.len();
    let (elements, _) = elements.as_chunks::<EVENT>();
    let signs = Vectors::widest().run(Elements { elements, out: &mut *out });
    if signs.0 >> 63 == 1 || signs.1 & 0x8000_8000 != 0 {
        out.truncate(before);
        return Err("an event before time 0, or left of or above the sensor".into());
    }
    Ok(())
}

/// Events to be decoded; comes to all bits that times and pixels have.
struct Elements<'a> {
    elements: &'a [[u8; EVENT]],
    out: &'a mut Columns,
}

impl Loop for Elements<'_> {
    type Out = (u64, u64);

    #[inline(always)]
    fn run(self) -> (u64, u64) {
        let Elements { elements, out } = self;
        let mut signs = (0, 0);
        // In blocks whose columns stay in the first-level cache.
        for block in elements.chunks(BLOCK) {
            let slots = out.grow(block.len());
            let columns = slots.t_us.iter_mut().zip(slots.x).zip(slots.y).zip(slots.on);
            for (e, (((t, x), y), on)) in block.iter().zip(columns) {
                let e = u128::from_le_bytes(*e);
                let (time, pixel) = (e as u64, (e >> 64) as u64);
                signs = (signs.0 | time, signs.1 | pixel);
                (*t, *x, *y, *on) = (time, pixel as u16, (pixel >> 16) as u16, pixel >> 32 & 0xFF != 0);
            }
        }
        signs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file without compression: its streams (number, type), where the packets end, and packets.
    fn file(streams: &[(i32, &str)], end: i64, packets: &[(i32, Vec<u8>)]) -> Vec<u8> {
        file_packed(0, streams, end, packets)
    }

    fn file_packed(packing: i32, streams: &[(i32, &str)], end: i64, packets: &[(i32, Vec<u8>)]) -> Vec<u8> {
        let stream =
            |(id, kind): &(i32, &str)| format!("<node name=\"{id}\"><attr key=\"typeIdentifier\">{kind}</attr></node>");
        let streams: String = streams.iter().map(stream).collect();
        let mut bytes = MAGIC.to_vec();
        header::write_text(packing, end, &format!("<dv><node name=\"outInfo\">{streams}</node></dv>"), &mut bytes);
        for (id, packet) in packets {
            bytes.extend([*id, packet.len() as i32].map(i32::to_le_bytes).concat());
            bytes.extend(packet);
        }
        bytes
    }

    /// A packet of one event at time `t`.
    fn one(t: i64) -> Vec<u8> {
        let head = [&44u32.to_le_bytes()[..], &16u32.to_le_bytes(), b"EVTS\0\0", &[6, 0, 8, 0, 4, 0]].concat();
        let table = [6u32, 4, 1].map(u32::to_le_bytes).concat();
        [head, table, t.to_le_bytes().to_vec(), vec![3, 0, 2, 0, 1, 0, 0, 0]].concat()
    }

    fn times(bytes: &[u8], stream: Option<i32>) -> Result<Vec<u64>, String> {
        let (mut decoder, mut out) = (decoder("x", stream), Columns::new());
        let result = decoder.push(bytes, &mut out).and_then(|()| decoder.finish(&mut out));
        result.map(|()| out.t_us).map_err(|e| e.to_string())
    }

    #[test]
    fn other_streams_are_passed_by() {
        let bytes = file(&[(0, "IMUS"), (3, "EVTS")], -1, &[(0, vec![9; 100]), (3, one(5)), (0, vec![]), (3, one(6))]);
        assert_eq!(times(&bytes, None).unwrap(), [5, 6]);
        let cut = times(&bytes[..bytes.len() - 121], None);
        assert!(cut.unwrap_err().contains("truncated"));
    }

    #[test]
    fn of_two_streams_of_events_one_is_named() {
        let bytes = file(&[(0, "EVTS"), (1, "EVTS")], -1, &[(0, one(5)), (1, one(6))]);
        assert!(times(&bytes, None).unwrap_err().contains("2 streams of events: 0, 1"));
        assert_eq!((times(&bytes, Some(0)).unwrap(), times(&bytes, Some(1)).unwrap()), (vec![5], vec![6]));
        assert!(times(&bytes, Some(2)).is_err());
        assert!(times(&file(&[(0, "FRME")], -1, &[]), None).unwrap_err().contains("no stream of events"));
    }

    #[test]
    fn packets_end_where_the_header_says() {
        let streams = [(0, "EVTS")];
        let whole = file(&streams, -1, &[(0, one(5)), (0, one(6))]);
        let end = whole.len() as i64;
        let with_table = [file(&streams, end, &[(0, one(5)), (0, one(6))]), vec![7; 33]].concat();
        assert_eq!(times(&with_table, None).unwrap(), [5, 6]);
        let error = times(&file(&streams, end, &[(0, one(5))]), None).unwrap_err();
        assert!(error.contains(&format!("up to byte {end}")), "{error}");
        let error = times(&file(&streams, end - 1, &[(0, one(5)), (0, one(6))]), None).unwrap_err();
        assert!(error.contains("behind the end of all packets"), "{error}");
        assert!(times(&file(&streams, 20, &[]), None).unwrap_err().contains("inside the header"));
        assert_eq!(times(&file(&streams, 0, &[(0, one(5))]), None).unwrap(), [5], "a recorder that was killed");
    }

    #[test]
    fn a_packet_that_is_wrong_names_its_byte() {
        let streams = [(0, "EVTS")];
        let at = file(&streams, -1, &[(0, one(5))]).len();
        let mut letters = one(6);
        letters[8] = b'F';
        let mut count = one(6);
        count[28] = 200;
        for (packet, what) in [
            ((7, one(6)), "stream 7"),
            ((0, one(-1)), "before time 0"),
            ((0, letters), "the letters EVTS are missing"),
            ((0, count), "200 elements of 16 bytes"),
            ((0, vec![]), "truncated"),
            ((0, [one(6), vec![0]].concat()), "45 bytes in place of 44"),
        ] {
            let error = times(&file(&streams, -1, &[(0, one(5)), packet]), None).unwrap_err();
            assert!(error.starts_with(&format!("x: byte {at}: ")) && error.contains(what), "{error}");
        }
    }
    /// Of a whole file and of one that comes byte by byte: the times up to the end or the error.
    fn both_ways(bytes: &[u8]) -> (Vec<u64>, Result<(), String>) {
        let run = |whole: bool| {
            let (mut decoder, mut out, mut done) = (decoder("x", None), Columns::new(), 0);
            let mut step = || {
                while done < bytes.len() {
                    done += if whole {
                        decoder.take(&bytes[done..], &mut out)?
                    } else {
                        decoder.push(&bytes[done..=done], &mut out).map(|()| 1)?
                    };
                }
                decoder.finish(&mut out)
            };
            let end = step().map_err(|e| e.to_string());
            (out.t_us, end)
        };
        let (whole, parts) = (run(true), run(false));
        assert_eq!(whole, parts);
        whole
    }

    #[test]
    fn packets_that_are_unpacked_by_twos_are_what_they_are_one_by_one() {
        use std::io::Write;
        let packed = |bytes: &[u8]| {
            let mut to = lz4_flex::frame::FrameEncoder::new(Vec::new());
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        };
        let mut broken = packed(&one(9));
        broken[20] ^= 0xFF;
        let before = packed(&one(-1));
        let packet = |i: usize| (3, packed(&one(i as i64)));
        let other = (0, vec![9; 100]);
        for gaps in 0..32usize {
            let mut packets = Vec::new();
            for i in 0..5 {
                packets.extend((gaps >> i & 1 == 1).then(|| other.clone()));
                packets.push(packet(i));
            }
            let bytes = file_packed(1, &[(0, "IMUS"), (3, "EVTS")], -1, &packets);
            assert_eq!(both_ways(&bytes), ((0..5).collect(), Ok(())));
            for cut in 1..300 {
                let _ = both_ways(&bytes[..bytes.len() - cut]);
            }
            for (at, wrong) in (0..packets.len()).flat_map(|at| [&broken, &before].map(|wrong| (at, wrong))) {
                let mut packets = packets.clone();
                packets[at] = (3, wrong.clone());
                let good = packets[..at].iter().filter(|(id, _)| *id == 3).count() as u64;
                let (times, end) = both_ways(&file_packed(1, &[(0, "IMUS"), (3, "EVTS")], -1, &packets));
                assert_eq!(times, (0..good).collect::<Vec<_>>());
                let place = file_packed(1, &[(0, "IMUS"), (3, "EVTS")], -1, &packets[..at]).len();
                assert!(end.unwrap_err().starts_with(&format!("x: byte {place}: ")));
            }
        }
    }
}
