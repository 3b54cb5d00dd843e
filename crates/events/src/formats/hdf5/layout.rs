//! Reads the description of a data set: its extent (IV.A.2.b), type, filters, and the location of
//! its bytes (IV.A.2.i).
//!
//! The layout message begins with a u8 version. Version 3: u8 class, then for compact storage a u16
//! size and the bytes; for contiguous storage an address and a size; for chunked storage
//! u8 rank + 1, address of the index, u32 sizes of a chunk and of an element. Version 4: the same,
//! except for chunked storage, see [`super::extensible`]. Versions 1 and 2: u8 rank, u8 class, 5
//! reserved bytes, address unless compact, u32 sizes, [u32 size of an element], [u32 size, bytes].

use std::borrow::Cow;

use super::filters::{self, Filter, decoded};
use super::object::{self, Object, kind};
use super::storage::{Layout, Space};
use super::{Datatype, File, chunks, datatype, extensible};
use crate::Result;
use crate::formats::cursor::Cursor;
use crate::problem::Problem;

/// A one-dimensional data set.
#[derive(Debug, Clone)]
pub(crate) struct Dataset {
    /// Address of its object header, for error messages.
    pub address: u64,
    /// Number of elements.
    pub len: u64,
    pub datatype: Datatype,
    pub filters: Vec<Filter>,
    pub layout: Layout,
}

/// Reads the data set whose object header is at an address.
pub fn dataset(file: &File, address: u64) -> Result<Dataset> {
    let object = object::read(file, address)?;
    let missing = |what| move || file.fault(address, format!("this object is no data set: it has no {what}"));
    let datatype = datatype_of(file, &object)?.ok_or_else(missing("datatype"))?;
    let len = extent(file, address, object.get(kind::DATASPACE).ok_or_else(missing("dataspace"))?)?;
    let filters = object.get(kind::FILTERS).map(filters::pipeline).transpose()?.unwrap_or_default();
    let layout = object.get(kind::LAYOUT).ok_or_else(missing("layout"))?;
    let space = Space { file, address, len, element: datatype.size as u64, filtered: !filters.is_empty() };
    let layout = self::layout(&space, layout)?;
    Ok(Dataset { address, len, datatype, filters, layout })
}

fn datatype_of(file: &File, object: &Object) -> Result<Option<Datatype>> {
    let Some(message) = object.messages.iter().find(|m| m.kind == kind::DATATYPE) else { return Ok(None) };
    let mut from = message.body.clone();
    if message.flags & 2 == 0 {
        return datatype::read(&mut from).map(Some);
    }
    // A committed datatype is an object of its own.
    let (version, _) = (from.u8()?, from.u8()?);
    from.take(if version == 1 { 6 } else { 0 })?;
    let other = object::read(file, file.address(&mut from)?)?;
    other.get(kind::DATATYPE).map(|mut from| datatype::read(&mut from)).transpose()
}

/// The number of elements of a dataspace with at most one dimension.
fn extent(file: &File, address: u64, mut from: Cursor) -> Result<u64> {
    let (version, rank, _) = (from.u8()?, from.u8()?, from.u8()?);
    match version {
        1 => from.take(5).map(|_| ())?,
        // Type 2 is "null": no elements.
        2 if from.u8()? == 2 => return Ok(0),
        2 => (),
        _ => return Err(from.fault(format!("a dataspace of version {version}"))),
    }
    // A scalar is a single value.
    if rank == 0 {
        return Ok(1);
    }
    if rank != 1 {
        let (found, expected) = (rank.to_string(), "one".into());
        let problem = Problem::Expected { what: "a data set of {} dimensions", found, expected };
        return Err(file.other_layout(address, problem));
    }
    file.size(&mut from)
}

/// Reads the layout message.
fn layout(space: &Space, mut from: Cursor) -> Result<Layout> {
    let version = from.u8()?;
    let (class, rank) = match version {
        1 | 2 => {
            let (rank, class) = (from.u8()?, from.u8()?);
            from.take(5)?;
            (class, rank)
        }
        3..=5 => (from.u8()?, 2),
        _ => return Err(from.fault(format!("a layout of version {version}; 1 to 5 are known"))),
    };
    match (class, version) {
        (0, 3..) => {
            let size = from.u16()?.into();
            space.contiguous(from.offset() - space.file.base, size, &from)
        }
        (0, _) => {
            from.take(4 * usize::from(rank))?;
            let size = from.u32()?.into();
            space.contiguous(from.offset() - space.file.base, size, &from)
        }
        (1, 3..) => {
            let (address, size) = (space.file.address(&mut from)?, space.file.size(&mut from)?);
            space.contiguous(address, size, &from)
        }
        (1, _) => {
            let address = space.file.address(&mut from)?;
            let size = space.len.checked_mul(space.element);
            space.contiguous(address, size.unwrap_or(u64::MAX), &from)
        }
        (2, 4..) => extensible::layout(space, from),
        (2, _) => {
            let rank = if version == 3 { from.u8()? } else { rank };
            let index = space.file.address(&mut from)?;
            let size = from.u32()?;
            let element = from.u32()?;
            if rank != 2 || size == 0 || u64::from(element) != space.element {
                let what = format!("chunks of {rank} sizes, {size} elements of {element} bytes");
                return Err(from.fault(what));
            }
            if space.file.is_nowhere(index) {
                return space.chunked(size.into(), Vec::new());
            }
            space.chunked(size.into(), chunks::tree(space.file, index)?)
        }
        _ => Err(space.file.unknown(space.address, format!("storage of class {class}"))),
    }
}

impl Dataset {
    /// All bytes of the elements, decompressed. Only for data sets that are small compared with the
    /// file.
    pub fn bytes<'a>(&self, file: &File<'a>) -> Result<Cow<'a, [u8]>> {
        let element = self.datatype.size as u64;
        let needed = self.len.checked_mul(element);
        // Deflate compresses by at most 1032 to 1, so a larger size cannot be true.
        let needed = needed.filter(|&n| n / 1032 <= file.len()).and_then(|n| usize::try_from(n).ok());
        let Some(needed) = needed else {
            let what = format!("a claim of {} elements of {element} bytes in a file of {}", self.len, file.len());
            return Err(file.fault(self.address, what));
        };
        match &self.layout {
            Layout::Absent if needed == 0 => Ok(Cow::Borrowed(&[])),
            Layout::Absent => Err(file.unwritten(self.address, format_args!("all {} elements", self.len))),
            Layout::Contiguous { address, size } => file.range(*address, *size, "a data set").map(Cow::Borrowed),
            Layout::Chunked { size, chunks } => {
                let mut out = Vec::new();
                let most = size.saturating_mul(element);
                for c in chunks {
                    let raw = file.range(c.address, c.bytes, "a chunk")?;
                    let bytes = decoded(file, &self.filters, c, raw, most)?;
                    if bytes.len() as u64 != most {
                        let (found, expected) = (bytes.len().to_string(), most.to_string());
                        let problem = Problem::Expected { what: "a chunk of {} bytes", found, expected };
                        return Err(file.fault(c.address, problem));
                    }
                    out.extend_from_slice(&bytes[..bytes.len().min(needed - out.len())]);
                }
                Ok(Cow::Owned(out))
            }
        }
    }
}
