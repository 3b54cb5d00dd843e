//! Gradients of a first layer. For each band the kernel recomputes the membrane, propagates the
//! gradient back through all steps, and adds it up over the active inputs while it is in the cache
//! (see [`super`] for the sums).

use super::forward::channels_of;
use super::layout::{Layout, pitch};
use super::line::Line;
use super::taps::{self, outputs, pack, place};
use super::{Norm, Rows};
use crate::cpu::fused::Channels;
use crate::cpu::fused::statistics::fold;
use crate::cpu::fused::time::WideSums;
use crate::cpu::grain::FineGrained;
use crate::cpu::pool::spread_rows;
use crate::cpu::simd::{Isa, Lanes, by_isa};
use crate::operators::{BranchNorm, FirstOp, NormSums, Statistics, inverse_deviation};
use rayon::prelude::*;
use std::ops::Range;

/// Parts of the batch over which the inputs are summed.
const PARTS: usize = 8;

struct Job<'a> {
    op: &'a FirstOp,
    layout: &'a Layout,
    rows: &'a Rows,
    weights: &'a [f32],
    wide: Option<&'a Channels>,
    gradient: &'a [f32],
    bands: Range<usize>,
    /// The convolution's output at every step of a band, and G, which is zero around the rows of a
    /// band.
    y: &'a mut [f32],
    g: &'a mut [f32],
    /// A₁, and Σ c·x·y = A₃ + μ·A₂, which is empty without batch statistics.
    products: [Vec<f32>; 2],
    /// Σ G and Σ G·(y − μ), a row wide; empty without a norm.
    norm: [Vec<f32>; 2],
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    let layout = job.layout;
    let (len, line) = (layout.band_len(), layout.line);
    let (y, g) = (&mut *job.y, &mut *job.g);
    let mut gradient = vec![0.0f32; layout.steps.len() * line];
    let mut neurons = Line::new(layout, job.op.fused.neuron, job.wide);
    for b in job.bands.clone() {
        let band = layout.band(b);
        let image = |i: usize| job.rows.image(i * layout.batch + band.sample);
        for (i, y) in y.chunks_exact_mut(len).enumerate() {
            // SAFETY: the caller upholds the conditions of `Lanes`.
            unsafe { outputs::<V>(layout, job.weights, image(i), &band, y) };
        }
        for r in 0..band.rows.len() {
            if r.is_multiple_of(layout.window) {
                let w = band.windows.start + r / layout.window;
                for (t, row) in gradient.chunks_exact_mut(line).enumerate() {
                    if w >= band.windows.end {
                        row.fill(0.0);
                        continue;
                    }
                    let at = t * layout.outputs() + (band.sample * layout.out.0 + w) * layout.out_line();
                    let from = &job.gradient[at..at + layout.out_line()];
                    match layout.pool {
                        Some(pool) => spread_rows(row, from, pool),
                        None => row.copy_from_slice(from),
                    }
                }
            }
            let [shift, product] = &mut job.norm;
            neurons.back(y, layout.row_at(r), &gradient, g, WideSums { shift, product });
        }
        for (i, (y, g)) in y.chunks_exact_mut(len).zip(g.chunks_exact_mut(len)).enumerate() {
            let [gradients, outputs] = &mut job.products;
            // A band may have fewer rows than the one before it in this buffer.
            g[layout.row_at(band.rows.len()) - layout.left..].fill(0.0);
            // SAFETY: as above.
            unsafe { taps::sums::<V>(layout, image(i), &band, (g, 1.0), gradients) };
            if !outputs.is_empty() {
                clear(layout, band.rows.len(), y);
                // SAFETY: as above.
                unsafe { taps::sums::<V>(layout, image(i), &band, (y, layout.copies[i] as f32), outputs) };
            }
        }
    }
}

/// Zeroes everything around the outputs of a band of `rows` rows.
fn clear(layout: &Layout, rows: usize, y: &mut [f32]) {
    y[..layout.row_at(0)].fill(0.0);
    for r in 0..rows {
        y[layout.row_at(r) + layout.line..layout.row_at(r + 1)].fill(0.0);
    }
    y[layout.row_at(rows) - layout.left..].fill(0.0);
}

/// A₂ for every (ci, ky, kx): the sum of c·x over the inputs that the tap reads.
fn inputs_met(layout: &Layout, rows: &Rows) -> Vec<f64> {
    let (g, pitch) = (layout.g, pitch(&layout.g));
    let plane = g.height * pitch;
    let parts: Vec<Vec<f32>> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let mut all = vec![0.0f32; g.channels * plane];
            for n in (part..rows.images()).step_by(PARTS) {
                let copies = layout.copies[n / layout.batch] as f32;
                for (c, into) in all.chunks_exact_mut(plane).enumerate() {
                    let (places, values) = rows.image(n).rows(c * g.height..(c + 1) * g.height);
                    places.iter().zip(values).for_each(|(place, v)| into[*place as usize] += copies * v);
                }
            }
            all
        })
        .collect();
    let width = g.width;
    let mut all = vec![0.0f64; g.channels * g.height * width];
    for part in &parts {
        for (sum, v) in
            all.iter_mut().zip(part.chunks_exact(pitch).flat_map(|row| row.iter().step_by(g.out).take(width)))
        {
            *sum += f64::from(*v);
        }
    }
    // For one axis, the inputs that tap `tap` reads: 0 ≤ i + p − tap < outputs.
    let met = |tap: usize, outputs: usize, len: usize| {
        tap.saturating_sub(g.padding)..(outputs + tap).saturating_sub(g.padding).min(len)
    };
    let gradient_of_weight = |i: usize| -> f64 {
        let (kx, ky, c) = (i % g.kernel, i / g.kernel % g.kernel, i / g.taps());
        let columns = met(kx, g.out_width(), width);
        let row = |y: usize| &all[(c * g.height + y) * width..][..width];
        met(ky, g.out_height(), g.height).map(|y| row(y)[columns.clone()].iter().sum::<f64>()).sum()
    };
    (0..g.channels * g.taps()).map(gradient_of_weight).collect()
}

