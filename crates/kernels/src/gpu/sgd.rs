//! One step of SGD with momentum in one pass over memory. A tensor is updated in place if no other
//! tensor shares its storage, else in a copy.

use super::launch::Launch;
use crate::operators::{SgdOp, SgdTensors};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// g ← ∇ + wd·w;  m ← µ·m + g;  w ← w − lr·m.
#[cube(launch, address_type = "dynamic")]
fn step_kernel(
    weight: &mut [f32],
    momentum: &mut [f32],
    gradient: &[f32],
    units: usize,
    rate: f32,
    mu: f32,
    decay: f32,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let w = weight[ABSOLUTE_POS];
    let m = momentum[ABSOLUTE_POS] * mu + (gradient[ABSOLUTE_POS] + w * decay);
    momentum[ABSOLUTE_POS] = m;
    weight[ABSOLUTE_POS] = w - m * rate;
}

/// Weight and momentum after the step.
pub(super) fn step(of: SgdTensors<CubeBackend>, gradient: CubeTensor, op: SgdOp) -> SgdTensors<CubeBackend> {
    let (weight, momentum, gradient) = (own(of.weight), own(of.momentum), into_contiguous(gradient));
    let l = Launch::new(&weight, weight.meta.num_elements());
    if l.units > 0 {
        let (w, m) = (weight.clone().into_buffer_arg(), momentum.clone().into_buffer_arg());
        let g = gradient.into_buffer_arg();
        step_kernel::launch(&l.client, l.count(), l.dim(), l.address, w, m, g, l.units, op.rate, op.momentum, op.decay);
    }
    SgdTensors { weight, momentum }
}

/// The tensor, contiguous and with storage that no other tensor shares; copied if necessary.
pub(super) fn own(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}
