//! Decodes AEDAT4 packet by packet, from chunks of bytes of any size.

use super::events;
use super::flat::Origin;
use super::header::{self, Header, Stream};
use super::unpack::Unpacker;
use super::{Compression, MAGIC};
use crate::formats::decoder::PIECE;
use crate::formats::streams::choose;
use crate::formats::{Decoder, StreamInfo};
use crate::problem::{PacketProblem, Problem, Truncation};
use crate::{Columns, Error, Result, Sensor};

/// The largest header, in bytes, that is accepted.
const MOST_HEADER: usize = 4 << 20;

/// Creates a decoder for the events of stream number `stream`, or of the only stream. `file` is the
/// name in error messages.
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
    /// Offset in the file of the first byte that has not been decoded.
    at: u64,
    /// Number of bytes that the next step needs.
    need: usize,
    /// The first bytes of a step that is incomplete.
    rest: Vec<u8>,
    /// Number of bytes to skip.
    skip: u64,
    unpacker: Unpacker,
    /// The header, and the stream of events that is decoded.
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
            // A step either consumes all bytes that it asked for, or asks for more.
            if taken > 0 {
                rest.clear();
            }
            self.at += taken as u64;
            self.rest = rest;
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Columns) -> Result<usize> {
        // Decode one packet, or two of them, in place.
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
        let truncation = match &self.open {
            None => Truncation::Incomplete { part: "the header" },
            Some((Header { end: Some(end), .. }, _)) if self.rest.is_empty() && self.skip == 0 => {
                Truncation::Packets { end: *end }
            }
            Some(_) if self.rest.is_empty() && self.skip == 0 => return Ok(()),
            Some(_) => Truncation::Incomplete { part: "a packet" },
        };
        Err(self.fault(truncation))
    }

    fn sensor(&self) -> Option<Sensor> {
        self.open.as_ref().and_then(|(_, stream)| stream.sensor)
    }
}

impl Packets {
    fn fault(&self, problem: impl Into<Problem>) -> Error {
        Error::malformed(&self.file, self.at, problem, "get the file again")
    }

    /// Whether all packets have been decoded, so that only the table of packets follows.
    fn in_table(&self) -> bool {
        self.open.as_ref().is_some_and(|(header, _)| header.end == Some(self.at) && self.rest.is_empty())
    }

    /// Decodes the header or a packet from at least `need` bytes, and sets `need` for the next
    /// step. Returns the number of bytes consumed; 0 means that it needs `need` bytes.
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
            return Err(self.fault(PacketProblem::EndInHeader { end }));
        }
        let stream = self.choose(&header)?;
        self.open = Some((header, stream));
        self.need = 8;
        Ok(taken)
    }

    fn choose(&self, header: &Header) -> Result<Stream> {
        let mut events: Vec<_> = header.streams.iter().filter(|s| s.events).collect();
        if events.is_empty() {
            let remedy = "the recorder has to write the events of the camera, not only its frames";
            return Err(Error::malformed(&self.file, MAGIC.len() as u64, PacketProblem::NoEvents, remedy));
        }
        let info = |s: &&Stream| StreamInfo { number: s.id, name: s.name.clone(), sensor: s.sensor };
        let streams: Vec<_> = events.iter().map(info).collect();
        Ok(events.swap_remove(choose(&streams, self.wanted, &self.file, super::FORMAT.name)?).clone())
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
        let place = Origin { file: &self.file, at: self.at, what: "a packet of events" };
        if compression == Compression::Lz4
            && let Some((start, next)) = self.next(bytes, taken, end, events)
        {
            let second = Origin { at: self.at + start as u64, ..place };
            taken = start + 8 + next.len();
            let [a, b] = self.unpacker.unpack_two([packed, next]);
            events::append(a, place, out)?;
            events::append(b, second, out)?;
        } else {
            events::append(self.unpacker.unpack(compression, packed), place, out)?;
        }
        Ok(taken)
    }

    /// The stream and the size of the packet that begins at `start` in `bytes`.
    fn head(&self, bytes: &[u8], start: usize, end: Option<u64>) -> Result<(i32, usize)> {
        let number = |at: usize| bytes[start + at..].first_chunk().map_or(0, |&b| i32::from_le_bytes(b));
        let (id, size) = (number(0), number(4));
        let known = self.open.as_ref().is_some_and(|(header, _)| header.streams.iter().any(|s| s.id == id));
        let Some(size) = usize::try_from(size).ok().filter(|_| known) else {
            return Err(self.fault(PacketProblem::Stream { stream: id, bytes: size }));
        };
        let behind = self.at + (start + 8 + size) as u64;
        if end.is_some_and(|end| behind > end) {
            return Err(self.fault(PacketProblem::BehindEnd { end: behind }));
        }
        Ok((id, size))
    }

    /// The next complete packet of events from `start` on; `None` if there is none, or if a packet
    /// before it is invalid.
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
