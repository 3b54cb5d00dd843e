//! The fused operators of this crate, registered with Burn as a backend extension.
//!
//! One trait ([`SpikingOps`]), one implementation per backend (`flex.rs` for the CPU), one rule
//! for autodiff (`autodiff.rs`), and a plain-tensor reference that all are tested against
//! ([`mod@reference`]). Everything above this folder sees only [`neuron`] and [`map_time`].

mod accumulate;
mod adamw;
#[cfg(feature = "mimalloc")]
pub mod allocator;
mod autodiff;
pub mod conv;
pub mod first;
mod flex;
pub mod fused;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod gpu;
mod map_time;
mod memory;
mod parts;
mod pool;
pub mod reference;
mod sgd;

pub use adamw::AdamWOp;
pub use pool::TilePool;
pub use sgd::SgdOp;

use crate::parallel::Ranks;
use crate::ttm::TimeMap;
use burn::backend::TensorMetadata;
use burn::backend::{Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::{Shape, Tensor};
use conv::{ConvOp, Geometry, Keep, Kept, Kernel, Precision};
use first::FirstOp;
use fused::{Branch, BranchNorm, FusedOp, Statistics, StatisticsSlot};
use std::sync::Arc;
use tickless_net::Neuron;

/// A neuron layer over a whole sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeuronOp {
    /// Threshold, spike, reset, limit, surrogate.
    pub neuron: Neuron,
    /// λ of one step at the number of steps that this sequence has.
    pub lambda: f32,
    /// Number of time steps; the first axis of the input is steps × batch.
    pub steps: usize,
}

/// What every backend must offer beyond Burn's own operators.
#[backend_extension(Cube: cfg(any(feature = "wgpu", feature = "cuda")), Flex, Autodiff)]
#[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "a fused layer is two branches of three tensors")]
pub trait SpikingOps: burn::backend::Backend {
    /// Spikes of a neuron layer; input and output `[T·B, …]`.
    fn neuron_spikes(current: FloatTensor<Self>, op: NeuronOp) -> FloatTensor<Self>;

    /// Spikes and membrane potentials u before the spike, which backward needs.
    fn neuron_spikes_and_potentials(current: FloatTensor<Self>, op: NeuronOp)
    -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradient of the current from the potentials u and the gradient of the spikes.
    fn neuron_backward(potentials: FloatTensor<Self>, gradient: FloatTensor<Self>, op: NeuronOp) -> FloatTensor<Self>;

    /// Sums over tiles of a map.
    fn tile_pool(input: FloatTensor<Self>, op: TilePool) -> FloatTensor<Self>;

    /// Gradient of the input of [`tile_pool`](Self::tile_pool) from that of its output.
    fn tile_pool_backward(gradient: FloatTensor<Self>, op: TilePool) -> FloatTensor<Self>;

    /// A linear map over the time axis: `[T_in·B, …]` to `[T_out·B, …]`.
    fn map_time(input: FloatTensor<Self>, map: Arc<TimeMap>) -> FloatTensor<Self>;

    /// Convolution of a channels-last map; puts what backward needs in `keep`.
    fn conv(input: FloatTensor<Self>, weight: FloatTensor<Self>, op: ConvOp, keep: Keep) -> FloatTensor<Self>;

    /// Gradient of the input of [`conv`](Self::conv).
    fn conv_input_gradient(gradient: FloatTensor<Self>, weight: FloatTensor<Self>, op: ConvOp) -> FloatTensor<Self>;

    /// Gradient of the weight of [`conv`](Self::conv).
    fn conv_weight_gradient(gradient: FloatTensor<Self>, kept: Kept, op: ConvOp) -> FloatTensor<Self>;

    /// Gradients of input and weight of [`conv`](Self::conv), where both are wanted.
    fn conv_gradients(
        gradient: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kept: Kept,
        op: ConvOp,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let input = Self::conv_input_gradient(gradient.clone(), weight, op);
        (input, Self::conv_weight_gradient(gradient, kept, op))
    }

