//! The narrow kernel for eight output channels. One pixel would fill half a register, so two
//! neighbouring output pixels share one. Their windows overlap in all but one column, so one run of
//! k + 1 columns serves both: the packed weights of a column hold its tap for the first pixel next
//! to the tap before it for the second. A kernel row thus costs k + 1 columns instead of 2·k.

use super::Map;
use crate::cpu::conv::pack::Panels;
use crate::cpu::grain::FineGrained;
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Output channels.
const OUT: usize = LANES / 2;

/// Pairs of pixels per tile.
const MR: usize = 12;

struct Job<'a> {
    map: Map,
    /// `[ky][column][ci][pixel, co]`.
    weights: &'a [f32],
    /// For each pair: the offset of its window in the buffer, its first output pixel, and its
    /// number of pixels (1 at the end of an odd row).
    pairs: &'a [(u32, u32, u32)],
    /// Buffer for padded images with zero margins, and one more column at the end.
    padded: &'a mut [f32],
    together: usize,
    x: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
}

/// Whether these kernels support the map.
pub fn fits(map: &Map) -> bool {
    map.output[0] == OUT && map.stride == 1
}

/// Packs the weights of pairs from a panel of sixteen outputs, of which eight are used.
fn pack(panels: &Panels, map: &Map) -> Vec<f32> {
    let (k, channels) = (map.kernel, map.input[0]);
    let mut packed = vec![0.0f32; k * (k + 1) * channels * LANES];
    for (row, into) in packed.chunks_exact_mut(LANES).enumerate() {
        let (ky, column, c) = (row / channels / (k + 1), row / channels % (k + 1), row % channels);
        let tap = |kx: usize| &panels.panel(0)[((ky * k + kx) * channels + c) * panels.width..][..OUT];
        if column < k {
            into[..OUT].copy_from_slice(tap(column));
        }
        if column > 0 {
            into[OUT..].copy_from_slice(tap(column - 1));
        }
    }
    packed
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    let map = job.map;
    let ([channels, height, width], [_, columns]) = (map.input, map.padded());
    let (x_len, size, pixels) = (channels * height * width, map.padded_len(), map.output[1] * map.output[2]);
    let run = (map.kernel + 1) * channels;
    let count = job.x.len() / x_len.max(1);
    let per_image = job.pairs.len() / job.together;
    for first in (0..count).step_by(job.together) {
        let here = job.together.min(count - first);
        for i in 0..here {
            map.pad(&job.x[(first + i) * x_len..][..x_len], &mut job.padded[i * size..(i + 1) * size]);
        }
        let out = &mut job.out[first * pixels * OUT..];
        for tile in job.pairs[..here * per_image].chunks(MR) {
            let starts: [*const f32; MR] =
                std::array::from_fn(|i| job.padded[tile[i.min(tile.len() - 1)].0 as usize..].as_ptr());
            // SAFETY: a pair's rows of (k + 1)·C values are inside the buffer, which is one column
            // longer than its images. A pair of one pixel may read values of another row, but its
            // second pixel is not stored. The weights have as many rows.
            unsafe {
                let mut acc = [V::splat(0.0); MR];
                for ky in 0..map.kernel {
                    let lines = starts.map(|s| s.add(ky * columns * channels));
                    let mut w = job.weights.as_ptr().add(ky * run * LANES);
                    for c in 0..run {
                        let b = V::load(w);
                        for i in 0..MR {
                            acc[i] = acc[i].add_product(V::splat(*lines[i].add(c)), b);
                        }
                        w = w.add(LANES);
                    }
                }
                for (acc, (_, pixel, n)) in acc.iter().zip(tile) {
                    let into = &mut out[*pixel as usize * OUT..][..*n as usize * OUT];
                    acc.store_first(into.as_mut_ptr().cast(), into.len());
                }
            }
        }
    }
}

/// Convolves `[N, H, W, C]` to `[N, OH, OW, 8]` and writes all of `out`. The taps of `weights` are
/// in the order of [`Panels::forward`].
pub fn forward(isa: Isa, map: Map, x: &[f32], weights: &Panels, out: &mut [MaybeUninit<f32>]) {
    let ([channels, height, width], [_, oh, ow]) = (map.input, map.output);
    let (x_len, out_len, size) = (channels * height * width, OUT * oh * ow, map.padded_len());
    let (images, columns, wide) = (x.len() / x_len.max(1), map.padded()[1], ow.div_ceil(2));
    let together = map.together(images);
    let pair = |i: usize, p: usize| {
        let (y, x) = (p / wide, p % wide * 2);
        let window = i * size + (y * columns + x) * channels;
        (window as u32, (i * oh * ow + y * ow + x) as u32, (ow - x).min(2) as u32)
    };
    let pairs: Vec<_> = (0..together).flat_map(|i| (0..oh * wide).map(move |p| pair(i, p))).collect();
    let packed = pack(weights, &map);
    // Several buffers per task, as in `narrow`.
    let group = (together * 4).clamp(1, images.div_ceil(8).max(1));
    let parts = out.par_chunks_mut((group * out_len).max(1)).zip(x.par_chunks((group * x_len).max(1))).fine_grained();
    let buffer = || vec![0.0f32; together * size + channels];
    parts.for_each_init(buffer, |padded, (out, x)| {
        run(isa, &mut Job { map, weights: &packed, pairs: &pairs, padded, together, x, out });
    });
}
