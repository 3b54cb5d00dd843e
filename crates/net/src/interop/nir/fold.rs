//! Factors of pooling folded into weights.
//!
//! A reader knows sum pooling or average pooling, not both: Σ = k²·mean. Where the other is meant,
//! its one is written and the factor divided out of the weights that follow,
//! W·mean = (W/k²)·Σ. Scaled weights stay f32 where the way back gives the same bits (always if k is a
//! power of two) and become f64 where it does not.

use super::graph::Tensor;
use crate::layer::Layer;
use crate::network::{Network, NodeId};
use crate::weights::Array;

/// W/carry.
pub(super) fn divided(weights: &Array, carry: f64) -> Tensor {
    let single: Vec<f32> = weights.data.iter().map(|&w| (f64::from(w) / carry) as f32).collect();
    if single.iter().zip(&weights.data).all(|(&s, &w)| (f64::from(s) * carry) as f32 == w) {
        return Tensor::single(&weights.shape, &single);
    }
    let data = weights.data.iter().map(|&w| f64::from(w) / carry).collect();
    Tensor { shape: weights.shape.clone(), data, double: true }
}

/// The way back.
pub(super) fn multiplied(tensor: &Tensor, carry: f64) -> Array {
    Array { shape: tensor.shape.clone(), data: tensor.data.iter().map(|&v| (v * carry) as f32).collect() }
}

/// Whether whatever reads this node reads it through weights, with nothing but pooling between.
pub(super) fn weights_follow(network: &Network, node: usize) -> bool {
    let mut readers =
        network.nodes().iter().enumerate().filter(|(_, n)| n.from.contains(&NodeId::Node(node))).peekable();
    readers.peek().is_some()
        && readers.all(|(i, n)| match n.layer {
            Layer::Conv(_) | Layer::Linear(_) => true,
            Layer::Pool(_) | Layer::GlobalAverage | Layer::Ttm(_) => weights_follow(network, i),
            Layer::Norm(_) | Layer::Neuron(_) | Layer::Add => false,
        })
}
