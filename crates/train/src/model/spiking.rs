//! Neuron layers of the clocked model, in three forms:
//!
//! - [`spiking`] evaluates a plain neuron ([`Neuron::is_plain`]) in one fused kernel, together with
//!   the norms and the addition before it, the convolution of a first layer, and the pool after it;
//!   [`Fusion`](super::fusion::Fusion) decides which nodes the kernel includes;
//! - [`plain_spiking`] evaluates a plain neuron alone;
//! - [`general_spiking`] evaluates every other neuron alone.
//!
//! The equations stand in [`tickless_neuron::step`].

use super::fusion::tile;
use super::memory::GeneralMemory;
use super::norm::{BatchStatistics, NormMode, Running};
use super::{Pass, Sequence};
use crate::distributed::WholeBatch;
use crate::error::{Error, Result};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::sync::Arc;
use tickless_kernels::reference::Feedback;
use tickless_kernels::step::{any_neuron_step, first_step, fused_step};
use tickless_kernels::{
    Branch, BranchNorm, FirstInput, FirstLayer, FusedBranch, FusedLayer, KernelChoice, Moments, NeuronOp, Statistics,
    any_neuron_on_cpu, neuron, reference, rounded,
};
use tickless_net::{Conv, Neuron, Node, Norm, Pool, Recurrent};
use tickless_neuron::leak::stretch;
use tickless_neuron::step::Constants;

/// One summand of a neuron's current: a sequence, and the convolution and norm that the fused
/// kernel applies to it.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    x: Sequence,
    /// Weight and padding of a first layer's convolution, and the kernels to use.
    conv: Option<(Tensor<4>, usize, KernelChoice)>,
    norm: Option<TermNorm>,
}

/// A norm that the fused kernel applies to a term; gain and shift have shape `[C]`.
#[derive(Debug, Clone)]
struct TermNorm {
    gain: Tensor<1>,
    shift: Tensor<1>,
    kind: BranchNorm,
    /// Index of the norm in graph order, and its momentum.
    place: (usize, f64),
}

impl Term {
    /// A sequence that needs neither convolution nor norm.
    pub(crate) fn plain(x: Sequence) -> Self {
        Self { x, conv: None, norm: None }
    }

    /// A sequence to which the first-layer kernel applies a convolution (see
    /// [`Fusion`](super::fusion::Fusion)).
    pub(crate) fn convolved(x: Sequence, weight: Tensor<4>, c: Conv, kernel: KernelChoice) -> Self {
        Self { x, conv: Some((weight, c.window.rows.before, kernel)), norm: None }
    }

    /// Adds the norm with this index in graph order to the term.
    pub(crate) fn normalised(
        self,
        running: &Running,
        (gain, shift): (Tensor<1>, Tensor<1>),
        norm: Norm,
        mode: NormMode,
        index: usize,
    ) -> Self {
        let place = (index, norm.momentum);
        let norm = match mode {
            NormMode::Batch => TermNorm { gain, shift, kind: BranchNorm::Batch(norm.eps as f32), place },
            NormMode::Running => {
                let (gain, shift) = running.affine(gain, shift, norm);
                TermNorm { gain, shift, kind: BranchNorm::Affine, place }
            }
        };
        Self { norm: Some(norm), ..self }
    }

    /// Keeps these samples of a term of one step.
    pub(crate) fn select(&mut self, samples: &Tensor<1, Int>) {
        self.x = self.x.clone().select(samples);
    }

    /// Number of steps.
    pub(crate) fn steps(&self) -> usize {
        self.x.steps()
    }
}

/// Spikes of a neuron whose current is the sum of one or two terms, computed by the fused kernel.
///
/// Stores the batch statistics of each norm in `statistics`, at the norm's index in graph order. If
/// `pool` is given, the kernel returns the pooled spikes. If the first term has a convolution, it
/// must be the only term.
///
/// # Errors
/// If a worker that shares the batch has left.
pub(crate) fn spiking(
    mut terms: Vec<Term>,
    op: NeuronOp,
    pool: Option<Pool>,
    device: &Device,
    batch: &Arc<WholeBatch>,
    statistics: &mut [Option<BatchStatistics>],
) -> Result<Sequence> {
    let places: Vec<_> = terms.iter().map(|t| t.norm.as_ref().map(|n| n.place)).collect();
    let pool = pool.and_then(tile);
    let (spikes, seen) = if let Some((weight, padding, kernel)) = terms[0].conv.take() {
        let term = terms.swap_remove(0);
        let (x, repeat) = term.x.into_repeated_first();
        let (norm, kind) = affine(term.norm);
        let (input, branch) = (FirstInput { x, weight, padding, kernel }, Branch { norm: kind, repeat });
        let layer = FirstLayer::new(input, norm, branch, op, pool);
        let seen = of_batch(layer.moments(), batch)?;
        (layer.spikes(seen.clone(), batch.reduction()), seen)
    } else {
        let branches = terms.into_iter().map(fused_branch);
        let layer = FusedLayer::new(branches.collect(), op, pool);
        let seen = of_batch(layer.moments(), batch)?;
        (layer.spikes(seen.clone(), batch.reduction()), seen)
    };
    for (place, seen) in places.into_iter().zip(seen) {
        if let (Some((index, momentum)), Some(seen)) = (place, seen) {
            statistics[index] = Some(BatchStatistics::new(&seen, momentum, device));
        }
    }
    Ok(Sequence::from_channels_last(spikes, op.steps))
}

