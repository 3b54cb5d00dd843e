//! Temporal efficient training: L = (1−λ)·mean_t CE(logits[t], y) + λ·MSE(logits, φ).
//!
//! Source: Deng et al., "Temporal Efficient Training of Spiking Neural Network via Gradient
//! Re-weighting", ICLR 2022.

use super::cross_entropy;
use burn::tensor::Tensor;

/// TET loss: a tensor of one value.
///
/// # Shapes
/// `logits` `[T, B, C]`, `target` `[B, C]`.
pub fn loss(logits: Tensor<3>, target: Tensor<2>, lambda: f32, phi: f32) -> Tensor<1> {
    let [t, b, c] = logits.dims();
    let all = logits.clone().reshape([t * b, c]);
    let ce = cross_entropy::of_logits(all, target.repeat_dim(0, t));
    let distance = logits - phi;
    let mse = (distance.clone() * distance).mean();
    ce.mul_scalar(1.0 - lambda) + mse.mul_scalar(lambda)
}
