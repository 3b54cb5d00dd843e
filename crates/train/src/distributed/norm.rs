//! Synchronised batch norm of tensor operators: it normalises over the batch of all workers.
//!
//! The fused layers pass their moments and gradient sums to [`WholeBatch`] themselves. This plain
//! form consists of tensor operators and one more operator, the sum over workers s = Σ_r x_r. The
//! gradient of that operator is again a sum over workers, because the loss of every worker q
//! depends on s: ∂L/∂x_r = Σ_q ∂L_q/∂s.

use super::WholeBatch;
use crate::error::Result;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData, read_sync};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn_cubecl::CubeBackend;
use std::sync::Arc;
use tickless_kernels::operators::SharedBatch;

/// The operator that this module adds to a backend.
#[backend_extension(Cube: cfg(any(feature = "wgpu", feature = "cuda")), Flex, Autodiff)]
trait WorkerOps: Backend {
    /// Returns `sum`, which is `input` summed over the workers, and records it as a function of
    /// `input`.
    fn as_sum_of(input: FloatTensor<Self>, sum: FloatTensor<Self>, batch: Arc<WholeBatch>) -> FloatTensor<Self> {
        let _ = (input, batch);
        sum
    }
}

impl WorkerOps for Flex {}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl WorkerOps for CubeBackend {}

#[derive(Debug)]
struct SumBackward;

impl<B: Backend> Backward<B, 1> for SumBackward {
    type State = Arc<WholeBatch>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let batch = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |g| {
            let (shape, device) = (g.shape(), g.device());
            let data = read_sync(B::float_into_data(g)).expect("a gradient can be read");
            let own: Vec<f32> = data.try_into_vec().expect("every tensor of this crate is f32");
            let mut sums: Vec<f64> = own.into_iter().map(f64::from).collect();
            batch.sum(&mut sums);
            let sums: Vec<f32> = sums.into_iter().map(|v| v as f32).collect();
            B::float_from_data(TensorData::new(sums, shape), &device)
        });
    }
}

impl<B: Backend, C: CheckpointStrategy> WorkerOps for Autodiff<B, C> {
    fn as_sum_of(input: FloatTensor<Self>, sum: FloatTensor<Self>, batch: Arc<WholeBatch>) -> FloatTensor<Self> {
        match SumBackward.prepare::<C>([input.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(batch, sum.into_primitive()),
            OpsKind::UnTracked(prep) => prep.finish(sum.into_primitive()),
        }
    }
}

/// All-reduce with a gradient: the sum over the workers.
///
/// # Errors
/// If a worker has left.
fn summed(x: Tensor<1>, batch: &Arc<WholeBatch>) -> Result<Tensor<1>> {
    let (shape, device) = (x.dims(), x.device());
    let own: Vec<f32> = x.clone().into_data().try_into_vec().expect("every tensor of this crate is f32");
    let mut sums: Vec<f64> = own.into_iter().map(f64::from).collect();
    batch.total(&mut sums)?;
    let sums: Vec<f32> = sums.into_iter().map(|v| v as f32).collect();
    let sum = Tensor::<1>::from_data(TensorData::new(sums, shape), &device);
    let (x, sum) = (x.into_dispatch(), sum.into_dispatch());
    Ok(Tensor::from_dispatch(<Dispatch as WorkerOps>::as_sum_of(x, sum, batch.clone())))
}

/// The result of [`batch_norm`].
#[derive(Debug)]
pub(crate) struct Normalised {
    /// This worker's part, `[N, C, H, W]`.
    pub output: Tensor<4>,
    /// μ `[C]` over the whole batch.
    pub mean: Tensor<1>,
    /// σ² `[C]`, biased, over the whole batch.
    pub variance: Tensor<1>,
    /// Number of values per channel in the whole batch.
    pub count: f64,
}

/// y = (x − μ)·γ/√(σ² + ε) + β with μ and σ² over the values of all workers.
///
/// # Errors
/// If a worker has left.
pub(crate) fn batch_norm(
    x: Tensor<4>,
    gain: Tensor<1>,
    shift: Tensor<1>,
    eps: f64,
    batch: &Arc<WholeBatch>,
) -> Result<Normalised> {
    let [n, c, h, w] = x.dims();
    let mut count = [(n * h * w) as f64];
    batch.total(&mut count)?;
    let [count] = count;
    let mean_of = |x: Tensor<4>| -> Result<Tensor<1>> {
        Ok(summed(x.sum_dim(0).sum_dim(2).sum_dim(3).reshape([c]), batch)?.div_scalar(count))
    };
    let wide = |t: Tensor<1>| t.reshape([1, c, 1, 1]);
    let mean = mean_of(x.clone())?;
    let centred = x - wide(mean.clone());
    let variance = mean_of(centred.clone() * centred.clone())?;
    let scale = gain / (variance.clone() + eps).sqrt();
    Ok(Normalised { output: centred * wide(scale) + wide(shift), mean, variance, count })
}
