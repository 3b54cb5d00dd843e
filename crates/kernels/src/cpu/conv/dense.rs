//! Dense convolution as an indirect matrix product. For every output pixel and tap a table holds
//! the input pixel that they read, or −1 for padding, which is read as a row of zeros. A tile of
//! `MR` pixels × `NV` registers of output channels loops over taps and inputs. Nothing is unrolled
//! into memory (no im2col).
//!
//! The same tile computes the input gradient, `gx[i]` = Σ_tap Σ_co g[(i + p − tap)/s]·w[co, ·,
//! tap]. With stride s, pixels of the same residue mod s read the same taps. They are placed next
//! to each other, so that a tile skips the taps that none of its pixels reads.

use super::gather::{load, store};
use super::pack::Panels;
use crate::cpu::grain::FineGrained;
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use crate::operators::Geometry;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Output channels per panel.
pub const PANEL: usize = 64;

/// Weight values per pass over the pixels: a part of an L2 cache (192 KiB).
const PASS_VALUES: usize = 48 << 10;

/// Which input pixel each output pixel reads at each tap.
#[derive(Debug, Clone)]
pub struct Indirection {
    /// The input pixel for (slot, tap), or −1.
    meets: Vec<i32>,
    /// The output pixel of each slot.
    pub(super) pixel: Vec<u32>,
    taps: usize,
    pub(super) pixels_in: usize,
    pub(super) pixels_out: usize,
}

impl Indirection {
    /// The table of the forward pass.
    pub fn forward(g: &Geometry) -> Self {
        let mut meets = Vec::with_capacity(g.out_pixels() * g.taps());
        for oy in 0..g.out_height() {
            for ox in 0..g.out_width() {
                for (ky, kx) in taps(g) {
                    let (y, x) =
                        ((oy * g.stride + ky).wrapping_sub(g.padding), (ox * g.stride + kx).wrapping_sub(g.padding));
                    meets.push(if y < g.height && x < g.width { (y * g.width + x) as i32 } else { -1 });
                }
            }
        }
        let pixel = (0..g.out_pixels() as u32).collect();
        Self { meets, pixel, taps: g.taps(), pixels_in: g.pixels(), pixels_out: g.out_pixels() }
    }

    /// The table of the input gradient, whose "input" is the gradient of the output.
    pub fn backward(g: &Geometry) -> Self {
        let (oh, ow, s) = (g.out_height(), g.out_width(), g.stride);
        let mut pixel = Vec::with_capacity(g.pixels());
        for class in 0..s * s {
            for y in (class / s..g.height).step_by(s) {
                pixel.extend((class % s..g.width).step_by(s).map(|x| (y * g.width + x) as u32));
            }
        }
        let mut meets = Vec::with_capacity(g.pixels() * g.taps());
        for &i in &pixel {
            let (y, x) = (i as usize / g.width, i as usize % g.width);
            for (ky, kx) in taps(g) {
                let (y, x) = ((y + g.padding).wrapping_sub(ky), (x + g.padding).wrapping_sub(kx));
                // A negative coordinate wraps to a number far above any size.
                let inside = y % s == 0 && x % s == 0 && y / s < oh && x / s < ow;
                meets.push(if inside { (y / s * ow + x / s) as i32 } else { -1 });
            }
        }
        Self { meets, pixel, taps: g.taps(), pixels_in: g.out_pixels(), pixels_out: g.pixels() }
    }
}

impl Indirection {
    /// The input pixel that slot `slot` reads at `tap`, or −1.
    #[inline(always)]
    pub fn meets(&self, slot: usize, tap: usize) -> i32 {
        self.meets[slot * self.taps + tap]
    }
}

fn taps(g: &Geometry) -> impl Iterator<Item = (usize, usize)> + use<> {
    let k = g.kernel;
    (0..k).flat_map(move |ky| (0..k).map(move |kx| (ky, kx)))
}

struct Job<'a> {
    map: &'a Indirection,
    weights: &'a Panels,
    zeros: &'a [f32],
    /// `[images, pixels_in, inputs]`.
    x: &'a [f32],
    /// `[images, pixels_out, outputs]`.
    out: &'a mut [MaybeUninit<f32>],
}

/// Computes `[N, pixels_out, outputs]` from `[N, pixels_in, inputs]` and writes all of `out`.
pub fn forward(isa: Isa, map: &Indirection, x: &[f32], weights: &Panels, out: &mut [MaybeUninit<f32>]) {
    let (x_len, out_len) = (map.pixels_in * weights.inputs, map.pixels_out * weights.outputs);
    let images = x.len() / x_len.max(1);
    let group = super::gather::group(images, map.pixels_out);
    let zeros = vec![0.0f32; weights.inputs];
    let parts = out.par_chunks_mut((group * out_len).max(1)).zip(x.par_chunks((group * x_len).max(1))).fine_grained();
    parts.for_each(|(out, x)| run(isa, &mut Job { map, weights, zeros: &zeros, x, out }));
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    // SAFETY: the caller upholds the conditions of `Lanes`.
    unsafe {
        match job.weights.width / LANES {
            1 => panels::<V, 12, 1>(job),
            2 => panels::<V, 12, 2>(job),
            3 => panels::<V, 8, 3>(job),
            4 => panels::<V, 6, 4>(job),
            w => unreachable!("panels are 16 to 64 wide, not {}", w * LANES),
        }
    }
}

