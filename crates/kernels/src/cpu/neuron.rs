//! The fused operators on the CPU (Burn's Flex backend).
//!
//! A sequence `[T·B, …]` is T rows of n = B·C·H·W values. The neurons are independent of each
//! other, so the n columns are cut into chunks that stay in the first-level cache while all T
//! steps pass over them; chunks run in parallel. One pass reads the current (4 bytes a value and
//! step) and writes the spikes and, in training, the potentials (4 bytes each): the arithmetic is
//! a handful of operations a value, so memory bounds it. Each value is computed by one thread in
//! one order: results do not depend on the number of threads.

use super::conv::simd::Isa;
use super::conv::{ConvOp, Kept, layer};
use super::fused::statistics::Moments;
use super::fused::{self, FusedOp};
use super::operators::{
    BranchTensors, Branches, FusedSaved, FusedSums, KeepsInput, LayerStatistics, NormParameters, NormSums,
};
use super::{NeuronOp, pool};
use crate::neuron::{Constants, backward, reset, spikes};
use crate::surrogate::derivative;
use crate::ttm::TimeMap;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;
use std::sync::Arc;
use tickless_net::{Reset, SpikeMode, Surrogate};

pub(super) use super::accumulate::add as accumulate;
pub(super) use super::adamw::step as adamw;
pub(super) use super::conv::layer::{input_gradient as conv_input_gradient, weight_gradient as conv_weight_gradient};
pub(super) use super::first::host::{
    encode as first_encode, gradients as first_gradients, moments as first_moments, spikes as first, sums as first_sums,
};
pub(super) use super::pool::{backward as tile_pool_gradient, forward as tile_pool};
pub(super) use super::sgd::step as sgd;

/// Neurons per chunk: the potentials of one fill 8 KiB.
pub(super) const CHUNK: usize = 2048;

impl KeepsInput for Flex {
    type ConvInput = Kept;
}

pub(super) fn neuron_spikes(current: FlexTensor, op: NeuronOp) -> FlexTensor {
    forward(&current, op, false).0
}

pub(super) fn neuron_and_potentials(current: FlexTensor, op: NeuronOp) -> (FlexTensor, FlexTensor) {
    let shape = current.shape();
    let (s, u) = forward(&current, op, true);
    (s, from_vec(u, shape))
}

pub(super) fn neuron_gradient(potentials: FlexTensor, gradient: FlexTensor, op: NeuronOp) -> FlexTensor {
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

pub(super) fn map_time(input: FlexTensor, map: Arc<TimeMap>) -> FlexTensor {
    let input = input.to_contiguous();
    let out = super::map_time::map_time(values(&input), &map);
    let mut shape = input.shape();
    shape[0] = shape[0] / map.t_in() * map.t_out();
    from_vec(out, shape)
}

pub(super) fn conv(input: FlexTensor, weight: FlexTensor, op: ConvOp) -> FlexTensor {
    layer::forward(input, weight, op, op.recompute_later).0
}

pub(super) fn conv_and_input(input: FlexTensor, weight: FlexTensor, op: ConvOp) -> (FlexTensor, Kept) {
    let (y, kept) = layer::forward(input, weight, op, true);
    (y, kept.expect("is kept if it is asked for"))
}

pub(super) fn conv_gradients(
    gradient: FlexTensor,
    weight: FlexTensor,
    input: Kept,
    op: ConvOp,
) -> (FlexTensor, FlexTensor) {
    let of_input = gradient.clone();
    // A thread that has finished one gradient steals parts of the other.
    rayon::join(|| layer::input_gradient(of_input, weight, op), || layer::weight_gradient(gradient, input, op))
}

pub(super) fn fused_moments(branches: Branches<Flex>, op: FusedOp) -> Vec<Option<Moments>> {
    let branches = contiguous(branches);
    fused::forward::moments_of(Isa::detect(), &op, &inputs(&branches), channels(&branches))
}

pub(super) fn fused(branches: Branches<Flex>, op: FusedOp, statistics: LayerStatistics) -> FlexTensor {
    let branches = contiguous(branches);
    let spikes = fused::forward::spikes(Isa::detect(), &op, &inputs(&branches), &statistics, channels(&branches));
    let mut shape = branches[0].x.shape();
    let steps = op.branches[0].repeat.as_ref().map_or(op.neuron.steps, |m| m.t_in());
    shape[0] = shape[0] / steps * op.neuron.steps;
    if let Some(pool) = op.pool {
        shape = pool::resized(shape, pool, pool.out());
    }
    from_vec(spikes, shape)
}

pub(super) fn fused_sums(gradient: FlexTensor, layer: FusedSaved<Flex>) -> FusedSums<Flex> {
    let (branches, gradient) = (contiguous(layer.branches), gradient.to_contiguous());
    let (isa, channels, inputs) = (Isa::detect(), channels(&branches), inputs(&branches));
    let all = fused::backward::sums(isa, &layer.op, &inputs, &layer.statistics, channels, values(&gradient));
    let (current, norms): (Vec<_>, _) = all.into_iter().unzip();
    let current = current.into_iter().zip(&branches).map(|(g, b)| from_vec(g, b.x.shape())).collect();
    FusedSums { current, norms }
}

pub(super) fn fused_gradients(
    sums: FusedSums<Flex>,
    of_batch: Vec<Option<NormSums>>,
    layer: FusedSaved<Flex>,
) -> Branches<Flex> {
    let (branches, isa) = (contiguous(layer.branches), Isa::detect());
    let inputs = inputs(&branches);
    let all = sums.current.into_iter().zip(sums.norms).zip(of_batch).enumerate();
    Branches::of(all.map(|(b, ((mut x, own), of_batch))| {
        let seen = layer.statistics[b].as_ref();
        let (Some(own), Some(of_batch)) = (own, of_batch) else {
            return BranchTensors { x, norm: NormParameters::None };
        };
        fused::backward::through_norm(isa, &layer.op, b, inputs[b], seen, &of_batch, x.storage_mut());
        let parameters = fused::backward::parameters(layer.op.branches[b].norm, seen, &own);
        let [gain, shift] = parameters.map(|v| from_vec(v, Shape::new([channels(&branches)])));
        BranchTensors { x, norm: NormParameters::Given { gain, shift } }
    }))
}

/// The branches without gaps.
fn contiguous(branches: Branches<Flex>) -> Vec<BranchTensors<Flex>> {
    branches.map(|t: FlexTensor| t.to_contiguous()).into_vec()
}

/// The branches of a fused layer as slices.
fn inputs(branches: &[BranchTensors<Flex>]) -> Vec<fused::forward::Input<'_>> {
    fn of_branch(BranchTensors { x, norm }: &BranchTensors<Flex>) -> fused::forward::Input<'_> {
        let (gain, shift): (&[f32], &[f32]) = match norm {
            NormParameters::None => (&[], &[]),
            NormParameters::Given { gain, shift } => (values(gain), values(shift)),
        };
        fused::forward::Input { x: values(x), gain, shift }
    }
    branches.iter().map(of_branch).collect()
}

