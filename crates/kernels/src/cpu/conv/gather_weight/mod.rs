//! Sparse weight gradient: for each input channel the kernel adds up the gradients of the output
//! pixels that read the channel's active pixels, for all taps at once.
//!
//! ```text
//! gw[tap, ci, co] = Σ_{active (n, iy, ix) of ci} v · g[n, (iy + p − ky)/s, (ix + p − kx)/s, co]
//! ```
//!
//! The batch is cut into bands of rows. The gradients that a band reads, 32 output channels with a
//! margin of zeros, fit the L1 cache. The active inputs of a band are sorted by channel and by the
//! residue of their pixel mod s, because the residue determines which taps read them. The sums of
//! one channel, up to nine taps of two registers, stay in registers over its active pixels.
//!
//! A task is one panel and a part of the batch. The parts are fixed and their sums are added in
//! order, so the result does not depend on the number of threads.

mod bands;
mod taps;

use super::events::Events;
use crate::cpu::grain::FineGrained;
use crate::cpu::memory::{full, room, zeros};
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use crate::operators::Geometry;
use bands::{Band, BandCut};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use taps::{Taps, grid};

/// Registers per panel.
const NV: usize = 2;

/// Output channels per panel.
const WIDTH: usize = NV * LANES;

/// Bytes of gradients per band: about the L1 cache of the smallest machines with registers of this
/// size.
const BAND_BYTES: usize = 36 << 10;

/// Weights of an output channel that are written at a time.
const BLOCK: usize = 64;

/// Least number of tasks per layer, if it has that many bands.
const TASKS: usize = 16;

struct Job<'a> {
    cut: BandCut,
    bands: &'a [Band],
    binary: bool,
    /// `[N, OH, OW, Co]`.
    gradient: &'a [f32],
    panel: usize,
    /// `[channel][tap][WIDTH]`.
    out: &'a mut [f32],
}

/// Gradient of the weight `[co, ci, ky, kx]` from active inputs and the gradient `[N, OH, OW, Co]`.
pub fn weight_gradient(isa: Isa, g: Geometry, x: &Events, gradient: &[f32]) -> Vec<f32> {
    let cut = BandCut::new(g);
    let mut bands = cut.bands(x.images.len());
    let places = cut.places();
    bands.par_iter_mut().fine_grained().for_each(|band| cut.fill(band, x, &places));
    let panels = g.out.div_ceil(WIDTH);
    let parts = TASKS.div_ceil(panels).clamp(1, bands.len().max(1));
    let per_part = bands.len().div_ceil(parts).max(1);
    let parts = bands.len().div_ceil(per_part).max(1);
    let len = g.channels * g.taps() * WIDTH;
    let sum = |part: usize, panel: usize, out: &mut [f32]| {
        let bands = &bands[(part * per_part).min(bands.len())..((part + 1) * per_part).min(bands.len())];
        run(isa, &mut Job { cut, bands, binary: x.binary, gradient, panel, out });
    };
    let mut out = room(g.weights());
    let rows = out.par_chunks_mut((WIDTH * g.channels * g.taps()).max(1)).fine_grained().enumerate();
    if parts == 1 {
        // The task that computed the sums writes them to their place, while they are in its cache.
        rows.for_each_init(Vec::new, |sums, (panel, out)| {
            sums.clear();
            sums.resize(len, 0.0);
            sum(0, panel, sums);
            place(&g, sums, out, |o, v| _ = o.write(v));
        });
    } else {
        let mut sums = zeros(parts * panels * len);
        let tasks = sums.par_chunks_mut(len.max(1)).fine_grained().enumerate();
        tasks.for_each(|(task, out)| sum(task / panels, task % panels, out));
        rows.for_each(|(panel, out)| {
            let sums_of = |part: usize| &sums[(part * panels + panel) * len..][..len];
            place(&g, sums_of(0), out, |o, v| _ = o.write(v));
            for part in 1..parts {
                // SAFETY: the first part has written every value.
                place(&g, sums_of(part), out, |o, v| unsafe { *o.assume_init_mut() += v });
            }
        });
    }
    // SAFETY: the panels cover every value.
    unsafe { full(out) }
}

