//! Access to the spikes of each neuron layer during a training pass.

use super::Sequence;
use burn::tensor::Tensor;
use std::fmt::Debug;

/// Sees the spikes of each neuron layer of a training pass. It may replace them, and may add a term
/// to the loss.
///
/// A pass with a tap computes a pool after a neuron on its own, because the kernel that evaluates
/// both returns only the pooled spikes.
pub(crate) trait SpikeTap: Debug + Send + Sync {
    /// Takes the spikes of the neurons of node `node`. Returns the spikes that the next layers read,
    /// and a term of the loss: one value, already weighted by this worker's share of the batch.
    fn tap(&self, node: usize, spikes: Sequence) -> (Sequence, Option<Tensor<1>>);
}
