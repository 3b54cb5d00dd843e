//! Decompresses Blosc 1, the filter of hdf5plugin and of DSEC: blocks that are shuffled, split and
//! compressed.
//!
//! The header has 16 bytes: u8 version, u8 version of the codec, u8 flags, u8 size of an element,
//! then three u32: decompressed size, size of a block, compressed size. Flags: bit 0: bytes are
//! shuffled; bit 1: nothing is compressed; bit 2: bits are shuffled; bit 4: blocks are not split;
//! bits 5–7: the codec (0 BloscLZ, 1 LZ4, 2 Snappy, 3 zlib, 4 Zstd). Then follows the i32 offset of
//! each compressed block. A block is one stream, or one stream for each byte of an element. A
//! stream is an i32 size and that many bytes; they are not compressed if the size equals the
//! decompressed size. Source: the description of the chunk format in C-Blosc.

use super::codecs::unshuffled;
use super::packed::{Packed, copy};
use crate::problem::Problem;

/// Size of the header in bytes.
const HEADER: usize = 16;
// The flags.
const SHUFFLED: u8 = 1;
const PLAIN: u8 = 2;
const BITS_SHUFFLED: u8 = 4;
const WHOLE: u8 = 16;
/// Blocks are split only if an element has at most this many bytes.
const MOST_SPLITS: usize = 16;
/// Blocks are split only if each part has at least this many bytes.
const LEAST_SPLIT: usize = 128;

/// Decompresses a chunk.
///
/// # Errors
/// If the chunk is damaged, uses a codec that is not supported, or has more than `limit`
/// decompressed bytes. The text is the end of a message that the caller begins.
pub fn unpack(chunk: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let mut from = Packed(chunk);
    let &[version, _, flags, element, ref sizes @ ..] = from.take(HEADER)? else { return Err("no header".into()) };
    let sizes = sizes.as_chunks::<4>().0;
    let [bytes, block] = [sizes[0], sizes[1]].map(|size| u32::from_le_bytes(size) as usize);
    if version > 2 {
        return Err(Problem::Unknown {
            what: "a chunk of version {}, of Blosc 2; 1 and 2 are read",
            found: version.to_string(),
        });
    }
    if bytes > limit {
        return Err(Problem::Claim { bytes: bytes as u64, limit: limit as u64 });
    }
    if flags & PLAIN != 0 {
        return from.take(bytes).map(<[u8]>::to_vec);
    }
    if bytes == 0 {
        return Ok(Vec::new());
    }
    if block == 0 {
        return Err("blocks of 0 bytes".into());
    }
    let element = usize::from(element).max(1);
    let starts = from.take(bytes.div_ceil(block).saturating_mul(4))?.as_chunks::<4>().0;
    let mut out = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        let size = block.min(bytes - i * block);
        let mut from = Packed(chunk.get(u32::from_le_bytes(start) as usize..).ok_or("a block behind its end")?);
        let split = flags & WHOLE == 0 && element <= MOST_SPLITS && size / element >= LEAST_SPLIT && size == block;
        let parts = if split { element } else { 1 };
        if size % parts != 0 {
            return Err(format!("a block of {size} bytes in {parts} parts").into());
        }
        let mut unpacked = Vec::new();
        for _ in 0..parts {
            let n = from.take(4)?.first_chunk().map_or(0, |&n| u32::from_le_bytes(n)) as usize;
            stream(flags >> 5, from.take(n)?, size / parts, &mut unpacked)?;
        }
        match flags & (SHUFFLED | BITS_SHUFFLED) {
            SHUFFLED => out.extend(unshuffled(&unpacked, element)),
            BITS_SHUFFLED => out.extend(bits_unshuffled(&unpacked, element)),
            _ => out.append(&mut unpacked),
        }
    }
    Ok(out)
}

