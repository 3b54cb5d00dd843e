//! Spiking operators for the tensor library Burn, registered as a backend extension: neurons over
//! whole sequences, convolution over spikes, fused layers, time maps, poolings and optimisers.
//!
//! ```text
//!   functions of tensors (this file)
//!            │
//!   autodiff   gradients of the operators, on any backend       reference   the test oracle
//!      │
//!   composed   a first layer built from two operators
//!      │
//!   cpu   gpu   one function for each operator
//!      │
//!   operators   descriptions, signatures, values that two passes exchange
//!      │
//!   ttm, and the crate `tickless_neuron`   equations
//! ```
//!
//! The operators know nothing of other processes (see [`operators`]), and this crate reads neither
//! files nor recipes.
// `println!` and `eprintln!` panic if the stream cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "mimalloc")]
pub mod allocator;
mod autodiff;
mod composed;
pub mod cpu;
pub mod error;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub mod gpu;
pub mod operators;
pub mod options;
pub mod reference;
pub mod step;
pub mod ttm;

pub use error::{Error, Result};
pub use operators::{
    AdamWOp, Branch, BranchNorm, ConvOp, FusedOp, Geometry, KernelChoice, Moments, NeuronOp, Precision, Reduction,
    SgdOp, SharedBatch, Statistics, TilePool,
};
pub use options::{ComputeOptions, GpuPrecision};
pub use tickless_neuron as neuron;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, TensorData};
use operators::{
    AdamWTensors, BranchTensors, Branches, Encoded, FirstOp, NormParameters, SgdTensors, SpikingOps, UpdateOps,
};
use std::sync::Arc;
use ttm::TimeMap;

/// Convolution of channels-last feature maps, without bias, in f32.
///
/// # Shapes
/// `input` `[N, H, W, C]`, `weight` `[Co, C, k, k]`, result `[N, OH, OW, Co]`.
pub fn conv(input: Tensor<4>, weight: Tensor<4>, stride: usize, padding: usize, kernel: KernelChoice) -> Tensor<4> {
    conv_at(input, weight, stride, padding, kernel, Precision::F32)
}

/// As [`conv()`], at a given precision. A kernel that does not support `precision` computes in f32.
///
/// # Panics
/// If `precision` is [`Precision::Int8`] and an operand requires a gradient.
pub fn conv_at(
    input: Tensor<4>,
    weight: Tensor<4>,
    stride: usize,
    padding: usize,
    kernel: KernelChoice,
    precision: Precision,
) -> Tensor<4> {
    conv_for(input, weight, (stride, padding), kernel, precision, false)
}

/// As [`conv_at()`], with stride and padding as a pair. If `recompute_later` is set, this pass uses
/// the training kernels although nothing is differentiated: the caller will run it again with
/// autodiff, and both runs must match.
pub fn conv_for(
    input: Tensor<4>,
    weight: Tensor<4>,
    (stride, padding): (usize, usize),
    kernel: KernelChoice,
    precision: Precision,
    recompute_later: bool,
) -> Tensor<4> {
    let ([_, height, width, channels], [out, _, side, _]) = (input.dims(), weight.dims());
    let geometry = Geometry { channels, height, width, out, kernel: side, stride, padding };
    let op = ConvOp { recompute_later, ..ConvOp::new(geometry, kernel, precision) };
    Tensor::from_dispatch(<Dispatch as SpikingOps>::conv(input.into_dispatch(), weight.into_dispatch(), op))
}

/// Returns a scalar 0 that is the root of an autodiff graph: when it is differentiated, `end`
/// receives the gradient `gradient`.
///
/// # Shapes
/// `end` and `gradient` have the same shape; the result `[1]`.
///
/// # Panics
/// If the shapes differ.
pub fn seed_gradient(end: Tensor<4>, gradient: Tensor<4>) -> Tensor<1> {
    assert_eq!(end.dims(), gradient.dims(), "a gradient has the shape of its tensor");
    let (end, gradient) = (end.into_dispatch(), Tensor::<4>::from_inner(gradient).into_dispatch());
    Tensor::from_dispatch(<Dispatch as SpikingOps>::seed_gradient(end, gradient))
}

/// The sum of `sum` and `more`, computed in place if no other tensor shares the storage of `sum`.
///
/// # Shapes
/// Both `[n]`.
pub fn accumulate(sum: Tensor<1>, more: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as UpdateOps>::accumulate(sum.into_dispatch(), more.into_dispatch()))
}

