//! A first layer that stores no feature map: convolution, norm, neuron and pooling in one operator.
//!
//! The first convolution of a network reads recordings: few channels, few of whose values are not zero, and no
//! gradient that anybody asks for. Its products over active inputs take less time than its output takes to be
//! written and read again, so the output is computed wherever it is needed, a band of rows at a time in the cache:
//! once for the statistics of the norm, once for the spikes and once in the backward pass.
//!
//! ```text
//! y[i] = w ∗ x[i],    I[t] = norm(y[map(t)]),    s = neuron(I),    out = Σ over windows of s
//! ```
//!
//! Neither is the gradient of y stored. With `G[i]` the sum of ∂L/∂I over the cᵢ steps that show step i, M values a
//! channel and the sums of [`crate::kernels::fused::backward`]
//!
//! ```text
//! ∂w = γ/σ·(A₁ − ΣG/M·A₂ − ΣG·(y − μ)/(M·σ²)·A₃)
//! A₁ = Σ x·G,   A₂ = Σ c·x,   A₃ = Σ c·x·(y − μ)        over what each tap meets
//! ```
//!
//! so that one pass adds up everything (A₃ as Σ c·x·y − μ·A₂). The three are sums over active inputs too. Tasks are fixed parts of the
//! batch whose sums are added in order: results do not depend on the number of threads.

mod backward;
mod forward;
mod line;
mod plan;
mod rows;
mod taps;

pub use rows::Rows;

use super::SpikingOps;
use super::conv::{ConvOp, Kernel, Precision};
use super::flex::{from_vec, values};
use super::fused::{FusedOp, Statistics, StatisticsSlot};
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use plan::Plan;
use std::sync::{Arc, Mutex, PoisonError};

/// Input channels at most: beyond, what a step stores is small beside what it computes.
const MOST_CHANNELS: usize = 4;

/// A convolution and the spiking layer that alone reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstOp {
    /// The convolution.
    pub conv: ConvOp,
    /// What follows, of one branch.
    pub fused: FusedOp,
}

/// Whether a convolution (stride, padding, kernel side, input channels) can be such a layer.
pub fn fits(stride: usize, padding: usize, side: usize, channels: usize) -> bool {
    stride == 1 && padding < side && channels <= MOST_CHANNELS
}

/// Whether the kernels that were asked for are those of this folder.
pub fn wanted(kernel: Kernel, precision: Precision) -> bool {
    matches!(kernel, Kernel::Auto | Kernel::Sparse) && precision == Precision::F32
}

/// One branch's γ and β, and the statistics of the batch if it is normalised by them.
#[derive(Debug, Clone, Copy)]
struct Norm<'a> {
    gain: &'a [f32],
    shift: &'a [f32],
    statistics: Option<&'a Statistics>,
}

/// Gradients of the weight, of γ and of β (empty without norm).
#[derive(Debug, Clone, Default)]
struct Gradients {
    weight: Vec<f32>,
    gain: Vec<f32>,
    shift: Vec<f32>,
}

/// Pooled spikes `[T·B, H, W, Co]` of `[T_in·B, C, H, W]`, and the active inputs.
pub(super) fn forward_on_host(
    input: &FlexTensor,
    [weight, gain, shift]: [&FlexTensor; 3],
    op: &FirstOp,
    slot: &StatisticsSlot,
) -> (FlexTensor, Rows) {
    let isa = super::conv::simd::Isa::detect();
    let [input, weight, gain, shift] = [input, weight, gain, shift].map(FlexTensor::to_contiguous);
    let rows = Rows::of(isa, values(&input), &op.conv.geometry, plan::pitch(&op.conv.geometry));
    let plan = Plan::new(op, rows.images());
    super::conv::choice::report(&op.conv.geometry, rows.images(), Some(rows.density(&plan.g)), true, true);
    let seen = forward::statistics(isa, op, &plan, &rows, values(&weight));
    let norm = Norm { gain: values(&gain), shift: values(&shift), statistics: seen.as_ref() };
    let spikes = forward::spikes(isa, op, &plan, &rows, values(&weight), norm);
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = vec![seen];
    let (height, width) = plan.out;
    (from_vec(spikes, Shape::new([plan.batch * plan.steps.len(), height, width, plan.g.out])), rows)
}

/// Gradients of weight, γ and β.
pub(super) fn backward_on_host(
    gradient: &FlexTensor,
    [weight, gain, shift]: [&FlexTensor; 3],
    rows: &Rows,
    op: &FirstOp,
    slot: &StatisticsSlot,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let [d, w, gamma, beta] = [gradient, weight, gain, shift].map(FlexTensor::to_contiguous);
    let seen = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let norm = Norm { gain: values(&gamma), shift: values(&beta), statistics: seen.first().and_then(Option::as_ref) };
    let plan = Plan::new(op, rows.images());
    let isa = super::conv::simd::Isa::detect();
    let g = backward::gradients(isa, op, &plan, rows, values(&w), norm, values(&d));
    let of = |data: Vec<f32>, like: &FlexTensor| {
        let shape = like.shape();
        let n = shape.num_elements();
        from_vec(if data.len() == n { data } else { vec![0.0; n] }, shape)
    };
    (of(g.weight, weight), of(g.gain, gain), of(g.shift, shift))
}

/// The operator of a backend that stores the feature map: convolution, then the fused layer.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) fn in_parts<B: SpikingOps>(
    input: FloatTensor<B>,
    [weight, gain, shift]: [FloatTensor<B>; 3],
    op: FirstOp,
    slot: StatisticsSlot,
) -> FloatTensor<B> {
    let y = B::conv(B::float_permute(input, &[0, 2, 3, 1]), weight, op.conv, None);
    // There is no second branch: any tensors will do.
    let none = gain.clone();
    B::fused(y, gain, shift, none.clone(), none.clone(), none, op.fused, slot)
}

/// Gradients of input, weight, γ and β by the same two.
pub(super) fn backward_in_parts<B: SpikingOps>(
    gradient: FloatTensor<B>,
    input: FloatTensor<B>,
    [weight, gain, shift]: [FloatTensor<B>; 3],
    op: FirstOp,
    slot: StatisticsSlot,
) -> [FloatTensor<B>; 4] {
    let keep = Arc::new(Mutex::new(None));
    let input = B::float_permute(input, &[0, 2, 3, 1]);
    let y = B::conv(input, weight.clone(), op.conv, Some(keep.clone()));
    let none = gain.clone();
    let all = B::fused_backward(gradient, y, gain, shift, none.clone(), none.clone(), none, op.fused, slot);
    let (d, gain, shift, ..) = all;
    let kept = keep.lock().unwrap_or_else(PoisonError::into_inner).take();
    let kept = kept.expect("every backend that differentiates keeps its input");
    let x = B::float_permute(B::conv_input_gradient(d.clone(), weight, op.conv), &[0, 3, 1, 2]);
    [x, B::conv_weight_gradient(d, kept, op.conv), gain, shift]
}
