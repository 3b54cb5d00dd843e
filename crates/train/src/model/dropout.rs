//! Dropout: y = x·m, where m is 0 with probability p and 1/(1 − p) otherwise.
//!
//! A sample has one mask for all time steps, because a new mask at each step would only add noise to
//! a sum over time. With one mask the layer is linear on each step, so a pending repeat stays
//! pending. The mask of a sample is drawn for its place in the whole batch, so it does not depend on
//! the number of workers, and by the seeded generator, so a stage that runs again for its gradient
//! draws the same.
//!
//! Source: Srivastava et al., "Dropout", JMLR 2014.

use super::Sequence;
use crate::seed;
use burn::tensor::{Tensor, TensorData};
use rand::Rng;

/// Applies dropout. `key` selects the masks; `first` is the place of the first sample in the whole
/// batch.
pub(crate) fn dropout(x: Sequence, rate: f32, key: u64, first: usize) -> Sequence {
    let (batch, last) = (x.batch(), x.is_channels_last());
    x.linear(false, |x| {
        let [tb, a, b, c] = x.dims();
        let (channels, height, width) = if last { (c, a, b) } else { (a, b, c) };
        let mut mask = Vec::with_capacity(batch * a * b * c);
        for sample in 0..batch {
            let mut rng = seed::rng(key, "dropout", (first + sample) as u64);
            let kept = 1.0 / (1.0 - rate);
            let draws = (0..a * b * c).map(|_| if rng.random::<f32>() < rate { 0.0 } else { kept });
            mask.extend(draws);
        }
        let data = TensorData::new(mask, [batch, channels, height, width]);
        let mask = Tensor::<4>::from_data(data, &x.device());
        let mask = if last { mask.permute([0, 2, 3, 1]) } else { mask };
        let flat = x.reshape([tb / batch, batch, a * b * c]);
        (flat * mask.reshape([1, batch, a * b * c])).reshape([tb, a, b, c])
    })
}