/// Weight and momentum after one step of SGD, computed in place if no other tensor shares their
/// storage.
///
/// # Shapes
/// All `[n]`.
pub fn sgd(weight: Tensor<1>, momentum: Tensor<1>, gradient: Tensor<1>, op: SgdOp) -> (Tensor<1>, Tensor<1>) {
    let of = SgdTensors { weight: weight.into_dispatch(), momentum: momentum.into_dispatch() };
    let SgdTensors { weight, momentum } = <Dispatch as UpdateOps>::sgd(of, gradient.into_dispatch(), op);
    (Tensor::from_dispatch(weight), Tensor::from_dispatch(momentum))
}

/// Weight, first and second moment after one step of AdamW, computed in place if no other tensor
/// shares their storage.
///
/// # Shapes
/// All `[n]`.
pub fn adamw(
    weight: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    gradient: Tensor<1>,
    op: AdamWOp,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let [weight, first, second, gradient] = [weight, first, second, gradient].map(Tensor::into_dispatch);
    let AdamWTensors { weight, first, second } =
        <Dispatch as UpdateOps>::adamw(AdamWTensors { weight, first, second }, gradient, op);
    (Tensor::from_dispatch(weight), Tensor::from_dispatch(first), Tensor::from_dispatch(second))
}

/// A branch of a fused layer: its values, γ and β (or gain and shift) if it has a norm, and how the
/// fused layer reads it.
pub type FusedBranch = (Tensor<4>, Option<(Tensor<1>, Tensor<1>)>, Branch);

/// A spiking layer whose input current is the sum of one or two branches.
///
/// # Shapes
/// Channels-last: each branch `[T_in·B, H, W, C]`, γ and β `[C]`, the spikes `[T·B, H, W, C]`.
#[derive(Debug)]
pub struct FusedLayer {
    branches: Branches<Dispatch>,
    op: FusedOp,
}

impl FusedLayer {
    /// Describes the layer. If `pool` (kernel side and scale) is given, the layer sums its spikes
    /// over windows, as [`tile_pool_last`] does.
    ///
    /// # Panics
    /// If there are no branches or more than two, if the shapes of two branches differ in an axis
    /// other than time, or if a branch has γ and β but no norm, or a norm without them.
    pub fn new(branches: Vec<FusedBranch>, neuron: NeuronOp, pool: Option<(usize, f32)>) -> Self {
        assert!((1..=2).contains(&branches.len()), "a fused layer has one or two branches, got {}", branches.len());
        let steps = |b: &FusedBranch| b.2.repeat.as_ref().map_or(neuron.steps, |m| m.t_in());
        let shape = |b: &FusedBranch| (b.0.dims()[0] / steps(b), b.0.dims()[1], b.0.dims()[2], b.0.dims()[3]);
        assert!(branches.iter().all(|b| shape(b) == shape(&branches[0])), "branches differ in shape");
        let (_, height, width, channels) = shape(&branches[0]);
        let pool = pool.map(|(kernel, scale)| TilePool { kernel, scale, height, width, channels, last: true });
        let op = FusedOp { neuron, branches: branches.iter().map(|b| b.2.clone()).collect(), pool };
        let tensors = branches
            .into_iter()
            .map(|(x, norm, branch)| BranchTensors { x: x.into_dispatch(), norm: parameters(norm, branch.norm) });
        Self { branches: Branches::of(tensors), op }
    }

    /// One entry per branch, in order: the moments of a branch with a batch norm, `None` for
    /// others.
    pub fn moments(&self) -> Vec<Option<Moments>> {
        match self.op.branches.iter().any(|b| b.norm.is_of_batch()) {
            true => <Dispatch as SpikingOps>::fused_moments(self.branches.clone(), self.op.clone()),
            false => vec![None; self.op.branches.len()],
        }
    }

    /// The spikes of the layer, normalised by `statistics` of the whole batch. In the backward pass
    /// `reduction` turns the norm's sums over this part of the batch into sums over the whole
    /// batch.
    pub fn spikes(self, statistics: Vec<Option<Statistics>>, reduction: Reduction) -> Tensor<4> {
        let Self { branches, op } = self;
        Tensor::from_dispatch(<Dispatch as SpikingOps>::fused_in_batch(branches, op, Arc::new(statistics), reduction))
    }
}

/// γ and β in the form that operators take.
fn parameters(norm: Option<(Tensor<1>, Tensor<1>)>, kind: BranchNorm) -> NormParameters<Dispatch> {
    assert_eq!(norm.is_some(), kind != BranchNorm::None, "a norm has gain and shift");
    match norm {
        None => NormParameters::None,
        Some((gain, shift)) => NormParameters::Given { gain: gain.into_dispatch(), shift: shift.into_dispatch() },
    }
}

