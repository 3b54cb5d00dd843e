//! The fused operators of this crate, registered with Burn as a backend extension.
//!
//! One trait ([`SpikingOps`]), one implementation per backend (`flex.rs` for the CPU), one rule
//! for autodiff (`autodiff.rs`), and a plain-tensor reference that all are tested against
//! ([`mod@reference`]). Everything above this folder sees only [`neuron`] and [`map_time`].

mod autodiff;
mod flex;
mod pool;
pub mod reference;

pub use pool::TilePool;

use crate::ttm::TimeMap;
use burn::backend::{Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
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
#[backend_extension(Flex, Autodiff)]
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
    let op = TilePool { kernel, scale, height, width };
    Tensor::from_dispatch(<Dispatch as SpikingOps>::tile_pool(input.into_dispatch(), op))
}
