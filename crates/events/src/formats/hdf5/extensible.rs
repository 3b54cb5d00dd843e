//! Reads the newer indices of chunks (layout versions 4 and 5; sections III.C, VII.C and VII.D).
//! The two versions differ only in the width of sizes in the indices, which the indices state.
//!
//! The layout is: u8 flags, u8 rank + 1, u8 width, the sizes of a chunk and of an element with that
//! width, u8 index type, the settings of the index, its address. Index type 1 is a single chunk; 2,
//! all chunks contiguous; 3, a fixed array (`FAHD` → `FADB`); 4, an extensible array (`EAHD` →
//! `EAIB` → `EASB` → `EADB`). An element of these arrays is an address and, if chunks are filtered,
//! the size in bytes and the skipped filters. Each part ends with a checksum; a long block is
//! divided into pages with a checksum each.

use super::chunks::Chunk;
use super::storage::{Layout, Space};
use crate::Result;
use crate::formats::cursor::Cursor;
use crate::problem::Problem;

const WHAT: &str = "an index of chunks";

/// Reads the layout after its version and class.
pub fn layout(space: &Space, mut from: Cursor) -> Result<Layout> {
    let file = space.file;
    let (flags, rank, width) = (from.u8()?, from.u8()?, from.u8()?.into());
    if rank != 2 {
        let (found, expected) = (rank.to_string(), "2".into());
        return Err(from.fault(Problem::Expected { what: "chunks of {} sizes", found, expected }));
    }
    let (size, element) = (from.unsigned(width)?, from.unsigned(width)?);
    let bytes = size.checked_mul(element).filter(|&bytes| bytes > 0 && element == space.element);
    let Some(bytes) = bytes else {
        return Err(from.fault(format!("chunks of {size} elements of {element} bytes")));
    };
    let index = from.u8()?;
    let count = space.len.div_ceil(size);
    let mut array = Array { space, size, bytes, count, width: 0, index: Vec::new() };
    match index {
        1 if flags & 2 != 0 => {
            let (bytes, skipped) = (file.size(&mut from)?, from.u32()?);
            let address = file.address(&mut from)?;
            if !file.is_nowhere(address) {
                array.index.push(Chunk { first: 0, address, bytes, skipped });
            }
        }
        1 | 2 => {
            let address = file.address(&mut from)?;
            if count.saturating_mul(bytes) > file.len() {
                return Err(from.fault(format!("a claim of {count} chunks")));
            }
            if !file.is_nowhere(address) {
                let chunk = |i: u64| Chunk {
                    first: i * size,
                    address: address.saturating_add(i.saturating_mul(bytes)),
                    bytes,
                    skipped: 0,
                };
                array.index.extend((0..count).map(chunk));
            }
        }
        3 => {
            from.take(1)?;
            array.fixed(file.address(&mut from)?)?;
        }
        4 => {
            from.take(5)?;
            array.extensible(file.address(&mut from)?)?;
        }
        _ => return Err(file.unknown(space.address, format!("an index of chunks of type {index}"))),
    }
    space.chunked(size, array.index)
}

/// Collects the chunks of an index in order.
struct Array<'s, 'f, 'a> {
    space: &'s Space<'f, 'a>,
    /// Number of elements of a chunk.
    size: u64,
    /// Size of a chunk in bytes, before filters.
    bytes: u64,
    /// Number of chunks of the data set.
    count: u64,
    /// Size of an element of the array in bytes.
    width: usize,
    index: Vec<Chunk>,
}

