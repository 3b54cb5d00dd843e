//! Spikes of a fused layer: a chunk of neurons passes all steps while it is in the cache.

use super::rows::{charge, fire, is_lif};
use super::time::{AtRest, Buffer, Columns, Kept, NARROW, Source, Steps, spikes_of};
use super::{Channels, columns, statistics::moments};
use crate::cpu::grain::FineGrained;
use crate::cpu::memory::{full, room};
use crate::cpu::pool::sums_row;
use crate::cpu::simd::{Isa, Lanes, by_isa};
use crate::operators::{Branch, FusedOp, Moments, Statistics};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use tickless_neuron::step::Constants;

/// The tensors of one branch: `[T_in·B, H, W, C]`, `[C]`, `[C]`.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Values.
    pub x: &'a [f32],
    /// γ.
    pub gain: &'a [f32],
    /// β.
    pub shift: &'a [f32],
}

/// A layer's branches, prepared for its chunks.
pub(super) struct Ready<'a> {
    pub(super) op: &'a FusedOp,
    /// Values of each branch.
    pub(super) x: Vec<&'a [f32]>,
    /// The norm of each branch, repeated to a chunk's width.
    pub(super) wide: Vec<Option<Channels>>,
    /// For each branch and step of the neuron, the branch's step that it reads.
    pub(super) steps: Vec<Vec<usize>>,
    /// The steps of the first branch, for the fast path.
    pub(super) time: Steps,
    /// Values of one step.
    pub(super) n: usize,
    /// Most values of a chunk. With pooling, a chunk is the input rows of one row of windows.
    pub(super) len: usize,
}

/// The position of a chunk's output within a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum OutputPosition {
    /// At the same position as the chunk.
    Same,
    /// In the row of windows that begins at this position.
    Windows(usize),
    /// Nowhere, because these rows do not fill a window.
    Dropped,
}