#[inline(always)]
unsafe fn panels<V: Lanes, const MR: usize, const NV: usize>(job: &mut Job<'_>) {
    let (w, taps) = (job.weights, job.map.taps);
    let width = NV * LANES;
    // A pass covers whole taps or, with many inputs, a part of one tap.
    let inputs = w.inputs.min(PASS_VALUES / width);
    let together = if inputs < w.inputs { 1 } else { (PASS_VALUES / width / inputs.max(1)).clamp(1, taps) };
    for p in 0..w.count() {
        for first in (0..taps).step_by(together) {
            for from in (0..w.inputs).step_by(inputs) {
                let slice = Slice {
                    panel: p,
                    taps: (first, (first + together).min(taps)),
                    inputs: (from, (from + inputs).min(w.inputs)),
                };
                // SAFETY: as above.
                unsafe { pass::<V, MR, NV>(job, &slice) };
            }
        }
    }
}

/// The part of the weights that one pass reads.
struct Slice {
    panel: usize,
    taps: (usize, usize),
    inputs: (usize, usize),
}

#[inline(always)]
unsafe fn pass<V: Lanes, const MR: usize, const NV: usize>(job: &mut Job<'_>, slice: &Slice) {
    let (w, map) = (job.weights, job.map);
    let (width, slots) = (NV * LANES, map.pixel.len());
    let images = job.out.len() / (map.pixels_out * w.outputs);
    let panel = w.panel(slice.panel).as_ptr();
    let from = slice.panel * width;
    let channels = width.min(w.outputs - from);
    let is_first = slice.taps.0 == 0 && slice.inputs.0 == 0;
    let depth = slice.inputs.1 - slice.inputs.0;
    let all = images * slots;
    let mut at = 0;
    while at < all {
        // A tile takes the same slot of all images before the next slot, so that small maps fill
        // tiles too.
        let n = MR.min(all - at);
        let mut place = [(0usize, 0usize); MR];
        for (i, place) in place.iter_mut().enumerate() {
            let k = (at + i).min(all - 1);
            *place = (k % images, k / images);
        }
        // SAFETY: every place is a slot and an image of the job. The table holds pixels inside the
        // input, or −1 for the row of zeros. A row of `out` has `channels` values from `from` on.
        unsafe {
            let mut acc = [[V::splat(0.0); NV]; MR];
            if !is_first {
                for (i, acc) in acc.iter_mut().enumerate().take(n) {
                    let at = (place[i].0 * map.pixels_out + map.pixel[place[i].1] as usize) * w.outputs + from;
                    *acc = load::<V, NV>(job.out.get_unchecked(at..at + channels));
                }
            }
            for tap in slice.taps.0..slice.taps.1 {
                let mut rows = [job.zeros.as_ptr(); MR];
                let mut any = false;
                for (i, row) in rows.iter_mut().enumerate() {
                    let meets = *map.meets.get_unchecked(place[i].1 * map.taps + tap);
                    if meets >= 0 {
                        any = true;
                        let pixel = place[i].0 * map.pixels_in + meets as usize;
                        *row = job.x.as_ptr().add(pixel * w.inputs + slice.inputs.0);
                    }
                }
                if any {
                    let b = panel.add((tap * w.inputs + slice.inputs.0) * width);
                    product::<V, MR, NV>(&mut acc, &rows, b, depth);
                }
            }
            for (i, acc) in acc.iter().enumerate().take(n) {
                let at = (place[i].0 * map.pixels_out + map.pixel[place[i].1] as usize) * w.outputs + from;
                store::<V, NV>(acc, job.out.get_unchecked_mut(at..at + channels));
            }
        }
        at += n;
    }
}

/// acc[i] += Σ_c rows[i][c]·b[c].
///
/// # Safety
/// See [`Lanes`]. Every row must have `depth` values, and `b` `depth` rows of `NV` registers.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
pub(super) unsafe fn product<V: Lanes, const MR: usize, const NV: usize>(
    acc: &mut [[V; NV]; MR],
    rows: &[*const f32; MR],
    b: *const f32,
    depth: usize,
) {
    // SAFETY: the caller guarantees `depth` values per row and `depth` rows of the panel.
    unsafe {
        let mut local = *acc;
        let mut b = b;
        for c in 0..depth {
            let mut w = [V::splat(0.0); NV];
            for j in 0..NV {
                w[j] = V::load(b.add(j * LANES));
            }
            for i in 0..MR {
                let v = V::splat(*rows[i].add(c));
                for j in 0..NV {
                    local[i][j] = local[i][j].add_product(v, w[j]);
                }
            }
            b = b.add(NV * LANES);
        }
        *acc = local;
    }
}
