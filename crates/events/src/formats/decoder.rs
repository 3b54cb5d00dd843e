//! What every reader of events is: a decoder of a stream of bytes, or of a file at random places.
//!
//! A [`Decoder`] is pushed bytes in chunks of any size (from a file, a pipe, a camera) and appends
//! the events that are complete; what a chunk cuts it keeps for the next. Equal bytes give equal
//! events however they are cut. A [`Container`] (HDF5) needs the whole file as one slice, mapped
//! into memory where it is large, and appends its events piece by piece.
//!
//! Both name the file and the byte in each error, and neither ever ends early in silence: bytes
//! that are missing at the end are an error of [`Decoder::finish`] or [`Container::next`].

use super::{Oddity, ReadOptions};
use crate::{Columns, Result, Sensor};

/// Decodes a stream of bytes. Made by [`Reading::Stream`] with the name of the file.
///
/// After an error a decoder is of no further use.
pub trait Decoder: Send {
    /// Takes the next bytes of the stream and appends the events they complete.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    fn push(&mut self, bytes: &[u8], out: &mut Columns) -> Result<()>;

    /// Takes as many as it likes, at least one, from the front of all bytes that are left of the
    /// stream (there are some), and returns how many: for what lies in memory as a whole.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    fn take(&mut self, bytes: &[u8], out: &mut Columns) -> Result<usize> {
        let n = bytes.len().min(super::records::PIECE);
        self.push(&bytes[..n], out)?;
        Ok(n)
    }

    /// Takes the end of the stream.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] with the byte at which an incomplete header or record begins.
    fn finish(&mut self, out: &mut Columns) -> Result<()>;

    /// The sensor that the bytes so far state. Known once the header is read, in formats that
    /// state it there.
    fn sensor(&self) -> Option<Sensor>;

    /// How often a clock that starts again from 0 has been continued, where the file does not count
    /// that itself.
    fn overflows(&self) -> u64 {
        0
    }

    /// What was odd in the bytes so far, if the options ask for it.
    fn oddities(&self) -> &[Oddity] {
        &[]
    }
}

/// Decodes a file that has to be read at random places. Made by [`Reading::Whole`], which checks
/// what can be checked without decoding events. Every call gets the same bytes.
pub trait Container: Send {
    /// Appends the next piece of events (at most some 100,000, so that memory stays bounded);
    /// false when there are no more.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    fn next(&mut self, bytes: &[u8], out: &mut Columns) -> Result<bool>;

    /// The sensor, if the file states it.
    fn sensor(&self) -> Option<Sensor>;
}

/// Opens a container: all bytes of the file, its name, and how it is to be read.
pub type OpenContainer = fn(&[u8], &str, &ReadOptions) -> Result<Box<dyn Container>>;

/// Begins to decode a stream: the name of the file, and how it is to be read.
pub type OpenStream = fn(&str, &ReadOptions) -> Box<dyn Decoder>;

/// How a format is read.
#[derive(Debug, Clone, Copy)]
pub enum Reading {
    /// From front to back.
    Stream(OpenStream),
    /// At random places of the whole file.
    Whole(OpenContainer),
}
