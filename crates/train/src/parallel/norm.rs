//! Batch norm over the batch of all workers (synchronised batch norm).
//!
//! The fused layers sum their moments and their gradients' sums themselves ([`sum_moments`] and
//! [`crate::kernels::fused::backward`]). The plain form is made of tensor operators and one more, the sum over
//! workers s = Σ_r x_r, whose gradient is again a sum over workers: every loss depends on s through its own
//! worker's copy, ∂L/∂x_r = Σ_q ∂L_q/∂s.

use super::Ranks;
use crate::error::Result;
use crate::kernels::fused::statistics::Moments;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::{Bytes, DType, Tensor};

/// The one operator that workers add to a backend.
#[backend_extension(Cube: cfg(any(feature = "wgpu", feature = "cuda")), Flex, Autodiff)]
pub trait GroupOps: burn::backend::Backend {
    /// Sum over the workers. Where one has left the values stay as they are: the training's next message says so.
    fn sum_over_ranks(input: FloatTensor<Self>, ranks: Ranks) -> FloatTensor<Self>;
}

impl GroupOps for Flex {
    fn sum_over_ranks(input: FlexTensor, ranks: Ranks) -> FlexTensor {
        let input = input.to_contiguous();
        let values = input.as_slice::<f32>().expect("contiguous, and every tensor of this crate is f32");
        let mut sum = values.to_vec();
        let _ = ranks.sum_f32(&mut sum);
        FlexTensor::new(Bytes::from_elems(sum), Layout::contiguous(input.shape()), DType::F32)
    }
}

#[derive(Debug)]
struct SumBackward;

impl<B: GroupOps> Backward<B, 1> for SumBackward {
    type State = Ranks;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ranks = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |g| B::sum_over_ranks(g, ranks));
    }
}

impl<B: GroupOps, C: CheckpointStrategy> GroupOps for Autodiff<B, C> {
    fn sum_over_ranks(input: FloatTensor<Self>, ranks: Ranks) -> FloatTensor<Self> {
        match SumBackward.prepare::<C>([input.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let sum = B::sum_over_ranks(input.into_primitive(), ranks.clone());
                prep.finish(ranks, sum)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::sum_over_ranks(input.into_primitive(), ranks)),
        }
    }
}

/// What [`batch_norm`] gives.
#[derive(Debug)]
pub(crate) struct Normalised {
    /// `[N, C, H, W]`.
    pub output: Tensor<4>,
    /// `[C]`, of the whole batch.
    pub mean: Tensor<1>,
    /// `[C]`, biased, of the whole batch.
    pub variance: Tensor<1>,
    /// Values per channel of the whole batch.
    pub count: f64,
}

/// (x − μ)·γ/√(σ² + ε) + β with μ and σ² of all workers' values.
///
/// # Errors
/// If a worker has left.
pub(crate) fn batch_norm(
    x: Tensor<4>,
    gain: Tensor<1>,
    shift: Tensor<1>,
    eps: f64,
    ranks: &Ranks,
) -> Result<Normalised> {
    let [n, c, h, w] = x.dims();
    let mut count = [(n * h * w) as f64];
    ranks.sum_f64(&mut count)?;
    let [count] = count;
    let mean_of = |x: Tensor<4>| {
        let sum = x.sum_dim(0).sum_dim(2).sum_dim(3).reshape([c]).into_dispatch();
        Tensor::<1>::from_dispatch(<Dispatch as GroupOps>::sum_over_ranks(sum, ranks.clone())).div_scalar(count)
    };
    let wide = |t: Tensor<1>| t.reshape([1, c, 1, 1]);
    let mean = mean_of(x.clone());
    let centred = x - wide(mean.clone());
    let variance = mean_of(centred.clone() * centred.clone());
    let scale = gain / (variance.clone() + eps).sqrt();
    Ok(Normalised { output: centred * wide(scale) + wide(shift), mean, variance, count })
}

/// Replaces each worker's moments by those of all of them together.
///
/// # Errors
/// If a worker has left; the moments are then as they were.
pub(crate) fn sum_moments(ranks: &Ranks, all: &mut [Option<Moments>]) -> Result<()> {
    if ranks.is_alone() || all.iter().all(Option::is_none) {
        return Ok(());
    }
    let mut sums: Vec<f64> = Vec::new();
    for m in all.iter().flatten() {
        sums.push(m.count);
        sums.extend(m.mean.iter().map(|mean| m.count * mean));
        sums.extend(m.mean.iter().zip(&m.variance).map(|(mean, v)| m.count * (v + mean * mean)));
    }
    ranks.sum_f64(&mut sums)?;
    let mut rest = sums.as_slice();
    for m in all.iter_mut().flatten() {
        let channels = m.mean.len();
        let (own, others) = rest.split_at(1 + 2 * channels);
        m.count = own[0];
        let (sum, square) = own[1..].split_at(channels);
        m.mean = sum.iter().map(|s| s / m.count).collect();
        m.variance = square.iter().zip(&m.mean).map(|(q, mean)| (q / m.count - mean * mean).max(0.0)).collect();
        rest = others;
    }
    Ok(())
}