/// Transposes the sums of a panel, `[channel][tap][WIDTH]`, into its rows of `[co, ci, ky, kx]`.
fn place(g: &Geometry, sums: &[f32], out: &mut [MaybeUninit<f32>], put: impl Fn(&mut MaybeUninit<f32>, f32)) {
    // A block of rows stays in the cache while every output channel reads its column of it.
    for (block, rows) in sums.chunks(BLOCK * WIDTH).enumerate() {
        for (j, o) in out.chunks_exact_mut(g.channels * g.taps()).enumerate() {
            for (o, row) in o[block * BLOCK..].iter_mut().zip(rows.chunks_exact(WIDTH)) {
                put(o, row[j]);
            }
        }
    }
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    // SAFETY: the caller upholds the conditions of `Lanes`.
    unsafe { if job.binary { bands::<V, true>(job) } else { bands::<V, false>(job) } }
}

#[inline(always)]
unsafe fn bands<V: Lanes, const BINARY: bool>(job: &mut Job<'_>) {
    let cut = job.cut;
    let (g, s) = (cut.g, cut.g.stride);
    let mut panel = vec![0.0f32; cut.images * cut.height() * cut.width * WIDTH];
    for band in job.bands {
        copy(job, band, &mut panel);
        for c in 0..g.channels {
            let out = &mut job.out[c * g.taps() * WIDTH..(c + 1) * g.taps() * WIDTH];
            for class in 0..cut.classes() {
                let at = c * cut.classes() + class;
                let (a, b) = (band.starts[at] as usize, band.starts[at + 1] as usize);
                if a == b {
                    continue;
                }
                let pixels = &band.pixels[a..b];
                let values = if BINARY { &[][..] } else { &band.values[a..b] };
                let (ry, rx) = (class / s, class % s);
                let (ty, tx) = (cut.axis.taps(ry), cut.axis.taps(rx));
                let (first, down, width) = (ry * g.kernel + rx, s * g.kernel, cut.width);
                let taps = Taps { first, down, right: s, width, back: 0 };
                // SAFETY: the outputs that read an active pixel are inside the panel with its
                // margins (see `BandCut`), the taps of a class are taps of the kernel, and there is
                // a value per pixel.
                unsafe {
                    match (ty, tx) {
                        (3, 3) => grid::<V, BINARY, 3, 3, 1>(out, &panel, taps, pixels, values),
                        (2, 2) => grid::<V, BINARY, 2, 2, 1>(out, &panel, taps, pixels, values),
                        (2, 1) => grid::<V, BINARY, 2, 1, 2>(out, &panel, taps, pixels, values),
                        (1, 2) => grid::<V, BINARY, 1, 2, 2>(out, &panel, taps, pixels, values),
                        _ => {
                            for (i, j) in (0..ty).flat_map(|i| (0..tx).map(move |j| (i, j))) {
                                let one = Taps { first: first + i * down + j * s, back: i * width + j, ..taps };
                                grid::<V, BINARY, 1, 1, 4>(out, &panel, one, pixels, values);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Copies the gradients that a band reads into `panel`, with zeros around them.
#[inline(always)]
fn copy(job: &Job<'_>, band: &Band, panel: &mut [f32]) {
    let cut = &job.cut;
    let g = &cut.g;
    let (oh, ow) = (g.out_height(), g.out_width());
    let from = job.panel * WIDTH;
    let channels = WIDTH.min(g.out - from);
    let first = cut.first_output(band.rows.0);
    // The margin, less the columns that padding adds on the left.
    let left = cut.axis.margin() as isize - (g.padding / g.stride) as isize;
    let row_len = cut.width * WIDTH;
    for (k, n) in (band.images.0..band.images.1).enumerate() {
        for (r, row) in
            panel[k * cut.height() * row_len..][..cut.height() * row_len].chunks_exact_mut(row_len).enumerate()
        {
            let oy = first + r as isize;
            if oy < 0 || oy >= oh as isize {
                row.fill(0.0);
                continue;
            }
            let from = &job.gradient[(n * oh + oy as usize) * ow * g.out + from..];
            for (column, into) in row.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
                let ox = column as isize - left;
                if ox < 0 || ox >= ow as isize {
                    *into = [0.0; WIDTH];
                } else if let Some(from) = from[ox as usize * g.out..].first_chunk().filter(|_| channels == WIDTH) {
                    *into = *from;
                } else {
                    into[..channels].copy_from_slice(&from[ox as usize * g.out..][..channels]);
                    into[channels..].fill(0.0);
                }
            }
        }
    }
}