/// Spikes of one step of plain neurons, as [`spiking`]. Moves `membranes` on by the step; `op` has
/// the λ of the run's number of steps.
pub(crate) fn step(mut terms: Vec<Term>, op: NeuronOp, pool: Option<Pool>, membranes: &mut Vec<f32>) -> Sequence {
    let pool = pool.and_then(tile);
    if let Some((weight, padding, kernel)) = terms[0].conv.take() {
        let term = terms.swap_remove(0);
        let (x, repeat) = term.x.into_repeated_first();
        let (norm, kind) = affine(term.norm);
        let (input, branch) = (FirstInput { x, weight, padding, kernel }, Branch { norm: kind, repeat });
        return Sequence::from_channels_last(first_step(input, norm, branch, op, pool, membranes), 1);
    }
    let branches = terms.into_iter().map(fused_branch);
    Sequence::from_channels_last(fused_step(branches.collect(), op, pool, membranes), 1)
}

/// A term as branch of the fused kernel.
fn fused_branch(term: Term) -> FusedBranch {
    let (x, repeat) = term.x.into_repeated();
    let (norm, kind) = affine(term.norm);
    (x, norm, Branch { norm: kind, repeat })
}

/// Gain and shift of a term's norm, and its kind.
fn affine(norm: Option<TermNorm>) -> (Option<(Tensor<1>, Tensor<1>)>, BranchNorm) {
    norm.map_or((None, BranchNorm::None), |n| (Some((n.gain, n.shift)), n.kind))
}

