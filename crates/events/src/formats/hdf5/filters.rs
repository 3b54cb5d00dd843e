//! Filters (IV.A.2.l): the transformations that were applied to each chunk when it was written.
//!
//! The message is: u8 version, u8 number of filters (version 1: 6 reserved bytes), then for each
//! filter: u16 id, [u16 size of its name: version 1, or id above 255], u16 flags, u16 number of
//! values, [name], u32 values.

use std::borrow::Cow;

use super::chunks::Chunk;
use super::codecs::{inflate, unshuffled, zstd};
use super::{File, blosc, lz4, lzf};
use crate::Result;
use crate::formats::cursor::Cursor;
use crate::problem::{Part, Problem};

/// A filter of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub id: u16,
    pub values: Vec<u32>,
}

const DEFLATE: u16 = 1;
const SHUFFLE: u16 = 2;
const FLETCHER32: u16 = 3;
const LZF: u16 = 32_000;
const BLOSC: u16 = 32_001;
const LZ4: u16 = 32_004;
const ZSTD: u16 = 32_015;

/// The name of a filter that is not supported, for error messages.
fn name(id: u16) -> &'static str {
    match id {
        4 => " (SZIP)",
        5 => " (N-bit)",
        6 => " (scale-offset)",
        307 => " (BZIP2)",
        32_008 => " (bitshuffle)",
        32_013 => " (ZFP)",
        32_026 => " (Blosc 2)",
        _ => "",
    }
}

/// Parses the message.
pub fn pipeline(mut from: Cursor) -> Result<Vec<Filter>> {
    let (version, count) = (from.u8()?, from.u8()?);
    if !matches!(version, 1 | 2) {
        return Err(from.fault(format!("filters of version {version}")));
    }
    let old = version == 1;
    from.take(if old { 6 } else { 0 })?;
    let filter = |_| {
        let id = from.u16()?;
        let name = if old || id > 255 { from.u16()? } else { 0 };
        from.take(2)?;
        let n = from.u16()?;
        from.take(if old { usize::from(name).next_multiple_of(8) } else { name.into() })?;
        let values = (0..n).map(|_| from.u32()).collect::<Result<_>>()?;
        from.take(if old && n % 2 == 1 { 4 } else { 0 })?;
        Ok(Filter { id, values })
    };
    (0..count).map(filter).collect()
}

/// The largest decompressed chunk in bytes: 16 million events. The limit protects against
/// decompression bombs.
const MOST: u64 = 256 << 20;

/// Undoes the filters of a chunk, except ECF. The result may have at most `most` bytes.
pub(crate) fn decoded<'a>(
    file: &File,
    filters: &[Filter],
    chunk: &Chunk,
    raw: &'a [u8],
    most: u64,
) -> Result<Cow<'a, [u8]>> {
    if most > MOST && !filters.is_empty() {
        return Err(file.fault(chunk.address, format!("a chunk of {most} bytes; at most {MOST} are unpacked")));
    }
    // A Fletcher-32 checksum of 4 bytes may follow the data.
    let limit = most.min(MOST) + 4;
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let broken =
        |what: &'static str| move |problem: Problem| file.fault(chunk.address, problem.inside(Part::Chunk(what)));
    let mut bytes = Cow::Borrowed(raw);
    for (i, filter) in filters.iter().enumerate().rev() {
        if chunk.skipped >> i.min(31) & 1 == 1 {
            continue;
        }
        bytes = match filter.id {
            DEFLATE => {
                let mut out = Vec::new();
                inflate(&bytes, limit, &mut out).map_err(|problem| file.fault(chunk.address, problem))?;
                Cow::Owned(out)
            }
            LZF => Cow::Owned(lzf::unpack(&bytes, size).map_err(broken("LZF"))?),
            BLOSC => Cow::Owned(blosc::unpack(&bytes, size).map_err(broken("Blosc"))?),
            LZ4 => Cow::Owned(lz4::unpack(&bytes, size).map_err(broken("LZ4"))?),
            ZSTD => {
                let mut out = Vec::new();
                zstd(&bytes, limit, &mut out).map_err(broken("Zstd"))?;
                Cow::Owned(out)
            }
            SHUFFLE => Cow::Owned(unshuffled(&bytes, filter.values.first().map_or(1, |&n| n as usize))),
            FLETCHER32 => {
                let Some((data, sum)) = bytes.split_last_chunk::<4>() else {
                    return Err(file.fault(chunk.address, "a chunk without its checksum"));
                };
                if fletcher32(data) != u32::from_le_bytes(*sum) {
                    return Err(file.fault(chunk.address, Problem::Checksum { of: Some("a chunk") }));
                }
                Cow::Owned(data.to_vec())
            }
            id => {
                let found = format!("{id}{}", name(id));
                return Err(file.unknown(chunk.address, Problem::Unknown { what: "chunks with the filter {}", found }));
            }
        };
    }
    Ok(bytes)
}

/// The Fletcher-32 checksum of HDF5: sums of big endian 16-bit words modulo 65,535.
fn fletcher32(data: &[u8]) -> u32 {
    let (mut low, mut high) = (0u64, 0u64);
    for word in data.chunks(2) {
        let word = u64::from(word[0]) << 8 | word.get(1).map_or(0, |&b| b.into());
        low = (low + word) % 65_535;
        high = (high + low) % 65_535;
    }
    (high << 16 | low) as u32
}