impl<'a> Ready<'a> {
    pub(super) fn new(
        op: &'a FusedOp,
        inputs: &[Input<'a>],
        statistics: &[Option<Statistics>],
        channels: usize,
    ) -> Self {
        let t = op.neuron.steps;
        let len = super::chunk_of(op, channels);
        let steps: Vec<Vec<usize>> = op.branches.iter().map(|b| b.steps(t)).collect();
        let n = inputs[0].x.len() / op.branches[0].copies(t).len();
        let wide = op.branches.iter().zip(inputs).zip(statistics);
        let wide =
            wide.map(|((b, i), s)| Some(Channels::new(b.norm, i.gain, i.shift, s.as_ref())?.widen(len))).collect();
        let time = Steps::new(&steps[0]);
        Self { op, x: inputs.iter().map(|i| i.x).collect(), wide, steps, time, n, len }
    }

    /// Whether a chunk of `len` values can take the fast path, with its state in registers.
    pub(super) fn in_registers(&self, len: usize) -> bool {
        self.x.len() == 1 && is_lif(&self.op.neuron.neuron) && len.is_multiple_of(NARROW)
    }

    /// Length of the chunk that begins at `at`, if `rest` values are left, and where its output is.
    pub(super) fn unit(&self, at: usize, rest: usize) -> (usize, OutputPosition) {
        let Some(p) = self.op.pool else { return (self.len.min(rest), OutputPosition::Same) };
        let (line, image) = (p.width * p.channels, p.height * p.width * p.channels);
        let (n, y) = (at / image, at % image / line);
        let (rows, columns) = p.out();
        match y / p.kernel {
            row if row < rows => (self.len, OutputPosition::Windows((n * rows + row) * columns * p.channels)),
            _ => (image - at % image, OutputPosition::Dropped),
        }
    }

    /// Values per step of the output.
    pub(super) fn outputs(&self) -> usize {
        self.op.pool.map_or(self.n, |p| {
            let (rows, columns) = p.out();
            self.n / (p.height * p.width) * rows * columns
        })
    }

    /// The input current I[t] of the columns from `at` on.
    #[inline(always)]
    pub(super) fn current(&self, t: usize, at: usize, into: &mut [f32]) {
        for (b, x) in self.x.iter().enumerate() {
            let x = &x[self.steps[b][t] * self.n + at..][..into.len()];
            charge(into, x, self.wide[b].as_ref(), b == 0);
        }
    }
}

/// One entry per branch: the moments of a branch with a batch norm, `None` for others.
pub fn moments_of(isa: Isa, op: &FusedOp, inputs: &[Input<'_>], channels: usize) -> Vec<Option<Moments>> {
    let of_branch = |(b, i): (&Branch, &Input<'_>)| {
        b.norm.is_of_batch().then(|| moments(isa, i.x, channels, &b.copies(op.neuron.steps)))
    };
    op.branches.iter().zip(inputs).map(of_branch).collect()
}

struct Job<'a, 'b> {
    ready: &'a Ready<'a>,
    at: usize,
    rows: &'a mut [&'b mut [MaybeUninit<f32>]],
}

by_isa!(run = body(&mut Job<'_, '_>));

/// Computes a chunk. Compiled once per instruction set; the compiler vectorises the loops.
#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "the loops are the compiler's to vectorise")]
unsafe fn body<V: Lanes>(job: &mut Job<'_, '_>) {
    let op = job.ready.op;
    let windows = job.rows[0].len();
    let len = op.pool.map_or(windows, |_| job.ready.len);
    if job.ready.in_registers(len) {
        return through_time(job, len, windows);
    }
    let (mut v, mut current, mut scratch) = (vec![0.0f32; len], vec![0.0f32; len], vec![0.0f32; len]);
    let (mut s, mut sums) = (vec![0.0f32; len], vec![0.0f32; windows]);
    for (t, row) in job.rows.iter_mut().enumerate() {
        job.ready.current(t, job.at, &mut current);
        fire(op.neuron, &mut current, &mut v, &mut s, &mut scratch);
        match op.pool {
            None => row.write_copy_of_slice(&s),
            Some(pool) => {
                sums_row(&mut sums, &s, pool);
                row.write_copy_of_slice(&sums)
            }
        };
    }
}

/// Fast path for one branch and the clocked LIF: each block of neurons passes all steps.
#[inline(always)]
fn through_time(job: &mut Job<'_, '_>, len: usize, windows: usize) {
    let (ready, op) = (job.ready, job.ready.op);
    let (c, steps) = (Constants::new(&op.neuron.neuron, op.neuron.lambda), &ready.time);
    let (x, wide) = (Source { values: ready.x[0], step: ready.n, at: job.at }, ready.wide[0].as_ref());
    let Some(pool) = op.pool else {
        return spikes_of(c, steps, x, wide, &mut AtRest, len, &mut Columns(job.rows, 0));
    };
    let (mut s, mut sums) = (vec![0.0f32; len * job.rows.len()], vec![0.0f32; windows]);
    spikes_of(c, steps, x, wide, &mut AtRest, len, &mut Buffer { values: &mut s, step: len, at: 0 });
    for (row, s) in job.rows.iter_mut().zip(s.chunks_exact(len)) {
        sums_row(&mut sums, s, pool);
        row.write_copy_of_slice(&sums);
    }
}

/// Buffers for a chunk of one step: the current, the spikes, the potentials before the spikes, and
/// the sums over windows.
type StepBuffers = [Vec<f32>; 4];

struct StepJob<'a, 'b> {
    ready: &'a Ready<'a>,
    at: usize,
    membranes: &'b mut [f32],
    spikes: &'b mut [MaybeUninit<f32>],
}

by_isa!(run_step = step_body(&mut (StepJob<'_, '_>, &mut StepBuffers)));

/// One step of a chunk.
#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "the loops are the compiler's to vectorise")]
unsafe fn step_body<V: Lanes>((job, buffers): &mut (StepJob<'_, '_>, &mut StepBuffers)) {
    let (ready, op, len) = (job.ready, job.ready.op, job.membranes.len());
    let [current, s, scratch, sums] = &mut **buffers;
    let blocks = ready.in_registers(len);
    if blocks {
        let c = Constants::new(&op.neuron.neuron, op.neuron.lambda);
        let x = Source { values: ready.x[0], step: ready.n, at: job.at };
        let (wide, mut membranes) = (ready.wide[0].as_ref(), Kept(job.membranes));
        if op.pool.is_none() {
            let mut rows = [&mut *job.spikes];
            return spikes_of(c, &ready.time, x, wide, &mut membranes, len, &mut Columns(&mut rows, 0));
        }
        s.resize(len, 0.0);
        spikes_of(c, &ready.time, x, wide, &mut membranes, len, &mut Buffer { values: s, step: len, at: 0 });
    } else {
        [&mut *current, s, scratch].into_iter().for_each(|b| b.resize(len, 0.0));
        ready.current(0, job.at, current);
        fire(op.neuron, current, job.membranes, s, scratch);
    }
    match op.pool {
        None => job.spikes.write_copy_of_slice(s),
        Some(pool) => {
            sums.resize(job.spikes.len(), 0.0);
            sums_row(sums, s, pool);
            job.spikes.write_copy_of_slice(sums)
        }
    };
}

/// Spikes `[B, H, W, C]`, or their sums over windows, of a layer of one step that begins at these
/// membrane potentials `[B, H, W, C]`, which it replaces by those after the step. Neurons outside of
/// every window keep theirs.
///
/// # Panics
/// If the layer has several steps or a batch norm, or other than B·H·W·C membranes.
pub fn step(isa: Isa, op: &FusedOp, inputs: &[Input<'_>], channels: usize, membranes: &mut [f32]) -> Vec<f32> {
    let of_batch = op.branches.iter().any(|b| b.norm.is_of_batch());
    assert!(op.neuron.steps == 1 && !of_batch, "a layer of one step without batch norm");
    let ready = Ready::new(op, inputs, &vec![None; inputs.len()], channels);
    assert_eq!(membranes.len(), ready.n, "one membrane for each neuron");
    let mut out = room(ready.outputs());
    let (mut jobs, mut at, mut left, mut neurons) = (Vec::new(), 0, &mut out[..], membranes);
    while !neurons.is_empty() {
        let (len, output) = ready.unit(at, neurons.len());
        let (membranes, others) = neurons.split_at_mut(len);
        neurons = others;
        let outputs = match output {
            OutputPosition::Same => len,
            OutputPosition::Windows(_) => op.pool.map_or(len, |p| p.out().1 * p.channels),
            OutputPosition::Dropped => 0,
        };
        let (spikes, rest) = left.split_at_mut(outputs);
        left = rest;
        if outputs > 0 {
            jobs.push(StepJob { ready: &ready, at, membranes, spikes });
        }
        at += len;
    }
    let buffers = || StepBuffers::default();
    jobs.into_par_iter().fine_grained().for_each_init(buffers, |buffers, job| run_step(isa, &mut (job, buffers)));
    // SAFETY: the chunks cover every value of the output in its order.
    unsafe { full(out) }
}

/// Spikes `[T·B, H, W, C]`; if the layer pools, their sums over windows.
pub fn spikes(
    isa: Isa,
    op: &FusedOp,
    inputs: &[Input<'_>],
    statistics: &[Option<Statistics>],
    channels: usize,
) -> Vec<f32> {
    let ready = Ready::new(op, inputs, statistics, channels);
    let n = ready.outputs();
    let mut out = room(n * op.neuron.steps);
    let piece = op.pool.map_or(ready.len, |p| p.out().1 * p.channels);
    columns(&mut out, n, piece).into_par_iter().fine_grained().enumerate().for_each(|(k, mut rows)| {
        let at = op.pool.map_or(k * ready.len, |p| {
            let rows = p.out().0;
            (k / rows * p.height + k % rows * p.kernel) * p.width * p.channels
        });
        run(isa, &mut Job { ready: &ready, at, rows: &mut rows });
    });
    // SAFETY: the chunks cover every row.
    unsafe { full(out) }
}
