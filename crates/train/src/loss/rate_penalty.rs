//! A penalty on neurons that fire close to their largest rate, one spike a step.
//!
//! For a neuron layer that runs T steps, with `s[t]` the spikes of a neuron in one sample:
//!
//! ```text
//! r = 1/T·Σ_t s[t]
//! L = w·mean over samples and neurons of max(0, r − max(c, 1/T))²,   summed over the layers
//! ```
//!
//! A neuron adds to the penalty only if its rate exceeds c, in spikes per step, and if it fires
//! more than once, because at T = 1 a single spike already is the largest rate. The gradient
//! reaches the membrane through the surrogate of the spikes.
//!
//! The purpose is the event-driven run. A clocked neuron cannot fire more than once a step; without
//! a clock, a neuron at this limit would fire more often. If rates stay below the limit, the engine
//! needs a shorter refractory period, or none.
//!
//! Source: the upper bound on spike counts of Zenke and Vogels, "The Remarkable Robustness of
//! Surrogate Gradient Learning for Instilling Complex Function in Spiking Neural Networks", Neural
//! Computation 33, 2021, here on the rate of each neuron.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use tickless_net::recipe::RatePenaltyRecipe;

/// The penalty with its constants.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RatePenalty {
    /// Weight w.
    pub weight: f32,
    /// c, the rate in spikes per step up to which a neuron adds nothing to the penalty.
    pub share: f32,
}

impl RatePenalty {
    /// A penalty of weight `weight` above the rate `share`.
    pub fn new(weight: f32, share: f32) -> Self {
        Self { weight, share }
    }

    /// Computes the penalty of one layer: a tensor of one value.
    ///
    /// # Shapes
    /// `spikes` `[T·B, …]` with `steps` = T.
    pub fn of(&self, spikes: Tensor<4>, steps: usize) -> Tensor<1> {
        let limit = self.share.max(1.0 / steps as f32);
        let values = spikes.dims().iter().product::<usize>() / steps;
        let rate = spikes.reshape([steps, values]).mean_dim(0);
        let above = relu(rate - limit);
        (above.clone() * above).mean().mul_scalar(self.weight)
    }
}

impl From<RatePenaltyRecipe> for RatePenalty {
    fn from(recipe: RatePenaltyRecipe) -> Self {
        Self::new(recipe.weight, recipe.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn spikes(values: &[f32], steps: usize, device: &Device) -> Tensor<4> {
        let rest = values.len() / steps;
        Tensor::from_data(TensorData::new(values.to_vec(), [steps, 1, 1, rest]), device)
    }

    fn value(penalty: RatePenalty, values: &[f32], steps: usize) -> f32 {
        penalty.of(spikes(values, steps, &Device::flex()), steps).into_scalar()
    }

    #[test]
    fn only_the_rate_above_the_share_is_paid_for_and_by_its_square() {
        // Four steps of three neurons with the rates 1, 3/4 and 1/2.
        let all = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        for (share, expected) in [(0.5, 0.25 + 0.0625), (0.75, 0.0625), (1.0, 0.0)] {
            let got = value(RatePenalty::new(6.0, share), &all, 4);
            assert!((got - 6.0 * expected / 3.0).abs() < 1e-6, "share {share}: {got}");
        }
    }

    #[test]
    fn one_spike_of_a_neuron_costs_nothing_at_any_number_of_steps() {
        for steps in 1..=5 {
            let mut all = vec![0.0; 2 * steps];
            all[1] = 1.0;
            assert_eq!(value(RatePenalty::new(9.0, 0.1), &all, steps), 0.0, "T = {steps}");
        }
    }

    #[test]
    fn the_gradient_is_that_of_differences_and_reaches_every_step_alike() {
        let (penalty, all, h) = (RatePenalty::new(2.0, 0.3), [1.0, 0.0, 1.0, 1.0, 0.0, 0.0], 1e-3);
        let device = Device::flex().autodiff();
        let leaf = spikes(&all, 3, &device).require_grad();
        let gradients = penalty.of(leaf.clone(), 3).backward();
        let got: Vec<f32> = leaf.grad(&gradients).expect("reached").into_data().try_into_vec().expect("f32");
        for i in 0..all.len() {
            let at = |by: f32| {
                let mut moved = all;
                moved[i] += by;
                value(penalty, &moved, 3)
            };
            let expected = (at(h) - at(-h)) / (2.0 * h);
            assert!((got[i] - expected).abs() < 1e-3, "spike {i}: {} instead of {expected}", got[i]);
        }
        assert!(got[0] > 0.0 && got[0] == got[2] && got[2] == got[4], "{got:?}");
    }
}
