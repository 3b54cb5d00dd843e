//! The neurons that one event reaches, as rows of potentials with a row of weights for each.
//!
//! All limits are checked once for the whole patch, not at every row: on small networks the checks
//! cost more than the additions.

use super::act::Act;
use crate::kernel::BLOCK;

/// Rows of potentials in a layer, and of the weights in its table that are added to them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patch {
    /// First potential.
    pub at: usize,
    /// First weight.
    pub from: usize,
    /// How many rows; 0 where the event is dropped.
    pub rows: usize,
    /// Neurons of a row.
    pub len: usize,
    /// Potentials from one row to the next.
    pub row_state: usize,
    /// Weights from one row to the next.
    pub row_weights: usize,
}

/// Adds a patch's weights to its potentials, row by row in blocks of at most `block`, and keeps for
/// each block who fires. Gives the number of blocks and the union of their masks.
///
/// # Panics
/// If the patch lies outside the layer or the table, or has more than [`BLOCK`] blocks.
#[inline(always)]
pub(crate) fn take<A: Act>(
    act: &mut A,
    v: &mut [A::V],
    w: &[A::W],
    p: &Patch,
    block: usize,
    t_us: u64,
    masks: &mut [u64; BLOCK],
) -> (usize, u64) {
    let single = p.len <= block;
    let blocks = if single { 1 } else { p.len.div_ceil(block) };
    let last = p.rows.saturating_sub(1);
    // In 64 bits, where no product of these wraps.
    let end = |at: usize, row: usize| at as u64 + last as u64 * row as u64 + p.len as u64;
    assert!(end(p.at, p.row_state) <= v.len() as u64);
    assert!(end(p.from, p.row_weights) <= w.len() as u64);
    assert!(p.rows * blocks <= BLOCK);
    let (mut count, mut any) = (0, 0);
    let (mut at, mut from) = (p.at, p.from);
    let (mut cell, row_cells) = (act.cell(p.at), act.cell(p.row_state));
    for _ in 0..p.rows {
        let mut k = 0;
        loop {
            let len = if single { p.len } else { block.min(p.len - k) };
            // SAFETY: the last row lies inside both slices, as asserted, and no row before it ends
            // later; k + len stays below the row's length and `count` below rows·blocks.
            let mask = unsafe {
                let v = std::slice::from_raw_parts_mut(v.as_mut_ptr().add(at + k), len);
                let w = std::slice::from_raw_parts(w.as_ptr().add(from + k), len);
                let mask = act.add(v, w, k, cell, t_us);
                *masks.get_unchecked_mut(count) = mask;
                mask
            };
            any |= mask;
            count += 1;
            k += block;
            if single || k >= p.len {
                break;
            }
        }
        at += p.row_state;
        from += p.row_weights;
        cell += row_cells;
    }
    (count, any)
}
