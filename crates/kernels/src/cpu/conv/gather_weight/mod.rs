//! Weight gradient over active inputs: for each input channel the gradients of the output pixels
//! that its active pixels meet are added up, all taps at once.
//!
//! ```text
//! gw[tap, ci, co] = Σ_{active (n, iy, ix) of ci} v · g[n, (iy + p − ky)/s, (ix + p − kx)/s, co]
//! ```
//!
//! The batch is cut into bands of rows whose gradients, 32 output channels of them with a margin of
//! zeros, stay in the first-level cache. The active inputs of a band are sorted by channel and by
//! residue of their pixel mod s (which decides the taps); the sums of one channel, up to nine taps
//! of two registers, stay in registers over its active pixels.
//!
//! Tasks are panels × fixed parts of the batch, whose sums are added in order: the result does not
//! depend on the number of threads.

mod bands;
mod taps;

use super::events::Events;
use crate::cpu::grain::FineGrained;
use crate::cpu::memory::{full, room, zeros};
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use crate::operators::Geometry;
use bands::{Band, Plan};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use taps::{Taps, grid};

/// Registers of a panel.
const NV: usize = 2;

/// Output channels of a panel.
const WIDTH: usize = NV * LANES;

/// Bytes of gradients of a band: about a first-level cache of the smallest machines that have registers of this size.
const BAND_BYTES: usize = 36 << 10;

/// Weights of a channel that are brought to their place at a time.
const BLOCK: usize = 64;

/// Tasks that a layer is cut into at least, where it has that many bands.
const TASKS: usize = 16;

struct Job<'a> {
    plan: Plan,
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
    let plan = Plan::new(g);
    let mut bands = plan.bands(x.images.len());
    let places = plan.places();
    bands.par_iter_mut().fine_grained().for_each(|band| plan.fill(band, x, &places));
    let panels = g.out.div_ceil(WIDTH);
    let parts = TASKS.div_ceil(panels).clamp(1, bands.len().max(1));
    let per_part = bands.len().div_ceil(parts).max(1);
    let parts = bands.len().div_ceil(per_part).max(1);
    let len = g.channels * g.taps() * WIDTH;
    let sum = |part: usize, panel: usize, out: &mut [f32]| {
        let bands = &bands[(part * per_part).min(bands.len())..((part + 1) * per_part).min(bands.len())];
        run(isa, &mut Job { plan, bands, binary: x.binary, gradient, panel, out });
    };
    let mut out = room(g.weights());
    let rows = out.par_chunks_mut((WIDTH * g.channels * g.taps()).max(1)).fine_grained().enumerate();
    if parts == 1 {
        // Brought to their place by the task that summed them, from its cache.
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
            let of = |part: usize| &sums[(part * panels + panel) * len..][..len];
            place(&g, of(0), out, |o, v| _ = o.write(v));
            for part in 1..parts {
                // SAFETY: the first part wrote all of it.
                place(&g, of(part), out, |o, v| unsafe { *o.assume_init_mut() += v });
            }
        });
    }
    // SAFETY: every panel's rows were written.
    unsafe { full(out) }
}

/// Brings the sums of a panel, `[channel][tap][WIDTH]`, to its rows of `[co, ci, ky, kx]`.
fn place(g: &Geometry, sums: &[f32], out: &mut [MaybeUninit<f32>], put: impl Fn(&mut MaybeUninit<f32>, f32)) {
    // Rows of a few lines at a time for every output channel, from a block that stays in the cache.
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
    // SAFETY: passed on from the caller.
    unsafe { if job.binary { bands::<V, true>(job) } else { bands::<V, false>(job) } }
}

#[inline(always)]
unsafe fn bands<V: Lanes, const BINARY: bool>(job: &mut Job<'_>) {
    let plan = job.plan;
    let (g, s) = (plan.g, plan.g.stride);
    let mut panel = vec![0.0f32; plan.images * plan.height() * plan.width * WIDTH];
    for band in job.bands {
        copy(job, band, &mut panel);
        for c in 0..g.channels {
            let out = &mut job.out[c * g.taps() * WIDTH..(c + 1) * g.taps() * WIDTH];
            for class in 0..plan.classes() {
                let at = c * plan.classes() + class;
                let (a, b) = (band.starts[at] as usize, band.starts[at + 1] as usize);
                if a == b {
                    continue;
                }
                let pixels = &band.pixels[a..b];
                let values = if BINARY { &[][..] } else { &band.values[a..b] };
                let (ry, rx) = (class / s, class % s);
                let (ty, tx) = (plan.axis.taps(ry), plan.axis.taps(rx));
                let (first, down, width) = (ry * g.kernel + rx, s * g.kernel, plan.width);
                let taps = Taps { first, down, right: s, width, back: 0 };
                // SAFETY: an active pixel's outputs lie inside the panel with its margins (see `Plan`); the
                // taps of a class are below the kernel's; values are as many as pixels.
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

/// Copies the gradients that a band meets, zeros around them.
#[inline(always)]
fn copy(job: &Job<'_>, band: &Band, panel: &mut [f32]) {
    let plan = &job.plan;
    let g = &plan.g;
    let (oh, ow) = (g.out_height(), g.out_width());
    let from = job.panel * WIDTH;
    let channels = WIDTH.min(g.out - from);
    let first = plan.first_output(band.rows.0);
    // The margin, less what padding makes negative outputs reach.
    let left = plan.axis.margin() as isize - (g.padding / g.stride) as isize;
    let row_len = plan.width * WIDTH;
    for (k, n) in (band.images.0..band.images.1).enumerate() {
        for (r, row) in
            panel[k * plan.height() * row_len..][..plan.height() * row_len].chunks_exact_mut(row_len).enumerate()
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