/// The statistics of a batch, computed from its moments.
pub fn rounded(moments: &[Option<Moments>]) -> Vec<Option<Statistics>> {
    moments.iter().map(|m| m.as_ref().map(Moments::round)).collect()
}

/// The spikes of a layer that is given the whole batch, and the statistics of its batch-normalised
/// branches.
///
/// # Shapes
/// As [`FusedLayer`].
///
/// # Panics
/// As [`FusedLayer::new`].
pub fn fused(branches: Vec<FusedBranch>, neuron: NeuronOp) -> (Tensor<4>, Vec<Option<Statistics>>) {
    fused_pooled(branches, neuron, None)
}

/// As [`fused()`]. If `pool` (kernel side and scale) is given, the spikes are summed over windows.
///
/// # Panics
/// As [`FusedLayer::new`].
pub fn fused_pooled(
    branches: Vec<FusedBranch>,
    neuron: NeuronOp,
    pool: Option<(usize, f32)>,
) -> (Tensor<4>, Vec<Option<Statistics>>) {
    let layer = FusedLayer::new(branches, neuron, pool);
    let statistics = rounded(&layer.moments());
    (layer.spikes(statistics.clone(), Reduction::whole()), statistics)
}

/// The operands of a first layer's convolution: an input `[T_in·B, C, H, W]` and a weight
/// `[Co, C, k, k]`.
#[derive(Debug, Clone)]
pub struct FirstInput {
    /// The input.
    pub x: Tensor<4>,
    /// The weight.
    pub weight: Tensor<4>,
    /// Padding; the stride is 1.
    pub padding: usize,
    /// Which kernels the caller asks for.
    pub kernel: KernelChoice,
}

impl FirstInput {
    /// The operator of a layer with this input.
    ///
    /// # Panics
    /// If the first-layer operator does not support the convolution (see [`FirstOp::fits`]).
    fn op(&self, neuron: NeuronOp, branch: Branch, pool: Option<(usize, f32)>) -> FirstOp {
        let Self { x, weight, padding, kernel } = self;
        let ([_, channels, height, width], [out, _, side, _]) = (x.dims(), weight.dims());
        assert!(FirstOp::fits(1, *padding, side, channels), "{:?} is no first layer's weight", weight.dims());
        let geometry = Geometry { channels, height, width, out, kernel: side, stride: 1, padding: *padding };
        let (height, width) = (geometry.out_height(), geometry.out_width());
        let pool = pool.map(|(kernel, scale)| TilePool { kernel, scale, height, width, channels: out, last: true });
        let conv = ConvOp::new(geometry, *kernel, Precision::F32);
        FirstOp { conv, fused: FusedOp { neuron, branches: vec![branch], pool } }
    }
}

/// A convolution and its only consumer, a fused layer of one branch, as one operator (see
/// [`cpu::first`]). It is fast if the input is mostly zeros and needs no gradient.
///
/// # Shapes
/// γ and β `[C]`; the spikes `[T·B, H, W, C]`, with H and W divided by the pooling.
#[derive(Debug)]
pub struct FirstLayer {
    input: FirstInput,
    encoded: Encoded,
    norm: NormParameters<Dispatch>,
    op: FirstOp,
}

impl FirstLayer {
    /// Encodes the input, which the other methods read.
    ///
    /// # Panics
    /// If the first-layer operator does not support the convolution (see [`FirstOp::fits`]).
    pub fn new(
        input: FirstInput,
        norm: Option<(Tensor<1>, Tensor<1>)>,
        branch: Branch,
        neuron: NeuronOp,
        pool: Option<(usize, f32)>,
    ) -> Self {
        let op = input.op(neuron, branch, pool);
        let norm = parameters(norm, op.fused.branches[0].norm);
        let (x, w) = (input.x.clone().into_dispatch(), input.weight.clone().into_dispatch());
        let encoded = <Dispatch as SpikingOps>::first_encode(x, w, op.clone());
        Self { input, encoded, norm, op }
    }

    /// One entry: the moments of the convolution's output if the layer has a batch norm, else
    /// `None`.
    pub fn moments(&self) -> Vec<Option<Moments>> {
        match self.op.fused.branches[0].norm.is_of_batch() {
            true => {
                let weight = self.input.weight.clone().into_dispatch();
                <Dispatch as SpikingOps>::first_moments(self.encoded.clone(), weight, self.op.clone())
            }
            false => vec![None],
        }
    }

