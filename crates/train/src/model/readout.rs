//! Reads a network's answer: the mean of its logits over time, and the class of the largest mean.

use burn::tensor::Tensor;

/// Index of the largest value; of equal values, the lowest index.
pub fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in row.iter().enumerate() {
        if *v > row[best] {
            best = i;
        }
    }
    best
}

/// Copies logits `[T, B, C]` to the host and returns their mean over time, `[B·C]`.
pub fn time_mean(logits: Tensor<3>) -> Vec<f32> {
    let [t, b, c] = logits.dims();
    let all: Vec<f32> = logits.into_data().try_into_vec().expect("every tensor of this crate is f32");
    let mut mean = vec![0.0f32; b * c];
    for step in all.chunks(b * c) {
        mean.iter_mut().zip(step).for_each(|(m, v)| *m += v);
    }
    mean.iter_mut().for_each(|m| *m /= t as f32);
    mean
}
