//! Gradients of a fused layer.
//!
//! The kernel recomputes the membrane chunk by chunk and propagates the gradient back through all
//! steps (see [`tickless_neuron::step`]). `G[i]` is the sum of ∂L/∂I over the cᵢ steps of the
//! neuron that read step i of a branch. With x̂ = (x − μ)/σ and M values per channel:
//!
//! ```text
//! ∂β = Σ G,  ∂γ = Σ G·x̂,  ∂x[i] = γ/σ·(G[i] − cᵢ·∂β/M − cᵢ·x̂[i]·∂γ/M)
//! ```
//!
//! [`sums`] computes G and both sums in one pass over memory; [`through_norm`] replaces G by ∂x in
//! a second pass. A caller that has only a part of the batch adds up the sums of all parts between
//! the two, because ∂x needs the sums of the whole batch. `operators::parameter_gradients` uses the
//! sums of this part, because the gradients of all parameters are added up over the parts later.
//!
//! Fast path (`time.rs`): under the conditions of the forward pass ([`super`]), if also the columns
//! of a task and, with pooling, the rows of a map are multiples of 16 values.

use super::forward::{Input, OutputPosition, Ready};
use super::rows::{back, fire};
use super::time::{Columns, NARROW, Source, WIDE, WideSums, gradients_of};
use super::{columns, statistics::fold};
use crate::cpu::grain::FineGrained;
use crate::cpu::memory::{full, room};
use crate::cpu::pool::spread_rows;
use crate::cpu::simd::{Isa, Lanes, by_isa};
use crate::operators::{BranchNorm, FusedOp, NormSums, Statistics, norm_constants};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use tickless_neuron::step::Constants;

/// Tasks per layer. The number does not depend on the number of threads, so neither do the results.
const TASKS: usize = 32;

/// Σ G and Σ G·(x − μ) of every channel.
type Sums = (Vec<f64>, Vec<f64>);

struct Job<'a, 'b> {
    ready: &'a Ready<'a>,
    gradient: &'a [f32],
    at: usize,
    /// For each branch, this task's columns of every row.
    out: &'a mut [Vec<&'b mut [MaybeUninit<f32>]>],
    /// For each branch, Σ G and Σ G·(x − μ), repeated to a chunk's width.
    sums: &'a mut [(Vec<f32>, Vec<f32>)],
}

by_isa!(run = body(&mut Job<'_, '_>));

#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "the loops are the compiler's to vectorise")]
unsafe fn body<V: Lanes>(job: &mut Job<'_, '_>) {
    let (ready, op) = (job.ready, job.ready.op);
    let (n, t_all) = (ready.n, op.neuron.steps);
    let columns = job.out[0][0].len();
    let len = ready.len.min(columns);
    let whole = |n: usize| n.is_multiple_of(NARROW);
    if ready.in_registers(len) && whole(columns) && op.pool.is_none_or(|p| whole(p.width * p.channels)) {
        return through_time(job, columns);
    }
    let mut u = vec![0.0f32; len * t_all];
    let (mut v, mut s, mut scratch) = (vec![0.0f32; len], vec![0.0f32; len], vec![0.0f32; len]);
    let (mut g_v, mut g_u) = (vec![0.0f32; len], vec![0.0f32; len]);
    let mut spread = vec![0.0f32; if op.pool.is_some() { len } else { 0 }];
    let outputs = ready.outputs();
    let mut from = 0;
    while from < columns {
        let at = job.at + from;
        let (m, place) = ready.unit(at, columns - from);
        v[..m].fill(0.0);
        for t in 0..t_all {
            let u = &mut u[t * len..t * len + m];
            ready.current(t, at, u);
            fire(op.neuron, u, &mut v[..m], &mut s[..m], &mut scratch);
        }
        g_v[..m].fill(0.0);
        for t in (0..t_all).rev() {
            let gradient = match (place, op.pool) {
                (OutputPosition::Windows(w), Some(pool)) => {
                    let from = &job.gradient[t * outputs + w..][..pool.out().1 * pool.channels];
                    spread_rows(&mut spread, from, pool);
                    &spread[..m]
                }
                (OutputPosition::Dropped, _) => {
                    spread[..m].fill(0.0);
                    &spread[..m]
                }
                _ => &job.gradient[t * n + at..][..m],
            };
            back(op.neuron, &u[t * len..t * len + m], gradient, &mut g_v[..m], &mut g_u[..m]);
            for (b, rows) in job.out.iter_mut().enumerate() {
                let steps = &ready.steps[b];
                let i = steps[t];
                let into = &mut rows[i][from..from + m];
                let into = if t + 1 == t_all || steps[t + 1] != i {
                    into.write_copy_of_slice(&g_u[..m])
                } else {
                    // SAFETY: step t + 1 reads the same row of the branch and was processed first,
                    // so it has initialised these values.
                    let into = unsafe { into.assume_init_mut() };
                    into.iter_mut().zip(&g_u).for_each(|(o, g)| *o += g);
                    into
                };
                let complete = t == 0 || steps[t - 1] != i;
                if let (true, Some(wide)) = (complete, &ready.wide[b]) {
                    let x = &ready.x[b][i * n + at..][..m];
                    let (sum, product) = &mut job.sums[b];
                    let each = into.iter().zip(x).zip(&wide.mean).zip(sum.iter_mut().zip(product.iter_mut()));
                    each.for_each(|(((g, x), mean), (sum, product))| {
                        *sum += g;
                        *product += g * (x - mean);
                    });
                }
            }
        }
        from += m;
    }
}

