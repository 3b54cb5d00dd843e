//! The sums of one channel over its active pixels of one residue, in registers: all taps that they meet at once.

use super::{NV, WIDTH};
use crate::cpu::simd::{LANES, Lanes};

/// The taps that pixels of one residue meet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taps {
    /// The first, and how many lie between one and that below or to the right of it.
    pub first: usize,
    pub down: usize,
    pub right: usize,
    /// Width of a panel's row, in pixels.
    pub width: usize,
    /// Pixels before the one that an offset names where the first tap's output lies.
    pub back: usize,
}

/// `TY`×`TX` taps; `SETS` sums of each are added to in turn, where the taps alone are too few to keep the adders busy.
///
/// # Safety
/// See [`Lanes`]; the taps lie inside `out`, their pixels inside `panel`, and values are as many as pixels unless
/// `BINARY`.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
pub(super) unsafe fn grid<V: Lanes, const BINARY: bool, const TY: usize, const TX: usize, const SETS: usize>(
    out: &mut [f32],
    panel: &[f32],
    taps: Taps,
    pixels: &[u32],
    values: &[f32],
) {
    let at = |i: usize, j: usize| (taps.first + i * taps.down + j * taps.right) * WIDTH;
    // SAFETY: passed on from the caller.
    unsafe {
        let mut sums = [[[[V::splat(0.0); NV]; TX]; TY]; SETS];
        for i in 0..TY {
            for j in 0..TX {
                for n in 0..NV {
                    sums[0][i][j][n] = V::load(out.as_ptr().add(at(i, j) + n * LANES));
                }
            }
        }
        let whole = pixels.len() / SETS;
        for k in 0..whole {
            for s in 0..SETS {
                add::<V, BINARY, TY, TX>(&mut sums[s], panel, taps, pixels, values, k * SETS + s);
            }
        }
        for k in whole * SETS..pixels.len() {
            add::<V, BINARY, TY, TX>(&mut sums[0], panel, taps, pixels, values, k);
        }
        for i in 0..TY {
            for j in 0..TX {
                for n in 0..NV {
                    let mut sum = sums[0][i][j][n];
                    for s in 1..SETS {
                        sum = sum.add(sums[s][i][j][n]);
                    }
                    sum.store(out.as_mut_ptr().add(at(i, j) + n * LANES));
                }
            }
        }
    }
}

/// Adds the gradients that pixel `k` meets.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn add<V: Lanes, const BINARY: bool, const TY: usize, const TX: usize>(
    sums: &mut [[[V; NV]; TX]; TY],
    panel: &[f32],
    taps: Taps,
    pixels: &[u32],
    values: &[f32],
    k: usize,
) {
    // SAFETY: passed on from the caller.
    unsafe {
        let first = panel.as_ptr().add((*pixels.get_unchecked(k) as usize - taps.back) * WIDTH);
        let v = if BINARY { V::splat(1.0) } else { V::splat(*values.get_unchecked(k)) };
        for i in 0..TY {
            let row = first.sub(i * taps.width * WIDTH);
            for j in 0..TX {
                for n in 0..NV {
                    let (sum, d) = (sums[i][j][n], V::load(row.sub(j * WIDTH).add(n * LANES)));
                    sums[i][j][n] = if BINARY { sum.add(d) } else { sum.add_product(v, d) };
                }
            }
        }
    }
}
