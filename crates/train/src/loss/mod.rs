//! Losses over a sequence of logits `[T, B, C]`.
//!
//! To add a loss: add its word to [`Loss`], a file with its equation here, and a match arm in
//! [`LossSetting::forward`]. A penalty on the spikes of the layers, such as [`RatePenalty`], needs
//! a file and a field of its own, because it does not read the logits.

mod cross_entropy;
pub mod distillation;
mod rate_penalty;
mod tet;

pub use distillation::SoftTarget;
pub use rate_penalty::RatePenalty;

use burn::tensor::{Device, Tensor, TensorData};
use tickless_net::recipe::{Loss, TrainRecipe};

/// A loss with its constants.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LossSetting {
    /// Which loss.
    pub loss: Loss,
    /// Label smoothing ε.
    pub smoothing: f32,
    /// Weight λ of the squared distance to φ (TET only).
    pub tet_lambda: f32,
    /// Value φ that the squared distance pulls every logit towards (TET only).
    pub tet_target: f32,
    /// Penalty on high rates, which each pass adds to the loss.
    pub rate_penalty: Option<RatePenalty>,
}

impl LossSetting {
    /// The loss with the constants of the default recipe, without label smoothing.
    pub fn new(loss: Loss) -> Self {
        Self { loss, smoothing: 0.0, ..Self::from(&TrainRecipe::default()) }
    }

    /// Returns the setting with label smoothing ε = `smoothing`.
    pub fn with_smoothing(self, smoothing: f32) -> Self {
        Self { smoothing, ..self }
    }

    /// Returns the setting with a penalty on high rates.
    pub fn with_rate_penalty(self, penalty: RatePenalty) -> Self {
        Self { rate_penalty: Some(penalty), ..self }
    }

    /// Computes the loss of the logits: a tensor of one value, the mean over the batch.
    ///
    /// # Shapes
    /// `logits` `[T, B, C]`; `labels` has B entries.
    ///
    /// # Panics
    /// If a label is not below C.
    pub fn forward(&self, logits: Tensor<3>, labels: &[usize]) -> Tensor<1> {
        let target = targets(labels, logits.dims()[2], self.smoothing, &logits.device());
        match self.loss {
            Loss::CrossEntropy => cross_entropy::of_time_mean(logits, target),
            Loss::Tet => tet::loss(logits, target, self.tet_lambda, self.tet_target),
        }
    }
}

impl Default for LossSetting {
    fn default() -> Self {
        Self::new(Loss::default())
    }
}

impl From<&TrainRecipe> for LossSetting {
    fn from(recipe: &TrainRecipe) -> Self {
        Self {
            loss: recipe.loss,
            smoothing: recipe.label_smoothing,
            tet_lambda: recipe.tet_lambda,
            tet_target: recipe.tet_target,
            rate_penalty: recipe.rate_penalty.map(RatePenalty::from),
        }
    }
}

/// Class probabilities `[B, C]`: 1 − ε at the label plus ε/C at every class.
fn targets(labels: &[usize], classes: usize, smoothing: f32, device: &Device) -> Tensor<2> {
    let mut p = vec![smoothing / classes as f32; labels.len() * classes];
    for (row, &label) in p.chunks_mut(classes).zip(labels) {
        row[label] += 1.0 - smoothing;
    }
    Tensor::from_data(TensorData::new(p, [labels.len(), classes]), device)
}
