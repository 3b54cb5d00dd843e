//! Decompresses the HDF5 filter LZ4 (32004). A chunk is: u64 decompressed size and u32 size of a
//! block, both big endian; then for each block a big endian u32 compressed size and the bytes. A
//! block is not compressed if both sizes are equal. Source: the description that the HDF Group
//! registers for the filter.

use super::packed::Packed;
use crate::problem::Problem;

/// Decompresses at most `limit` bytes; the error states what is wrong.
pub fn unpack(chunk: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let mut from = Packed(chunk);
    let bytes = from.take(8)?.first_chunk().map_or(0, |&n| u64::from_be_bytes(n));
    let number =
        |from: &mut Packed| from.take(4).map(|n| n.first_chunk().map_or(0, |&n| u32::from_be_bytes(n)) as usize);
    let block = number(&mut from)?;
    let Some(bytes) = usize::try_from(bytes).ok().filter(|&n| n <= limit) else {
        return Err(Problem::Claim { bytes, limit: limit as u64 });
    };
    let mut out = Vec::new();
    while out.len() < bytes {
        let size = block.min(bytes - out.len());
        let packed = number(&mut from)?;
        let packed = from.take(packed)?;
        if size == 0 {
            return Err("blocks of 0 bytes".into());
        }
        if packed.len() == size {
            out.extend_from_slice(packed);
            continue;
        }
        let before = out.len();
        out.resize(before + size, 0);
        match lz4_flex::block::decompress_into(packed, &mut out[before..]) {
            Ok(n) if n == size => {}
            Ok(n) => {
                let (found, expected) = (n.to_string(), size.to_string());
                return Err(Problem::Expected { what: "a block of {} bytes", found, expected });
            }
            Err(e) => return Err(Problem::Broken { what: "a broken LZ4 stream", reason: e.to_string() }),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_and_plain_blocks_are_unpacked() {
        let plain: Vec<u8> = (0..900u32).map(|i| (i / 50) as u8).collect();
        let mut chunk = [&900u64.to_be_bytes()[..], &400u32.to_be_bytes()].concat();
        for (i, block) in plain.chunks(400).enumerate() {
            let packed = if i == 1 { block.to_vec() } else { lz4_flex::block::compress(block) };
            chunk.extend((packed.len() as u32).to_be_bytes());
            chunk.extend(packed);
        }
        assert_eq!(unpack(&chunk, 900).unwrap(), plain);
        assert_eq!(unpack(&chunk, 899), Err(Problem::Claim { bytes: 900, limit: 899 }));
        assert!((0..chunk.len()).all(|cut| unpack(&chunk[..cut], 900).is_err()));
    }
}
