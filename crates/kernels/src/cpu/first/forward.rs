//! Batch statistics and spikes of a first layer.

use super::line::Line;
use super::plan::Plan;
use super::taps::{outputs, pack};
use super::{Norm, Rows};
use crate::cpu::fused::Channels;
use crate::cpu::fused::statistics::fold;
use crate::cpu::grain::FineGrained;
use crate::cpu::memory::{full, room};
use crate::cpu::pool::sums_row;
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use crate::operators::{FirstOp, Moments};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

struct MomentsJob<'a> {
    plan: &'a Plan,
    rows: &'a Rows,
    weights: &'a [f32],
    bands: Range<usize>,
    /// Σ c·y and Σ c·y², a row wide.
    sum: Vec<f32>,
    square: Vec<f32>,
}

by_isa!(run_moments = moments_body(&mut MomentsJob<'_>));

#[inline(always)]
unsafe fn moments_body<V: Lanes>(job: &mut MomentsJob<'_>) {
    let plan = job.plan;
    let mut y = vec![0.0f32; plan.band_len()];
    for b in job.bands.clone() {
        let band = plan.band(b);
        for (i, copies) in plan.copies.iter().enumerate() {
            let (image, copies) = (job.rows.image(i * plan.batch + band.sample), *copies as f32);
            // SAFETY: the caller upholds the conditions of `Lanes`.
            unsafe { outputs::<V>(plan, job.weights, image, &band, &mut y) };
            let rows = || (0..band.rows.len()).map(|r| plan.row_at(r));
            let whole = plan.line / LANES * LANES;
            for at in (0..whole).step_by(LANES) {
                let (mut sum, mut square) = ([0.0f32; LANES], [0.0f32; LANES]);
                for row in rows() {
                    let y: &[f32; LANES] = y[row + at..].first_chunk().expect("whole registers");
                    for l in 0..LANES {
                        sum[l] += y[l];
                        square[l] += y[l] * y[l];
                    }
                }
                for l in 0..LANES {
                    job.sum[at + l] += copies * sum[l];
                    job.square[at + l] += copies * square[l];
                }
            }
            for row in rows() {
                for k in whole..plan.line {
                    job.sum[k] += copies * y[row + k];
                    job.square[k] += copies * y[row + k] * y[row + k];
                }
            }
        }
    }
}

/// Moments of the convolution's output.
///
/// The sums are not shifted by a channel's first value, as those of a fused layer are: with few
/// active inputs most outputs are zero, so the mean is not large against the deviation.
pub(super) fn moments(isa: Isa, plan: &Plan, rows: &Rows, weight: &[f32]) -> Moments {
    let (weights, channels) = (pack(weight, &plan.g, plan.run), plan.g.out);
    let sums_of = |bands: Range<usize>| {
        let zeros = || vec![0.0f32; plan.line];
        let mut job = MomentsJob { plan, rows, weights: &weights, bands, sum: zeros(), square: zeros() };
        run_moments(isa, &mut job);
        [fold(&job.sum, channels), fold(&job.square, channels)]
    };
    let parts: Vec<[Vec<f64>; 2]> = plan.tasks().into_par_iter().fine_grained().map(sums_of).collect();
    let count = (plan.steps.len() * plan.batch * plan.g.out_pixels()) as f64;
    let mean_of =
        |k: usize| -> Vec<f64> { (0..channels).map(|c| parts.iter().map(|p| p[k][c]).sum::<f64>() / count).collect() };
    let (mean, square) = (mean_of(0), mean_of(1));
    let variance = mean.iter().zip(&square).map(|(m, q)| (q - m * m).max(0.0)).collect();
    Moments { mean, variance, count }
}

/// The norm of a row of outputs, repeated to a row's width; `None` without a norm.
pub(super) fn channels_of(op: &FirstOp, plan: &Plan, norm: Norm<'_>) -> Option<Channels> {
    let kind = op.fused.branches[0].norm;
    Some(Channels::new(kind, norm.gain, norm.shift, norm.statistics)?.widen(plan.line))
}

struct Job<'a, 'b> {
    op: &'a FirstOp,
    plan: &'a Plan,
    rows: &'a Rows,
    weights: &'a [f32],
    wide: Option<&'a Channels>,
    bands: Range<usize>,
    /// The convolution's output at every step of a band.
    y: &'a mut [f32],
    /// This task's part of each step of the output.
    out: &'a mut [&'b mut [MaybeUninit<f32>]],
}

by_isa!(run = body(&mut Job<'_, '_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_, '_>) {
    let plan = job.plan;
    let (len, rows) = (plan.band_len(), plan.window * plan.line);
    let y = &mut *job.y;
    let (mut s, mut pooled) = (vec![0.0f32; plan.steps.len() * rows], vec![0.0f32; plan.out_line()]);
    let mut line = Line::new(plan, job.op.fused.neuron, job.wide);
    let start = plan.output_at(job.bands.start);
    for b in job.bands.clone() {
        let band = plan.band(b);
        for (i, y) in y.chunks_exact_mut(len).enumerate() {
            let image = job.rows.image(i * plan.batch + band.sample);
            // SAFETY: the caller upholds the conditions of `Lanes`.
            unsafe { outputs::<V>(plan, job.weights, image, &band, y) };
        }
        for w in 0..band.windows.len() {
            for r in 0..plan.window {
                line.spikes(y, plan.row_at(w * plan.window + r), &mut s, r * plan.line, rows);
            }
            let at = plan.output_at(b) - start + w * plan.out_line();
            for (s, out) in s.chunks_exact(rows).zip(job.out.iter_mut()) {
                let into = &mut out[at..at + plan.out_line()];
                match plan.pool {
                    None => into.write_copy_of_slice(s),
                    Some(pool) => {
                        sums_row(&mut pooled, s, pool);
                        into.write_copy_of_slice(&pooled)
                    }
                };
            }
        }
    }
}

/// Spikes `[T·B, H, W, Co]`; if the layer pools, their sums over windows.
pub(super) fn spikes(isa: Isa, op: &FirstOp, plan: &Plan, rows: &Rows, weight: &[f32], norm: Norm<'_>) -> Vec<f32> {
    let (weights, wide) = (pack(weight, &plan.g, plan.run), channels_of(op, plan, norm));
    let tasks = plan.tasks();
    let mut out = room(plan.outputs() * plan.steps.len());
    let mut pieces: Vec<Vec<&mut [MaybeUninit<f32>]>> = tasks.iter().map(|_| Vec::new()).collect();
    for mut step in out.chunks_mut(plan.outputs().max(1)) {
        for (piece, bands) in pieces.iter_mut().zip(&tasks) {
            let (own, rest) = step.split_at_mut(plan.output_at(bands.end) - plan.output_at(bands.start));
            piece.push(own);
            step = rest;
        }
    }
    let room = || vec![0.0f32; plan.copies.len() * plan.band_len()];
    tasks.into_par_iter().zip(pieces).fine_grained().for_each_init(room, |y, (bands, mut out)| {
        let (wide, weights) = (wide.as_ref(), &weights);
        run(isa, &mut Job { op, plan, rows, weights, wide, bands, y, out: &mut out });
    });
    // SAFETY: every row of windows belongs to one band, which writes it at every step.
    unsafe { full(out) }
}
