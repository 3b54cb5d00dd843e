//! A block of events that stays in the first-level cache, between a decoder's loop and columns.
//!
//! A decoder of words that may or may not be events writes each candidate and then moves on by
//! zero or one: no branch to mispredict, no check of capacity, and no growth inside the loop.

use crate::Columns;

/// Events in a block; a power of two, so that an index is checked by a mask.
const SIZE: usize = 2048;
/// Events that may be written between two calls of [`Block::make_room`].
pub const ROOM: usize = 32;

/// See the module.
pub struct Block {
    t_us: [u64; SIZE],
    x: [u16; SIZE],
    y: [u16; SIZE],
    on: [bool; SIZE],
    n: usize,
}

/// The positions of the bits set in a byte, lowest first, and then anything.
static LANES: [[u16; 8]; 256] = lanes();
static COUNTS: [u8; 256] = counts();

impl Block {
    /// An empty block.
    pub fn new() -> Block {
        Block { t_us: [0; SIZE], x: [0; SIZE], y: [0; SIZE], on: [false; SIZE], n: 0 }
    }

    /// Empties a block that is nearly full into `out`.
    #[inline(always)]
    pub fn make_room(&mut self, out: &mut Columns) {
        if self.n > SIZE - ROOM {
            self.flush(out);
        }
    }

    /// Empties the block into `out`.
    #[inline(never)]
    pub fn flush(&mut self, out: &mut Columns) {
        let n = self.n.min(SIZE);
        out.t_us.extend_from_slice(&self.t_us[..n]);
        out.x.extend_from_slice(&self.x[..n]);
        out.y.extend_from_slice(&self.y[..n]);
        out.on.extend_from_slice(&self.on[..n]);
        self.n = 0;
    }

    /// Writes one candidate and keeps it if `is_event`.
    #[inline(always)]
    pub fn push_if(&mut self, t_us: u64, x: u16, y: u16, on: bool, is_event: bool) {
        let n = self.n & (SIZE - 1);
        self.t_us[n] = t_us;
        self.x[n] = x;
        self.y[n] = y;
        self.on[n] = on;
        self.n += usize::from(is_event);
    }

    /// Writes an event at x + i for each bit i that is set in `mask`, lowest first.
    #[inline(always)]
    pub fn push_mask(&mut self, t_us: u64, x: u16, y: u16, on: bool, mask: u8) {
        let n = self.n.min(SIZE - 8);
        self.t_us[n..n + 8].fill(t_us);
        self.y[n..n + 8].fill(y);
        self.on[n..n + 8].fill(on);
        for (to, lane) in self.x[n..n + 8].iter_mut().zip(&LANES[usize::from(mask)]) {
            *to = x.wrapping_add(*lane);
        }
        self.n = n + usize::from(COUNTS[usize::from(mask)]);
    }
}

const fn lanes() -> [[u16; 8]; 256] {
    let mut table = [[0; 8]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut bit, mut n) = (0, 0);
        while bit < 8 {
            if mask >> bit & 1 == 1 {
                table[mask][n] = bit as u16;
                n += 1;
            }
            bit += 1;
        }
        mask += 1;
    }
    table
}

const fn counts() -> [u8; 256] {
    let mut table = [0; 256];
    let mut mask = 0;
    while mask < 256 {
        table[mask] = (mask as u8).count_ones() as u8;
        mask += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mask_gives_its_bits_in_order() {
        let mut out = Columns::new();
        let mut expected = Vec::new();
        let mut block = Block::new();
        for mask in 0..=255u8 {
            block.make_room(&mut out);
            block.push_mask(u64::from(mask), 100, 7, mask % 2 == 1, mask);
            block.push_if(0, 1, 2, true, false);
            expected.extend((0..8).filter(|i| mask >> i & 1 == 1).map(|i| (u64::from(mask), 100 + i)));
        }
        for i in 0..5000 {
            block.make_room(&mut out);
            block.push_if(i, 3, 4, false, true);
            expected.push((i, 3));
        }
        block.flush(&mut out);
        assert_eq!(out.iter().map(|e| (e.t_us, e.x)).collect::<Vec<_>>(), expected);
    }
}
