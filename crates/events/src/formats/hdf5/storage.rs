//! The location of a data set's elements in the file, checked against the size of the file.

use super::File;
use super::chunks::Chunk;
use crate::Result;
use crate::formats::cursor::Cursor;

/// The location of the elements.
#[derive(Debug, Clone)]
pub(crate) enum Layout {
    /// No element has been written.
    Absent,
    /// All elements are contiguous at an address.
    Contiguous { address: u64, size: u64 },
    /// The elements are in chunks of `size` elements, sorted by their first element.
    Chunked { size: u64, chunks: Vec<Chunk> },
}

/// The properties of a data set that reading its layout needs.
pub(super) struct Space<'f, 'a> {
    pub file: &'f File<'a>,
    pub address: u64,
    pub len: u64,
    pub element: u64,
    pub filtered: bool,
}

impl Space<'_, '_> {
    pub fn contiguous(&self, address: u64, size: u64, from: &Cursor) -> Result<Layout> {
        let needed = self.len.checked_mul(self.element);
        if needed == Some(0) || self.file.is_nowhere(address) {
            return Ok(Layout::Absent);
        }
        if needed.is_none_or(|needed| needed > size) {
            let problem = format!("{} elements of {} bytes in {size} bytes", self.len, self.element);
            return Err(from.fault(problem));
        }
        self.file.range(address, size, "a data set")?;
        Ok(Layout::Contiguous { address, size: needed.unwrap_or(0) })
    }

    /// Verifies the chunks of any index: they lie within the file, cover the data set, and do not
    /// overlap.
    pub fn chunked(&self, size: u64, mut chunks: Vec<Chunk>) -> Result<Layout> {
        // A data set that was shortened may keep chunks after its end.
        chunks.retain(|c| c.first < self.len);
        chunks.sort_unstable_by_key(|c| c.first);
        let mut total = 0u64;
        let mut next = 0;
        for c in &chunks {
            if c.first < next {
                return Err(self.file.fault(self.address, format!("two chunks that hold element {}", c.first)));
            }
            if c.first > next {
                let which = format_args!("elements {next} to {} of {}", c.first - 1, self.len);
                return Err(self.file.unwritten(self.address, which));
            }
            next = next.saturating_add(size);
            self.file.range(c.address, c.bytes, "a chunk")?;
            total = total.saturating_add(c.bytes);
        }
        if next < self.len {
            let which = format_args!("elements {next} to {} of {}", self.len - 1, self.len);
            return Err(self.file.unwritten(self.address, which));
        }
        if total > self.file.len() {
            return Err(self.file.fault(self.address, "chunks that overlap"));
        }
        Ok(Layout::Chunked { size, chunks })
    }
}