    /// One value, 0, whose gradient with respect to `end` is `gradient`.
    fn seed_gradient(end: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let _ = gradient;
        Self::float_zeros(Shape::new([1]), &end.device(), end.dtype().into())
    }

    /// The sum of two tensors.
    fn accumulate(sum: FloatTensor<Self>, more: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Weight and momentum after a step of SGD.
    fn sgd(
        weight: FloatTensor<Self>,
        momentum: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        op: SgdOp,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Weight, first and second moment after a step of AdamW.
    fn adamw(
        weight: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        op: AdamWOp,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Spikes of a fused layer of two branches (value, gain, shift; one value where there is none).
    fn fused(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        x2: FloatTensor<Self>,
        gain2: FloatTensor<Self>,
        shift2: FloatTensor<Self>,
        op: FusedOp,
        statistics: StatisticsSlot,
    ) -> FloatTensor<Self>;

    /// Gradients of all tensors of [`fused`](Self::fused).
    fn fused_backward(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        x2: FloatTensor<Self>,
        gain2: FloatTensor<Self>,
        shift2: FloatTensor<Self>,
        op: FusedOp,
        statistics: StatisticsSlot,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );

    /// Spikes of a first layer from `[T_in·B, C, H, W]`; puts what backward needs in `keep`.
    fn first(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        op: FirstOp,
        statistics: StatisticsSlot,
        keep: Keep,
    ) -> FloatTensor<Self>;

    /// Gradients of weight, gain and shift of [`first`](Self::first).
    fn first_backward(
        gradient: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        kept: Kept,
        op: FirstOp,
        statistics: StatisticsSlot,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Convolution of channels-last maps.
///
/// # Shapes
/// `input` `[N, H, W, C]`, `weight` `[Co, C, k, k]`, result `[N, OH, OW, Co]`.
pub fn conv(input: Tensor<4>, weight: Tensor<4>, stride: usize, padding: usize, kernel: Kernel) -> Tensor<4> {
    conv_at(input, weight, stride, padding, kernel, Precision::F32)
}

/// As [`conv()`], at a precision that the kernel need not have: then it is f32.
///
/// # Panics
/// At 8 bits where anything is differentiated.
pub fn conv_at(
    input: Tensor<4>,
    weight: Tensor<4>,
    stride: usize,
    padding: usize,
    kernel: Kernel,
    precision: Precision,
) -> Tensor<4> {
    conv_for(input, weight, (stride, padding), kernel, precision, false)
}

/// As [`conv_at()`]; with `again` it is computed as if it were differentiated, because it will be computed again
/// and then is.
pub(crate) fn conv_for(
    input: Tensor<4>,
    weight: Tensor<4>,
    (stride, padding): (usize, usize),
    kernel: Kernel,
    precision: Precision,
    again: bool,
) -> Tensor<4> {
    let ([_, height, width, channels], [out, _, side, _]) = (input.dims(), weight.dims());
    let geometry = Geometry { channels, height, width, out, kernel: side, stride, padding };
    let op = ConvOp { geometry, kernel, precision };
    let keep: Keep = again.then(Default::default);
    Tensor::from_dispatch(<Dispatch as SpikingOps>::conv(input.into_dispatch(), weight.into_dispatch(), op, keep))
}

/// The root of a graph that ends in `end`, which `gradient` reaches: one value, 0.
pub(crate) fn seed_gradient(end: Tensor<4>, gradient: Tensor<4>) -> Tensor<1> {
    assert_eq!(end.dims(), gradient.dims(), "a gradient has the shape of its tensor");
    let (end, gradient) = (end.into_dispatch(), Tensor::<4>::from_inner(gradient).into_dispatch());
    Tensor::from_dispatch(<Dispatch as SpikingOps>::seed_gradient(end, gradient))
}

/// `sum` and `more` added, in place where `sum` is nobody else's.
///
/// # Shapes
/// Both `[n]`.
pub fn accumulate(sum: Tensor<1>, more: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as SpikingOps>::accumulate(sum.into_dispatch(), more.into_dispatch()))
}

/// Weight and momentum after a step of SGD; what is nobody else's is changed in place.
///
/// # Shapes
/// All `[n]`.
pub fn sgd(weight: Tensor<1>, momentum: Tensor<1>, gradient: Tensor<1>, op: SgdOp) -> (Tensor<1>, Tensor<1>) {
    let (w, m, g) = (weight.into_dispatch(), momentum.into_dispatch(), gradient.into_dispatch());
    let (w, m) = <Dispatch as SpikingOps>::sgd(w, m, g, op);
    (Tensor::from_dispatch(w), Tensor::from_dispatch(m))
}

/// Weight, first and second moment after a step of AdamW; what is nobody else's is changed in place.
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
    let [w, m, v, g] = [weight, first, second, gradient].map(Tensor::into_dispatch);
    let (w, m, v) = <Dispatch as SpikingOps>::adamw(w, m, v, g, op);
    (Tensor::from_dispatch(w), Tensor::from_dispatch(m), Tensor::from_dispatch(v))
}

/// A branch of a fused layer: values, γ and β (or gain and shift) if it has a norm, and how it enters.
pub type BranchTensors = (Tensor<4>, Option<(Tensor<1>, Tensor<1>)>, Branch);

/// Spikes of a layer whose current is the sum of one or two branches, and the statistics of those that are
/// normalised by the batch.
///
/// # Shapes
/// Channels-last: branches `[T_in·B, H, W, C]`, `[C]`; the result `[T·B, H, W, C]`.
///
/// # Panics
/// If there are no branches or more than two, or their shapes differ in anything but time.
pub fn fused(branches: Vec<BranchTensors>, neuron: NeuronOp) -> (Tensor<4>, Vec<Option<Statistics>>) {
    fused_over(branches, neuron, None, &Ranks::alone())
}

/// As [`fused()`], with the statistics of all workers' parts of the batch, and summed over windows of `pool`
/// where that is given (see [`tile_pool_last`]): side and scale.
///
/// # Panics
/// As [`fused()`].
pub fn fused_over(
    branches: Vec<BranchTensors>,
    neuron: NeuronOp,
    pool: Option<(usize, f32)>,
    ranks: &Ranks,
) -> (Tensor<4>, Vec<Option<Statistics>>) {
    assert!((1..=2).contains(&branches.len()), "a fused layer has one or two branches, got {}", branches.len());
    let steps = |b: &BranchTensors| b.2.repeat.as_ref().map_or(neuron.steps, |m| m.t_in());
    let of = |b: &BranchTensors| (b.0.dims()[0] / steps(b), b.0.dims()[1], b.0.dims()[2], b.0.dims()[3]);
    assert!(branches.iter().all(|b| of(b) == of(&branches[0])), "branches differ in shape");
    let device = branches[0].0.device();
    let none = || Tensor::<1>::zeros([1], &device).into_dispatch();
    let (_, height, width, channels) = of(&branches[0]);
    let pool = pool.map(|(kernel, scale)| TilePool { kernel, scale, height, width, channels, last: true });
    let op = FusedOp { neuron, branches: branches.iter().map(|b| b.2.clone()).collect(), pool, ranks: ranks.clone() };
    let slot = StatisticsSlot::default();
    let mut all = branches.into_iter().map(|(x, norm, branch)| {
        assert_eq!(norm.is_some(), branch.norm != BranchNorm::None, "a norm has gain and shift");
        let (gain, shift) = norm.map_or_else(|| (none(), none()), |(g, s)| (g.into_dispatch(), s.into_dispatch()));
        (x.into_dispatch(), gain, shift)
    });
    let (x, gain, shift) = all.next().unwrap_or_else(|| (none(), none(), none()));
    let (x2, gain2, shift2) = all.next().unwrap_or_else(|| (none(), none(), none()));
    let spikes = <Dispatch as SpikingOps>::fused(x, gain, shift, x2, gain2, shift2, op, slot.clone());
    let statistics = std::mem::take(&mut *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    (Tensor::from_dispatch(spikes), statistics)
}

/// What [`first_over`] convolves: `[T_in·B, C, H, W]` with a weight `[Co, C, k, k]`.
#[derive(Debug, Clone)]
pub struct FirstInput {
    /// The input.
    pub x: Tensor<4>,
    /// The weight.
    pub weight: Tensor<4>,
    /// Padding; the stride is 1.
    pub padding: usize,
    /// Which kernels were asked for.
    pub kernel: Kernel,
}

/// As [`fused_over()`] of a convolution's output, with one branch, where nobody asks the gradient of the input and
/// few of its values are not zero (see [`mod@first`]).
///
/// # Shapes
/// `[C]`; the result `[T·B, H, W, C]`, smaller by the pooling.
///
/// # Panics
/// If the convolution is no such layer (see [`first::fits`]).
pub fn first_over(
    input: FirstInput,
    norm: Option<(Tensor<1>, Tensor<1>)>,
    branch: Branch,
    neuron: NeuronOp,
    pool: Option<(usize, f32)>,
    ranks: &Ranks,
) -> (Tensor<4>, Option<Statistics>) {
    let FirstInput { x, weight, padding, kernel } = input;
    let ([_, channels, height, width], [out, _, side, _]) = (x.dims(), weight.dims());
    assert!(first::fits(1, padding, side, channels), "{:?} is no first layer's weight", weight.dims());
    assert_eq!(norm.is_some(), branch.norm != BranchNorm::None, "a norm has gain and shift");
    let geometry = Geometry { channels, height, width, out, kernel: side, stride: 1, padding };
    let (height, width) = (geometry.out_height(), geometry.out_width());
    let pool = pool.map(|(kernel, scale)| TilePool { kernel, scale, height, width, channels: out, last: true });
    let device = x.device();
    let none = || Tensor::<1>::zeros([1], &device);
    let (gain, shift) = norm.unwrap_or_else(|| (none(), none()));
    let op = FirstOp {
        conv: ConvOp { geometry, kernel, precision: Precision::F32 },
        fused: FusedOp { neuron, branches: vec![branch], pool, ranks: ranks.clone() },
    };
    let slot = StatisticsSlot::default();
    let (x, weight, gain, shift) =
        (x.into_dispatch(), weight.into_dispatch(), gain.into_dispatch(), shift.into_dispatch());
    let spikes = <Dispatch as SpikingOps>::first(x, weight, gain, shift, op, slot.clone(), None);
    let seen = std::mem::take(&mut *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    (Tensor::from_dispatch(spikes), seen.into_iter().next().flatten())
}

/// Spikes of a neuron layer over a sequence.
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

/// Pools over `kernel`×`kernel` tiles: sums times `scale`.
///
/// # Shapes
/// `input` `[N, C, H, W]`, result `[N, C, H/k, W/k]`; what does not fill a tile is dropped.
pub fn tile_pool(input: Tensor<4>, kernel: usize, scale: f32) -> Tensor<4> {
    let [_, _, height, width] = input.dims();
    let op = TilePool { kernel, scale, height, width, channels: 1, last: false };
    Tensor::from_dispatch(<Dispatch as SpikingOps>::tile_pool(input.into_dispatch(), op))
}

/// [`tile_pool`] of a channels-last map.
///
/// # Shapes
/// `input` `[N, H, W, C]`, result `[N, H/k, W/k, C]`.
pub fn tile_pool_last(input: Tensor<4>, kernel: usize, scale: f32) -> Tensor<4> {
    let [_, height, width, channels] = input.dims();
    let op = TilePool { kernel, scale, height, width, channels, last: true };
    Tensor::from_dispatch(<Dispatch as SpikingOps>::tile_pool(input.into_dispatch(), op))
}
