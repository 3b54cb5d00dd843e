//! Batch normalisation over batch, time and space: y = γ·(x − μ)/√(σ² + ε) + β.
//!
//! In training and calibration μ and σ² are the mean and the biased variance of the batch.
//! Inference uses running statistics, which average μ and the unbiased variance n/(n−1)·σ².
//! A pass does not update them: it returns the batch's statistics, and the caller calls
//! [`Running::update`].

use crate::distributed::{Normalised, WholeBatch, batch_norm};
use crate::error::Result;
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::Arc;
use tickless_kernels::Statistics;
use tickless_net::Norm;

/// Which statistics batch norm uses in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormMode {
    /// The batch's; the pass also returns them.
    Batch,
    /// The running statistics.
    Running,
}

/// Mean and unbiased variance of one batch at one norm.
#[derive(Debug, Clone)]
pub struct BatchStatistics {
    /// `[C]`.
    pub mean: Tensor<1>,
    /// `[C]`, unbiased.
    pub variance: Tensor<1>,
    /// Weight of this batch in the running statistics during training.
    pub momentum: f64,
}

impl BatchStatistics {
    /// From the mean and the biased variance of a batch.
    pub fn new(of: &Statistics, momentum: f64, device: &Device) -> Self {
        let count = of.count as f64;
        let unbiased = (count / (count - 1.0).max(1.0)) as f32;
        let tensor = |v: Vec<f32>| Tensor::from_data(TensorData::new(v, [of.mean.len()]), device);
        let variance = of.variance.iter().map(|v| v * unbiased).collect();
        Self { mean: tensor(of.mean.clone()), variance: tensor(variance), momentum }
    }
}

/// Running statistics of one norm.
#[derive(Debug, Clone)]
pub struct Running {
    /// The norm's name.
    pub name: String,
    /// `[C]`.
    pub mean: Tensor<1>,
    /// `[C]`.
    pub variance: Tensor<1>,
}

impl Running {
    /// Running statistics of the norm `name`; `mean` and `variance` are `[C]`.
    pub fn new(name: String, mean: Tensor<1>, variance: Tensor<1>) -> Self {
        Self { name, mean, variance }
    }

    /// Moves the statistics towards those of a batch: (1 − `weight`)·old + `weight`·batch.
    pub fn update(&mut self, batch: &BatchStatistics, weight: f64) {
        if weight == 1.0 {
            // Replaces instead of blending, because an old value may be infinite and 0·∞ is NaN.
            (self.mean, self.variance) = (batch.mean.clone(), batch.variance.clone());
            return;
        }
        let toward = |old: &Tensor<1>, new: &Tensor<1>| {
            old.clone().mul_scalar((1.0 - weight) as f32) + new.clone().mul_scalar(weight as f32)
        };
        self.mean = toward(&self.mean, &batch.mean);
        self.variance = toward(&self.variance, &batch.variance);
    }

    /// The scale and offset, both `[C]`, with which y = x·scale + offset normalises by the running
    /// statistics.
    pub fn affine(&self, gain: Tensor<1>, shift: Tensor<1>, norm: Norm) -> (Tensor<1>, Tensor<1>) {
        let constant =
            |t: &Tensor<1>| if gain.device().is_autodiff() { Tensor::from_inner(t.clone()) } else { t.clone() };
        let scale = gain.clone() / (constant(&self.variance) + norm.eps as f32).sqrt();
        let offset = shift - constant(&self.mean) * scale.clone();
        (scale, offset)
    }

    /// Normalises `x` `[N, C, H, W]`. In [`NormMode::Batch`] it uses the statistics of the whole
    /// batch over all workers and stores them in `statistics`.
    ///
    /// # Errors
    /// If a worker has left.
    #[expect(clippy::too_many_arguments, reason = "a norm has three tensors and four settings")]
    pub(crate) fn apply(
        &self,
        x: Tensor<4>,
        gain: Tensor<1>,
        shift: Tensor<1>,
        norm: Norm,
        mode: NormMode,
        batch: &Arc<WholeBatch>,
        statistics: &mut Option<BatchStatistics>,
    ) -> Result<Tensor<4>> {
        let [n, c, h, w] = x.dims();
        Ok(match mode {
            NormMode::Batch => {
                let out = if batch.is_here() {
                    let out = batch_norm_train(x, gain, shift, norm.eps);
                    let count = (n * h * w) as f64;
                    Normalised { output: out.output, mean: out.mean, variance: out.variance, count }
                } else {
                    batch_norm(x, gain, shift, norm.eps, batch)?
                };
                let count = out.count;
                let unbiased = (count / (count - 1.0).max(1.0)) as f32;
                let plain = |t: Tensor<1>| if t.device().is_autodiff() { t.inner() } else { t };
                *statistics = Some(BatchStatistics {
                    mean: plain(out.mean),
                    variance: plain(out.variance).mul_scalar(unbiased),
                    momentum: norm.momentum,
                });
                out.output
            }
            NormMode::Running => {
                let (scale, offset) = self.affine(gain, shift, norm);
                x * scale.reshape([1, c, 1, 1]) + offset.reshape([1, c, 1, 1])
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_that_are_replaced_leave_nothing_behind() {
        let device = Device::flex();
        let values = |v: f32| Tensor::<1>::from_data(TensorData::new(vec![v; 2], [2]), &device);
        for broken in [f32::INFINITY, f32::NAN] {
            let mut running = Running::new("n".into(), values(broken), values(broken));
            let batch = BatchStatistics { mean: values(0.5), variance: values(2.0), momentum: 0.1 };
            running.update(&batch, 1.0);
            let host = |t: &Tensor<1>| t.clone().into_data().try_into_vec::<f32>().unwrap();
            assert_eq!((host(&running.mean), host(&running.variance)), (vec![0.5; 2], vec![2.0; 2]));
        }
    }
}
