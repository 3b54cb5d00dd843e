//! A buffer of events that fits the L1 cache, between a decoder's loop and the columns.
//!
//! A decoder whose words may or may not be events writes every candidate and then advances by one
//! or zero. The inner loop thus has no branch to mispredict, no capacity check and no reallocation.

use crate::{Columns, Event};

/// Number of events in a block; a power of two, so that a mask replaces the bounds check.
const SIZE: usize = 2048;
/// Number of events that may be written between two calls of [`Block::make_room`], counting all
/// eight events of a mask.
pub const ROOM: usize = 32;

/// A buffer of events; see the module. The decoder keeps the number of events in a local variable,
/// because a register does not depend on the stores to memory.
pub struct Block {
    t_us: [u64; SIZE],
    x: [u16; SIZE],
    y: [u16; SIZE],
    on: [bool; SIZE],
}

/// The positions of the bits that are set in a byte, lowest first. The remaining entries are 0.
pub static LANES: [[u16; 8]; 256] = lanes();
/// The number of bits set in a byte.
pub static COUNTS: [u8; 256] = counts();

impl Block {
    /// Creates an empty block.
    pub fn new() -> Block {
        Block { t_us: [0; SIZE], x: [0; SIZE], y: [0; SIZE], on: [false; SIZE] }
    }

    /// If the block with `n` events is nearly full, appends them to `out`. Returns the number of
    /// events left in the block.
    #[inline(always)]
    pub fn make_room(&self, n: usize, out: &mut Columns) -> usize {
        if n > SIZE - ROOM {
            self.flush(n, out);
            return 0;
        }
        n
    }

    /// Appends the `n` events of the block to `out`.
    #[inline(never)]
    pub fn flush(&self, n: usize, out: &mut Columns) {
        let n = n.min(SIZE);
        out.t_us.extend_from_slice(&self.t_us[..n]);
        out.x.extend_from_slice(&self.x[..n]);
        out.y.extend_from_slice(&self.y[..n]);
        out.on.extend_from_slice(&self.on[..n]);
    }

    /// Writes a candidate at index `n`. Returns the next index, which is n + 1 if it `is_event` and
    /// else n.
    #[inline(always)]
    pub fn put(&mut self, n: usize, e: Event, is_event: bool) -> usize {
        let at = n & (SIZE - 1);
        self.t_us[at] = e.t_us;
        self.x[at] = e.x;
        self.y[at] = e.y;
        self.on[at] = e.on;
        n + usize::from(is_event)
    }

    /// Writes an event at column x + i for each bit i that is set in `mask`, lowest first. Returns
    /// the next index.
    #[inline(always)]
    pub fn put_mask(&mut self, n: usize, e: Event, mask: u8) -> usize {
        let at = n.min(SIZE - 8);
        self.t_us[at..at + 8].fill(e.t_us);
        self.y[at..at + 8].fill(e.y);
        self.on[at..at + 8].fill(e.on);
        for (to, lane) in self.x[at..at + 8].iter_mut().zip(&LANES[usize::from(mask)]) {
            *to = e.x.wrapping_add(*lane);
        }
        n + usize::from(COUNTS[usize::from(mask)])
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
        let (mut block, mut n) = (Block::new(), 0);
        let event = |t_us: u64, x: u16| Event { t_us, x, y: 7, on: t_us % 2 == 1 };
        for mask in 0..=255u8 {
            n = block.make_room(n, &mut out);
            n = block.put_mask(n, event(mask.into(), 100), mask);
            n = block.put(n, event(0, 1), false);
            expected.extend((0..8).filter(|i| mask >> i & 1 == 1).map(|i| event(mask.into(), 100 + i)));
        }
        for i in 0..5000 {
            n = block.make_room(n, &mut out);
            n = block.put(n, event(i, 3), true);
            expected.push(event(i, 3));
        }
        block.flush(n, &mut out);
        assert_eq!(out.to_vec(), expected);
    }
}
