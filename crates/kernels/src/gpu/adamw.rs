//! One step of AdamW in one pass over memory. A tensor is updated in place if no other tensor
//! shares its storage, else in a copy.

use super::launch::Launch;
use super::sgd::own;
use crate::operators::{AdamWOp, AdamWTensors};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// m ← β₁·m + (1−β₁)·∇;  v ← β₂·v + (1−β₂)·∇²;  w ← keep·w − rate·m / (√(v/c₂) + ε).
#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "four tensors and eight constants")]
fn step_kernel(
    weight: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &[f32],
    units: usize,
    beta1: f32,
    new1: f32,
    beta2: f32,
    new2: f32,
    rate: f32,
    correction: f32,
    epsilon: f32,
    keep: f32,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let g = gradient[ABSOLUTE_POS];
    let m = first[ABSOLUTE_POS] * beta1 + g * new1;
    let v = second[ABSOLUTE_POS] * beta2 + g * g * new2;
    let root = (v / correction).sqrt() + epsilon;
    first[ABSOLUTE_POS] = m;
    second[ABSOLUTE_POS] = v;
    weight[ABSOLUTE_POS] = weight[ABSOLUTE_POS] * keep - m * rate / root;
}

/// Weight, first and second moment after the step. The tensors are made contiguous.
pub(super) fn step(of: AdamWTensors<CubeBackend>, gradient: CubeTensor, op: AdamWOp) -> AdamWTensors<CubeBackend> {
    let (weight, first, second) = (own(of.weight), own(of.first), own(of.second));
    let l = Launch::new(&weight, weight.meta.num_elements());
    if l.units > 0 {
        let (w, m, v) = (weight.clone(), first.clone(), second.clone());
        step_kernel::launch(
            &l.client,
            l.count(),
            l.dim(),
            l.address,
            w.into_buffer_arg(),
            m.into_buffer_arg(),
            v.into_buffer_arg(),
            into_contiguous(gradient).into_buffer_arg(),
            l.units,
            op.first[0],
            op.first[1],
            op.second[0],
            op.second[1],
            op.rate,
            op.correction,
            op.epsilon,
            op.keep,
        );
    }
    AdamWTensors { weight, first, second }
}
