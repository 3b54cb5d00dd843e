//! Losses over a sequence of logits `[T, B, C]`.
//!
//! To add one: its word among those of [`Loss`], its equation in a file here, and its line in
//! [`LossSetting::forward`].

mod cross_entropy;
mod tet;

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
    /// TET: weight λ of the squared distance to the target.
    pub tet_lambda: f32,
    /// TET: target φ of every logit.
    pub tet_target: f32,
}

impl LossSetting {
    /// The loss with its usual constants, without label smoothing.
    pub fn new(loss: Loss) -> Self {
        Self { loss, smoothing: 0.0, ..Self::from(&TrainRecipe::default()) }
    }

    /// The same with this label smoothing ε.
    pub fn with_smoothing(self, smoothing: f32) -> Self {
        Self { smoothing, ..self }
    }

    /// The loss as a tensor of one value, the mean over the batch.
    ///
    /// # Shapes
    /// `logits` `[T, B, C]`; `labels` has B entries below C.
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
        }
    }
}

/// Class probabilities `[B, C]`: 1 − ε on the label plus ε/C everywhere.
fn targets(labels: &[usize], classes: usize, smoothing: f32, device: &Device) -> Tensor<2> {
    let mut p = vec![smoothing / classes as f32; labels.len() * classes];
    for (row, &label) in p.chunks_mut(classes).zip(labels) {
        row[label] += 1.0 - smoothing;
    }
    Tensor::from_data(TensorData::new(p, [labels.len(), classes]), device)
}
