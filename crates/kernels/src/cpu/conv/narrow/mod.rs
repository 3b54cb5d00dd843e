//! Dense convolution of maps with few channels.
//!
//! In a channels-last map the taps of one kernel row are adjacent in memory, so their k·C inputs
//! form one contiguous run of the matrix product. With few channels, runs of one tap would be too
//! short to amortise the start of a loop (with 2 channels and a 3×3 kernel this gives three runs of
//! 6 inputs instead of nine of 2). Images are first copied into a buffer with a margin of zeros, so
//! that the border cuts no run. A tile of output pixels loops over the whole kernel with its sums
//! in registers.
//!
//! Fast path (`pairs.rs`): with eight output channels at stride 1, two pixels share a register.

mod pairs;

use crate::cpu::conv::dense::{PANEL, product};
use crate::cpu::conv::gather::store;
use crate::cpu::conv::pack::{Panels, panel_width};
use crate::cpu::grain::FineGrained;
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use crate::operators::Geometry;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Most weight values of a panel. Every tile reads them all, so they must fit a part of the L1
/// cache.
const MOST_WEIGHTS: usize = 6 << 10;

/// Values of the padded images in a task's buffer.
const BUFFER: usize = 24 << 10;

/// The sizes of a convolution, or of its input gradient at stride 1.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    /// Channels, height and width of the input.
    pub input: [usize; 3],
    /// Channels, height and width of the output.
    pub output: [usize; 3],
    /// Kernel side.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Padding.
    pub padding: usize,
}

impl Map {
    /// The sizes of the forward pass.
    pub fn forward(g: &Geometry) -> Self {
        Self {
            input: [g.channels, g.height, g.width],
            output: [g.out, g.out_height(), g.out_width()],
            kernel: g.kernel,
            stride: g.stride,
            padding: g.padding,
        }
    }

    /// Whether this kernel is faster than `dense`: runs of one tap are short, and the weights fit
    /// the L1 cache.
    pub fn pays(&self) -> bool {
        let [channels, ..] = self.input;
        let weights = self.kernel * self.kernel * channels * panel_width(self.output[0], PANEL);
        channels < 64 && self.kernel > 1 && weights <= MOST_WEIGHTS
    }

    pub(super) fn padded(&self) -> [usize; 2] {
        let [_, height, width] = self.input;
        // The last window may extend past the padding; no output is computed from such a column.
        [height + 2 * self.padding, width + 2 * self.padding]
    }

    /// Values per padded image.
    pub(super) fn padded_len(&self) -> usize {
        self.padded().iter().product::<usize>() * self.input[0]
    }

    /// The number of padded images, of `images`, that fit the buffer; at least one.
    pub(super) fn together(&self, images: usize) -> usize {
        (BUFFER / self.padded_len().max(1)).clamp(1, images.max(1))
    }

    /// Offset of each output pixel's window in a buffer of `together` padded images.
    pub(super) fn windows(&self, together: usize) -> Vec<usize> {
        let ([channels, ..], [_, oh, ow], [_, columns]) = (self.input, self.output, self.padded());
        let (size, stride) = (self.padded_len(), self.stride);
        let window = |i: usize, p: usize| i * size + (p / ow * stride * columns + p % ow * stride) * channels;
        (0..together).flat_map(|i| (0..oh * ow).map(move |p| window(i, p))).collect()
    }

    /// Copies an image into the buffer, inside its margin of zeros.
    #[inline(always)]
    pub(super) fn pad(&self, image: &[f32], into: &mut [f32]) {
        let ([channels, _, width], [_, columns]) = (self.input, self.padded());
        let lines = into.chunks_exact_mut(columns * channels).skip(self.padding);
        for (line, from) in lines.zip(image.chunks_exact(width * channels)) {
            line[self.padding * channels..][..width * channels].copy_from_slice(from);
        }
    }
}

struct Job<'a> {
    map: Map,
    weights: &'a Panels,
    /// Offset of each output pixel's window in the buffer, image by image.
    windows: &'a [usize],
    /// Buffer for `together` padded images; the margins are zero.
    padded: &'a mut [f32],
    together: usize,
    x: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    // SAFETY: the caller upholds the conditions of `Lanes`.
    unsafe {
        match job.weights.width / LANES {
            1 => images::<V, 12, 1>(job),
            2 => images::<V, 12, 2>(job),
            3 => images::<V, 8, 3>(job),
            4 => images::<V, 6, 4>(job),
            w => unreachable!("panels are 16 to 64 wide, not {}", w * LANES),
        }
    }
}

#[inline(always)]
unsafe fn images<V: Lanes, const MR: usize, const NV: usize>(job: &mut Job<'_>) {
    let map = job.map;
    let ([channels, height, width], [_, columns]) = (map.input, map.padded());
    let (outputs, pixels, size) = (map.output[0], map.output[1] * map.output[2], map.padded_len());
    let run = map.kernel * channels;
    let count = job.x.len() / (channels * height * width);
    for first in (0..count).step_by(job.together) {
        let here = job.together.min(count - first);
        for i in 0..here {
            let image = &job.x[(first + i) * channels * height * width..][..channels * height * width];
            map.pad(image, &mut job.padded[i * size..(i + 1) * size]);
        }
        for p in 0..job.weights.count() {
            let panel = job.weights.panel(p).as_ptr();
            let from = p * NV * LANES;
            let wanted = (NV * LANES).min(outputs - from);
            for at in (0..here * pixels).step_by(MR) {
                let n = MR.min(here * pixels - at);
                let tile = &job.windows[at..at + n];
                let starts: [*const f32; MR] = std::array::from_fn(|i| job.padded[tile[i.min(n - 1)]..].as_ptr());
                // SAFETY: a window's rows of k·C values are inside its padded image, the panel has
                // as many rows, and a row of `out` has `wanted` values from `from` on.
                unsafe {
                    let mut acc = [[V::splat(0.0); NV]; MR];
                    for ky in 0..map.kernel {
                        let lines = starts.map(|s| s.add(ky * columns * channels));
                        product::<V, MR, NV>(&mut acc, &lines, panel.add(ky * run * NV * LANES), run);
                    }
                    for (i, acc) in acc.iter().enumerate().take(n) {
                        let pixel = first * pixels + at + i;
                        store::<V, NV>(acc, &mut job.out[pixel * outputs + from..][..wanted]);
                    }
                }
            }
        }
    }
}

/// Convolves `[N, H, W, C]` to `[N, OH, OW, Co]` and writes all of `out`. The taps of `weights` are
/// in the order of [`Panels::forward`].
pub fn forward(isa: Isa, map: Map, x: &[f32], weights: &Panels, out: &mut [MaybeUninit<f32>]) {
    if pairs::fits(&map) {
        return pairs::forward(isa, map, x, weights, out);
    }
    let ([channels, height, width], [outputs, oh, ow]) = (map.input, map.output);
    let (x_len, out_len, size) = (channels * height * width, outputs * oh * ow, map.padded_len());
    let images = x.len() / x_len.max(1);
    let together = map.together(images);
    let windows = map.windows(together);
    // A task fills several buffers, because zeroing the margins once serves them all.
    let group = (together * 4).clamp(1, images.div_ceil(8).max(1));
    let parts = out.par_chunks_mut((group * out_len).max(1)).zip(x.par_chunks((group * x_len).max(1))).fine_grained();
    let buffer = || vec![0.0f32; together * size];
    parts.for_each_init(buffer, |padded, (out, x)| {
        run(isa, &mut Job { map, weights, windows: &windows, padded, together, x, out });
    });
}
