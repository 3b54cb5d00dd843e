//! A neuron layer.

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
