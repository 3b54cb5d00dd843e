//! A chunk, and the version 1 B-tree of chunks (III.A): `TREE`, u8 1, u8 level, u16 entries, two
//! siblings, then alternating keys and children. A key is: u32 size of the chunk in bytes, u32
//! skipped filters, a u64 offset of the first element for each dimension, and a u64 0.

use std::collections::HashSet;

use super::File;
use crate::Result;

/// A chunk of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Index of its first element.
    pub first: u64,
    pub address: u64,
    /// Size in the file in bytes.
    pub bytes: u64,
    /// A bit mask of the filters that were not applied to this chunk.
    pub skipped: u32,
}

/// All chunks of the tree at an address.
pub fn tree(file: &File, address: u64) -> Result<Vec<Chunk>> {
    let mut walk = Walk { file, seen: HashSet::new(), chunks: Vec::new() };
    walk.node(address, 256)?;
    Ok(walk.chunks)
}

struct Walk<'w, 'a> {
    file: &'w File<'a>,
    seen: HashSet<u64>,
    chunks: Vec<Chunk>,
}

impl Walk<'_, '_> {
    fn node(&mut self, address: u64, above: u16) -> Result<()> {
        if !self.seen.insert(address) {
            return Err(self.file.fault(address, "a tree of chunks that contains itself"));
        }
        let mut from = self.file.signed(address, *b"TREE", "a tree of chunks")?;
        let (kind, level, entries) = (from.u8()?, from.u8()?, from.u16()?);
        if kind != 1 || u16::from(level) >= above {
            return Err(self.file.fault(address, format!("a tree of chunks of type {kind} and level {level}")));
        }
        from.take(2 * self.file.offset)?;
        for _ in 0..entries {
            let (bytes, skipped, first) = (from.u32()?.into(), from.u32()?, from.u64()?);
            from.take(8)?;
            let address = self.file.address(&mut from)?;
            if level > 0 {
                self.node(address, level.into())?;
            } else {
                self.chunks.push(Chunk { first, address, bytes, skipped });
            }
        }
        Ok(())
    }
}
