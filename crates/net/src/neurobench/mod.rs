//! Cost by the definitions of NeuroBench 2.3, under its own keys.
//!
//! ```text
//! Footprint             bytes of all parameters and buffers, as PyTorch and snnTorch store them
//! ConnectionSparsity    share of zeros among the weights of convolutions and linear layers
//! ActivationSparsity    share of zeros among the outputs of all neurons at all steps
//! SynapticOperations    per sample, of convolutions, linear layers and dense recurrent connections:
//!   Effective_MACs        inputs ≠ 0 times weights ≠ 0, at steps with an input other than 0, 1, −1
//!   Effective_ACs         the same, at the other steps
//!   Dense                 all inputs times all weights; padding and biases do not count
//! MembraneUpdates       per sample: all neurons at their first step, later those whose membrane
//!                       potential after the step differs from that before
//! NeuronOperations      membrane updates, and all neurons at all steps, times the operations of one
//!                       update (snnTorch's Leaky 4; Synaptic 6 if its reset subtracts, else 8)
//! ```
//!
//! [`footprint`] and [`fan_out`](mod@fan_out) compute what a description and its weights determine; an
//! executor counts the rest. Source: Yik et al., "NeuroBench" (2025), and the code of its package
//! `neurobench` 2.3.0, `metrics/`. Two of its numbers depend on its batches: it decides between
//! multiply-accumulates and accumulates for a whole batch, so its numbers at batch 1 are these; and it
//! averages the share of zeros over the batches, so the last bit of its ActivationSparsity is that of a
//! rounded sum, where this one is one quotient of counts. `.ci/extra python` compares all of them with its
//! harness. The products of attention are no connections of NeuroBench's; its convolutions and linear
//! layers count. Recurrent connections of snnTorch's `RLeaky` with a reset to zero are evaluated twice a
//! step by snnTorch, which NeuroBench counts, and once here. The harness must run the network itself: it resets neurons by snnTorch's list of instances, in
//! which a copy (`copy.deepcopy`) is missing, so each sample of a copy begins with the potentials of the
//! one before.

pub mod fan_out;
mod footprint;

pub use fan_out::{FanOut, fan_out};
pub use footprint::{connection_sparsity, footprint, parameters};

use crate::layer::Layer;
use crate::network::Network;
use crate::neuron::{Neuron, Reset, SpikeMode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The cost of a network on some samples; all counts are means per sample.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Cost {
    /// Bytes.
    pub footprint: u64,
    /// Share of zero weights, rounded to 4 decimals.
    pub connection_sparsity: f64,
    /// Number of trainable values.
    pub parameter_count: u64,
    /// Share of zero outputs of all neurons.
    pub activation_sparsity: f64,
    /// The same for each neuron layer, by name.
    pub activation_sparsity_by_layer: BTreeMap<String, f64>,
    /// Synaptic operations.
    pub synaptic_operations: SynapticOperations,
    /// Updates of membrane potentials.
    pub membrane_updates: f64,
    /// Operations of neurons; `None` if NeuroBench counts none for a neuron of the network.
    pub neuron_operations: Option<NeuronOperations>,
}

/// Synaptic operations per sample.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SynapticOperations {
    /// Multiply-accumulates.
    #[serde(rename = "Effective_MACs")]
    pub effective_macs: f64,
    /// Accumulates.
    #[serde(rename = "Effective_ACs")]
    pub effective_acs: f64,
    /// Operations if every input and weight were other than 0.
    #[serde(rename = "Dense")]
    pub dense: f64,
}

impl SynapticOperations {
    /// The operations of this many samples.
    pub fn of(macs: u64, acs: u64, dense: u64, samples: usize) -> Self {
        let mean = |n: u64| n as f64 / samples.max(1) as f64;
        Self { effective_macs: mean(macs), effective_acs: mean(acs), dense: mean(dense) }
    }
}

/// Operations of neurons per sample.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NeuronOperations {
    /// Those of the membranes that change.
    #[serde(rename = "Effective Neuron Ops")]
    pub effective: f64,
    /// Those of all membranes at all steps.
    #[serde(rename = "Neuron Dense Ops")]
    pub dense: f64,
}

impl NeuronOperations {
    /// The operations of this many samples.
    pub fn of(effective: u64, dense: u64, samples: usize) -> Self {
        let mean = |n: u64| n as f64 / samples.max(1) as f64;
        Self { effective: mean(effective), dense: mean(dense) }
    }
}

impl Cost {
    /// Checks that no value is impossible; the error completes "the file …".
    ///
    /// # Errors
    /// If a value is negative or not finite, or a share is above 1.
    pub fn check(&self) -> Result<(), String> {
        let s = self.synaptic_operations;
        let shares = [self.connection_sparsity, self.activation_sparsity];
        let counts = [s.effective_macs, s.effective_acs, s.dense, self.membrane_updates];
        let neurons = self.neuron_operations.iter().flat_map(|n| [n.effective, n.dense]);
        let impossible = |v: &f64| !(v.is_finite() && *v >= 0.0);
        let share = |v: &f64| !(0.0..=1.0).contains(v);
        if counts.into_iter().chain(neurons).any(|v| impossible(&v))
            || shares.iter().chain(self.activation_sparsity_by_layer.values()).any(share)
        {
            return Err("has a cost that cannot be".into());
        }
        Ok(())
    }
}

/// The operations of one update of a neuron: those that NeuroBench counts for the neuron of snnTorch
/// with the same state. `None` if there is no such neuron.
pub fn operations_of_update(neuron: &Neuron) -> Option<u64> {
    let subtracts = neuron.reset != Reset::Hard;
    match (neuron.adaptation, neuron.synapse) {
        _ if neuron.spikes == SpikeMode::Multi => None,
        (Some(_), _) => None,
        (None, None) => Some(4),
        (None, Some(_)) => Some(if subtracts { 6 } else { 8 }),
    }
}

/// Whether NeuroBench counts the operations of every neuron of a network.
pub fn counts_neurons(network: &Network) -> bool {
    network.nodes().iter().all(|node| match node.layer {
        Layer::Neuron(n) => node.recurrent.is_none() && operations_of_update(&n).is_some(),
        _ => true,
    })
}
