//! 3×3 convolution at stride 1 and padding 1 over active inputs, row by row.
//!
//! An active input in column x contributes to the outputs in columns x − 1, x and x + 1 of a row,
//! through taps 2, 1 and 0 of a kernel row. The sums of these three columns stay in registers while
//! the kernel walks over the inputs of the row. After the inputs of column x, column x − 1 is
//! complete: the kernel stores it and loads column x + 2.
//!
//! ```text
//! y[oy, x − 1 … x + 1, panel] += Σ_e v(e) · w[panel][group][ky][2 … 0][e − x·G]
//! over the entries e of pixel (oy + ky − 1, x), with values v(e)
//! ```
//!
//! Compared with summing over the window of each output, this reads an entry once instead of three
//! times and has no partial sums to add at the end. It has one data-dependent branch per pixel, on
//! the number of its entries; a misprediction overlaps with the loads of the pixel before.

use super::{Job, List};
use crate::cpu::simd::{LANES, Lanes};
use crate::operators::Geometry;
use std::ops::Range;

/// Whether a layer can take this path.
pub(super) fn fit(g: &Geometry) -> bool {
    g.kernel == 3 && g.stride == 1 && g.padding == 1
}

/// Processes one list for all images of the job.
///
/// # Safety
/// See [`Lanes`]. The layer must fit, the panel must be full and `NV` registers wide, and there
/// must be a value per entry unless `BINARY`.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
pub(super) unsafe fn pass<V: Lanes, const NV: usize, const BINARY: bool>(
    job: &mut Job<'_>,
    list: &List,
    is_first: bool,
) {
    let (height, columns, pitch, from) = (job.g.height, job.g.width, job.pitch, job.from);
    let tap = list.channels * NV * LANES;
    let weights = job.panel[list.weights..][..3 * tap].as_ptr();
    assert_eq!(job.channels, NV * LANES);
    for (image, out) in job.images.iter().zip(job.out.chunks_exact_mut(height * columns * pitch)) {
        for oy in 0..height {
            let iy = (oy + list.ky).wrapping_sub(1);
            let line = out[oy * columns * pitch..][..columns * pitch][from..].as_mut_ptr().cast::<f32>();
            // SAFETY: every column has a panel's registers from `line` on; the first list writes
            // them before any list reads them. The entries of a pixel in column x are at least x·G
            // and below (x + 1)·G.
            unsafe {
                if iy >= height {
                    for x in 0..if is_first { columns } else { 0 } {
                        for j in 0..NV {
                            V::splat(0.0).store(line.add(x * pitch + j * LANES));
                        }
                    }
                    continue;
                }
                let zero = [V::splat(0.0); NV];
                let starts = image.starts[list.starts + iy * columns..][..=columns].as_ptr();
                let before = |x: usize| {
                    let mut sums = zero;
                    for j in 0..NV {
                        if !is_first {
                            sums[j] = V::load(line.add(x * pitch + j * LANES));
                        }
                    }
                    sums
                };
                let mut sums = [zero, before(0), zero];
                for x in 0..columns {
                    if x + 1 < columns {
                        sums[2] = before(x + 1);
                    }
                    let (a, b) = (*starts.add(x) as usize, *starts.add(x + 1) as usize);
                    let list = (image.entries.as_ptr(), image.values.as_ptr(), a..b);
                    let rows = weights.wrapping_sub(x * tap);
                    match (x == 0, x + 1 == columns) {
                        (false, false) => pixel::<V, NV, BINARY, true, true>(&mut sums, list, rows, tap),
                        (true, false) => pixel::<V, NV, BINARY, false, true>(&mut sums, list, rows, tap),
                        (false, true) => pixel::<V, NV, BINARY, true, false>(&mut sums, list, rows, tap),
                        (true, true) => pixel::<V, NV, BINARY, false, false>(&mut sums, list, rows, tap),
                    }
                    if x > 0 {
                        for j in 0..NV {
                            sums[0][j].store(line.add((x - 1) * pitch + j * LANES));
                        }
                    }
                    (sums[0], sums[1]) = (sums[1], sums[2]);
                }
                for j in 0..NV {
                    sums[0][j].store(line.add((columns - 1) * pitch + j * LANES));
                }
            }
        }
    }
}

/// Adds the entries of a pixel to the output in its column and, if `PAST` or `NEXT`, to the outputs
/// in the previous and next column.
#[inline(always)]
unsafe fn pixel<V: Lanes, const NV: usize, const BINARY: bool, const PAST: bool, const NEXT: bool>(
    sums: &mut [[V; NV]; 3],
    (entries, values, list): (*const u16, *const f32, Range<usize>),
    rows: *const f32,
    tap: usize,
) {
    // SAFETY: as in `pass`.
    unsafe {
        let [mut past, mut here, mut next] = *sums;
        for e in list {
            let row = rows.wrapping_add(usize::from(*entries.add(e)) * (NV * LANES));
            let v = if BINARY { V::splat(1.0) } else { V::splat(*values.add(e)) };
            for j in 0..NV {
                let weights_of_tap = |k: usize| V::load(row.add(k * tap + j * LANES));
                let add = |sum: V, w: V| if BINARY { sum.add(w) } else { sum.add_product(v, w) };
                if NEXT {
                    next[j] = add(next[j], weights_of_tap(0));
                }
                here[j] = add(here[j], weights_of_tap(1));
                if PAST {
                    past[j] = add(past[j], weights_of_tap(2));
                }
            }
        }
        *sums = [past, here, next];
    }
}
