//! Dense weight gradient, gw[tap, ci, co] = Σ_pixels x[pixel that the tap reads, ci]·g[pixel, co].
//! A tile of `MR` input × 64 output channels keeps its sums in registers and loops over the pixels.
//!
//! A task is one tap and a part of the batch. The parts are fixed and their sums are added in
//! order, so the result does not depend on the number of threads.

use super::dense::Indirection;
use crate::cpu::grain::FineGrained;
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use crate::operators::Geometry;
use rayon::prelude::*;

/// Input channels per tile.
const MR: usize = 6;

/// Parts of a batch.
const PARTS: usize = 4;

struct Job<'a> {
    g: Geometry,
    map: &'a Indirection,
    tap: usize,
    x: &'a [f32],
    gradient: &'a [f32],
    /// `[channel][out rounded up to whole registers]`.
    out: &'a mut [f32],
}

/// Gradient of the weight `[co, ci, ky, kx]` from the input `[N, H, W, C]` and the gradient
/// `[N, OH, OW, Co]`.
pub fn weight_gradient(isa: Isa, g: Geometry, map: &Indirection, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let images = x.len() / g.input_len().max(1);
    let per_part = images.div_ceil(PARTS).max(1);
    let parts = images.div_ceil(per_part).max(1);
    let width = g.out.next_multiple_of(LANES);
    let len = g.channels * width;
    let mut sums = vec![0.0f32; parts * g.taps() * len];
    sums.par_chunks_mut(len.max(1)).fine_grained().enumerate().for_each(|(task, out)| {
        let (part, tap) = (task / g.taps(), task % g.taps());
        let (a, b) = ((part * per_part).min(images), ((part + 1) * per_part).min(images));
        let x = &x[a * g.input_len()..b * g.input_len()];
        let gradient = &gradient[a * g.output_len()..b * g.output_len()];
        run(isa, &mut Job { g, map, tap, x, gradient, out });
    });
    let mut out = vec![0.0f32; g.weights()];
    // Sixteen output channels at a time, so that the reads of a block come from one cache line.
    out.par_chunks_mut((LANES * g.channels * g.taps()).max(1)).enumerate().for_each(|(block, rows)| {
        for part in 0..parts {
            for c in 0..g.channels {
                for tap in 0..g.taps() {
                    let from = &sums[(part * g.taps() + tap) * len + c * width + block * LANES..][..LANES];
                    let at = c * g.taps() + tap;
                    rows.iter_mut().skip(at).step_by(g.channels * g.taps()).zip(from).for_each(|(r, v)| *r += v);
                }
            }
        }
    });
    out
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    let (g, width) = (job.g, job.g.out.next_multiple_of(LANES));
    let images = job.gradient.len() / g.output_len().max(1);
    let full = g.out / LANES * LANES;
    // If the last register of a gradient row is not full, it is copied with zeros appended, so that
    // no load reads past the row.
    let mut edge = vec![0.0f32; if full < g.out { g.out_pixels() * LANES } else { 0 }];
    for n in 0..images {
        let x = &job.x[n * g.input_len()..(n + 1) * g.input_len()];
        let gradient = &job.gradient[n * g.output_len()..(n + 1) * g.output_len()];
        for (into, from) in edge.chunks_exact_mut(LANES).zip(gradient.chunks_exact(g.out)) {
            into[..g.out - full].copy_from_slice(&from[full..]);
        }
        for c in (0..g.channels).step_by(MR) {
            let mut o = 0;
            while o < width {
                let rest = full.saturating_sub(o) / LANES;
                // SAFETY: the caller upholds `Lanes`, and a tile of k registers runs only if k are
                // left.
                let taken = unsafe {
                    match rest {
                        0 => {
                            tile::<V, 1>(job.map, job.tap, &g, x, (&edge, LANES, 0), (job.out, width), c, o);
                            1
                        }
                        1 => {
                            tile::<V, 1>(job.map, job.tap, &g, x, (gradient, g.out, o), (job.out, width), c, o);
                            1
                        }
                        2 | 3 => {
                            tile::<V, 2>(job.map, job.tap, &g, x, (gradient, g.out, o), (job.out, width), c, o);
                            2
                        }
                        _ => {
                            tile::<V, 4>(job.map, job.tap, &g, x, (gradient, g.out, o), (job.out, width), c, o);
                            4
                        }
                    }
                };
                o += taken * LANES;
            }
        }
    }
}

/// Adds the products of one image to a tile of `MR` × `NV` registers.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel's operands")]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn tile<V: Lanes, const NV: usize>(
    map: &Indirection,
    tap: usize,
    g: &Geometry,
    x: &[f32],
    (gradient, pitch, from): (&[f32], usize, usize),
    (out, width): (&mut [f32], usize),
    c: usize,
    o: usize,
) {
    let rows = MR.min(g.channels - c);
    let mut acc = [[[0.0f32; LANES]; NV]; MR];
    // SAFETY: the table holds pixels inside the image. For inputs past the last channel the tile
    // reads its first input instead and discards the sums. The gradient has NV registers at `from`.
    unsafe {
        let mut sums = [[V::splat(0.0); NV]; MR];
        let step: [usize; MR] = std::array::from_fn(|i| if i < rows { i } else { 0 });
        for pixel in 0..g.out_pixels() {
            let meets = map.meets(pixel, tap);
            if meets < 0 {
                continue;
            }
            let row = x.as_ptr().add(meets as usize * g.channels + c);
            let d = gradient.as_ptr().add(pixel * pitch + from);
            let mut w = [V::splat(0.0); NV];
            for j in 0..NV {
                w[j] = V::load(d.add(j * LANES));
            }
            for i in 0..MR {
                let v = V::splat(*row.add(step[i]));
                for j in 0..NV {
                    sums[i][j] = sums[i][j].add_product(v, w[j]);
                }
            }
        }
        for (acc, sum) in acc.iter_mut().zip(&sums) {
            for (a, s) in acc.iter_mut().zip(sum) {
                s.store(a.as_mut_ptr());
            }
        }
    }
    for (i, acc) in acc.iter().enumerate().take(rows) {
        let into = &mut out[(c + i) * width + o..][..NV * LANES];
        into.iter_mut().zip(acc.as_flattened()).for_each(|(o, a)| *o += a);
    }
}
