//! A neuron layer.

use tickless_net::Neuron;

/// A neuron layer over a whole sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeuronOp {
    /// Threshold, spike mode, reset, lower limit and surrogate.
    pub neuron: Neuron,
    /// Leak λ of one step, at this sequence's number of steps.
    pub lambda: f32,
    /// Number of time steps; the first axis of the input is steps × batch.
    pub steps: usize,
}
