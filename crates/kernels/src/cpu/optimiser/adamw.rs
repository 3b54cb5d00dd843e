//! One step of AdamW in one pass over memory, in place if no other tensor shares the storage.
//!
//! ```text
//! m ← β₁·m + (1−β₁)·∇;  v ← β₂·v + (1−β₂)·∇²;  w ← (1 − lr·wd)·w − (lr/c₁)·m / (√(v/c₂) + ε),  c_k = 1 − β_kᵗ
//! ```
//!
//! (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019.) Each operation is rounded,
//! so the result equals that of separate operators bit for bit. Separate operators would read and
//! write some twenty tensors; this pass reads four and writes three.

use super::sgd::compact;
use crate::cpu::tensor::values;
use crate::operators::{AdamWOp, AdamWTensors};
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// Values per task.
const TASK: usize = 1 << 14;

/// Weight, first and second moment after the step.
pub(crate) fn step(of: AdamWTensors<Flex>, gradient: FlexTensor, op: AdamWOp) -> AdamWTensors<Flex> {
    let (mut weight, mut first, mut second) = (compact(of.weight), compact(of.first), compact(of.second));
    let gradient = gradient.to_contiguous();
    let (w, m, v) = (weight.storage_mut::<f32>(), first.storage_mut::<f32>(), second.storage_mut::<f32>());
    let moments = m.par_chunks_mut(TASK).zip(v.par_chunks_mut(TASK));
    w.par_chunks_mut(TASK).zip(moments).zip(values(&gradient).par_chunks(TASK)).for_each(|((w, (m, v)), g)| {
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            *m = *m * op.first[0] + g * op.first[1];
            *v = *v * op.second[0] + g * g * op.second[1];
            *w = *w * op.keep - *m * op.rate / ((*v / op.correction).sqrt() + op.epsilon);
        }
    });
    AdamWTensors { weight, first, second }
}

#[cfg(test)]
mod tests {
    use crate::{AdamWOp, adamw};
    use burn::tensor::{Device, Distribution, Tensor};

    #[test]
    fn a_step_is_that_of_separate_operators_to_the_bit_and_leaves_shared_tensors_alone() {
        let device = Device::flex();
        let random = || Tensor::<1>::random([40_000], Distribution::Normal(0.0, 1.0), &device);
        let (w, m, v, g) = (random(), random(), random().abs(), random());
        let before = [&w, &m, &v].map(|t| t.clone().into_data());
        let (lr, betas, eps, decay, t) = (3e-3, [0.9f64, 0.999], 1e-8, 0.02, 7);
        let op = AdamWOp::new(lr, betas, eps, decay, t);
        let (w1, m1, v1) = adamw(w.clone(), m.clone(), v.clone(), g.clone(), op);
        let c = betas.map(|b| 1.0 - b.powi(t));
        let m2 = m.clone().mul_scalar(betas[0]) + g.clone().mul_scalar(1.0 - betas[0]);
        let v2 = v.clone().mul_scalar(betas[1]) + (g.clone() * g).mul_scalar(1.0 - betas[1]);
        let root = v2.clone().div_scalar(c[1]).sqrt() + eps;
        let w2 = w.clone().mul_scalar(1.0 - lr * decay) - m2.clone().mul_scalar(lr / c[0]) / root;
        assert_eq!(m1.into_data(), m2.into_data());
        assert_eq!(v1.into_data(), v2.into_data());
        assert_eq!(w1.into_data(), w2.into_data());
        assert_eq!([w, m, v].map(|t| t.into_data()), before);
    }
}
