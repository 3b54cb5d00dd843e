//! The two kinds of readers of events: a decoder of a stream of bytes, or of a whole file.
//!
//! A [`Decoder`] receives bytes in chunks of any size (from a file, a pipe, a camera) and appends
//! the events that are complete; it keeps the incomplete rest of a chunk for the next call. Equal
//! bytes give equal events, however they are divided into chunks. A [`Container`] (HDF5) needs the
//! whole file as one slice, which is mapped into memory if it is large, and appends its events in
//! pieces.
//!
//! Both name the file and the byte in each error. Neither ignores a truncated file:
//! [`Decoder::finish`] or [`Container::next`] returns an error if bytes are missing at the end.

use super::{Oddity, ReadOptions};
use crate::{Columns, Result, Sensor};

/// Number of bytes decoded at a time; they and their events stay in the L2 cache.
pub(super) const PIECE: usize = 64 << 10;

/// Decodes a stream of bytes. [`Reading::Stream`] creates it.
///
/// After an error, the decoder must not be used any more.
pub trait Decoder: Send {
    /// Decodes the next bytes of the stream and appends the events that they complete.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    fn push(&mut self, bytes: &[u8], out: &mut Columns) -> Result<()>;

    /// Decodes a non-empty prefix of `bytes` and returns its length. `bytes` is the whole rest of a
    /// stream that is in memory, and must not be empty.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    fn take(&mut self, bytes: &[u8], out: &mut Columns) -> Result<usize> {
        let n = bytes.len().min(PIECE);
        self.push(&bytes[..n], out)?;
        Ok(n)
    }

    /// Must be called at the end of the stream.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] with the offset of an incomplete header or record.
    fn finish(&mut self, out: &mut Columns) -> Result<()>;

    /// The sensor that the bytes so far state. If the format states it in its header, it is known
    /// once the header has been decoded.
    fn sensor(&self) -> Option<Sensor>;

    /// Number of times that the decoder has continued a clock that overflowed. Overflows that the
    /// file itself counts are not included.
    fn overflows(&self) -> u64 {
        0
    }

    /// The odd words of the bytes so far; empty if the options do not ask for them.
    fn oddities(&self) -> &[Oddity] {
        &[]
    }
}

/// Decodes a file that needs random access. [`Reading::Whole`] creates it and verifies what it can
/// without decoding events. Every call must pass the same bytes.
pub trait Container: Send {
    /// Appends the next piece of events, at most some 100,000, so that memory stays bounded.
    /// Returns false if there are no more events.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    fn next(&mut self, bytes: &[u8], out: &mut Columns) -> Result<bool>;

    /// The sensor, if the file states it.
    fn sensor(&self) -> Option<Sensor>;
}

/// Opens a container. The arguments are all bytes of the file, its name, and the options.
pub type OpenContainer = fn(&[u8], &str, &ReadOptions) -> Result<Box<dyn Container>>;

/// Creates a decoder. The arguments are the name of the file and the options.
pub type OpenStream = fn(&str, &ReadOptions) -> Box<dyn Decoder>;

/// The way in which a format is read.
#[derive(Debug, Clone, Copy)]
pub enum Reading {
    /// As a stream, from front to back.
    Stream(OpenStream),
    /// As a whole file, with random access.
    Whole(OpenContainer),
}
