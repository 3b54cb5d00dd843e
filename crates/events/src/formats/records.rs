//! The common part of all decoders of consecutive records: it handles records that are split
//! between two chunks.
//!
//! A format implements [`Records`]: it receives bytes that begin at a record (a header line, a
//! packet header, an event) and consumes all complete ones. [`RecordDecoder`] turns it into a
//! [`Decoder`]: it keeps the incomplete record at the end of a chunk, and counts bytes for error
//! messages. Complete records are decoded without copying them.

use super::Oddity;
use super::decoder::{Decoder, PIECE};
use crate::problem::Truncation;
use crate::{Columns, Error, Problem, Remedy, Result, Sensor};

/// The location of a byte slice, for error messages.
#[derive(Debug, Clone, Copy)]
pub struct SliceOrigin<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Offset of the slice in the (decompressed) file.
    pub at: u64,
}

impl SliceOrigin<'_> {
    /// An error at byte `offset` of the slice.
    pub fn error(&self, offset: usize, problem: impl Into<Problem>, remedy: impl Into<Remedy>) -> Error {
        Error::malformed(self.file, self.at.saturating_add(offset as u64), problem, remedy)
    }

    /// The error for a record that is truncated at the end of the file after `rest` of `of` bytes.
    pub fn truncated(&self, part: &'static str, rest: usize, of: usize) -> Error {
        let truncation = Truncation::Size { part: part.into(), found: rest as u64, expected: of as u64 };
        self.error(0, truncation, "get the file again")
    }
}

/// The records of one format. See the module.
pub trait Records: Send {
    /// An incomplete record of this many bytes or more is an error. Must not exceed [`PIECE`].
    const LONGEST: usize;

    /// Consumes complete records from the front of `bytes`, appends their events and returns how
    /// many bytes were consumed. It may return zero, to ask for more bytes, only if the first
    /// record is incomplete.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    fn decode(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<usize>;

    /// Called at the end of the file with the incomplete record there (often empty).
    ///
    /// # Errors
    /// [`Error::Malformed`] if the file must not end here.
    fn finish(&mut self, rest: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<()>;

    /// The sensor, if it is known yet.
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
    /// Offset of the first byte that has not been consumed.
    at: u64,
    /// The beginning of the record that was incomplete at the end of the last chunk.
    cut: Vec<u8>,
}

impl<R: Records> RecordDecoder<R> {
    /// Creates a decoder for the beginning of `file`.
    pub fn new(records: R, file: &str) -> RecordDecoder<R> {
        RecordDecoder { records, file: file.into(), at: 0, cut: Vec::new() }
    }

    fn consume(&mut self, bytes: &[u8], out: &mut Columns) -> Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            let place = SliceOrigin { file: &self.file, at: self.at };
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
            // Append only as many new bytes as are certain to complete the record.
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
            // The bytes contained several records, of which the last is still incomplete.
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
        // Decode in place: a record that is incomplete at the end of this piece is the first of the
        // next one.
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
        let place = SliceOrigin { file: &self.file, at: self.at };
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
        let problem = Problem::NoEnd { limit: R::LONGEST as u64 };
        Error::malformed(&self.file, self.at, problem, "check that the file is what its name says")
    }
}
