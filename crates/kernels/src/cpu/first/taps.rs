//! The outputs that an active input adds to: k·Co adjacent outputs around it in each of k rows.
//!
//! Rows of outputs have margins, so the run of an input in column x always begins at x·Co. Weights
//! are packed as runs, `[ci][row][run]`. The first run belongs to the upper row of outputs, which
//! reads the input through its last tap; column j of a run holds the tap kx = k − 1 − j.

use super::layout::{Band, Layout};
use super::rows::Image;
use crate::cpu::simd::{LANES, Lanes};
use crate::operators::Geometry;

/// The index of weight number `i` of `[co, ci, ky, kx]` in runs of `run` registers.
pub(super) fn place(i: usize, g: &Geometry, run: usize) -> usize {
    let k = g.kernel;
    let (kx, ky, ci, co) = (i % k, i / k % k, i / (k * k) % g.channels, i / (k * k * g.channels));
    (ci * k + k - 1 - ky) * run * LANES + (k - 1 - kx) * g.out + co
}

/// Packs weights as runs, each padded with zeros to `run` registers.
pub(super) fn pack(weight: &[f32], g: &Geometry, run: usize) -> Vec<f32> {
    let mut packed = vec![0.0f32; g.channels * g.kernel * run * LANES];
    weight.iter().enumerate().for_each(|(i, w)| packed[place(i, g, run)] = *w);
    packed
}

/// Computes the convolution's output in a band's buffer and writes all of the buffer. The margins
/// and the rows above and below the band hold values that are not used.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
pub(super) unsafe fn outputs<V: Lanes>(layout: &Layout, weights: &[f32], image: &Image, band: &Band, into: &mut [f32]) {
    let (k, inputs) = (layout.g.kernel, layout.inputs(band));
    assert!(into.len() == layout.band_len() && weights.len() == layout.g.channels * k * layout.run * LANES);
    into.fill(0.0);
    for c in 0..layout.g.channels {
        let w = weights[c * k * layout.run * LANES..].as_ptr();
        let (places, values) = image.rows(c * layout.g.height + inputs.start..c * layout.g.height + inputs.end);
        // SAFETY: the runs of these inputs are inside the buffer (see `Layout`), and the weights have
        // k runs per channel.
        unsafe {
            let y = base(layout, band, into.as_mut_ptr());
            match (k, layout.run) {
                (3, 1) => add::<V, 3, 1>(y, layout, w, places, values),
                (3, 2) => add::<V, 3, 2>(y, layout, w, places, values),
                (3, 3) => add::<V, 3, 3>(y, layout, w, places, values),
                (3, 6) => add::<V, 3, 6>(y, layout, w, places, values),
                (3, 12) => add::<V, 3, 12>(y, layout, w, places, values),
                _ => add::<V, 0, 0>(y, layout, w, places, values),
            }
        }
    }
}

/// The address in (or before) a band's buffer that place 0 corresponds to.
#[inline(always)]
fn base(layout: &Layout, band: &Band, buffer: *mut f32) -> *mut f32 {
    let rows = layout.g.padding as isize - band.rows.start as isize;
    buffer.wrapping_offset(rows * layout.pitch as isize)
}

/// Adds the runs of some inputs of one channel: `K` runs of `N` registers, or as the plan says if
/// both are 0.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn add<V: Lanes, const K: usize, const N: usize>(
    y: *mut f32,
    layout: &Layout,
    w: *const f32,
    places: &[u32],
    values: &[f32],
) {
    // SAFETY: as in `outputs`.
    unsafe {
        let mut kept = [[V::splat(0.0); N]; K];
        for r in 0..K {
            for j in 0..N {
                kept[r][j] = V::load(w.add((r * N + j) * LANES));
            }
        }
        for (&place, &v) in places.iter().zip(values) {
            let (p, v) = (y.wrapping_add(place as usize), V::splat(v));
            if K > 0 {
                for r in 0..K {
                    for j in 0..N {
                        let at = p.wrapping_add(r * layout.pitch + j * LANES);
                        V::load(at).add_product(v, kept[r][j]).store(at);
                    }
                }
            } else {
                for r in 0..layout.g.kernel {
                    for j in 0..layout.run {
                        let at = p.wrapping_add(r * layout.pitch + j * LANES);
                        V::load(at).add_product(v, V::load(w.add((r * layout.run + j) * LANES))).store(at);
                    }
                }
            }
        }
    }
}

/// Adds Σ factor·x·`from` over the outputs that read each input, per tap, to `sums`
/// `[ci][row][run]`. `from` is a band's buffer with zeros in its margins and around the band.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
pub(super) unsafe fn sums<V: Lanes>(
    layout: &Layout,
    image: &Image,
    band: &Band,
    (from, factor): (&mut [f32], f32),
    sums: &mut [f32],
) {
    let (k, inputs, run) = (layout.g.kernel, layout.inputs(band), layout.run * LANES);
    assert!(from.len() == layout.band_len() && sums.len() == layout.g.channels * k * run);
    for c in 0..layout.g.channels {
        let (places, values) = image.rows(c * layout.g.height + inputs.start..c * layout.g.height + inputs.end);
        // SAFETY: as in `outputs`; `from` is only read.
        unsafe {
            let from = base(layout, band, from.as_mut_ptr()).cast_const();
            let into = sums[c * k * run..].as_mut_ptr();
            match (k, layout.run) {
                (3, 1) => sum::<V, 3, 1>(from, layout, into, places, values, factor),
                (3, 2) => sum::<V, 3, 2>(from, layout, into, places, values, factor),
                (3, 3) => sum::<V, 3, 3>(from, layout, into, places, values, factor),
                (3, 6) => sum::<V, 3, 6>(from, layout, into, places, values, factor),
                _ => {
                    // A few registers of one row at a time.
                    for r in 0..k {
                        let (from, into) = (from.wrapping_add(r * layout.pitch), into.add(r * run));
                        let mut j = 0;
                        while j < layout.run {
                            let (from, into) = (from.wrapping_add(j * LANES), into.add(j * LANES));
                            if layout.run - j >= 4 {
                                sum::<V, 1, 4>(from, layout, into, places, values, factor);
                                j += 4;
                            } else {
                                sum::<V, 1, 1>(from, layout, into, places, values, factor);
                                j += 1;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Adds to `K` rows of `N` registers of one channel's sums, which stay in registers over its
/// inputs.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn sum<V: Lanes, const K: usize, const N: usize>(
    from: *const f32,
    layout: &Layout,
    into: *mut f32,
    places: &[u32],
    values: &[f32],
    factor: f32,
) {
    // SAFETY: as in `sums`.
    unsafe {
        let mut acc = [[V::splat(0.0); N]; K];
        for (&place, &v) in places.iter().zip(values) {
            let (p, v) = (from.wrapping_add(place as usize), V::splat(v));
            for r in 0..K {
                for j in 0..N {
                    acc[r][j] = acc[r][j].add_product(v, V::load(p.wrapping_add(r * layout.pitch + j * LANES)));
                }
            }
        }
        let factor = V::splat(factor);
        for r in 0..K {
            for j in 0..N {
                let at = into.add((r * N + j) * LANES);
                V::load(at).add_product(factor, acc[r][j]).store(at);
            }
        }
    }
}
