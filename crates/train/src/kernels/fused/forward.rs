//! Spikes of a fused layer: all steps of a chunk of neurons pass while it is in the cache.

use super::rows::{charge, fire};
use super::{
    BranchNorm, Channels, FusedOp, Statistics, chunk, columns,
    statistics::{Moments, moments},
};
use crate::kernels::conv::simd::{Isa, Lanes, by_isa};
use crate::kernels::memory::{full, room};
use crate::parallel::sum_moments;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// One branch's tensors: `[T_in·B, H, W, C]`, `[C]`, `[C]`.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Values.
    pub x: &'a [f32],
    /// γ.
    pub gain: &'a [f32],
    /// β.
    pub shift: &'a [f32],
}

/// A layer's branches made ready for its chunks.
pub(super) struct Ready<'a> {
    pub(super) op: &'a FusedOp,
    /// Values of each branch.
    pub(super) x: Vec<&'a [f32]>,
    /// Channels of each branch, a chunk wide.
    pub(super) wide: Vec<Option<Channels>>,
    /// For each branch and step the branch's step.
    pub(super) steps: Vec<Vec<usize>>,
    /// Values of one step.
    pub(super) n: usize,
    /// Values of a chunk.
    pub(super) len: usize,
}

impl<'a> Ready<'a> {
    pub(super) fn new(
        op: &'a FusedOp,
        inputs: &[Input<'a>],
        statistics: &[Option<Statistics>],
        channels: usize,
    ) -> Self {
        let t = op.neuron.steps;
        let len = chunk(channels, t);
        let steps: Vec<Vec<usize>> = op.branches.iter().map(|b| b.steps(t)).collect();
        let n = inputs[0].x.len() / op.branches[0].copies(t).len();
        let wide = op.branches.iter().zip(inputs).zip(statistics);
        let wide =
            wide.map(|((b, i), s)| Some(Channels::new(b.norm, i.gain, i.shift, s.as_ref())?.widen(len))).collect();
        Self { op, x: inputs.iter().map(|i| i.x).collect(), wide, steps, n, len }
    }

    /// I[t] of the columns from `at`.
    #[inline(always)]
    pub(super) fn current(&self, t: usize, at: usize, into: &mut [f32]) {
        for (b, x) in self.x.iter().enumerate() {
            let x = &x[self.steps[b][t] * self.n + at..][..into.len()];
            charge(into, x, self.wide[b].as_ref(), b == 0);
        }
    }
}

/// Statistics of the branches that are normalised by the batch, over all workers.
pub fn statistics_of(isa: Isa, op: &FusedOp, inputs: &[Input<'_>], channels: usize) -> Vec<Option<Statistics>> {
    let one = |(b, i): (&super::Branch, &Input<'_>)| {
        let batch = matches!(b.norm, BranchNorm::Batch(_));
        batch.then(|| moments(isa, i.x, channels, &b.copies(op.neuron.steps)))
    };
    let mut all: Vec<_> = op.branches.iter().zip(inputs).map(one).collect();
    // Where a worker has left, the training's next message says so.
    let _ = sum_moments(&op.ranks, &mut all);
    all.iter().map(|m| m.as_ref().map(Moments::round)).collect()
}

struct Job<'a, 'b> {
    ready: &'a Ready<'a>,
    at: usize,
    rows: &'a mut [&'b mut [MaybeUninit<f32>]],
}

by_isa!(run = body(&mut Job<'_, '_>));

/// Compiled once per instruction set; the loops are the compiler's to vectorise.
#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "the loops are the compiler's to vectorise")]
unsafe fn body<V: Lanes>(job: &mut Job<'_, '_>) {
    let len = job.rows[0].len();
    let (mut v, mut current, mut scratch) = (vec![0.0f32; len], vec![0.0f32; len], vec![0.0f32; len]);
    let mut s = vec![0.0f32; len];
    for (t, row) in job.rows.iter_mut().enumerate() {
        job.ready.current(t, job.at, &mut current);
        fire(job.ready.op.neuron, &mut current, &mut v, &mut s, &mut scratch);
        row.write_copy_of_slice(&s);
    }
}

/// Spikes `[T·B, H, W, C]`.
pub fn spikes(
    isa: Isa,
    op: &FusedOp,
    inputs: &[Input<'_>],
    statistics: &[Option<Statistics>],
    channels: usize,
) -> Vec<f32> {
    let ready = Ready::new(op, inputs, statistics, channels);
    let mut out = room(ready.n * op.neuron.steps);
    columns(&mut out, ready.n, ready.len).into_par_iter().enumerate().for_each(|(k, mut rows)| {
        run(isa, &mut Job { ready: &ready, at: k * ready.len, rows: &mut rows });
    });
    // SAFETY: every chunk wrote its part of every row.
    unsafe { full(out) }
}
