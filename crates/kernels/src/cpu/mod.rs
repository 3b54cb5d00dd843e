//! The operators on the CPU (Burn's Flex backend). The imports below name the function of each
//! operator.

pub mod conv;
pub mod first;
pub mod fused;
mod grain;
mod map_time;
mod memory;
mod neuron;
mod optimiser;
mod pool;
pub mod simd;
mod tensor;

use crate::operators::{
    AdamWOp, AdamWTensors, Branches, ConvInput, ConvOp, Encoded, FirstGradients, FirstOp, FirstSaved, FirstSums,
    FusedOp, FusedSaved, FusedSums, KeepsInput, LayerStatistics, Moments, NeuronOp, NormParameters, NormSums, SgdOp,
    SgdTensors, TilePool, implement_spiking_gradients, implement_spiking_ops, implement_update_ops,
};
use crate::ttm::TimeMap;
use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

use conv::layer::{
    gradients as conv_gradients, input_gradient as conv_input_gradient, output as conv,
    output_and_input as conv_and_input, weight_gradient as conv_weight_gradient,
};
use first::host::{
    encode as first_encode, gradients as first_gradients, moments as first_moments, spikes as first, sums as first_sums,
};
use fused::host::{gradients as fused_gradients, moments as fused_moments, spikes as fused, sums as fused_sums};
use map_time::map_time;
pub(crate) use neuron::{general_spikes, general_step};
use neuron::{neuron_and_potentials, neuron_gradient, neuron_spikes};
use optimiser::accumulate::add as accumulate;
use optimiser::adamw::step as adamw;
use optimiser::sgd::step as sgd;
use pool::{backward as tile_pool_gradient, forward as tile_pool};

implement_spiking_ops!(Flex);
implement_spiking_gradients!(Flex);
implement_update_ops!(Flex);

impl KeepsInput for Flex {
    type ConvInput = conv::Kept;
}
