//! Adds the weights of one event to the neurons that it reaches. These neurons are a patch: rows of
//! potentials, each of which gets one row of weights.
//!
//! The bounds are checked once per patch instead of once per row, because on small networks the
//! checks would cost more than the additions. An [`AddBlock`] makes the additions.

use super::BLOCK;

/// Adds a block of weights to a block of potentials.
pub(crate) trait AddBlock {
    type V;
    type W: Copy + Default;

    /// Index of the cell of the neuron at this index of the layer; 0 if the layer has no cells.
    #[inline(always)]
    fn cell(&self, _: usize) -> usize {
        0
    }

    /// Adds weights to potentials. The potentials start at index `at` of the layer, and both start
    /// at index `k` of a row of targets whose first cell is `cell`. Returns the mask of the neurons
    /// that fire.
    fn add(&mut self, v: &mut [Self::V], w: &[Self::W], at: usize, k: usize, cell: usize, t_us: u64) -> u64;
}

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
/// event in µs. Stores the mask of the neurons of each block that fire in `masks`.
/// Returns the number of blocks and the union of their masks.
///
/// # Panics
/// If the patch lies outside the layer or the table, or has more than [`BLOCK`] blocks.
#[inline(always)]
pub(crate) fn add_patch<A: AddBlock>(
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
                let mask = act.add(v, w, at + k, k, cell, t_us);
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

#[cfg(test)]
mod tests {
    use super::super::{Bounds, Kernel, Scalar};
    use super::*;
    use proptest::prelude::*;
    use tickless_events::rng::Rng;

    /// Adds with the scalar form and records where each block starts and which cell it is given.
    #[derive(Default)]
    struct Recorded(Vec<(usize, usize, usize, u64)>);

    impl AddBlock for Recorded {
        type V = f32;
        type W = f32;

        fn cell(&self, at: usize) -> usize {
            at / CELL
        }

        fn add(&mut self, v: &mut [f32], w: &[f32], at: usize, k: usize, cell: usize, t_us: u64) -> u64 {
            self.0.push((at, k, cell, t_us));
            Scalar::add(v, w, Bounds { fires_at: 1.0, v_min: -1.0 })
        }
    }

    const CELL: usize = 4;

    /// As [`add_patch`], with slices that are checked for every block.
    fn add_checked(act: &mut Recorded, v: &mut [f32], w: &[f32], p: &Patch, block: usize, t_us: u64) -> Vec<u64> {
        let mut masks = Vec::new();
        for row in 0..p.rows {
            let v = &mut v[p.at + row * p.row_state..][..p.len];
            let w = &w[p.from + row * p.row_weights..][..p.len];
            let cell = act.cell(p.at) + row * act.cell(p.row_state);
            let blocks = v.chunks_mut(block).zip(w.chunks(block)).enumerate();
            let at = p.at + row * p.row_state;
            masks.extend(blocks.map(|(k, (v, w))| act.add(v, w, at + k * block, k * block, cell, t_us)));
        }
        masks
    }

    proptest! {
        #[test]
        fn a_patch_adds_what_its_rows_do_one_by_one(
            seed: u64, rows in 0usize..6, cells in 1usize..12, gap in 0usize..3, blocks in 1usize..4, fits: bool,
        ) {
            let block = blocks * CELL;
            let len = cells * CELL;
            let mut rng = Rng::new(seed, 0);
            let mut below = |n: usize| rng.below(n as u64) as usize;
            let (at, from) = (below(5) * CELL, below(9));
            let p = Patch { at, from, rows, len, row_state: len + gap * CELL, row_weights: len + below(4) };
            // The slices end with the last row, or lie open behind it.
            let behind = if fits { 0 } else { 7 };
            let size = |start: usize, row: usize| start + rows.saturating_sub(1) * row + len + behind;
            let mut numbers = |n: usize| (0..n).map(|_| (below(4001) as f32 - 2000.0) / 1024.0).collect::<Vec<_>>();
            let (mut v, w) = (numbers(size(at, p.row_state)), numbers(size(from, p.row_weights)));
            let mut checked = v.clone();
            let (mut act, mut plain, mut masks) = (Recorded::default(), Recorded::default(), [0; BLOCK]);
            let (count, any) = add_patch(&mut act, &mut v, &w, &p, block, 9, &mut masks);
            let expected = add_checked(&mut plain, &mut checked, &w, &p, block, 9);
            prop_assert_eq!(&masks[..count], &expected[..]);
            prop_assert_eq!(any, expected.iter().fold(0, |any, mask| any | mask));
            prop_assert_eq!(act.0, plain.0);
            prop_assert_eq!(v, checked);
        }
    }

    #[test]
    fn a_patch_that_leaves_the_layer_or_the_table_or_has_too_many_blocks_is_refused() {
        let whole = Patch { at: 0, from: 0, rows: 2, len: 8, row_state: 8, row_weights: 8 };
        let refused = |p: Patch, block: usize| {
            let (mut v, w) = ([0.0; 16], [0.0; 16]);
            let add = || add_patch(&mut Recorded::default(), &mut v, &w, &p, block, 0, &mut [0; BLOCK]);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(add)).is_err()
        };
        assert!(!refused(whole, 8));
        assert!(refused(Patch { at: 1, ..whole }, 8));
        assert!(refused(Patch { from: 1, ..whole }, 8));
        assert!(refused(Patch { row_state: 9, ..whole }, 8));
        assert!(refused(Patch { row_weights: 9, ..whole }, 8));
        assert!(refused(Patch { rows: 3, ..whole }, 8));
        assert!(refused(Patch { rows: BLOCK + 1, row_state: 0, row_weights: 0, ..whole }, 8), "too many blocks");
    }
}
