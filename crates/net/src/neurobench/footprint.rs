//! The bytes of a network and the share of its weights that are 0.
//!
//! ```text
//! every trainable value              4 bytes
//! constants of a neuron layer        20: β, θ, the factor of graded spikes, 8 for the kind of reset;
//!                                    4 more with a synaptic current, 8 more with an adaptive threshold;
//!                                    4 fewer if the leak is trained; θ of each channel if they differ
//! running statistics of a norm       mean and variance of each channel, 8 for the number of batches
//! ```
//!
//! These are the buffers that snnTorch 1.0 and PyTorch keep for the same layers, so the number is the
//! one that NeuroBench reports there. An adaptive threshold, which snnTorch has not, counts its two
//! constants.

use crate::layer::{Layer, RecurrentKind};
use crate::network::{Network, Node};
use crate::neuron::Leak;
use crate::weights::Weights;

/// Number of trainable values.
pub fn parameters(network: &Network) -> u64 {
    network.trainable_values() as u64
}

/// Bytes of all parameters and buffers.
pub fn footprint(network: &Network) -> u64 {
    4 * parameters(network) + network.nodes().iter().map(buffers).sum::<u64>()
}

fn buffers(node: &Node) -> u64 {
    match node.layer {
        Layer::Neuron(n) => {
            let thresholds = node.thresholds.as_ref().map_or(1, Vec::len) as u64;
            let own = 12 + 4 * thresholds + 4;
            let synapse = if n.synapse.is_some() { 4 } else { 0 };
            let adaptation = if n.adaptation.is_some() { 8 } else { 0 };
            // A trained leak is among the trainable values.
            own + synapse + adaptation - if matches!(n.leak, Leak::Learned(_)) { 4 } else { 0 }
        }
        Layer::Norm(_) => 8 * node.output.channels as u64 + 8,
        _ => 0,
    }
}

/// The share of zeros among the weights of convolutions, linear layers and dense recurrent
/// connections, rounded to 4 decimals; 0 without weights.
pub fn connection_sparsity(network: &Network, weights: &Weights) -> f64 {
    let (mut zeros, mut all) = (0usize, 0usize);
    for node in network.nodes() {
        let name = match node.layer {
            Layer::Conv(_) | Layer::Linear(_) => "weight",
            Layer::Neuron(_) if node.recurrent.is_some_and(|r| r.kind == RecurrentKind::Dense) => "recurrent",
            _ => continue,
        };
        if let Some(w) = weights.get(&format!("{}.{name}", node.name)) {
            zeros += w.data.iter().filter(|v| **v == 0.0).count();
            all += w.data.len();
        }
    }
    if all == 0 {
        return 0.0;
    }
    // NeuroBench divides in f32 and rounds to 4 decimals, the last digit to even.
    let share = f64::from(zeros as f32 / all as f32);
    format!("{share:.4}").parse().unwrap_or(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{InputKind, NetworkBuilder};
    use crate::neuron::Neuron;
    use crate::shape::Shape;
    use crate::weights::Array;

    #[test]
    fn bytes_are_those_of_parameters_and_constants() {
        for (neuron, bytes) in [
            (Neuron::lif(), 20),
            (Neuron::cuba_lif(), 24),
            (Neuron::adaptive_lif(), 28),
            (Neuron::parametric_lif(), 4 + 16),
        ] {
            let mut b = NetworkBuilder::new("one", Shape::new(2, 1, 1), InputKind::Events);
            let x = b.linear(b.input(), 3, true);
            b.neuron(x, neuron);
            let network = b.build().unwrap();
            assert_eq!(footprint(&network), 4 * 9 + bytes, "{neuron}");
        }
    }

    #[test]
    fn zeros_are_counted_among_weights_and_not_among_biases() {
        let mut b = NetworkBuilder::new("one", Shape::new(3, 1, 1), InputKind::Events);
        b.linear(b.input(), 2, true);
        let network = b.build().unwrap();
        let mut weights = Weights::default();
        weights.insert("linear1.weight", Array::new(vec![2, 3], vec![1.0, 0.0, 0.5, 0.0, 1.0, 2.0]));
        weights.insert("linear1.bias", Array::new(vec![2], vec![0.0, 0.0]));
        assert_eq!(connection_sparsity(&network, &weights), 0.3333);
    }
}
