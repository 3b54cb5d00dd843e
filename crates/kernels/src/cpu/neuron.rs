//! A neuron layer over all its steps on the CPU.
//!
//! A sequence `[T·B, …]` is T rows of n = B·C·H·W values. The neurons are independent, so the n
//! columns are cut into chunks, and all T steps pass over a chunk while it is in the L1
//! cache. Chunks run in parallel. A pass reads the current and writes the spikes and, in training,
//! the potentials: 4 bytes per value and step for each. A value takes only a handful of operations,
//! so memory bandwidth is the limit. One thread computes each value in a fixed order, so results do
//! not depend on the number of threads.

use super::tensor::{from_vec, values};
use crate::operators::NeuronOp;
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;
use tickless_net::{Neuron, Reset, SpikeMode};
use tickless_neuron::step::{AnyState, Constants, Mode, State, adjoint_of_slope, step};
use tickless_neuron::surrogate::derivatives;

/// Neurons per chunk: the potentials of a chunk take 8 KiB.
pub(crate) const CHUNK: usize = 2048;

pub(crate) fn neuron_spikes(current: FlexTensor, op: NeuronOp) -> FlexTensor {
    forward(&current, op, false).0
}

pub(crate) fn neuron_and_potentials(current: FlexTensor, op: NeuronOp) -> (FlexTensor, FlexTensor) {
    let shape = current.shape();
    let (s, u) = forward(&current, op, true);
    (s, from_vec(u, shape))
}

pub(crate) fn neuron_gradient(potentials: FlexTensor, gradient: FlexTensor, op: NeuronOp) -> FlexTensor {
    let shape = potentials.shape();
    let (potentials, gradient) = (potentials.to_contiguous(), gradient.to_contiguous());
    let row = backward_row(op);
    let (u, g) = (values(&potentials), values(&gradient));
    let n = u.len() / op.steps;
    let mut out = vec![0.0f32; u.len()];
    columns(&mut out, n).into_par_iter().enumerate().for_each(|(chunk, mut rows)| {
        let at = chunk * CHUNK;
        let mut g_v = vec![0.0f32; rows[0].len()];
        for t in (0..op.steps).rev() {
            let here = t * n + at..t * n + at + g_v.len();
            row(op, &u[here.clone()], &g[here], &mut g_v, rows[t]);
        }
    });
    from_vec(out, shape)
}

/// The spikes and, if `keep`, the potentials (else an empty vector).
fn forward(current: &FlexTensor, op: NeuronOp, keep: bool) -> (FlexTensor, Vec<f32>) {
    let current = current.to_contiguous();
    let x = values(&current);
    let n = x.len() / op.steps;
    let row = forward_row(op);
    let mut s = vec![0.0f32; x.len()];
    let mut u = vec![0.0f32; if keep { x.len() } else { 0 }];
    let kept: Vec<Vec<&mut [f32]>> = if keep { columns(&mut u, n) } else { Vec::new() };
    let mut kept: Vec<Option<Vec<&mut [f32]>>> = kept.into_iter().map(Some).collect();
    kept.resize_with(n.div_ceil(CHUNK), || None);
    columns(&mut s, n).into_par_iter().zip(kept).enumerate().for_each(|(chunk, (mut rows, mut kept))| {
        let at = chunk * CHUNK;
        let len = rows[0].len();
        let (mut v, mut scratch) = (vec![0.0f32; len], vec![0.0f32; len]);
        for t in 0..op.steps {
            let x = &x[t * n + at..t * n + at + len];
            let u = kept.as_mut().map_or(scratch.as_mut_slice(), |k| &mut *k[t]);
            row(op, x, &mut v, rows[t], u);
        }
    });
    (from_vec(s, current.shape()), u)
}

/// Spikes of any neuron (with a synaptic current, an adaptive threshold or dead steps) for passes
/// without a gradient.
///
/// # Shapes
/// `current` and the result: T rows of equal length, T = `steps`.
pub(crate) fn general_spikes(current: &[f32], neuron: &Neuron, constants: &Constants, steps: usize) -> Vec<f32> {
    let (n, mode) = (current.len() / steps, Mode::of(neuron));
    let mut spikes = vec![0.0f32; current.len()];
    columns(&mut spikes, n).into_par_iter().enumerate().for_each(|(chunk, mut rows)| {
        let at = chunk * CHUNK;
        let mut states = vec![AnyState::at_rest(neuron, 0.0f32); rows[0].len()];
        for (t, row) in rows.iter_mut().enumerate() {
            let x = &current[t * n + at..][..row.len()];
            for ((s, x), state) in row.iter_mut().zip(x).zip(&mut states) {
                *s = step(mode, constants, &mut state.0, *x).spikes;
            }
        }
    });
    spikes
}

