//! Gradients summed over the workers: one message an iteration, all parameters in a row.

use super::Ranks;
use crate::error::Result;
use crate::model::host;
use burn::tensor::{Tensor, TensorData};

/// Replaces each gradient by its sum over the workers; a parameter without one has none on any worker.
///
/// # Errors
/// If a worker has left.
pub(crate) fn sum_gradients(ranks: &Ranks, gradients: &mut [Option<Tensor<1>>]) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let mut all: Vec<f32> = gradients.iter().flatten().flat_map(host).collect();
    ranks.sum_f32(&mut all)?;
    let mut rest = all.as_slice();
    for g in gradients.iter_mut().flatten() {
        let (mine, others) = rest.split_at(g.dims()[0]);
        *g = Tensor::from_data(TensorData::new(mine.to_vec(), [mine.len()]), &g.device());
        rest = others;
    }
    Ok(())
}
