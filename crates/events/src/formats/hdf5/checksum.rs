//! The checksum of HDF5 metadata: "lookup3" by Bob Jenkins (2006, public domain).
//!
//! Three words absorb 12 bytes at a time and are mixed by subtractions, rotations and xors. A final
//! mix follows the last 1 to 12 bytes; the third word is the checksum.

/// The checksum of `bytes`.
pub fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xDEAD_BEEF_u32.wrapping_add(bytes.len() as u32);
    let [mut a, mut b, mut c] = [start; 3];
    let mut rest = bytes;
    while let Some((block, behind)) = rest.split_first_chunk::<12>()
        && !behind.is_empty()
    {
        take_in(block, &mut a, &mut b, &mut c);
        // The rotations of the mix.
        for rotation in [4, 6, 8, 16, 19, 4] {
            a = a.wrapping_sub(c) ^ c.rotate_left(rotation);
            c = c.wrapping_add(b);
            (a, b, c) = (b, c, a);
        }
        rest = behind;
    }
    if rest.is_empty() {
        return c;
    }
    let mut last = [0; 12];
    last[..rest.len()].copy_from_slice(rest);
    take_in(&last, &mut a, &mut b, &mut c);
    // The rotations of the final mix.
    for rotation in [14, 11, 25, 16, 4, 14, 24] {
        c = (c ^ b).wrapping_sub(b.rotate_left(rotation));
        (a, b, c) = (b, c, a);
    }
    // Seven rotations of the three words leave the checksum in b.
    b
}

fn take_in(block: &[u8; 12], a: &mut u32, b: &mut u32, c: &mut u32) {
    let word = |i: usize| u32::from_le_bytes([block[i], block[i + 1], block[i + 2], block[i + 3]]);
    *a = a.wrapping_add(word(0));
    *b = b.wrapping_add(word(4));
    *c = c.wrapping_add(word(8));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_that_the_author_publishes() {
        assert_eq!(lookup3(b""), 0xDEAD_BEEF);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
