//! The core of all decoders of records in sequence: what lies between two chunks.
//!
//! A format implements [`Records`]: given bytes that begin at a record (a header line, a packet
//! header, an event), consume as many whole ones as there are. [`RecordDecoder`] makes a
//! [`Decoder`] of it: it keeps the record that a chunk cuts, and counts bytes for error messages.
//! Whole chunks are passed through without a copy.

use super::Oddity;
use super::decoder::Decoder;
use crate::{Columns, Error, Remedy, Result, Sensor};

/// Bytes decoded at a time: they and their events stay in the second-level cache.
pub(super) const PIECE: usize = 64 << 10;

/// Where a slice of bytes lies, for error messages.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Byte offset of the slice in the (decompressed) file.
    pub at: u64,
}

impl Place<'_> {
    /// The error for the byte `offset` of the slice.
    pub fn error(&self, offset: usize, problem: impl Into<String>, remedy: impl Into<Remedy>) -> Error {
        Error::malformed(self.file, self.at.saturating_add(offset as u64), problem, remedy)
    }

    /// The error for a record that the end of the file cuts, of which `rest` bytes are there.
    pub fn truncated(&self, what: &str, rest: usize, of: usize) -> Error {
        self.error(0, format!("truncated: {what} has {rest} of {of} bytes"), "get the file again")
    }
}

/// The records of one format. See the module.
pub trait Records: Send {
    /// A record of this many bytes or more that is still incomplete is refused. Not above
    /// [`PIECE`].
    const LONGEST: usize;

    /// Consumes whole records from the front of `bytes`, appends their events and returns how
    /// many bytes were consumed. Zero asks for more bytes; it must do so only if the record at the
    /// front is incomplete.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    fn decode(&mut self, bytes: &[u8], place: Place<'_>, out: &mut Columns) -> Result<usize>;

    /// Takes the end of the file and the incomplete record before it (often empty).
    ///
    /// # Errors
    /// [`Error::Malformed`] unless the file may end here.
    fn finish(&mut self, rest: &[u8], place: Place<'_>, out: &mut Columns) -> Result<()>;

    /// The sensor, once it is known.
    fn sensor(&self) -> Option<Sensor> {
        None
    }

    /// As [`Decoder::overflows`].
    fn overflows(&self) -> u64 {
        0
    }

    /// As [`Decoder::oddities`].
    fn oddities(&self) -> &[Oddity] {
        &[]
    }
}

/// A [`Decoder`] of [`Records`].
#[derive(Debug)]
pub struct RecordDecoder<R> {
    records: R,
    file: String,
    /// Byte offset of the first byte not yet consumed.
    at: u64,
    /// The beginning of a record that the last chunk cut.
    cut: Vec<u8>,
}

impl<R: Records> RecordDecoder<R> {
    /// A decoder at the beginning of `file`.
    pub fn new(records: R, file: &str) -> RecordDecoder<R> {
        RecordDecoder { records, file: file.into(), at: 0, cut: Vec::new() }
    }

    fn consume(&mut self, bytes: &[u8], out: &mut Columns) -> Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            let place = Place { file: &self.file, at: self.at };
            let end = bytes.len().min(done + PIECE);
            let n = self.records.decode(&bytes[done..end], place, out)?;
            if n == 0 {
                break;
            }
            self.at += n as u64;
            done += n;
        }
        Ok(done)
    }
}

impl<R: Records> Decoder for RecordDecoder<R> {
    fn push(&mut self, mut bytes: &[u8], out: &mut Columns) -> Result<()> {
        while !self.cut.is_empty() {
            // Complete the cut record with as little of the new bytes as is sure to be enough.
            let before = self.cut.len();
            let more = bytes.len().min(R::LONGEST.saturating_sub(before));
            let mut cut = std::mem::take(&mut self.cut);
            cut.extend_from_slice(&bytes[..more]);
            let done = self.consume(&cut, out)?;
            if done >= before {
                bytes = &bytes[done - before..];
                cut.clear();
                self.cut = cut;
                break;
            }
            if done == 0 && cut.len() >= R::LONGEST {
                return Err(self.too_long());
            }
            // What looked like one long record was several, and the last is still cut.
            bytes = &bytes[more..];
            cut.drain(..done);
            self.cut = cut;
            if bytes.is_empty() {
                return Ok(());
            }
        }
        let done = self.consume(bytes, out)?;
        let rest = &bytes[done..];
        if rest.len() >= R::LONGEST {
            return Err(self.too_long());
        }
        self.cut.extend_from_slice(rest);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], out: &mut Columns) -> Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        // Whole records where they lie: what the end of a piece cuts is the next one's first.
        if self.cut.is_empty() {
            let done = self.consume(piece, out)?;
            if done > 0 {
                return Ok(done);
            }
        }
        self.push(piece, out)?;
        Ok(piece.len())
    }

    fn finish(&mut self, out: &mut Columns) -> Result<()> {
        let place = Place { file: &self.file, at: self.at };
        self.records.finish(&self.cut, place, out)
    }

    fn sensor(&self) -> Option<Sensor> {
        self.records.sensor()
    }

    fn overflows(&self) -> u64 {
        self.records.overflows()
    }

    fn oddities(&self) -> &[Oddity] {
        self.records.oddities()
    }
}

impl<R: Records> RecordDecoder<R> {
    fn too_long(&self) -> Error {
        let problem = format!("no end of line or record within {} bytes", R::LONGEST);
        Error::malformed(&self.file, self.at, problem, "check that the file is what its name says")
    }
}