/// As [`general_spikes`] for one step that begins at these states.
///
/// # Panics
/// If the number of states is not that of the values.
pub(crate) fn general_step(
    current: &[f32],
    neuron: &Neuron,
    constants: &Constants,
    states: &mut [AnyState<f32>],
) -> Vec<f32> {
    assert_eq!(current.len(), states.len(), "one state for each neuron");
    let mode = Mode::of(neuron);
    let mut spikes = vec![0.0f32; current.len()];
    let chunks = spikes.par_chunks_mut(CHUNK).zip(current.par_chunks(CHUNK)).zip(states.par_chunks_mut(CHUNK));
    chunks.for_each(|((spikes, current), states)| {
        for ((s, x), state) in spikes.iter_mut().zip(current).zip(states) {
            *s = step(mode, constants, &mut state.0, *x).spikes;
        }
    });
    spikes
}

/// Cuts T rows of `n` values into chunks of columns. Each chunk holds its part of every row.
fn columns(data: &mut [f32], n: usize) -> Vec<Vec<&mut [f32]>> {
    let mut chunks: Vec<Vec<&mut [f32]>> = (0..n.div_ceil(CHUNK)).map(|_| Vec::new()).collect();
    if n > 0 {
        for row in data.chunks_mut(n) {
            for (chunk, piece) in chunks.iter_mut().zip(row.chunks_mut(CHUNK)) {
                chunk.push(piece);
            }
        }
    }
    chunks
}

/// The resets of plain neurons.
const fn reset(hard: bool) -> Reset {
    if hard { Reset::Hard } else { Reset::Soft }
}

pub(crate) type ForwardRow = fn(NeuronOp, &[f32], &mut [f32], &mut [f32], &mut [f32]);

/// One step of a chunk, specialised on every property that would branch inside the loop.
pub(crate) fn forward_row(op: NeuronOp) -> ForwardRow {
    fn row<const MULTI: bool, const HARD: bool, const EQUAL: bool>(
        op: NeuronOp,
        x: &[f32],
        v: &mut [f32],
        s: &mut [f32],
        u: &mut [f32],
    ) {
        let mode = const { Mode { multi: MULTI, reset: reset(HARD), equal: EQUAL, detach: false } };
        let c = Constants::new(&op.neuron, op.lambda);
        for (((x, v), s), u) in x.iter().zip(v).zip(s).zip(u) {
            let mut state = State::membrane(*v);
            let fired = step(mode, &c, &mut state, *x);
            (*u, *s, *v) = (fired.u, fired.spikes, state.v);
        }
    }
    let n = op.neuron;
    match (n.spikes == SpikeMode::Multi, n.reset == Reset::Hard, n.fire_at_threshold) {
        (false, false, false) => row::<false, false, false>,
        (false, false, true) => row::<false, false, true>,
        (false, true, false) => row::<false, true, false>,
        (false, true, true) => row::<false, true, true>,
        (true, false, false) => row::<true, false, false>,
        (true, false, true) => row::<true, false, true>,
        (true, true, false) => row::<true, true, false>,
        (true, true, true) => row::<true, true, true>,
    }
}

pub(crate) type BackwardRow = fn(NeuronOp, &[f32], &[f32], &mut [f32], &mut [f32]);

/// One backward step of a chunk. Replaces the gradient of the potential after the step in `g_v` by
/// that of the potential before it.
pub(crate) fn backward_row(op: NeuronOp) -> BackwardRow {
    fn row<const HARD: bool, const DETACH: bool, const MULTI: bool, const EQUAL: bool>(
        op: NeuronOp,
        u: &[f32],
        g: &[f32],
        g_v: &mut [f32],
        out: &mut [f32],
    ) {
        let mode = const { Mode { multi: MULTI, reset: reset(HARD), equal: EQUAL, detach: DETACH } };
        let c = Constants::new(&op.neuron, op.lambda);
        let mut slopes = [0.0f32; CHUNK];
        derivatives(op.neuron.surrogate, u, c.theta, &mut slopes[..u.len()]);
        for ((((u, g), slope), g_v), out) in u.iter().zip(g).zip(&slopes).zip(g_v.iter_mut()).zip(out.iter_mut()) {
            let mut state = State::membrane(*g_v);
            *out = adjoint_of_slope(mode, &c, &mut state, (u, &c.theta), *slope, *g);
            *g_v = state.v;
        }
    }
    fn spike<const HARD: bool, const DETACH: bool>(multi: bool, equal: bool) -> BackwardRow {
        match (multi, equal) {
            (false, false) => row::<HARD, DETACH, false, false>,
            (false, true) => row::<HARD, DETACH, false, true>,
            (true, false) => row::<HARD, DETACH, true, false>,
            (true, true) => row::<HARD, DETACH, true, true>,
        }
    }
    let n = op.neuron;
    let (multi, equal) = (n.spikes == SpikeMode::Multi, n.fire_at_threshold);
    match (n.reset == Reset::Hard, n.detach_reset) {
        (false, false) => spike::<false, false>(multi, equal),
        (false, true) => spike::<false, true>(multi, equal),
        (true, false) => spike::<true, false>(multi, equal),
        (true, true) => spike::<true, true>(multi, equal),
    }
}