/// Fast path for one branch and the clocked LIF: each block of neurons passes all steps.
#[inline(always)]
fn through_time(job: &mut Job<'_, '_>, columns: usize) {
    let (ready, op) = (job.ready, job.ready.op);
    let (c, t_all) = (Constants::new(&op.neuron.neuron, op.neuron.lambda), op.neuron.steps);
    let (mut u, wide) = (vec![0.0f32; 2 * t_all * WIDE], ready.wide[0].as_ref());
    // All rows of a row of windows have the same gradients, so one row per step is enough.
    let line = op.pool.map_or(0, |p| p.width * p.channels);
    let mut spread = vec![0.0f32; t_all * line];
    let (shift, product) = &mut job.sums[0];
    let mut from = 0;
    while from < columns {
        let at = job.at + from;
        let (m, place) = ready.unit(at, columns - from);
        let whole = Source { values: job.gradient, step: ready.n, at };
        let (d, rows, each) = match (place, op.pool) {
            (_, None) | (OutputPosition::Same, _) => (whole, 1, m),
            (place, Some(pool)) => {
                for (t, row) in spread.chunks_exact_mut(line).enumerate() {
                    match place {
                        OutputPosition::Windows(w) => {
                            let from = &job.gradient[t * ready.outputs() + w..][..pool.out().1 * pool.channels];
                            spread_rows(row, from, pool);
                        }
                        _ => row.fill(0.0),
                    }
                }
                (Source { values: &spread, step: line, at: 0 }, m / line, line)
            }
        };
        for r in 0..rows {
            let x = Source { values: ready.x[0], step: ready.n, at: at + r * each };
            let mut out = Columns(&mut job.out[0], from + r * each);
            let sums = (shift.get_mut(r * each..).unwrap_or_default(), product.get_mut(r * each..).unwrap_or_default());
            let mut sums = WideSums { shift: sums.0, product: sums.1 };
            gradients_of(c, &ready.time, x, wide, d, each, &mut u, &mut out, &mut sums);
        }
        from += m;
    }
}

struct Finish<'a> {
    into: &'a mut [f32],
    x: &'a [f32],
    /// γ/σ, c·∂β/M, c·∂γ/(M·σ) and μ, repeated to a chunk's width.
    wide: &'a [Vec<f32>; 4],
}

