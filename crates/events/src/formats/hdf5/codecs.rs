//! The packings that both a filter and Blosc use: deflate, Zstd and the byte shuffle.

use crate::problem::Problem;
use std::io::Read;

/// Decompresses a zlib stream of at most `limit` bytes and appends the result.
pub(super) fn inflate(packed: &[u8], limit: u64, out: &mut Vec<u8>) -> Result<(), Problem> {
    match flate2::read::ZlibDecoder::new(packed).take(limit.saturating_add(1)).read_to_end(out) {
        Ok(n) if n as u64 <= limit => Ok(()),
        Ok(_) => Err(Problem::TooLong { what: Some("a chunk"), limit }),
        Err(e) => Err(Problem::Broken { what: "a broken deflate stream", reason: e.to_string() }),
    }
}

/// Decompresses a Zstd frame of at most `limit` bytes and appends the result.
#[cfg(feature = "zstd")]
pub(super) fn zstd(packed: &[u8], limit: u64, out: &mut Vec<u8>) -> Result<(), Problem> {
    let read = ::zstd::stream::read::Decoder::with_buffer(packed).and_then(|decoder| {
        let mut decoder = decoder.single_frame();
        // A frame that asks for a larger window than a chunk can fill would only make the decoder
        // allocate memory.
        decoder.window_log_max(28)?;
        decoder.take(limit.saturating_add(1)).read_to_end(out)
    });
    match read {
        Ok(n) if n as u64 <= limit => Ok(()),
        Ok(_) => Err(Problem::TooLong { what: Some("a stream"), limit }),
        Err(e) => Err(Problem::Broken { what: "a broken stream", reason: e.to_string() }),
    }
}

#[cfg(not(feature = "zstd"))]
pub(super) fn zstd(_: &[u8], _: u64, _: &mut Vec<u8>) -> Result<(), Problem> {
    Err("this build does not read it; build with the feature `zstd`".into())
}

/// Undoes the byte shuffle for elements of `size` bytes.
pub(super) fn unshuffled(bytes: &[u8], size: usize) -> Vec<u8> {
    let n = bytes.len() / size.max(1);
    let mut out = bytes.to_vec();
    if size > 1 && n > 1 {
        for (place, plane) in bytes.chunks_exact(n).take(size).enumerate() {
            for (element, &byte) in plane.iter().enumerate() {
                out[element * size + place] = byte;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshuffling_puts_the_bytes_of_an_element_together() {
        assert_eq!(unshuffled(&[1, 2, 3, 4, 5, 6, 9], 2), [1, 4, 2, 5, 3, 6, 9]);
        assert_eq!(unshuffled(&[1, 2, 3], 0), [1, 2, 3]);
        assert_eq!(unshuffled(&[1, 2, 3], 1), [1, 2, 3]);
    }
}
