//! Folds the factors of pooling layers into the weights that follow.
//!
//! A reader supports either sum pooling or average pooling, where Σ = k²·mean. If the network uses
//! the other kind, the exporter writes the supported kind and divides the factor out of the
//! following weights: W·mean = (W/k²)·Σ. The scaled weights stay f32 if multiplying them back gives
//! the same bits (always if k is a power of two); otherwise they are written as f64.

use super::graph::Tensor;
use crate::layer::Layer;
use crate::network::{Network, NodeId};
use crate::weights::Array;

/// W/carry, in f32 if that is exactly invertible, otherwise in f64.
pub(super) fn divided(weights: &Array, carry: f64) -> Tensor {
    let single: Vec<f32> = weights.data.iter().map(|&w| (f64::from(w) / carry) as f32).collect();
    if single.iter().zip(&weights.data).all(|(&s, &w)| (f64::from(s) * carry) as f32 == w) {
        return Tensor::single(&weights.shape, &single);
    }
    let data = weights.data.iter().map(|&w| f64::from(w) / carry).collect();
    Tensor { shape: weights.shape.clone(), data, double: true }
}

/// W·carry in f32, the inverse of [`divided`].
pub(super) fn multiplied(tensor: &Tensor, carry: f64) -> Array {
    Array { shape: tensor.shape.clone(), data: tensor.data.iter().map(|&v| (v * carry) as f32).collect() }
}

/// Whether every path from this node reaches weights (a convolution or linear layer) through
/// pooling and temporal transformation modules only.
pub(super) fn weights_follow(network: &Network, node: usize) -> bool {
    let mut readers =
        network.nodes().iter().enumerate().filter(|(_, n)| n.from.contains(&NodeId::Node(node))).peekable();
    readers.peek().is_some()
        && readers.all(|(i, n)| match n.layer {
            Layer::Conv(_) | Layer::Linear(_) => true,
            Layer::Pool(_) | Layer::GlobalAverage | Layer::AdaptiveAverage(_) | Layer::Ttm(_) | Layer::Dropout(_) => {
                weights_follow(network, i)
            }
            Layer::Norm(_) | Layer::Neuron(_) | Layer::Add | Layer::Attention(_) => false,
        })
}
