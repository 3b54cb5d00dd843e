//! Losses over a sequence of logits `[T, B, C]`. To add one: a file here and a variant.

mod cross_entropy;
mod tet;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Loss {
    /// Cross-entropy of the time-mean of the logits.
    CrossEntropy {
        /// Label smoothing.
        smoothing: f32,
    },
    /// Temporal efficient training.
    Tet {
        /// Weight λ of the squared distance to the target.
        lambda: f32,
        /// Target φ of every logit.
        target: f32,
        /// Label smoothing.
        smoothing: f32,
    },
}

impl Default for Loss {
    fn default() -> Self {
        Loss::CrossEntropy { smoothing: 0.0 }
    }
}

impl Loss {
    /// The loss as a tensor of one value, the mean over the batch.
    ///
    /// # Shapes
    /// `logits` `[T, B, C]`; `labels` has B entries below C.
    pub fn forward(&self, logits: Tensor<3>, labels: &[usize]) -> Tensor<1> {
        let classes = logits.dims()[2];
        match *self {
            Loss::CrossEntropy { smoothing } => {
                let target = targets(labels, classes, smoothing, &logits.device());
                cross_entropy::of_time_mean(logits, target)
            }
            Loss::Tet { lambda, target: phi, smoothing } => {
                let target = targets(labels, classes, smoothing, &logits.device());
                tet::loss(logits, target, lambda, phi)
            }
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