/// Spikes of one step of any neurons. Moves `memory` on by the step, which is one of `steps`.
/// `weight` as in [`recurrent_spiking`], if the layer has recurrent connections.
///
/// # Errors
/// As [`general_spiking`].
pub(crate) fn general_step(
    x: Sequence,
    n: &Neuron,
    node: &Node,
    (decay, weight): (Option<Tensor<1>>, Option<Tensor<1>>),
    (steps, pass): (usize, &Pass<'_>),
    memory: &mut GeneralMemory,
) -> Result<Sequence> {
    let step_us = pass.step_us;
    let mut constants = Constants::at(n, pass.leak, pass.t_max, steps, step_us).ok_or_else(|| no_step(&node.name))?;
    if let Some(lambda) = learned(decay, pass, steps) {
        constants.lambda = lambda.into_scalar::<f32>();
    }
    let GeneralMemory { states, late } = memory;
    let (Some(recurrent), Some(weight)) = (node.recurrent, weight) else {
        return Ok(x.each(|x| any_neuron_step(x, n, &constants, states)));
    };
    let delay = recurrent.steps(pass.leak, pass.t_max, steps, step_us).ok_or_else(|| no_step(&node.name))?;
    let current = returning(node, weight);
    Ok(x.channels_first().each(|x| {
        let x = match late.len() == delay {
            true => late.pop_front().into_iter().fold(x, |x, spikes| x + current(spikes)),
            false => x,
        };
        let spikes = any_neuron_step(x, n, &constants, states);
        late.push_back(spikes.clone());
        spikes
    }))
}

/// Adds up the moments of all workers' parts and returns the statistics of the whole batch.
fn of_batch(mut moments: Vec<Option<Moments>>, batch: &WholeBatch) -> Result<Vec<Option<Statistics>>> {
    batch.moments(&mut moments)?;
    Ok(rounded(&moments))
}

/// The neuron's operator at this number of steps.
///
/// # Errors
/// If the leak is a time constant and the pass has no step duration; names the layer.
pub(crate) fn neuron_op(n: Neuron, name: &str, steps: usize, pass: &Pass<'_>) -> Result<NeuronOp> {
    let lambda = n.lambda(pass.leak, pass.t_max, steps, pass.step_us).ok_or_else(|| no_step(name))?;
    Ok(NeuronOp { neuron: n, lambda, steps })
}

/// The error of a layer whose parameters need a step duration that the pass does not have.
fn no_step(name: &str) -> Error {
    Error::NoStepDuration { layer: name.to_owned() }
}

/// The least distance in steps between two spikes of a neuron at this number of steps.
///
/// # Errors
/// If the refractory period is in µs and the pass has no step duration; names the layer.
pub(crate) fn interval(n: &Neuron, name: &str, steps: usize, pass: &Pass<'_>) -> Result<usize> {
    n.interval(pass.leak, pass.t_max, steps, pass.step_us).ok_or_else(|| no_step(name))
}

/// Spikes of neurons that have no fused kernel: those that are not plain ([`Neuron::is_plain`]),
/// and those that have dead steps at this number of steps.
///
/// `decay` is the trained tensor of a learned leak. The CPU kernel runs if `plain` is false, the
/// leak is not learned and autodiff records no graph; otherwise tensor operators run.
///
/// # Errors
/// If a time constant is in µs but the steps have no duration; names the layer.
pub(crate) fn general_spiking(
    x: Sequence,
    n: &Neuron,
    name: &str,
    decay: Option<Tensor<1>>,
    plain: bool,
    pass: &Pass<'_>,
) -> Result<Sequence> {
    let steps = x.steps();
    let constants = Constants::at(n, pass.leak, pass.t_max, steps, pass.step_us).ok_or_else(|| no_step(name))?;
    if !plain && decay.is_none() && x.is_on_cpu_without_graph() {
        return Ok(x.each(|x| any_neuron_on_cpu(x, n, &constants, steps)));
    }
    let lambda = learned(decay, pass, steps);
    Ok(x.each(|x| reference::any_neuron(x, n, constants, lambda, steps)))
}

/// λ of a learned leak at this number of steps, from the trained tensor.
fn learned(decay: Option<Tensor<1>>, pass: &Pass<'_>, steps: usize) -> Option<Tensor<1>> {
    decay.map(|d| {
        // The same value as `learned_lambda`; if the leak rule is `Time`, λ^(T_max/T).
        let trained = sigmoid(d).clamp(1e-6, 1.0 - 1e-6);
        let stretch = stretch(pass.leak, pass.t_max, steps);
        if stretch == 1.0 { trained } else { trained.log().mul_scalar(stretch).exp() }
    })
}

/// Spikes of neurons with recurrent connections: the spikes of step t − k, through the weights, are
/// inputs of step t ([`Recurrent::steps`]). The steps of a stage follow each other, so no kernel
/// computes them together.
///
/// `weight` `[C, C]` (to, from), or `[C]` if each neuron leads to itself.
///
/// # Errors
/// If a time constant or the delay is in µs but the steps have no duration; names the layer.
pub(crate) fn recurrent_spiking(
    x: Sequence,
    (n, recurrent): (&Neuron, Recurrent),
    node: &Node,
    (decay, weight): (Option<Tensor<1>>, Tensor<1>),
    pass: &Pass<'_>,
) -> Result<Sequence> {
    let steps = x.steps();
    let constants = Constants::at(n, pass.leak, pass.t_max, steps, pass.step_us).ok_or_else(|| no_step(&node.name))?;
    let delay = recurrent.steps(pass.leak, pass.t_max, steps, pass.step_us).ok_or_else(|| no_step(&node.name))?;
    let lambda = learned(decay, pass, steps);
    let current = returning(node, weight);
    let feedback = Feedback { delay, current: &current };
    let x = x.channels_first();
    Ok(x.each(|x| reference::any_recurrent_neuron(x, n, constants, lambda, steps, Some(feedback))))
}

/// The current that the spikes of one step bring back to their layer, as a function of `[B, C, H,
/// W]`; `weight` as in [`recurrent_spiking`].
fn returning(node: &Node, weight: Tensor<1>) -> impl Fn(Tensor<4>) -> Tensor<4> {
    let channels = node.output.channels;
    let factors = node.input_scale().map(|f| {
        let data = TensorData::new(f, [1, channels, 1, 1]);
        // `weight` has a graph if the pass has one.
        Tensor::<4>::from_data(data, &weight.device())
    });
    let dense = weight.dims()[0] == channels * channels && channels > 1;
    move |spikes: Tensor<4>| {
        let [b, c, h, w] = spikes.dims();
        let current = match dense {
            true => {
                let spikes = spikes.permute([0, 2, 3, 1]).reshape([b * h * w, c]);
                let current = spikes.matmul(weight.clone().reshape([c, c]).transpose());
                current.reshape([b, h, w, c]).permute([0, 3, 1, 2])
            }
            false => spikes * weight.clone().reshape([1, c, 1, 1]),
        };
        match &factors {
            Some(factors) => current * factors.clone(),
            None => current,
        }
    }
}

/// Spikes of a plain neuron, computed by the operator [`neuron()`], which evaluates no other layer.
pub(crate) fn plain_spiking(x: Sequence, op: NeuronOp) -> Sequence {
    x.channels_first().each(|x| neuron(x, op))
}
