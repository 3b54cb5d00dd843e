//! Distillation: the class probabilities of one pass as the target of another.
//!
//! ```text
//! KL(p ‖ q) = Σ_c p_c·(ln p_c − ln q_c),   mean over the batch
//! ```
//!
//! p are the teacher's class probabilities, which carry no gradient, and q the student's, the
//! softmax of the time-mean of its logits.
//!
//! Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, at
//! temperature 1; between numbers of time steps of one spiking network: Dong et al., "Temporal
//! Knowledge Sharing Enables Spiking Neural Network Learning From Past and Future", IEEE TAI, 2024.

use super::cross_entropy;
use burn::tensor::{Tensor, TensorData};

/// The class probabilities of the teacher's pass, which are the target of other passes.
#[derive(Debug, Clone, PartialEq)]
pub struct SoftTarget {
    probabilities: Vec<f32>,
    /// Σ_c p_c·ln p_c, mean over the batch.
    negative_entropy: f32,
    classes: usize,
}

impl SoftTarget {
    /// Computes the class probabilities from the teacher's logits, `[B·classes]`, which are already
    /// averaged over time.
    pub fn of_logits(logits: &[f32], classes: usize) -> Self {
        let mut probabilities = Vec::with_capacity(logits.len());
        let mut sum = 0.0;
        for row in logits.chunks(classes.max(1)) {
            // In f64, because the difference of two large logits may overflow f32.
            let max = row.iter().fold(f64::NEG_INFINITY, |m, v| m.max(f64::from(*v)));
            let powers: Vec<f64> = row.iter().map(|v| (f64::from(*v) - max).exp()).collect();
            let all: f64 = powers.iter().sum();
            sum += powers.iter().map(|p| p / all).filter(|p| *p > 0.0).map(|p| p * p.ln()).sum::<f64>();
            probabilities.extend(powers.iter().map(|p| (p / all) as f32));
        }
        let negative_entropy = (sum * classes as f64 / logits.len().max(1) as f64) as f32;
        Self { probabilities, negative_entropy, classes }
    }

    /// KL(p ‖ q): a tensor of one value, the mean over the batch.
    ///
    /// # Shapes
    /// `logits` `[T, B, C]`, with the same samples in the same order as the teacher's.
    pub fn loss(&self, logits: Tensor<3>) -> Tensor<1> {
        let batch = self.probabilities.len() / self.classes.max(1);
        let target = TensorData::new(self.probabilities.clone(), [batch, self.classes]);
        let target = Tensor::from_data(target, &logits.device());
        cross_entropy::of_time_mean(logits, target) + self.negative_entropy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    const TEACHER: [f32; 6] = [2.0, -1.0, 0.5, 0.0, 300.0, -300.0];

    fn student(values: &[f32], device: &Device) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / 6, 2, 3]), device)
    }

    #[test]
    fn who_has_the_probabilities_of_the_teacher_learns_nothing_more() {
        // Two steps whose mean is the teacher's logits, shifted by a constant.
        let steps: Vec<f32> = [1.0, -1.0].iter().flat_map(|d| TEACHER.map(|v| v + d + 7.0)).collect();
        let device = Device::flex().autodiff();
        let x = student(&steps, &device).require_grad();
        let loss = SoftTarget::of_logits(&TEACHER, 3).loss(x.clone());
        let gradients = loss.backward();
        let value: f32 = loss.into_scalar();
        assert!(value.abs() < 1e-5, "{value}");
        let gradient: Vec<f32> = x.grad(&gradients).expect("reached").into_data().try_into_vec().expect("f32");
        assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
    }

    #[test]
    fn the_loss_is_the_divergence_and_its_gradient_is_that_of_the_probabilities() {
        let own = [0.0f32, 1.0, -1.0, 2.0, 0.5, 0.0];
        let softmax = |row: &[f32]| -> Vec<f64> {
            let all: f64 = row.iter().map(|v| f64::from(*v).exp()).sum();
            row.iter().map(|v| f64::from(*v).exp() / all).collect()
        };
        let teacher = [2.0, -1.0, 0.5, 0.0, 1.0, -2.0];
        let (p, q): (Vec<f64>, Vec<f64>) = (0..2)
            .flat_map(|i| softmax(&teacher[3 * i..3 * i + 3]).into_iter().zip(softmax(&own[3 * i..3 * i + 3])))
            .unzip();
        let expected: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum::<f64>() / 2.0;
        let device = Device::flex().autodiff();
        let x = student(&own, &device).require_grad();
        let loss = SoftTarget::of_logits(&teacher, 3).loss(x.clone());
        let gradients = loss.backward();
        assert!((f64::from(loss.into_scalar::<f32>()) - expected).abs() < 1e-5);
        let gradient: Vec<f32> = x.grad(&gradients).expect("reached").into_data().try_into_vec().expect("f32");
        for ((g, p), q) in gradient.iter().zip(&p).zip(&q) {
            assert!((f64::from(*g) - (q - p) / 2.0).abs() < 1e-6, "{g}, {p}, {q}");
        }
    }
}