/// Decompresses a stream and appends its bytes to `out`.
///
/// # Errors
/// If the stream is damaged or does not decompress to exactly `size` bytes.
fn stream(codec: u8, packed: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    if packed.len() == size {
        out.extend_from_slice(packed);
        return Ok(());
    }
    let before = out.len();
    match codec {
        0 => blosclz(packed, size, out)?,
        1 => {
            out.resize(before + size, 0);
            let n = lz4_flex::block::decompress_into(packed, &mut out[before..]);
            out.truncate(
                before + n.map_err(|e| Problem::Broken { what: "a broken LZ4 stream", reason: e.to_string() })?,
            );
        }
        3 => super::codecs::inflate(packed, size as u64, out)?,
        4 => super::codecs::zstd(packed, size as u64, out)?,
        2 => return Err(Problem::Unknown { what: "the codec {}, which is not read", found: "Snappy".into() }),
        _ => return Err(Problem::Unknown { what: "an unknown codec {}", found: codec.to_string() }),
    }
    match out.len() - before {
        n if n == size => Ok(()),
        n => {
            let (found, expected) = (n.to_string(), size.to_string());
            Err(Problem::Expected { what: "a stream of {} bytes", found, expected })
        }
    }
}

/// Decompresses BloscLZ, a variant of LZF.
///
/// A control byte below 32 begins a run of control + 1 literal bytes; the upper 3 bits of the first
/// control byte are ignored. Any other control byte begins a copy: its upper 3 bits plus 2 are the
/// length, and its lower 5 bits and the next byte are the distance − 1. Two fields are longer than
/// in LZF: if the 3 bits are all ones, bytes are added to the length up to the first one below 255;
/// if the 13 bits of the distance are all ones, two more bytes are added to the distance.
fn blosclz(packed: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    const FARTHEST: usize = 8191;
    let (start, mut from) = (out.len(), Packed(packed));
    let mut control = from.byte()? & 31;
    loop {
        if control < 32 {
            out.extend_from_slice(from.take(usize::from(control) + 1)?);
        } else {
            let mut n = usize::from(control >> 5) + 2;
            if n == 9 {
                loop {
                    let more = from.byte()?;
                    n += usize::from(more);
                    if more < 255 {
                        break;
                    }
                }
            }
            let (high, low) = (usize::from(control & 31) << 8, usize::from(from.byte()?));
            let mut distance = high + low + 1;
            if high + low == FARTHEST {
                distance += usize::from(from.byte()?) << 8;
                distance += usize::from(from.byte()?);
            }
            if n > size - (out.len() - start).min(size) {
                return Err(Problem::TooLong { what: Some("a stream"), limit: size as u64 });
            }
            if distance > out.len() - start {
                return Err(Problem::CopyFromBefore);
            }
            copy(out, distance, n)?;
        }
        if out.len() - start > size {
            return Err(Problem::TooLong { what: Some("a stream"), limit: size as u64 });
        }
        if from.is_empty() {
            return Ok(());
        }
        control = from.byte()?;
    }
}

