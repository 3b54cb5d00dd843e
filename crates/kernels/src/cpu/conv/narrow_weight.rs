//! Dense weight gradient of maps with few channels:
//!
//! ```text
//! gw[ky, kx, ci, co] = Σ_pixels x[window of the pixel, ky, kx, ci]·g[pixel, co]
//! ```
//!
//! As in [`super::narrow`], the k·C inputs of a kernel row form one run in a copy with a margin of
//! zeros. A tile of inputs of a run × registers of outputs loops over all pixels with its sums in
//! registers.
//!
//! A task is a fixed part of the batch, and the sums of the parts are added in order, so the result
//! does not depend on the number of threads.

use super::narrow::Map;
use crate::cpu::grain::FineGrained;
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use crate::operators::Geometry;
use rayon::prelude::*;

/// Parts of a batch.
const PARTS: usize = 16;

/// Most inputs of a tile.
const TILE: usize = 24;

struct Job<'a> {
    map: Map,
    windows: &'a [usize],
    together: usize,
    /// Buffer for padded images, and zeros that a tile may read past the end of a run.
    padded: Vec<f32>,
    x: &'a [f32],
    gradient: &'a [f32],
    /// If a gradient row does not fill its last register: a copy of the rows with zeros appended.
    edge: Vec<f32>,
    /// `[ky][k·C][out rounded up to whole registers]`.
    out: Vec<f32>,
}

/// Whether this kernel is faster than [`super::dense_weight`], for which runs of one tap are too
/// short.
pub fn pays(g: &Geometry) -> bool {
    g.channels < 64 && g.kernel > 1
}

/// Gradient of the weight `[co, ci, ky, kx]` from the input `[N, H, W, C]` and the gradient
/// `[N, OH, OW, Co]`.
pub fn weight_gradient(isa: Isa, g: Geometry, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let (map, width) = (Map::forward(&g), g.out.next_multiple_of(LANES));
    let images = x.len() / g.input_len().max(1);
    let per_part = images.div_ceil(PARTS).max(1);
    let together = map.together(per_part);
    let windows = map.windows(together);
    let (x_len, out_len) = ((per_part * g.input_len()).max(1), (per_part * g.output_len()).max(1));
    let parts: Vec<Vec<f32>> = x
        .par_chunks(x_len)
        .zip(gradient.par_chunks(out_len))
        .fine_grained()
        .map(|(x, gradient)| {
            let padded = vec![0.0; together * map.padded_len() + TILE];
            let edge = vec![0.0; if width == g.out { 0 } else { together * g.out_pixels() * width }];
            let out = vec![0.0; g.taps() * g.channels * width];
            let mut job = Job { map, windows: &windows, together, padded, x, gradient, edge, out };
            run(isa, &mut job);
            job.out
        })
        .collect();
    let mut out = vec![0.0f32; g.weights()];
    for part in &parts {
        for (row, from) in part.chunks_exact(width).enumerate() {
            // Row (ky·k + kx)·C + ci goes to place (ci·k + ky)·k + kx of each output.
            let (tap, ci) = (row / g.channels, row % g.channels);
            let place = ci * g.taps() + tap;
            out[place..].iter_mut().step_by(g.channels * g.taps()).zip(from).for_each(|(o, v)| *o += v);
        }
    }
    out
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    let map = job.map;
    let ([channels, height, width], [outputs, oh, ow]) = (map.input, map.output);
    let (x_len, pixels, size) = (channels * height * width, oh * ow, map.padded_len());
    let pitch = outputs.next_multiple_of(LANES);
    let count = job.x.len() / x_len.max(1);
    for first in (0..count).step_by(job.together) {
        let here = job.together.min(count - first);
        for i in 0..here {
            map.pad(&job.x[(first + i) * x_len..][..x_len], &mut job.padded[i * size..(i + 1) * size]);
        }
        let mut gradient = &job.gradient[first * pixels * outputs..][..here * pixels * outputs];
        if !job.edge.is_empty() {
            for (into, from) in job.edge.chunks_exact_mut(pitch).zip(gradient.chunks_exact(outputs)) {
                into[..outputs].copy_from_slice(from);
            }
            gradient = &job.edge[..here * pixels * pitch];
        }
        let windows = &job.windows[..here * pixels];
        for ky in 0..map.kernel {
            let mut at = 0;
            while at < pitch {
                let tiles = Tiles { map: &map, windows, padded: &job.padded, gradient, pitch, ky, at };
                // SAFETY: the caller upholds `Lanes`, and the tiles' registers are inside the
                // pitch.
                at += LANES
                    * unsafe {
                        match ((pitch - at) / LANES, map.kernel * channels) {
                            (1, ..=8) => tiles.run::<V, 8, 1>(&mut job.out),
                            (1, ..=12 | 25..=36) => tiles.run::<V, 12, 1>(&mut job.out),
                            (1, _) => tiles.run::<V, 24, 1>(&mut job.out),
                            (2, ..=6) => tiles.run::<V, 6, 2>(&mut job.out),
                            (2, _) => tiles.run::<V, 12, 2>(&mut job.out),
                            (3, _) => tiles.run::<V, 8, 3>(&mut job.out),
                            _ => tiles.run::<V, 6, 4>(&mut job.out),
                        }
                    };
            }
        }
    }
}

/// The tiles of one kernel row and some registers of outputs, over the images of a buffer.
struct Tiles<'a> {
    map: &'a Map,
    windows: &'a [usize],
    padded: &'a [f32],
    gradient: &'a [f32],
    pitch: usize,
    ky: usize,
    at: usize,
}

impl Tiles<'_> {
    /// Adds the products to `[ky][k·C][pitch]`. Returns the number of registers processed.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
    unsafe fn run<V: Lanes, const M: usize, const NV: usize>(&self, out: &mut [f32]) -> usize {
        let map = self.map;
        let run = map.kernel * map.input[0];
        let line = self.ky * map.padded()[1] * map.input[0];
        for r in (0..run).step_by(M) {
            let mut sums = [[[0.0f32; LANES]; NV]; M];
            // SAFETY: a window's run is inside its padded image. A tile may read past the run, but
            // stays inside the buffer, which is longer by a tile; these sums are discarded. Each
            // pixel has `pitch` gradients.
            unsafe {
                let x = self.padded.as_ptr().add(line + r);
                let mut d = self.gradient.as_ptr().add(self.at);
                let mut acc = [[V::splat(0.0); NV]; M];
                for &window in self.windows {
                    let x = x.add(window);
                    let mut w = [V::splat(0.0); NV];
                    for j in 0..NV {
                        w[j] = V::load(d.add(j * LANES));
                    }
                    for i in 0..M {
                        let v = V::splat(*x.add(i));
                        for j in 0..NV {
                            acc[i][j] = acc[i][j].add_product(v, w[j]);
                        }
                    }
                    d = d.add(self.pitch);
                }
                for i in 0..M {
                    for j in 0..NV {
                        acc[i][j].store(sums[i][j].as_mut_ptr());
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate().take(M.min(run - r)) {
                let into = &mut out[(self.ky * run + r + i) * self.pitch + self.at..][..NV * LANES];
                into.iter_mut().zip(sums.as_flattened()).for_each(|(o, s)| *o += s);
            }
        }
        NV
    }
}
