//! Reads the superblock (II.A): the location of the root group, and the widths of addresses and
//! sizes.
//!
//! Versions 0 and 1: signature, u8 version, versions of other parts (u8 free space, u8 root group,
//! u8 reserved, u8 shared headers), u8 width of addresses, u8 width of sizes, u8 reserved, u16 leaf
//! and u16 node size of groups, u32 flags (version 1: u16 chunk node size, u16 reserved), then four
//! addresses (base, free space, end, driver) and the symbol table entry of the root group, which
//! contains the offset of its name and the address of its header. Versions 2 and 3: signature, u8
//! version, u8 width of addresses, u8 width of sizes, u8 flags, addresses of base, extension, end
//! and root header, u32 checksum.

use super::{File, SIGNATURE};
use crate::formats::cursor::Cursor;
use crate::problem::Truncation;
use crate::{Error, Result};

/// Finds the superblock's offset: 0, or after a user block of 512 bytes or a larger power of two.
pub fn place(bytes: &[u8]) -> Option<usize> {
    let places = std::iter::once(0).chain((9..=30).map(|i| 1usize << i));
    places.take_while(|&at| at < bytes.len()).find(|&at| bytes[at..].starts_with(&SIGNATURE))
}

pub fn open<'a>(bytes: &'a [u8], name: &'a str) -> Result<File<'a>> {
    let Some(place) = place(bytes) else {
        return Err(Error::malformed(name, 0, "no HDF5 signature", "check what kind of file this is"));
    };
    let base = place as u64;
    let mut from = Cursor::new(&bytes[place..], base, name, "the HDF5 superblock");
    from.take(8)?;
    let version = from.u8()?;
    if version > 3 {
        return Err(from.fault(format!("an HDF5 superblock of version {version}; 0 to 3 are known")));
    }
    if version < 2 {
        from.take(4)?;
    }
    let (offset, length) = (usize::from(from.u8()?), usize::from(from.u8()?));
    if !matches!((offset, length), (2 | 4 | 8, 2 | 4 | 8)) {
        return Err(from.fault(format!("addresses of {offset} and sizes of {length} bytes; 2, 4 and 8 are known")));
    }
    let skipped = match version {
        0 => 1 + 4 + 4,
        1 => 1 + 4 + 4 + 4,
        _ => 1,
    };
    from.take(skipped)?;
    let start = from.unsigned(offset)?;
    // With a user block, writers store either its size or 0 as the base address.
    if start != 0 && start != base {
        return Err(from.fault(format!("base address {start} of a superblock at {base}")));
    }
    from.take(offset)?;
    let end = from.unsigned(offset)?;
    let end = if start == 0 { end } else { end.saturating_sub(base) };
    if version < 2 {
        from.take(2 * offset)?;
    }
    let root = from.unsigned(offset)?;
    let whole = &bytes[place..];
    if end > whole.len() as u64 {
        let problem = Truncation::Size { part: "the file".into(), found: whole.len() as u64, expected: end };
        return Err(Error::malformed(name, bytes.len() as u64, problem, "get the file again"));
    }
    let file = File { bytes: whole, base, name, offset, length, root };
    if version >= 2 {
        file.checked(0, 12 + 4 * offset as u64 + 4, "the HDF5 superblock")?;
    }
    Ok(file)
}
