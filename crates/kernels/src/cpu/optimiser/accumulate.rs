//! The sum of two tensors in one parallel pass over memory, in place if no other tensor shares the
//! first one's storage. Training adds up the weight gradients of an iteration's passes with it.
//!
//! s ← s + g

use super::sgd::compact;
use crate::cpu::tensor::values;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// Values per task.
const TASK: usize = 1 << 14;

/// The sum of `sum` and `more`.
pub(crate) fn add(sum: FlexTensor, more: FlexTensor) -> FlexTensor {
    let (mut sum, more) = (compact(sum), more.to_contiguous());
    let all = sum.storage_mut::<f32>().par_chunks_mut(TASK).zip(values(&more).par_chunks(TASK));
    all.for_each(|(s, g)| s.iter_mut().zip(g).for_each(|(s, g)| *s += g));
    sum
}

#[cfg(test)]
mod tests {
    use crate::accumulate;
    use burn::tensor::{Device, Distribution, Tensor};

    #[test]
    fn a_sum_is_that_of_the_tensor_library_to_the_bit_and_leaves_shared_tensors_alone() {
        let device = Device::flex();
        let random = || Tensor::<1>::random([40_000], Distribution::Normal(0.0, 1.0), &device);
        let (s, g) = (random(), random());
        let before = s.clone().into_data();
        assert_eq!(accumulate(s.clone(), g.clone()).into_data(), (s.clone() + g).into_data());
        assert_eq!(s.into_data(), before);
    }
}
