//! Reads flatbuffer tables in place, with every access checked against the buffer.
//!
//! A buffer is a u32 size, a u32 offset of the root table, and four letters. A table begins with an
//! i32, the distance back to its layout. The layout is: u16 size of the layout, u16 size of the
//! table, then for each field a u16 offset in the table, or 0 if the field is absent. A vector or a
//! text is a u32 offset to a u32 length, which the elements follow. Offsets are relative to their
//! own position. All numbers are little endian.

use crate::problem::{PacketProblem, Part, Problem, Truncation};
use crate::{Error, Result};

/// A table inside a buffer.
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    layout: usize,
    fields: usize,
    place: Origin<'a>,
}

/// The origin of a buffer, for error messages.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    pub file: &'a str,
    /// Offset in the file of the buffer, or of the packet from which it was decompressed.
    pub at: u64,
    pub what: &'static str,
}

impl Origin<'_> {
    #[cold]
    pub fn fault(&self, problem: impl Into<Problem>) -> Error {
        let problem = problem.into().inside(Part::Named(self.what));
        Error::malformed(self.file, self.at, problem, "get the file again")
    }
}

impl<'a> Table<'a> {
    /// The root table of a buffer that begins with its size and contains these letters.
    pub fn root(bytes: &'a [u8], letters: [u8; 4], place: Origin<'a>) -> Result<Table<'a>> {
        let Some((size, bytes)) = bytes.split_first_chunk::<4>() else {
            return Err(place.fault(Truncation::Buffer { found: bytes.len() as u64, expected: 4 }));
        };
        let size = u32::from_le_bytes(*size) as usize;
        if size != bytes.len() {
            let (found, expected) = (bytes.len().to_string(), size.to_string());
            return Err(place.fault(Problem::Expected { what: "{} bytes", found, expected }));
        }
        if bytes.get(4..8) != Some(&letters) {
            let letters = String::from_utf8_lossy(&letters).into_owned();
            return Err(place.fault(PacketProblem::Letters { letters }));
        }
        let mut table = Table { bytes, at: 0, layout: 0, fields: 0, place };
        table.at = table.follow(0)?;
        let back = i64::from(i32::from_le_bytes(table.array(table.at)?));
        let layout = usize::try_from(table.at as i64 - back);
        table.layout = layout.map_err(|_| place.fault("a table whose layout is nowhere"))?;
        let size = usize::from(u16::from_le_bytes(table.array(table.layout)?));
        table.fields = size.saturating_sub(4) / 2;
        Ok(table)
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let found = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        found.copied().ok_or_else(|| self.place.fault(format!("{N} bytes at {at} of {}", self.bytes.len())))
    }

    /// The target of the offset at `at`.
    fn follow(&self, at: usize) -> Result<usize> {
        Ok(at.saturating_add(u32::from_le_bytes(self.array(at)?) as usize))
    }

    /// The position of a field; `None` if it is absent.
    fn field(&self, index: usize) -> Result<Option<usize>> {
        if index >= self.fields {
            return Ok(None);
        }
        let offset = u16::from_le_bytes(self.array(self.layout + 4 + 2 * index)?);
        Ok((offset != 0).then_some(self.at + usize::from(offset)))
    }

    /// A field of 4 bytes, or `default` if it is absent.
    pub fn i32(&self, field: usize, default: i32) -> Result<i32> {
        self.field(field)?.map_or(Ok(default), |at| self.array(at).map(i32::from_le_bytes))
    }

    /// A field of 8 bytes, or `default` if it is absent.
    pub fn i64(&self, field: usize, default: i64) -> Result<i64> {
        self.field(field)?.map_or(Ok(default), |at| self.array(at).map(i64::from_le_bytes))
    }

    /// The bytes of a vector with elements of `size` bytes, or of a text; empty if the field is
    /// absent.
    pub fn vector(&self, field: usize, size: usize) -> Result<&'a [u8]> {
        let Some(at) = self.field(field)? else { return Ok(&[]) };
        let at = self.follow(at)?;
        let count = u32::from_le_bytes(self.array(at)?) as usize;
        let bytes = self.bytes.get(at.saturating_add(4)..).and_then(|rest| rest.get(..count.checked_mul(size)?));
        bytes.ok_or_else(|| self.place.fault(PacketProblem::Elements { count, size, bytes: self.bytes.len() }))
    }
}