by_isa!(run_finish = finish(&mut Finish<'_>));

#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "the loops are the compiler's to vectorise")]
unsafe fn finish<V: Lanes>(job: &mut Finish<'_>) {
    let [scale, mean_g, slope, mean] = job.wide;
    for (into, x) in job.into.chunks_mut(scale.len()).zip(job.x.chunks(scale.len())) {
        let params = scale.iter().zip(mean_g).zip(slope.iter().zip(mean));
        for ((g, x), ((s, m), (k, mu))) in into.iter_mut().zip(x).zip(params) {
            *g = s * (*g - m - (x - mu) * k);
        }
    }
}

/// Values per chunk and per task, for `n` values per step.
fn cut(op: &FusedOp, n: usize, channels: usize) -> (usize, usize) {
    let len = super::chunk_of(op, channels);
    // A task consists of whole chunks; with pooling, of whole images.
    let whole = op.pool.map_or(len, |p| p.height * p.width * p.channels);
    (len, n.div_ceil(TASKS).next_multiple_of(whole).max(1))
}

/// G of every branch, in the shape of the branch's values, and, for branches with a norm, its sums
/// over this part of the batch.
///
/// # Panics
/// If a repeat skips a step of a branch.
pub fn sums(
    isa: Isa,
    op: &FusedOp,
    inputs: &[Input<'_>],
    statistics: &[Option<Statistics>],
    channels: usize,
    gradient: &[f32],
) -> Vec<(Vec<f32>, Option<NormSums>)> {
    let ready = Ready::new(op, inputs, statistics, channels);
    let n = ready.n;
    let (_, task) = cut(op, n, channels);
    assert!(op.branches.iter().all(|b| !b.copies(op.neuron.steps).contains(&0)), "a repeat shows every step");
    let mut rooms: Vec<_> = inputs.iter().map(|i| room(i.x.len())).collect();
    let tasks = n.div_ceil(task);
    let mut pieces: Vec<Vec<Vec<&mut [MaybeUninit<f32>]>>> = (0..tasks).map(|_| Vec::new()).collect();
    for branch in &mut rooms {
        for (piece, rows) in pieces.iter_mut().zip(columns(branch, n, task)) {
            piece.push(rows);
        }
    }
    let sums: Vec<Vec<Sums>> = pieces
        .into_par_iter()
        .fine_grained()
        .enumerate()
        .map(|(k, mut rows)| {
            let zeros = |wide: &Option<_>| wide.as_ref().map_or(0, |_| ready.len);
            let mut sums: Vec<(Vec<f32>, Vec<f32>)> =
                ready.wide.iter().map(|w| (vec![0.0; zeros(w)], vec![0.0; zeros(w)])).collect();
            run(isa, &mut Job { ready: &ready, gradient, at: k * task, out: &mut rows, sums: &mut sums });
            sums.iter().map(|(s, p)| (fold(s, channels), fold(p, channels))).collect()
        })
        .collect();
    let of_branch = |b: usize| {
        let add = |pick: fn(&Sums) -> &Vec<f64>| -> Vec<f64> {
            (0..channels).map(|c| sums.iter().map(|s| pick(&s[b])[c]).sum()).collect()
        };
        (op.branches[b].norm != BranchNorm::None).then(|| NormSums { shift: add(|s| &s.0), product: add(|s| &s.1) })
    };
    // SAFETY: the tasks cover all columns and every row, because each row is read by some step.
    let full = |x| unsafe { full(x) };
    rooms.into_iter().enumerate().map(|(b, x)| (full(x), of_branch(b))).collect()
}

/// Replaces G of branch `b`, which has a norm, by the gradient of the branch's values. `of_batch`
/// holds the sums over the whole batch.
pub fn through_norm(
    isa: Isa,
    op: &FusedOp,
    b: usize,
    input: Input<'_>,
    seen: Option<&Statistics>,
    of_batch: &NormSums,
    current: &mut [f32],
) {
    let (branch, channels) = (&op.branches[b], input.gain.len());
    let (inverse, per_value, mean) = norm_constants(branch.norm, seen, channels);
    let copies = branch.copies(op.neuron.steps);
    let n = input.x.len() / copies.len();
    let (len, part) = cut(op, n, channels);
    let wide = |v: Vec<f32>| -> Vec<f32> { v.into_iter().cycle().take(len).collect() };
    let constants = |i: usize| {
        let c = copies[i] as f64 * per_value;
        let scale = input.gain.iter().zip(&inverse).map(|(g, i)| g * *i as f32).collect();
        let mean_g = of_batch.shift.iter().map(|s| (s * c) as f32).collect();
        let slope = of_batch.product.iter().zip(&inverse).map(|(p, i)| (p * i * i * c) as f32).collect();
        [wide(scale), wide(mean_g), wide(slope), wide(mean.clone())]
    };
    let steps = current.par_chunks_mut(n.max(1)).zip(input.x.par_chunks(n.max(1)));
    steps.enumerate().for_each(|(i, (row, x))| {
        let wide = constants(i);
        row.par_chunks_mut(part).zip(x.par_chunks(part)).fine_grained().for_each(|(into, x)| {
            run_finish(isa, &mut Finish { into, x, wide: &wide });
        });
    });
}
