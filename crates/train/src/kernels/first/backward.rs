//! Gradients of a first layer: the membrane is computed again, the gradient sent back through its steps and added
//! up over active inputs where it lies in the cache (see [`super`] for the sums).

use super::forward::channels_of;
use super::plan::Plan;
use super::taps::{Sums, output_row, pack, sum_row};
use super::{FirstOp, Gradients, Norm, Rows};
use crate::kernels::conv::simd::{Isa, LANES, Lanes, by_isa};
use crate::kernels::fused::backward::sum_over;
use crate::kernels::fused::rows::{back, charge, fire};
use crate::kernels::fused::statistics::fold;
use crate::kernels::fused::{BranchNorm, Channels, inverse_deviation};
use crate::kernels::pool::spread_rows;
use rayon::prelude::*;

struct Job<'a> {
    op: &'a FirstOp,
    plan: &'a Plan,
    rows: &'a Rows,
    weights: &'a [f32],
    wide: Option<&'a Channels>,
    gradient: &'a [f32],
    units: (usize, usize),
    sums: Sums,
    /// Σ G and Σ G·(y − μ), a row wide; empty without norm.
    shift: Vec<f32>,
    product: Vec<f32>,
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    let (plan, neuron) = (job.plan, job.op.fused.neuron);
    let (line, pitch, t_all) = (plan.line, plan.pitch, plan.steps.len());
    let len = plan.rows * line;
    // The convolution's output of every step, with margins; the potentials of every step of the neuron.
    let mut y = vec![0.0f32; plan.copies.len() * plan.rows * pitch];
    let mut u = vec![0.0f32; t_all * len];
    let (mut v, mut s, mut scratch) = (vec![0.0f32; len], vec![0.0f32; len], vec![0.0f32; len]);
    let (mut g_v, mut g_u, mut total) = (vec![0.0f32; len], vec![0.0f32; len], vec![0.0f32; len]);
    let mut spread = vec![0.0f32; len];
    // G and y − μ of a row, zero in the margins.
    let (mut padded, mut centred) = (vec![0.0f32; pitch], vec![0.0f32; pitch]);
    for k in job.units.0..job.units.1 {
        let unit = plan.unit(k);
        let here = unit.rows * line;
        let image = |i: usize| job.rows.image(i * plan.batch + unit.sample);
        for (i, y) in y.chunks_exact_mut(plan.rows * pitch).enumerate() {
            for (r, y) in y.chunks_exact_mut(pitch).enumerate().take(unit.rows) {
                // SAFETY: passed on from the caller; a pitch, and weights of `pack`.
                unsafe { output_row::<V>(plan, job.weights, image(i), unit.first + r, y) };
            }
        }
        v.fill(0.0);
        for t in 0..t_all {
            let u = &mut u[t * len..][..here];
            let y = y[plan.steps[t] * plan.rows * pitch..].chunks_exact(pitch);
            u.chunks_exact_mut(line).zip(y).for_each(|(u, y)| charge(u, &y[plan.left..][..line], job.wide, true));
            fire(neuron, u, &mut v[..here], &mut s[..here], &mut scratch[..here]);
        }
        g_v.fill(0.0);
        for t in (0..t_all).rev() {
            let gradient = match (unit.windows, plan.pool) {
                (Some(w), pool) => {
                    let at = t * plan.outputs() + (unit.sample * plan.out.0 + w) * plan.out_line();
                    let from = &job.gradient[at..at + plan.out_line()];
                    match pool {
                        Some(pool) => {
                            spread_rows(&mut spread, from, pool);
                            &spread[..here]
                        }
                        None => from,
                    }
                }
                (None, _) => {
                    spread.fill(0.0);
                    &spread[..here]
                }
            };
            let i = plan.steps[t];
            let (first, complete) = (t + 1 == t_all || plan.steps[t + 1] != i, t == 0 || plan.steps[t - 1] != i);
            let u = &u[t * len..][..here];
            if first {
                back(neuron, u, gradient, &mut g_v[..here], &mut total[..here]);
            } else {
                back(neuron, u, gradient, &mut g_v[..here], &mut g_u[..here]);
                total.iter_mut().zip(&g_u).for_each(|(o, g)| *o += g);
            }
            if !complete {
                continue;
            }
            let copies = plan.copies[i] as f32;
            for (r, total) in total[..here].chunks_exact(line).enumerate() {
                padded[plan.left..][..line].copy_from_slice(total);
                if let Some(wide) = job.wide {
                    let y = &y[(i * plan.rows + r) * pitch + plan.left..][..line];
                    let (into, mean) = (&mut centred[plan.left..][..line], &wide.mean[..line]);
                    let (sum, product) = (&mut job.shift[..line], &mut job.product[..line]);
                    // Plain indices: a chain of zipped iterators is not inlined where it would be vectorised.
                    for k in 0..line {
                        let d = y[k] - mean[k];
                        into[k] = d;
                        sum[k] += total[k];
                        product[k] += total[k] * d;
                    }
                }
                // SAFETY: passed on from the caller; both rows have a pitch.
                unsafe {
                    let row = (&padded[..], &centred[..], copies);
                    sum_row::<V>(plan, image(i), unit.first + r, row, &mut job.sums);
                }
            }
        }
    }
}

