//! A read position in a byte slice, with which the container formats read their fields. It only
//! moves forward and never past the end. All numbers are little endian. Every error names file and
//! byte.

use crate::problem::Truncation;
use crate::{Error, Problem, Result};

/// Reads consecutive fields of a part of a file.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Offset of `bytes` in the file, for error messages.
    base: u64,
    file: &'a str,
    /// The name of the part that is read, for error messages.
    what: &'static str,
}

macro_rules! number {
    ($($name:ident: $type:ty),*) => {$(
        #[inline]
        pub fn $name(&mut self) -> Result<$type> {
            self.array().map(<$type>::from_le_bytes)
        }
    )*};
}

#[allow(dead_code, reason = "each of the optional formats uses a part")]
impl<'a> Cursor<'a> {
    /// Creates a cursor at the start of `bytes`, which lie at offset `base` of `file`.
    pub fn new(bytes: &'a [u8], base: u64, file: &'a str, what: &'static str) -> Cursor<'a> {
        Cursor { bytes, at: 0, base, file, what }
    }

    number!(u8: u8, u16: u16, u32: u32, u64: u64, i32: i32, i64: i64);

    /// Reads the next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..n)) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => Err(self.short(n)),
        }
    }

    /// Reads the next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest().first_chunk() {
            Some(&taken) => {
                self.at += N;
                Ok(taken)
            }
            None => Err(self.short(N)),
        }
    }

    #[cold]
    fn short(&self, n: usize) -> Error {
        let left = self.bytes.len().saturating_sub(self.at);
        self.fault(Truncation::Field { part: self.what, needed: n as u64, left: left as u64 })
    }

    /// Reads an unsigned number of `width` bytes, at most 8.
    pub fn unsigned(&mut self, width: usize) -> Result<u64> {
        if width > 8 {
            return Err(self.fault(format!("{} has a number of {width} bytes", self.what)));
        }
        Ok(self.take(width)?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    /// Moves to the next multiple of `n` bytes, counted from the start.
    pub fn align(&mut self, n: usize) -> Result<()> {
        self.take(self.at.next_multiple_of(n) - self.at).map(|_| ())
    }

    /// The bytes that have not been read.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Number of bytes that have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Offset in the file of the next byte.
    pub fn offset(&self) -> u64 {
        self.base.saturating_add(self.at as u64)
    }

    /// An error about the next byte.
    #[cold]
    pub fn fault(&self, problem: impl Into<Problem>) -> Error {
        Error::malformed(self.file, self.offset(), problem, "get the file again")
    }
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;

    #[test]
    fn numbers_are_little_endian_and_a_short_rest_names_its_byte() {
        let bytes = [1, 2, 0, 3, 0, 0, 0, 0xFF, 9];
        let mut cursor = Cursor::new(&bytes, 100, "f", "a thing");
        assert_eq!((cursor.u8().unwrap(), cursor.u16().unwrap(), cursor.u32().unwrap()), (1, 2, 3));
        assert_eq!(cursor.unsigned(1).unwrap(), 0xFF);
        let short = Truncation::Field { part: "a thing", needed: 2, left: 1 };
        assert_problem!(cursor.u16().unwrap_err(), at "f: byte 108: ", short);
        assert_eq!(cursor.u8().unwrap(), 9, "a refused read moves nothing");
        assert!(cursor.take(usize::MAX).is_err());
    }
}
