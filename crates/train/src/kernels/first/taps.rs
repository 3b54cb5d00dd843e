//! What an active input adds to: the k·Co outputs around it in a row, which lie side by side.
//!
//! Rows of outputs have margins, so that the run of an input at column x begins at x·Co wherever it is, and weights
//! are packed as runs: `[ci][ky][run]`, column j of a run is the tap kx = k − 1 − j.

use super::plan::Plan;
use super::rows::Image;
use crate::kernels::conv::Geometry;
use crate::kernels::conv::simd::{LANES, Lanes};

/// Weights `[co, ci, ky, kx]` as runs, each filled up with zeros to `run` registers.
pub(super) fn pack(weight: &[f32], g: &Geometry, run: usize) -> Vec<f32> {
    let (k, width) = (g.kernel, run * LANES);
    let mut packed = vec![0.0f32; g.channels * k * width];
    for (i, w) in weight.iter().enumerate() {
        let (kx, ky, ci, co) = (i % k, i / k % k, i / (k * k) % g.channels, i / (k * k * g.channels));
        packed[(ci * k + ky) * width + (k - 1 - kx) * g.out + co] = *w;
    }
    packed
}

/// A row of the convolution's output, margins (which hold what is dropped) and all.
///
/// # Safety
/// See [`Lanes`]; `into` has a pitch, `weights` are of [`pack`].
#[inline(always)]
pub(super) unsafe fn output_row<V: Lanes>(plan: &Plan, weights: &[f32], image: &Image, oy: usize, into: &mut [f32]) {
    assert!(into.len() == plan.pitch && weights.len() == plan.g.channels * plan.g.kernel * plan.run * LANES);
    into.fill(0.0);
    let channels = plan.g.channels;
    for ky in 0..plan.g.kernel {
        let Some(iy) = plan.input_row(oy, ky) else { continue };
        for c in 0..channels {
            let w = weights[(c * plan.g.kernel + ky) * plan.run * LANES..].as_ptr();
            let (columns, values) = image.row(iy * channels + c);
            // SAFETY: a column is below the width, so that its run of `plan.run` registers ends inside the pitch.
            unsafe {
                match plan.run {
                    1 => add::<V, 1>(into, plan, w, columns, values),
                    2 => add::<V, 2>(into, plan, w, columns, values),
                    3 => add::<V, 3>(into, plan, w, columns, values),
                    6 => add::<V, 6>(into, plan, w, columns, values),
                    12 => add::<V, 12>(into, plan, w, columns, values),
                    _ => add::<V, 0>(into, plan, w, columns, values),
                }
            }
        }
    }
}

/// Adds the runs of one row of inputs; `N` registers, or `plan.run` where it is 0.
#[inline(always)]
unsafe fn add<V: Lanes, const N: usize>(into: &mut [f32], plan: &Plan, w: *const f32, columns: &[u16], values: &[f32]) {
    let n = if N == 0 { plan.run } else { N };
    // SAFETY: passed on from the caller.
    unsafe {
        for (&x, &v) in columns.iter().zip(values) {
            let p = into.as_mut_ptr().add(usize::from(x) * plan.g.out);
            let v = V::splat(v);
            for j in 0..n {
                let at = p.add(j * LANES);
                V::load(at).add_product(v, V::load(w.add(j * LANES))).store(at);
            }
        }
    }
}

/// A₁ and A₃, `[ci][ky][run]`.
pub(super) struct Sums {
    pub(super) gradient: Vec<f32>,
    /// Empty where there are no statistics of the batch.
    pub(super) centred: Vec<f32>,
}

/// Adds what a row of outputs gives to the sums: `gradient` and, `copies` times, `centred`; both have a pitch and
/// zeros in their margins.
///
/// # Safety
/// See [`Lanes`]; the sums are as long as the packed weights.
#[inline(always)]
pub(super) unsafe fn sum_row<V: Lanes>(
    plan: &Plan,
    image: &Image,
    oy: usize,
    (gradient, centred, copies): (&[f32], &[f32], f32),
    sums: &mut Sums,
) {
    assert!(gradient.len() == plan.pitch && centred.len() == plan.pitch);
    let (channels, k) = (plan.g.channels, plan.g.kernel);
    assert!(sums.gradient.len() == channels * k * plan.run * LANES);
    assert!(sums.centred.is_empty() || sums.centred.len() == sums.gradient.len());
    for ky in 0..k {
        let Some(iy) = plan.input_row(oy, ky) else { continue };
        for c in 0..channels {
            let (columns, values) = image.row(iy * channels + c);
            if columns.is_empty() {
                continue;
            }
            let at = (c * k + ky) * plan.run * LANES;
            // SAFETY: as in `output_row`; the sums have a run at `at`.
            unsafe {
                sum_run::<V>(gradient, plan, sums.gradient[at..].as_mut_ptr(), columns, values, 1.0);
                if !sums.centred.is_empty() {
                    sum_run::<V>(centred, plan, sums.centred[at..].as_mut_ptr(), columns, values, copies);
                }
            }
        }
    }
}

/// A run's sums over a row of inputs.
#[inline(always)]
unsafe fn sum_run<V: Lanes>(from: &[f32], plan: &Plan, into: *mut f32, columns: &[u16], values: &[f32], factor: f32) {
    // SAFETY: passed on from the caller.
    unsafe {
        match plan.run {
            1 => sum::<V, 1>(from, plan, into, columns, values, factor),
            2 => sum::<V, 2>(from, plan, into, columns, values, factor),
            3 => sum::<V, 3>(from, plan, into, columns, values, factor),
            6 => sum::<V, 6>(from, plan, into, columns, values, factor),
            12 => sum::<V, 12>(from, plan, into, columns, values, factor),
            _ => {
                for j in 0..plan.run {
                    let (from, into) = (&from[j * LANES..], into.add(j * LANES));
                    sum::<V, 1>(from, plan, into, columns, values, factor);
                }
            }
        }
    }
}

/// `N` registers of a run's sums over a row of inputs, in registers.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn sum<V: Lanes, const N: usize>(
    from: &[f32],
    plan: &Plan,
    into: *mut f32,
    columns: &[u16],
    values: &[f32],
    factor: f32,
) {
    // SAFETY: passed on from the caller.
    unsafe {
        let mut acc = [V::splat(0.0); N];
        for j in 0..N {
            acc[j] = V::load(into.add(j * LANES));
        }
        for (&x, &v) in columns.iter().zip(values) {
            let p = from.as_ptr().add(usize::from(x) * plan.g.out);
            let v = V::splat(v * factor);
            for j in 0..N {
                acc[j] = acc[j].add_product(v, V::load(p.add(j * LANES)));
            }
        }
        for j in 0..N {
            acc[j].store(into.add(j * LANES));
        }
    }
}
