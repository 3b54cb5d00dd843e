//! Statistics and spikes of a first layer.

use super::plan::Plan;
use super::taps::{output_row, pack};
use super::{FirstOp, Norm, Rows};
use crate::kernels::conv::simd::{Isa, Lanes, by_isa};
use crate::kernels::fused::rows::{charge, fire};
use crate::kernels::fused::statistics::{Moments, fold};
use crate::kernels::fused::{BranchNorm, Channels, Statistics};
use crate::kernels::memory::{full, room};
use crate::kernels::pool::sums_of;
use crate::parallel::sum_moments;
use rayon::prelude::*;
use std::mem::MaybeUninit;

struct MomentsJob<'a> {
    plan: &'a Plan,
    rows: &'a Rows,
    weights: &'a [f32],
    units: (usize, usize),
    /// Σ c·y and Σ c·y², a row wide.
    sum: &'a mut [f32],
    square: &'a mut [f32],
}

by_isa!(run_moments = moments(&mut MomentsJob<'_>));

#[inline(always)]
unsafe fn moments<V: Lanes>(job: &mut MomentsJob<'_>) {
    let plan = job.plan;
    let mut y = vec![0.0f32; plan.pitch];
    for u in job.units.0..job.units.1 {
        let unit = plan.unit(u);
        for (i, copies) in plan.copies.iter().enumerate() {
            let (image, copies) = (job.rows.image(i * plan.batch + unit.sample), *copies as f32);
            for r in 0..unit.rows {
                // SAFETY: passed on from the caller; a pitch, and weights of `pack`.
                unsafe { output_row::<V>(plan, job.weights, image, unit.first + r, &mut y) };
                let y = &y[plan.left..][..plan.line];
                for ((y, s), q) in y.iter().zip(job.sum.iter_mut()).zip(job.square.iter_mut()) {
                    let c = copies * y;
                    *s += c;
                    *q += c * y;
                }
            }
        }
    }
}

/// Statistics over all workers, if the norm is of the batch.
///
/// Most outputs of few active inputs are zero, so that no mean is large beside the deviation and the sums may be
/// taken around zero.
pub(super) fn statistics(isa: Isa, op: &FirstOp, plan: &Plan, rows: &Rows, weight: &[f32]) -> Option<Statistics> {
    if !matches!(op.fused.branches[0].norm, BranchNorm::Batch(_)) {
        return None;
    }
    let (weights, channels) = (pack(weight, &plan.g, plan.run), plan.g.out);
    let one = |units: (usize, usize)| {
        let (mut sum, mut square) = (vec![0.0f32; plan.line], vec![0.0f32; plan.line]);
        let (sums, squares) = (&mut sum[..], &mut square[..]);
        run_moments(isa, &mut MomentsJob { plan, rows, weights: &weights, units, sum: sums, square: squares });
        (fold(&sum, channels), fold(&square, channels))
    };
    let parts: Vec<(Vec<f64>, Vec<f64>)> = plan.tasks().into_par_iter().map(one).collect();
    let count = (plan.steps.len() * plan.batch * plan.g.out_pixels()) as f64;
    let mean_of = |pick: fn(&(Vec<f64>, Vec<f64>)) -> &Vec<f64>| -> Vec<f64> {
        (0..channels).map(|c| parts.iter().map(|p| pick(p)[c]).sum::<f64>() / count).collect()
    };
    let (mean, square) = (mean_of(|p| &p.0), mean_of(|p| &p.1));
    let variance = mean.iter().zip(&square).map(|(m, q)| (q - m * m).max(0.0)).collect();
    let mut all = [Some(Moments { mean, variance, count })];
    // Where a worker has left, the training's next message says so.
    let _ = sum_moments(&op.fused.ranks, &mut all);
    all[0].as_ref().map(Moments::round)
}

/// What is done to a row of outputs before the neuron.
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
    units: (usize, usize),
    /// Each step's part of this task.
    out: &'a mut [&'b mut [MaybeUninit<f32>]],
}

by_isa!(run = body(&mut Job<'_, '_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_, '_>) {
    let (plan, neuron) = (job.plan, job.op.fused.neuron);
    let len = plan.rows * plan.line;
    let (mut y, mut sums) = (vec![0.0f32; plan.pitch], vec![0.0f32; plan.out_line()]);
    let (mut held, mut current) = (vec![0.0f32; len], vec![0.0f32; len]);
    let (mut v, mut s, mut scratch) = (vec![0.0f32; len], vec![0.0f32; len], vec![0.0f32; len]);
    let pool = plan.pool.map(|p| (p, sums_of(p.channels)));
    let start = plan.output_at(job.units.0);
    for u in job.units.0..job.units.1 {
        let unit = plan.unit(u);
        if unit.windows.is_none() {
            continue;
        }
        let at = plan.output_at(u) - start;
        v.fill(0.0);
        for (t, &i) in plan.steps.iter().enumerate() {
            let last = t + 1 == plan.steps.len() || plan.steps[t + 1] != i;
            if t == 0 || plan.steps[t - 1] != i {
                let image = job.rows.image(i * plan.batch + unit.sample);
                for (r, line) in current.chunks_exact_mut(plan.line).enumerate() {
                    // SAFETY: passed on from the caller; a pitch, and weights of `pack`.
                    unsafe { output_row::<V>(plan, job.weights, image, unit.first + r, &mut y) };
                    charge(line, &y[plan.left..][..plan.line], job.wide, true);
                }
                if !last {
                    held.copy_from_slice(&current);
                }
            } else {
                current.copy_from_slice(&held);
            }
            fire(neuron, &mut current, &mut v, &mut s, &mut scratch);
            let into = &mut job.out[t][at..at + plan.out_line()];
            match pool {
                None => into.write_copy_of_slice(&s),
                Some((pool, add)) => {
                    add(&mut sums, &s, pool);
                    into.write_copy_of_slice(&sums)
                }
            };
        }
    }
}

/// Spikes `[T·B, H, W, Co]`, or their sums over windows.
pub(super) fn spikes(isa: Isa, op: &FirstOp, plan: &Plan, rows: &Rows, weight: &[f32], norm: Norm<'_>) -> Vec<f32> {
    let weights = pack(weight, &plan.g, plan.run);
    let wide = channels_of(op, plan, norm);
    let tasks = plan.tasks();
    let mut out = room(plan.outputs() * plan.steps.len());
    let mut pieces: Vec<Vec<&mut [MaybeUninit<f32>]>> = tasks.iter().map(|_| Vec::new()).collect();
    for mut step in out.chunks_mut(plan.outputs().max(1)) {
        for (piece, (a, b)) in pieces.iter_mut().zip(&tasks) {
            let (own, rest) = step.split_at_mut(plan.output_at(*b) - plan.output_at(*a));
            piece.push(own);
            step = rest;
        }
    }
    tasks.into_par_iter().zip(pieces).for_each(|(units, mut out)| {
        let (wide, weights) = (wide.as_ref(), &weights);
        run(isa, &mut Job { op, plan, rows, weights, wide, units, out: &mut out });
    });
    // SAFETY: every row of windows is of one unit, which wrote it in every step.
    unsafe { full(out) }
}