/// The sums from which the weight gradient is computed, over this part of the batch.
#[derive(Debug)]
pub(super) struct Products {
    /// A₁ for every packed weight.
    gradients: Vec<f64>,
    /// Σ c·x·y for every packed weight, and A₂ for every (ci, ky, kx); empty without batch
    /// statistics.
    outputs: Vec<f64>,
    inputs: Vec<f64>,
    /// Registers per run, which determines how weights are packed.
    run: usize,
}

/// The batch statistics and ε, if the layer has a batch norm.
fn batch_of<'a>(op: &FirstOp, norm: Norm<'a>) -> Option<(&'a Statistics, f32)> {
    match (norm.statistics, op.fused.branches[0].norm) {
        (Some(s), BranchNorm::Batch(eps)) => Some((s, eps)),
        _ => None,
    }
}

/// The sums from which the gradients of the weight, γ and β are computed, from the gradient of the
/// output.
pub(super) fn sums(
    isa: Isa,
    op: &FirstOp,
    layout: &Layout,
    rows: &Rows,
    weight: &[f32],
    norm: Norm<'_>,
    gradient: &[f32],
) -> (Products, Option<NormSums>) {
    let g = layout.g;
    let (weights, wide) = (pack(weight, &g, layout.run), channels_of(op, layout, norm));
    let batch = batch_of(op, norm);
    let band = layout.copies.len() * layout.band_len();
    let sums_of = |(y, d): &mut (Vec<f32>, Vec<f32>), bands| {
        let zeros = |n: usize, any: bool| vec![0.0f32; if any { n } else { 0 }];
        let products = [zeros(weights.len(), true), zeros(weights.len(), batch.is_some())];
        let norm = [(); 2].map(|()| zeros(layout.line, wide.is_some()));
        let mut job =
            Job { op, layout, rows, weights: &weights, wide: wide.as_ref(), gradient, bands, y, g: d, products, norm };
        run(isa, &mut job);
        (job.products, job.norm.map(|sums| fold(&sums, g.out)))
    };
    let (parts, inputs) = rayon::join(
        || {
            let room = || (vec![0.0f32; band], vec![0.0f32; band]);
            layout.tasks().into_par_iter().fine_grained().map_init(room, sums_of).collect::<Vec<_>>()
        },
        || if batch.is_some() { inputs_met(layout, rows) } else { Vec::new() },
    );
    let product = |k: usize, any: bool| -> Vec<f64> {
        let sum_at = |at: usize| parts.iter().map(|(p, _)| f64::from(p[k][at])).sum();
        (0..if any { weights.len() } else { 0 }).map(sum_at).collect()
    };
    let (gradients, outputs) = (product(0, true), product(1, batch.is_some()));
    let norm = (op.fused.branches[0].norm != BranchNorm::None).then(|| {
        let add = |k: usize| (0..g.out).map(|c| parts.iter().map(|(_, s)| s[k][c]).sum()).collect();
        NormSums { shift: add(0), product: add(1) }
    });
    (Products { gradients, outputs, inputs, run: layout.run }, norm)
}

/// The gradient of the weight. `of_batch` holds the norm's sums over the whole batch.
pub(super) fn weight(op: &FirstOp, products: &Products, of_batch: Option<&NormSums>, norm: Norm<'_>) -> Vec<f32> {
    let (g, batch) = (op.conv.geometry, batch_of(op, norm));
    let inverse: Vec<f64> = match batch {
        Some((s, eps)) => s.variance.iter().map(|v| f64::from(inverse_deviation(*v, eps))).collect(),
        None => vec![1.0; g.out],
    };
    let gradient_at = |i: usize| {
        let (co, at) = (i / (g.taps() * g.channels), place(i, &g, products.run));
        let mut value = products.gradients[at];
        if let (Some((s, _)), Some(sums)) = (batch, of_batch) {
            let (m, k) = (1.0 / s.count as f64, inverse[co]);
            let met = products.inputs[i % (g.channels * g.taps())];
            let centred = products.outputs[at] - f64::from(s.mean[co]) * met;
            value -= m * (sums.shift[co] * met + sums.product[co] * k * k * centred);
        }
        let is_normed = op.fused.branches[0].norm != BranchNorm::None;
        let scale = if is_normed { f64::from(norm.gain[co]) * inverse[co] } else { 1.0 };
        (value * scale) as f32
    };
    (0..g.weights()).map(gradient_at).collect()
}