/// Undoes the bit shuffle for elements of `size` bytes. Blosc shuffles the bits of a block only if
/// its number of elements is a multiple of eight, so any other block is returned unchanged.
fn bits_unshuffled(bytes: &[u8], size: usize) -> Vec<u8> {
    let n = bytes.len() / size;
    if !n.is_multiple_of(8) || n == 0 {
        return bytes.to_vec();
    }
    let mut out = bytes.to_vec();
    out[..n * size].fill(0);
    for (place, plane) in bytes[..n * size].chunks_exact(n / 8).enumerate() {
        let (byte, bit) = (place / 8, place % 8);
        for i in 0..n {
            out[i * size + byte] |= (plane[i / 8] >> (i % 8) & 1) << bit;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk with one block, which is one stream.
    fn chunk(flags: u8, element: u8, packed: &[u8], bytes: usize) -> Vec<u8> {
        let mut chunk = vec![2, 1, flags | WHOLE, element];
        let size = HEADER + 4 + 4 + packed.len();
        [bytes, bytes, size, HEADER + 4, packed.len()].iter().for_each(|n| chunk.extend((*n as u32).to_le_bytes()));
        [&chunk[..], packed].concat()
    }

    #[test]
    fn every_codec_gives_the_bytes_back() {
        use std::io::Write;
        let plain: Vec<u8> = (0..2000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&plain).unwrap();
        let mut packed = vec![(1, lz4_flex::block::compress(&plain)), (3, zlib.finish().unwrap())];
        #[cfg(feature = "zstd")]
        packed.push((4, zstd::bulk::compress(&plain, 1).unwrap()));
        // A literal, then a copy of the rest from distance 1: 2 + 7 + 255 + 255 + … bytes.
        packed.push((0, [&[0, 9, 7 << 5], &[255; 31][..], &[7999u32 as u8, 0]].concat()));
        for (codec, packed) in packed {
            let (plain, packed) = match codec {
                0 => (vec![9; 1 + 9 + 31 * 255 + usize::from(7999u32 as u8)], packed),
                _ => (plain.clone(), packed),
            };
            let chunk = chunk(codec << 5, 4, &packed, plain.len());
            assert_eq!(unpack(&chunk, plain.len()).unwrap(), plain, "codec {codec}");
            let (bytes, limit) = (plain.len() as u64, plain.len() as u64 - 1);
            assert_eq!(unpack(&chunk, plain.len() - 1), Err(Problem::Claim { bytes, limit }), "codec {codec}");
            for cut in 0..chunk.len() {
                assert!(unpack(&chunk[..cut], plain.len()).is_err(), "codec {codec} cut at {cut}");
            }
            for at in 0..chunk.len().min(200) {
                let mut corrupt = chunk.clone();
                corrupt[at] ^= 0x41;
                // Blosc has no checksum, so a corrupt chunk gives an error or other content of at
                // most the same size.
                assert!(unpack(&corrupt, plain.len()).map_or(0, |b| b.len()) <= plain.len());
            }
        }
    }

    #[test]
    fn a_distance_of_all_ones_is_continued() {
        let far: Vec<u8> = (0..9000u32).map(|i| ((i * i) >> 5) as u8).collect();
        let mut packed: Vec<u8> = far.chunks(32).flat_map(|c| [&[c.len() as u8 - 1], c].concat()).collect();
        // A copy of four bytes from distance 8192 + 300.
        packed.extend([2 << 5 | 31, 255, (300u16 >> 8) as u8, 300u16 as u8]);
        let mut out = Vec::new();
        blosclz(&packed, 9004, &mut out).unwrap();
        assert_eq!((&out[..9000], &out[9000..]), (&far[..], &far[9000 - 8492..9000 - 8488]));
    }

    #[test]
    fn blocks_are_split_by_the_bytes_of_an_element_and_shuffled() {
        // Two blocks of 256 elements of 2 bytes. The first is split into two streams that are not
        // compressed.
        let elements: Vec<u8> = (0..512u16).flat_map(|i| (i * 77).to_le_bytes()).collect();
        let shuffled = |block: &[u8]| -> Vec<u8> {
            let plane = |k: usize| block.iter().skip(k).step_by(2).copied().collect::<Vec<u8>>();
            [plane(0), plane(1)].concat()
        };
        let mut chunk = vec![2, 1, SHUFFLED | 1 << 5, 2];
        let second = HEADER + 8 + 2 * (4 + 256);
        let end = second + 2 * (4 + 256);
        [1024, 512, end, HEADER + 8, second].iter().for_each(|n| chunk.extend((*n as u32).to_le_bytes()));
        for block in elements.chunks(512) {
            for part in shuffled(block).chunks(256) {
                chunk.extend(256u32.to_le_bytes());
                chunk.extend(part);
            }
        }
        assert_eq!(unpack(&chunk, 1024).unwrap(), elements);
    }

    #[test]
    fn unshuffling_bits_puts_the_bits_of_an_element_together() {
        let elements: Vec<u8> = (0..16u16).flat_map(|i| (i * 4099).to_le_bytes()).collect();
        let mut planes = vec![0u8; 32];
        for (i, element) in elements.chunks(2).enumerate() {
            for place in 0..16 {
                planes[2 * place + i / 8] |= (element[place / 8] >> (place % 8) & 1) << (i % 8);
            }
        }
        assert_eq!(bits_unshuffled(&planes, 2), elements);
        assert_eq!(bits_unshuffled(&[1, 2, 3], 1), [1, 2, 3]);
    }

    #[test]
    fn what_is_not_read_is_named() {
        let unknown = |result| match result {
            Err(Problem::Unknown { what, found }) => (what, found),
            other => panic!("{other:?}"),
        };
        let (snappy, name) = unknown(unpack(&chunk(2 << 5, 1, &[1, 2], 9), 9));
        let (codec, number) = unknown(unpack(&chunk(7 << 5, 1, &[1, 2], 9), 9));
        let mut other = chunk(0, 1, &[1, 2], 2);
        other[0] = 5;
        let (blosc2, version) = unknown(unpack(&other, 9));
        assert_eq!([name, number, version], ["Snappy", "7", "5"]);
        assert!(snappy != codec && codec != blosc2 && blosc2.contains("Blosc 2"), "{blosc2}");
    }
}
