//! Adds the weights of one event to the neurons that it reaches. These neurons are a patch: rows of
//! potentials, each of which gets one row of weights.
//!
//! The bounds are checked once per patch instead of once per row, because on small networks the
//! checks would cost more than the additions.

use super::act::Act;
use crate::kernel::BLOCK;

/// Rows of a layer's potentials, and the rows of its table that are added to them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patch {
    /// Index of the first potential.
    pub at: usize,
    /// Index of the first weight.
    pub from: usize,
    /// Number of rows; 0 if the event has no target.
    pub rows: usize,
    /// Number of neurons in a row.
    pub len: usize,
    /// Potentials from one row to the next.
    pub row_state: usize,
    /// Weights from one row to the next.
    pub row_weights: usize,
}

/// Adds a patch's weights to its potentials, row by row in blocks of at most `block` neurons.
///
/// `v` are the potentials of the layer, `w` the weights of its table, and `t_us` the time of the
/// event in µs. Stores the mask of the neurons of each block that reach their threshold in `masks`.
/// Returns the number of blocks and the union of their masks.
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
    // Compute in 64 bits, in which these products cannot overflow.
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
            // SAFETY: the assertions ensure that the last row ends inside both slices; earlier rows
            // end before it, and k + len is at most the length of a row. `count` is below
            // rows·blocks, which the assertion limits to the length of `masks`.
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
