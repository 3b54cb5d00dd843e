//! Decompresses LZF, the filter `lzf` of h5py: literals, and copies of bytes already decompressed.
//!
//! A control byte c below 32 precedes c + 1 literal bytes. Any other control byte begins a copy.
//! Its upper 3 bits are the length − 2; if they are 7, the next byte is added to them. Its lower 5
//! bits and another byte are the distance − 1. Source: the public description of LibLZF's format.

use super::packed::{Packed, copy};
use crate::problem::Problem;

/// Decompresses at most `limit` bytes; the error states what is wrong.
pub fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let (mut out, mut from) = (Vec::new(), Packed(packed));
    while !from.is_empty() {
        let control = from.byte()?;
        if control < 32 {
            out.extend_from_slice(from.take(usize::from(control) + 1)?);
        } else {
            let mut n = usize::from(control >> 5);
            if n == 7 {
                n += usize::from(from.byte()?);
            }
            let distance = (usize::from(control & 31) << 8 | usize::from(from.byte()?)) + 1;
            copy(&mut out, distance, n + 2)?;
        }
        if out.len() > limit {
            return Err(Problem::TooLong { what: None, limit: limit as u64 });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies_are_unpacked() {
        assert_eq!(unpack(&[2, b'a', b'b', b'c'], 9).unwrap(), b"abc");
        // A copy of 4 bytes from distance 3 overlaps its own output.
        assert_eq!(unpack(&[2, b'a', b'b', b'c', 2 << 5, 2], 9).unwrap(), b"abcabca");
        // A long copy: 7 + 250 + 2 bytes from distance 1.
        assert_eq!(unpack(&[0, b'z', 7 << 5, 250, 0], 300).unwrap(), [b'z'; 260]);
    }

    #[test]
    fn what_is_cut_or_copies_from_nowhere_is_refused() {
        let whole = [2, b'a', b'b', b'c', 7 << 5, 9, 1];
        for cut in [1, 2, 3, 5, 6] {
            assert_eq!(unpack(&whole[..cut], 99), Err(Problem::TruncatedStream), "{cut}");
        }
        assert_eq!(unpack(&[0, b'a', 1 << 5, 1], 9), Err(Problem::CopyFromBefore));
        assert_eq!(unpack(&whole, 10), Err(Problem::TooLong { what: None, limit: 10 }));
    }
}