    /// As [`FusedLayer::spikes`].
    pub fn spikes(self, statistics: Vec<Option<Statistics>>, reduction: Reduction) -> Tensor<4> {
        let Self { input: FirstInput { x, weight, .. }, encoded, norm, op } = self;
        let (x, weight, statistics) = (x.into_dispatch(), weight.into_dispatch(), Arc::new(statistics));
        Tensor::from_dispatch(<Dispatch as SpikingOps>::first_in_batch(
            x, encoded, weight, norm, op, statistics, reduction,
        ))
    }
}

/// The spikes of a first layer that is given the whole batch, and its statistics if it has a batch
/// norm.
///
/// # Shapes
/// As [`FirstLayer`].
///
/// # Panics
/// As [`FirstLayer::new`].
pub fn first_pooled(
    input: FirstInput,
    norm: Option<(Tensor<1>, Tensor<1>)>,
    branch: Branch,
    neuron: NeuronOp,
    pool: Option<(usize, f32)>,
) -> (Tensor<4>, Option<Statistics>) {
    let layer = FirstLayer::new(input, norm, branch, neuron, pool);
    let statistics = rounded(&layer.moments());
    (layer.spikes(statistics.clone(), Reduction::whole()), statistics.into_iter().next().flatten())
}

/// The spikes of a neuron layer over a whole sequence.
///
/// # Shapes
/// `current` and the result: `[T·B, C, H, W]` with `op.steps` = T.
///
/// # Panics
/// If the first axis is not a multiple of the steps.
pub fn neuron(current: Tensor<4>, op: NeuronOp) -> Tensor<4> {
    assert_eq!(current.dims()[0] % op.steps, 0, "{:?} is not a sequence of {} steps", current.dims(), op.steps);
    Tensor::from_dispatch(<Dispatch as SpikingOps>::neuron_spikes(current.into_dispatch(), op))
}

/// Spikes of any neuron on the CPU, without a gradient. They equal those of
/// [`reference::any_neuron`], but one kernel computes all steps in one pass over memory.
///
/// # Shapes
/// `current` and the result: `[T·B, …]` with `steps` = T.
///
/// # Panics
/// If the first axis is not a multiple of the steps.
pub fn any_neuron_on_cpu(
    current: Tensor<4>,
    neuron: &tickless_neuron::Neuron,
    constants: &tickless_neuron::step::Constants,
    steps: usize,
) -> Tensor<4> {
    let (shape, device) = (current.dims(), current.device());
    assert_eq!(shape[0] % steps, 0, "{shape:?} is not a sequence of {steps} steps");
    let current: Vec<f32> = current.into_data().try_into_vec().expect("currents are f32");
    let spikes = cpu::general_spikes(&current, neuron, constants, steps);
    Tensor::from_data(TensorData::new(spikes, shape), &device)
}

/// Applies a linear map to the time axis.
///
/// # Shapes
/// `input` `[T_in·B, C, H, W]`, result `[T_out·B, C, H, W]`.
///
/// # Panics
/// If the first axis is not a multiple of the map's `t_in`.
pub fn map_time(input: Tensor<4>, map: Arc<TimeMap>) -> Tensor<4> {
    assert_eq!(input.dims()[0] % map.t_in(), 0, "{:?} is not a sequence of {} steps", input.dims(), map.t_in());
    Tensor::from_dispatch(<Dispatch as SpikingOps>::map_time(input.into_dispatch(), map))
}

/// Sum pooling over `kernel`×`kernel` tiles; each sum is multiplied by `scale`.
///
/// # Shapes
/// `input` `[N, C, H, W]`, result `[N, C, H/k, W/k]`. Rows and columns that do not fill a tile are
/// dropped.
pub fn tile_pool(input: Tensor<4>, kernel: usize, scale: f32) -> Tensor<4> {
    let [_, _, height, width] = input.dims();
    let op = TilePool { kernel, scale, height, width, channels: 1, last: false };
    Tensor::from_dispatch(<Dispatch as SpikingOps>::tile_pool(input.into_dispatch(), op))
}

/// [`tile_pool`] of a channels-last feature map.
///
/// # Shapes
/// `input` `[N, H, W, C]`, result `[N, H/k, W/k, C]`.
pub fn tile_pool_last(input: Tensor<4>, kernel: usize, scale: f32) -> Tensor<4> {
    let [_, height, width, channels] = input.dims();
    let op = TilePool { kernel, scale, height, width, channels, last: true };
    Tensor::from_dispatch(<Dispatch as SpikingOps>::tile_pool(input.into_dispatch(), op))
}
