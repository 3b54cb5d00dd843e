//! Batch statistics and spikes of a first layer.

use super::layout::Layout;
use super::line::Line;
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
    layout: &'a Layout,
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
    let layout = job.layout;
    let mut y = vec![0.0f32; layout.band_len()];
    for b in job.bands.clone() {
        let band = layout.band(b);
        for (i, copies) in layout.copies.iter().enumerate() {
            let (image, copies) = (job.rows.image(i * layout.batch + band.sample), *copies as f32);
            // SAFETY: the caller upholds the conditions of `Lanes`.
            unsafe { outputs::<V>(layout, job.weights, image, &band, &mut y) };
            let rows = || (0..band.rows.len()).map(|r| layout.row_at(r));
            let whole = layout.line / LANES * LANES;
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
                for k in whole..layout.line {
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
pub(super) fn moments(isa: Isa, layout: &Layout, rows: &Rows, weight: &[f32]) -> Moments {
    let (weights, channels) = (pack(weight, &layout.g, layout.run), layout.g.out);
    let sums_of = |bands: Range<usize>| {
        let zeros = || vec![0.0f32; layout.line];
        let mut job = MomentsJob { layout, rows, weights: &weights, bands, sum: zeros(), square: zeros() };
        run_moments(isa, &mut job);
        [fold(&job.sum, channels), fold(&job.square, channels)]
    };
    let parts: Vec<[Vec<f64>; 2]> = layout.tasks().into_par_iter().fine_grained().map(sums_of).collect();
    let count = (layout.steps.len() * layout.batch * layout.g.out_pixels()) as f64;
    let mean_of =
        |k: usize| -> Vec<f64> { (0..channels).map(|c| parts.iter().map(|p| p[k][c]).sum::<f64>() / count).collect() };
    let (mean, square) = (mean_of(0), mean_of(1));
    let variance = mean.iter().zip(&square).map(|(m, q)| (q - m * m).max(0.0)).collect();
    Moments { mean, variance, count }
}

/// The norm of a row of outputs, repeated to a row's width; `None` without a norm.
pub(super) fn channels_of(op: &FirstOp, layout: &Layout, norm: Norm<'_>) -> Option<Channels> {
    let kind = op.fused.branches[0].norm;
    Some(Channels::new(kind, norm.gain, norm.shift, norm.statistics)?.widen(layout.line))
}

struct Job<'a, 'b> {
    op: &'a FirstOp,
    layout: &'a Layout,
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
    let layout = job.layout;
    let (len, rows) = (layout.band_len(), layout.window * layout.line);
    let y = &mut *job.y;
    let (mut s, mut pooled) = (vec![0.0f32; layout.steps.len() * rows], vec![0.0f32; layout.out_line()]);
    let mut line = Line::new(layout, job.op.fused.neuron, job.wide);
    let start = layout.output_at(job.bands.start);
    for b in job.bands.clone() {
        let band = layout.band(b);
        for (i, y) in y.chunks_exact_mut(len).enumerate() {
            let image = job.rows.image(i * layout.batch + band.sample);
            // SAFETY: the caller upholds the conditions of `Lanes`.
            unsafe { outputs::<V>(layout, job.weights, image, &band, y) };
        }
        for w in 0..band.windows.len() {
            for r in 0..layout.window {
                line.spikes(y, layout.row_at(w * layout.window + r), &mut s, r * layout.line, rows);
            }
            let at = layout.output_at(b) - start + w * layout.out_line();
            for (s, out) in s.chunks_exact(rows).zip(job.out.iter_mut()) {
                let into = &mut out[at..at + layout.out_line()];
                match layout.pool {
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
pub(super) fn spikes(isa: Isa, op: &FirstOp, layout: &Layout, rows: &Rows, weight: &[f32], norm: Norm<'_>) -> Vec<f32> {
    let (weights, wide) = (pack(weight, &layout.g, layout.run), channels_of(op, layout, norm));
    let tasks = layout.tasks();
    let mut out = room(layout.outputs() * layout.steps.len());
    let mut pieces: Vec<Vec<&mut [MaybeUninit<f32>]>> = tasks.iter().map(|_| Vec::new()).collect();
    for mut step in out.chunks_mut(layout.outputs().max(1)) {
        for (piece, bands) in pieces.iter_mut().zip(&tasks) {
            let (own, rest) = step.split_at_mut(layout.output_at(bands.end) - layout.output_at(bands.start));
            piece.push(own);
            step = rest;
        }
    }
    let room = || vec![0.0f32; layout.copies.len() * layout.band_len()];
    tasks.into_par_iter().zip(pieces).fine_grained().for_each_init(room, |y, (bands, mut out)| {
        let (wide, weights) = (wide.as_ref(), &weights);
        run(isa, &mut Job { op, layout, rows, weights, wide, bands, y, out: &mut out });
    });
    // SAFETY: every row of windows belongs to one band, which writes it at every step.
    unsafe { full(out) }
}

struct StepJob<'a, 'b> {
    op: &'a FirstOp,
    layout: &'a Layout,
    rows: &'a Rows,
    weights: &'a [f32],
    wide: Option<&'a Channels>,
    bands: Range<usize>,
    /// This task's part of the membranes and of the output.
    membranes: &'b mut [f32],
    out: &'b mut [MaybeUninit<f32>],
}

by_isa!(run_step = step_body(&mut StepJob<'_, '_>));

#[inline(always)]
unsafe fn step_body<V: Lanes>(job: &mut StepJob<'_, '_>) {
    let layout = job.layout;
    let mut y = vec![0.0f32; layout.band_len()];
    let (mut s, mut pooled) = (vec![0.0f32; layout.window * layout.line], vec![0.0f32; layout.out_line()]);
    let mut line = Line::new(layout, job.op.fused.neuron, job.wide);
    let (start, first) = (layout.output_at(job.bands.start), layout.neurons_at(job.bands.start));
    for b in job.bands.clone() {
        let band = layout.band(b);
        // SAFETY: the caller upholds the conditions of `Lanes`.
        unsafe { outputs::<V>(layout, job.weights, job.rows.image(band.sample), &band, &mut y) };
        for w in 0..band.windows.len() {
            for (r, s) in s.chunks_exact_mut(layout.line).enumerate() {
                let row = w * layout.window + r;
                let at = layout.neurons_at(b) - first + row * layout.line;
                line.step(&y, layout.row_at(row), &mut job.membranes[at..][..layout.line], s);
            }
            let into = &mut job.out[layout.output_at(b) - start + w * layout.out_line()..][..layout.out_line()];
            match layout.pool {
                None => into.write_copy_of_slice(&s),
                Some(pool) => {
                    sums_row(&mut pooled, &s, pool);
                    into.write_copy_of_slice(&pooled)
                }
            };
        }
    }
}

/// Spikes `[B, H, W, Co]`, or their sums over windows, of a layer of one step that begins at these
/// membrane potentials `[B, H, W, Co]`, which it replaces by those after the step. Neurons outside
/// of every window keep theirs.
///
/// # Panics
/// If the layer has several steps or a batch norm, or other than B·H·W·Co membranes.
pub(super) fn step(
    isa: Isa,
    op: &FirstOp,
    layout: &Layout,
    rows: &Rows,
    weight: &[f32],
    norm: Norm<'_>,
    membranes: &mut [f32],
) -> Vec<f32> {
    let of_batch = op.fused.branches[0].norm.is_of_batch();
    assert!(op.fused.neuron.steps == 1 && !of_batch, "a layer of one step without batch norm");
    assert_eq!(membranes.len(), layout.neurons_at(layout.bands()), "one membrane for each neuron");
    let (weights, wide) = (pack(weight, &layout.g, layout.run), channels_of(op, layout, norm));
    let mut out = room(layout.outputs());
    let (mut jobs, mut left, mut neurons) = (Vec::new(), &mut out[..], membranes);
    for bands in layout.tasks() {
        let (own, rest) = left.split_at_mut(layout.output_at(bands.end) - layout.output_at(bands.start));
        let (membranes, others) = neurons.split_at_mut(layout.neurons_at(bands.end) - layout.neurons_at(bands.start));
        (left, neurons) = (rest, others);
        let (wide, weights) = (wide.as_ref(), &weights[..]);
        jobs.push(StepJob { op, layout, rows, weights, wide, bands, membranes, out: own });
    }
    jobs.into_par_iter().for_each(|mut job| run_step(isa, &mut job));
    // SAFETY: every row of windows belongs to one band, which writes it.
    unsafe { full(out) }
}