/// The number of channels.
fn channels(branches: &[BranchTensors<Flex>]) -> usize {
    branches[0].x.shape()[3]
}

/// Spikes and, if `keep`, potentials (else an empty vector).
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

/// Cuts T rows of `n` values into chunks of columns: for each chunk its T pieces.
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

pub(super) type ForwardRow = fn(NeuronOp, &[f32], &mut [f32], &mut [f32], &mut [f32]);

/// One step of a chunk, specialised on everything that would branch inside the loop.
pub(super) fn forward_row(op: NeuronOp) -> ForwardRow {
    fn row<const MULTI: bool, const HARD: bool, const EQUAL: bool>(
        op: NeuronOp,
        x: &[f32],
        v: &mut [f32],
        s: &mut [f32],
        u: &mut [f32],
    ) {
        let c = Constants::new(&op.neuron, op.lambda);
        for (((x, v), s), u) in x.iter().zip(v).zip(s).zip(u) {
            *u = c.lambda * *v + x;
            *s = spikes::<MULTI, EQUAL>(*u, c.theta);
            *v = reset::<HARD>(*u, *s, c.theta).max(c.v_min);
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

pub(super) type BackwardRow = fn(NeuronOp, &[f32], &[f32], &mut [f32], &mut [f32]);

/// One step back of a chunk; `g_v` holds the gradient from step t+1 and leaves with that for t−1.
pub(super) fn backward_row(op: NeuronOp) -> BackwardRow {
    fn surrogates<const HARD: bool, const DETACH: bool, const MULTI: bool, const EQUAL: bool>(
        op: NeuronOp,
        u: &[f32],
        g: &[f32],
        g_v: &mut [f32],
        out: &mut [f32],
    ) {
        let c = Constants::new(&op.neuron, op.lambda);
        let mut run = |slope: &dyn Fn(&[f32], &mut [f32])| {
            let mut d = [0.0f32; CHUNK];
            slope(u, &mut d[..u.len()]);
            for ((((u, g), d), g_v), out) in u.iter().zip(g).zip(&d).zip(g_v.iter_mut()).zip(out.iter_mut()) {
                let s = spikes::<MULTI, EQUAL>(*u, c.theta);
                *out = backward::<HARD, DETACH>(*u, s, *d, *g, *g_v, c);
                *g_v = c.lambda * *out;
            }
        };
        // One loop per surrogate, so that none of them branches on its kind for each value.
        macro_rules! with {
            ($s:expr) => {
                run(&|u: &[f32], d: &mut [f32]| {
                    u.iter().zip(d).for_each(|(u, d)| *d = derivative($s, *u, c.theta));
                })
            };
        }
        match op.neuron.surrogate {
            Surrogate::Triangle => with!(Surrogate::Triangle),
            Surrogate::SingleExponential { width } => with!(Surrogate::SingleExponential { width }),
            Surrogate::Arctangent { alpha } => with!(Surrogate::Arctangent { alpha }),
            Surrogate::Sigmoid { alpha } => with!(Surrogate::Sigmoid { alpha }),
            Surrogate::Rectangle { width } => with!(Surrogate::Rectangle { width }),
            Surrogate::Gaussian { sigma } => with!(Surrogate::Gaussian { sigma }),
        }
    }
    fn spike<const HARD: bool, const DETACH: bool>(multi: bool, equal: bool) -> BackwardRow {
        match (multi, equal) {
            (false, false) => surrogates::<HARD, DETACH, false, false>,
            (false, true) => surrogates::<HARD, DETACH, false, true>,
            (true, false) => surrogates::<HARD, DETACH, true, false>,
            (true, true) => surrogates::<HARD, DETACH, true, true>,
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

/// The values of a contiguous f32 tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("made contiguous by the caller, and every tensor of this crate is f32")
}

pub(super) fn from_vec(data: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(data), Layout::contiguous(shape), DType::F32)
}
