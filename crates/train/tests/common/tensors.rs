//! What tests of layers share: the values of a tensor, and a pass.

use burn::tensor::Tensor;
use tickless_net::LeakRule;
use tickless_train::model::{NormMode, Pass};

/// The values of a tensor, in order.
pub fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

/// A pass with running statistics and a leak per step.
pub fn pass(configuration: &[usize], t_max: usize) -> Pass<'_> {
    Pass { configuration, norm: NormMode::Running, leak: LeakRule::Step, t_max, step_us: None }
}
