//! Reads the global heap (III.E), which stores values of variable length.
//!
//! A collection is: `GCOL`, u8 version, 3 reserved bytes, its size, then objects. An object is: u16
//! index, u16 reference count, u32 reserved, size, the bytes, padded to 8. Index 0 is free space.
//! An element of a data set is: u32 length, address of the collection, u32 index.

use std::collections::HashMap;

use super::File;
use crate::Result;
use crate::formats::cursor::Cursor;

/// The collections that have been read: for each address, the address and size of each object.
#[derive(Debug, Default)]
pub(crate) struct Heaps {
    collections: HashMap<u64, HashMap<u32, (u64, u64)>>,
    /// Total size of the collections. They must not overlap, so it cannot exceed the size of the
    /// file.
    total: u64,
}

impl Heaps {
    /// Size in bytes of an element that refers to a heap.
    pub fn reference(file: &File) -> usize {
        8 + file.offset
    }

    /// Reads an element. Returns the number of values, and the address and size of their bytes.
    pub fn find(&mut self, file: &File, from: &mut Cursor) -> Result<(u64, u64, u64)> {
        let (count, address, index) = (from.u32()?, file.address(from)?, from.u32()?);
        if count == 0 {
            return Ok((0, 0, 0));
        }
        if !self.collections.contains_key(&address) {
            let objects = self.collection(file, address)?;
            self.collections.insert(address, objects);
        }
        let found = self.collections.get(&address).and_then(|objects| objects.get(&index));
        let &(at, size) =
            found.ok_or_else(|| from.fault(format!("no object {index} in the heap at byte {address}")))?;
        Ok((count.into(), at, size))
    }

    fn collection(&mut self, file: &File, address: u64) -> Result<HashMap<u32, (u64, u64)>> {
        const WHAT: &str = "a global heap";
        let mut head = file.signed(address, *b"GCOL", WHAT)?;
        head.take(4)?;
        let size = file.size(&mut head)?;
        self.total = self.total.saturating_add(size);
        if self.total > file.len() {
            return Err(file.fault(address, "global heaps that overlap"));
        }
        let mut from = file.cursor(file.range(address, size, WHAT)?, address, WHAT);
        from.take(8 + file.length)?;
        let mut objects = HashMap::new();
        while from.rest().len() >= 8 + file.length {
            let index = from.u16()?;
            from.take(6)?;
            let size = file.size(&mut from)?;
            if index == 0 {
                break;
            }
            let at = from.offset() - file.base;
            objects.insert(index.into(), (at, size));
            let padded = size.checked_next_multiple_of(8).and_then(|n| usize::try_from(n).ok());
            from.take(padded.unwrap_or(usize::MAX))?;
        }
        Ok(objects)
    }
}
