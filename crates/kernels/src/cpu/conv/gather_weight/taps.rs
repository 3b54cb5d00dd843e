//! Sums over the active pixels of one channel and residue, for all taps that read them, in
//! registers.

use super::{NV, WIDTH};
use crate::cpu::simd::{LANES, Lanes};

/// The taps that read pixels of one residue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taps {
    /// The first tap, and the distance to the next tap below and to the right.
    pub first: usize,
    pub down: usize,
    pub right: usize,
    /// Pixels per row of a panel.
    pub width: usize,
    /// Number of pixels from the first tap's output to the pixel that an offset names.
    pub back: usize,
}

/// Adds to `TY`×`TX` taps. Each tap has `SETS` independent sums, which hide the latency of an
/// addition if the taps alone are too few.
///
/// # Safety
/// See [`Lanes`]. The taps must be inside `out`, the pixels that they read inside `panel`, and
/// there must be a value per pixel unless `BINARY`.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
pub(super) unsafe fn grid<V: Lanes, const BINARY: bool, const TY: usize, const TX: usize, const SETS: usize>(
    out: &mut [f32],
    panel: &[f32],
    taps: Taps,
    pixels: &[u32],
    values: &[f32],
) {
    let offset = |i: usize, j: usize| (taps.first + i * taps.down + j * taps.right) * WIDTH;
    // SAFETY: the caller upholds the conditions above.
    unsafe {
        let mut sums = [[[[V::splat(0.0); NV]; TX]; TY]; SETS];
        for i in 0..TY {
            for j in 0..TX {
                for n in 0..NV {
                    sums[0][i][j][n] = V::load(out.as_ptr().add(offset(i, j) + n * LANES));
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
                    sum.store(out.as_mut_ptr().add(offset(i, j) + n * LANES));
                }
            }
        }
    }
}

/// Adds the gradients that read pixel `k`.
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
    // SAFETY: as in `grid`.
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
