//! One step of SGD with momentum in one pass over memory. The step runs in place if no other tensor
//! shares the storage of weight and momentum, otherwise in a copy.
//!
//! ```text
//! g ← ∇ + wd·w;  m ← µ·m + g;  w ← w − lr·m
//! ```
//!
//! ∇ is the gradient of the loss; wd, µ and lr are the weight decay, the momentum and the learning
//! rate of an [`SgdOp`]. Each operation is rounded on its own, so the result equals that of
//! separate tensor operators bit for bit.

use crate::cpu::tensor::{from_vec, values};
use crate::operators::{SgdOp, SgdTensors};
use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use rayon::prelude::*;

/// Number of values that one task of the thread pool updates.
const TASK: usize = 1 << 14;

/// Returns weight and momentum after the step. All three tensors have the same shape.
pub(crate) fn step(of: SgdTensors<Flex>, gradient: FlexTensor, op: SgdOp) -> SgdTensors<Flex> {
    let (mut weight, mut momentum, gradient) = (compact(of.weight), compact(of.momentum), gradient.to_contiguous());
    let (w, m) = (weight.storage_mut::<f32>(), momentum.storage_mut::<f32>());
    let all = w.par_chunks_mut(TASK).zip(m.par_chunks_mut(TASK)).zip(values(&gradient).par_chunks(TASK));
    all.for_each(|((w, m), g)| {
        for ((w, m), g) in w.iter_mut().zip(m).zip(g) {
            *m = *m * op.momentum + (g + *w * op.decay);
            *w -= *m * op.rate;
        }
    });
    SgdTensors { weight, momentum }
}

/// The tensor in contiguous form. If it is a view of a larger storage, its values are copied to a
/// storage of their own, because the step writes to the whole storage.
pub(super) fn compact(t: FlexTensor) -> FlexTensor {
    let t = t.to_contiguous();
    match t.storage::<f32>().len() == t.shape().num_elements() {
        true => t,
        false => from_vec(values(&t).to_vec(), t.shape()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{SgdOp, sgd};
    use burn::tensor::{Device, Distribution, Tensor};

    #[test]
    fn a_step_is_that_of_separate_operators_to_the_bit_and_leaves_shared_tensors_alone() {
        let device = Device::flex();
        let random = || Tensor::<1>::random([40_000], Distribution::Normal(0.0, 1.0), &device);
        let (w, m, g) = (random(), random(), random());
        let before = w.clone().into_data();
        let op = SgdOp { rate: 0.1, momentum: 0.9, decay: 5e-4 };
        let (w1, m1) = sgd(w.clone(), m.clone(), g.clone(), op);
        let m2 = m.mul_scalar(0.9f32) + (g + w.clone().mul_scalar(5e-4f32));
        let w2 = w.clone() - m2.clone().mul_scalar(0.1f32);
        assert_eq!(m1.into_data(), m2.into_data());
        assert_eq!(w1.into_data(), w2.into_data());
        assert_eq!(w.into_data(), before);
    }
}