impl Array<'_, '_, '_> {
    fn left(&self) -> u64 {
        self.count - (self.index.len() as u64).min(self.count)
    }

    /// Reads up to `n` elements of the array.
    fn elements(&mut self, from: &mut Cursor, n: u64) -> Result<()> {
        let file = self.space.file;
        for _ in 0..n.min(self.left()) {
            let address = file.address(from)?;
            let (mut bytes, mut skipped) = (self.bytes, 0);
            if self.space.filtered {
                bytes = from.unsigned(self.width - file.offset - 4)?;
                skipped = from.u32()?;
            }
            if file.is_nowhere(address) {
                let which = format_args!("the elements of chunk {} of {}", self.index.len(), self.count);
                return Err(file.unwritten(self.space.address, which));
            }
            self.index.push(Chunk { first: self.index.len() as u64 * self.size, address, bytes, skipped });
        }
        Ok(())
    }

    /// Reads a block of `n` elements after a header of `head` bytes. A block of more than `page`
    /// elements is divided into pages.
    fn block(&mut self, address: u64, head: u64, n: u64, page: u64) -> Result<()> {
        let file = self.space.file;
        let size = |n: u64| n.saturating_mul(self.width as u64);
        if n <= page {
            let bytes = file.checked(address, size(n).saturating_add(head + 4), WHAT)?;
            let elements = bytes.get(head as usize..).unwrap_or_default();
            return self.elements(&mut file.cursor(elements, address.saturating_add(head), WHAT), n);
        }
        file.checked(address, head + 4, WHAT)?;
        let (mut at, mut done) = (address.saturating_add(head + 4), 0);
        while done < n && self.left() > 0 {
            let part = page.min(n - done);
            let bytes = part.saturating_mul(self.width as u64).saturating_add(4);
            self.elements(&mut file.cursor(file.checked(at, bytes, WHAT)?, at, WHAT), part)?;
            at = at.saturating_add(bytes);
            done += part;
        }
        Ok(())
    }

    /// Reads the size of an element of the array.
    fn width(&mut self, head: &mut Cursor) -> Result<()> {
        self.width = head.u8()?.into();
        let address = self.space.file.offset;
        let filtered = address + 5..=address + 12;
        if if self.space.filtered { filtered.contains(&self.width) } else { self.width == address } {
            return Ok(());
        }
        Err(head.fault(format!("an index of chunks with {} bytes for each", self.width)))
    }

    fn fixed(&mut self, address: u64) -> Result<()> {
        let file = self.space.file;
        if file.is_nowhere(address) {
            return Ok(());
        }
        let mut head = file.signed(address, *b"FAHD", WHAT)?;
        head.take(2)?;
        self.width(&mut head)?;
        let page = page(&mut head)?;
        let n = file.size(&mut head)?;
        let block = file.address(&mut head)?;
        file.checked(address, head.position() as u64 + 4, WHAT)?;
        file.signed(block, *b"FADB", WHAT)?;
        let bits = if n > page { n.div_ceil(page).div_ceil(8) } else { 0 };
        self.block(block, bits.saturating_add(6 + file.offset as u64).min(file.len()), n, page)
    }

    fn extensible(&mut self, address: u64) -> Result<()> {
        let file = self.space.file;
        if file.is_nowhere(address) {
            return Ok(());
        }
        let mut head = file.signed(address, *b"EAHD", WHAT)?;
        head.take(2)?;
        self.width(&mut head)?;
        let (bits, direct, least, blocks) = (head.u8()?, head.u8()?, u64::from(head.u8()?), u64::from(head.u8()?));
        let page = page(&mut head)?;
        let known = bits <= 64 && least.is_power_of_two() && blocks.is_power_of_two() && blocks > 1;
        // The number of all super blocks, and of those that have no block of their own.
        let supers = 1 + u64::from(bits).saturating_sub(least.max(1).ilog2().into());
        let first = 2 * u64::from(blocks.max(1).ilog2());
        if !known || supers < first {
            return Err(head.fault(format!("an extensible array of {bits} bits, {least} elements, {blocks} blocks")));
        }
        head.take(6 * file.length)?;
        let at = file.address(&mut head)?;
        file.checked(address, head.position() as u64 + 4, WHAT)?;
        let mut from = file.signed(at, *b"EAIB", WHAT)?;
        from.take(2 + file.offset)?;
        let size = usize::from(direct) * self.width + (2 * (blocks - 1) + supers - first) as usize * file.offset;
        file.checked(at, (from.position() + size + 4) as u64, WHAT)?;
        let elements = from.take(usize::from(direct) * self.width)?;
        self.elements(&mut file.cursor(elements, at, WHAT), direct.into())?;
        let form = Form { least, page, offset: bits.div_ceil(8).into() };
        for u in 0..supers {
            if self.left() == 0 {
                break;
            }
            let Some((n, elements)) = form.of(u as u32) else { return Err(from.fault("an array without end")) };
            if u < first {
                for _ in 0..n {
                    self.data_block(file.address(&mut from)?, elements, &form)?;
                }
            } else {
                self.super_block(file.address(&mut from)?, n, elements, &form)?;
            }
        }
        Ok(())
    }

    fn super_block(&mut self, address: u64, n: u64, elements: u64, form: &Form) -> Result<()> {
        let file = self.space.file;
        let mut from = file.signed(address, *b"EASB", WHAT)?;
        from.take(2 + file.offset + form.offset)?;
        let pages = if elements > form.page { (elements / form.page).div_ceil(8) } else { 0 };
        let bits = pages.saturating_mul(n);
        let size = n.saturating_mul(file.offset as u64).saturating_add(bits);
        file.checked(address, size.saturating_add(from.position() as u64 + 4), WHAT)?;
        from.take(usize::try_from(bits).unwrap_or(usize::MAX))?;
        for _ in 0..n {
            if self.left() == 0 {
                break;
            }
            self.data_block(file.address(&mut from)?, elements, form)?;
        }
        Ok(())
    }

    fn data_block(&mut self, address: u64, elements: u64, form: &Form) -> Result<()> {
        if self.left() == 0 {
            return Ok(());
        }
        let file = self.space.file;
        file.signed(address, *b"EADB", WHAT)?;
        self.block(address, (6 + file.offset + form.offset) as u64, elements, form.page)
    }
}

/// The settings of an extensible array.
struct Form {
    /// Number of elements of the smallest data block.
    least: u64,
    /// Number of elements of a page.
    page: u64,
    /// Width in bytes of a block's offset in the array.
    offset: usize,
}

impl Form {
    /// The number of data blocks of super block `u`, 2^(u/2), and of elements in each of them,
    /// least·2^((u+1)/2), with halves rounded down.
    fn of(&self, u: u32) -> Option<(u64, u64)> {
        let elements = 1u64.checked_shl(u.div_ceil(2))?.checked_mul(self.least)?;
        Some((1u64.checked_shl(u / 2)?, elements))
    }
}

/// Reads the number of elements of a page, which is stored as its logarithm.
fn page(from: &mut Cursor) -> Result<u64> {
    let bits = from.u8()?;
    1u64.checked_shl(bits.into()).ok_or_else(|| from.fault(format!("pages of 2^{bits} chunks")))
}