/// A₂ of every (ci, ky, kx): what a tap meets of Σ c·x.
fn inputs_met(plan: &Plan, rows: &Rows) -> Vec<f64> {
    let (g, plane) = (plan.g, plan.g.pixels());
    let mut all = vec![0.0f64; g.channels * plane];
    for n in 0..rows.images() {
        let (image, copies) = (rows.image(n), plan.copies[n / plan.batch] as f64);
        for row in 0..g.height * g.channels {
            let (y, c) = (row / g.channels, row % g.channels);
            let (columns, values) = image.row(row);
            let into = &mut all[c * plane + y * g.width..][..g.width];
            columns.iter().zip(values).for_each(|(x, v)| into[usize::from(*x)] += copies * f64::from(*v));
        }
    }
    // Of one axis the inputs that tap `tap` meets: 0 ≤ i + p − tap < outputs.
    let met = |tap: usize, outputs: usize, len: usize| {
        tap.saturating_sub(g.padding)..(outputs + tap).saturating_sub(g.padding).min(len)
    };
    let one = |i: usize| {
        let (kx, ky, c) = (i % g.kernel, i / g.kernel % g.kernel, i / g.taps());
        let columns = met(kx, g.out_width(), g.width);
        let line = |y: usize| all[c * plane + y * g.width..][columns.clone()].iter().sum::<f64>();
        met(ky, g.out_height(), g.height).map(line).sum()
    };
    (0..g.channels * g.taps()).map(one).collect()
}

/// Gradients of weight, γ and β from that of the output.
pub(super) fn gradients(
    isa: Isa,
    op: &FirstOp,
    plan: &Plan,
    rows: &Rows,
    weight: &[f32],
    norm: Norm<'_>,
    gradient: &[f32],
) -> Gradients {
    let (g, branch) = (plan.g, &op.fused.branches[0]);
    let weights = pack(weight, &g, plan.run);
    let wide = channels_of(op, plan, norm);
    let batch = match (norm.statistics, branch.norm) {
        (Some(s), BranchNorm::Batch(eps)) => Some((s, eps)),
        _ => None,
    };
    let one = |units| {
        let zeros = |n: usize, any: bool| vec![0.0f32; if any { n } else { 0 }];
        let sums = Sums { gradient: zeros(weights.len(), true), centred: zeros(weights.len(), batch.is_some()) };
        let (shift, product) = (zeros(plan.line, wide.is_some()), zeros(plan.line, wide.is_some()));
        let (weights, wide) = (&weights[..], wide.as_ref());
        let mut job = Job { op, plan, rows, weights, wide, gradient, units, sums, shift, product };
        run(isa, &mut job);
        (job.sums, fold(&job.shift, g.out), fold(&job.product, g.out))
    };
    let (parts, met) = rayon::join(
        || plan.tasks().into_par_iter().map(one).collect::<Vec<_>>(),
        || if batch.is_some() { inputs_met(plan, rows) } else { Vec::new() },
    );
    let add = |pick: &dyn Fn(&(Sums, Vec<f64>, Vec<f64>)) -> f64| parts.iter().map(pick).sum::<f64>();
    let mut out = Gradients::default();
    let (mut sum, mut product) = (Vec::new(), Vec::new());
    let mut inverse = vec![1.0f64; g.out];
    if branch.norm != BranchNorm::None {
        sum = (0..g.out).map(|c| add(&|p| p.1[c])).collect();
        product = (0..g.out).map(|c| add(&|p| p.2[c])).collect();
        if let Some((s, eps)) = batch {
            inverse = s.variance.iter().map(|v| f64::from(inverse_deviation(*v, eps))).collect();
        }
        out.shift = sum.iter().map(|v| *v as f32).collect();
        out.gain = product.iter().zip(&inverse).map(|(p, i)| (p * i) as f32).collect();
    }
    if batch.is_some() {
        sum_over(&op.fused.ranks, &mut sum, &mut product);
    }
    let of = |i: usize| {
        let (kx, ky) = (i % g.kernel, i / g.kernel % g.kernel);
        let (ci, co) = (i / g.taps() % g.channels, i / (g.taps() * g.channels));
        let at = (ci * g.kernel + ky) * plan.run * LANES + (g.kernel - 1 - kx) * g.out + co;
        let mut value = add(&|p| f64::from(p.0.gradient[at]));
        if let Some((s, _)) = batch {
            let (m, k) = (1.0 / s.count as f64, inverse[co]);
            let tap = (ci * g.kernel + ky) * g.kernel + kx;
            value -= sum[co] * m * met[tap];
            value -= product[co] * m * k * k * add(&|p| f64::from(p.0.centred[at]));
        }
        let scale = if branch.norm == BranchNorm::None { 1.0 } else { f64::from(norm.gain[co]) * inverse[co] };
        (value * scale) as f32
    };
    out.weight = (0..g.weights()).map(of).collect();
    out
}
