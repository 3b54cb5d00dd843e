//! Cross-entropy of the time-mean of the logits: L = CE(1/T·Σ_t logits[t], y).

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// Cross-entropy of the time-mean of the logits: a tensor of one value, the mean over the batch.
///
/// # Shapes
/// `logits` `[T, B, C]`, `target` `[B, C]`.
pub fn of_time_mean(logits: Tensor<3>, target: Tensor<2>) -> Tensor<1> {
    of_logits(logits.mean_dim(0).squeeze_dim(0), target)
}

/// Mean over the batch of −Σ_c target·log softmax(logits).
///
/// # Shapes
/// Both `[N, C]`.
pub fn of_logits(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    let n = logits.dims()[0];
    (log_softmax(logits, 1) * target).sum().div_scalar(-(n as f32))
}
