//! Sums gradients over the workers once an iteration. A large gradient is sent in parts; small
//! gradients are concatenated and sent together.

use super::Ranks;
use crate::error::Result;
use burn::tensor::{Device, Tensor, TensorData};

/// Values of a message: enough that latency does not dominate, few enough to fit a cache.
const MESSAGE: usize = 1 << 18;

/// All-reduce: replaces each gradient by its sum over the workers. If a parameter has no gradient
/// on one worker, it has none on any worker.
///
/// # Errors
/// If a worker has left.
pub(crate) fn sum_gradients(ranks: &Ranks, gradients: &mut [Option<Tensor<1>>]) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let (mut row, mut small) = (Vec::new(), Vec::new());
    for slot in gradients.iter_mut() {
        // Moved out of the slot, so that a tensor on the host gives its memory without a copy.
        let Some(gradient) = slot.take() else { continue };
        let device = gradient.device();
        let mut values: Vec<f32> = gradient.into_data().try_into_vec().expect("every tensor of this crate is f32");
        if values.len() < MESSAGE {
            row.extend_from_slice(&values);
            small.push((slot, values.len(), device));
            continue;
        }
        values.chunks_mut(MESSAGE).try_for_each(|part| ranks.sum_f32(part))?;
        *slot = Some(tensor(values, &device));
    }
    row.chunks_mut(MESSAGE).try_for_each(|part| ranks.sum_f32(part))?;
    let mut rest = row.as_slice();
    for (slot, len, device) in small {
        let (mine, others) = rest.split_at(len);
        *slot = Some(tensor(mine.to_vec(), &device));
        rest = others;
    }
    Ok(())
}

fn tensor(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}
