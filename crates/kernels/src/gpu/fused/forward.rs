//! Batch statistics and spikes of a fused layer on a GPU.

use super::super::equations::{Constants, Mode, constants, settle, spikes as fire};
use super::super::launch::{Launch, empty};
use super::{Input, Kinds, Sizes, SizesLaunch, current, map_sums, tables};
use crate::operators::{Branch, FusedOp, Moments, Statistics};
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

/// One entry per branch: the moments of a branch with a batch norm, `None` for others.
pub(in super::super) fn moments_of(op: &FusedOp, inputs: &[Input]) -> Vec<Option<Moments>> {
    let of_branch =
        |(b, i): (&Branch, &Input)| b.norm.is_of_batch().then(|| map_sums::moments(&i.x, &b.copies(op.neuron.steps)));
    op.branches.iter().zip(inputs).map(of_branch).collect()
}

#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "what two branches have")]
fn spikes_kernel<F: Float>(
    x: &[F],
    x2: &[F],
    gains: &[f32],
    means: &[f32],
    shown: &[u32],
    s: &mut [F],
    p: Sizes,
    c: Constants,
    #[comptime] branches: Kinds,
    #[comptime] mode: Mode,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= p.n {
        terminate!();
    }
    let mut v = f32::new(0.0);
    for t in 0..p.steps {
        let u = current(t, x, x2, gains, means, shown, &p, branches) + c.lambda * v;
        let spike = fire(u, &c, mode);
        s[t * p.n + ABSOLUTE_POS] = F::cast_from(spike);
        v = settle(u, spike, &c, mode);
    }
}

/// Spikes `[T·B, H, W, C]`, without the pooling. The inputs are contiguous.
pub(in super::super) fn spikes(op: &FusedOp, inputs: &[Input], statistics: &[Option<Statistics>]) -> CubeTensor {
    let x = &inputs[0].x;
    let mut shape = x.meta.shape().clone();
    let (steps, shown) = (op.neuron.steps, op.branches[0].copies(op.neuron.steps).len());
    let n = x.meta.num_elements() / shown;
    shape[0] = shape[0] / shown * steps;
    let s = empty(x, shape, x.dtype);
    let l = Launch::new(&s, n);
    if l.units > 0 {
        let (gains, means, shown) = tables(op, inputs, statistics);
        let (mode, c) = constants(op.neuron);
        let sizes = SizesLaunch::new(n, steps, x.meta.shape()[3]);
        let x2 = inputs.get(1).map_or(&gains, |i| &i.x).clone();
        let (x, to) = (x.clone().into_buffer_arg(), s.clone().into_buffer_arg());
        let (x2, gains, dtype) = (x2.into_buffer_arg(), gains.into_buffer_arg(), l.elem());
        let branches = Kinds::of(op);
        spikes_kernel::launch(
            &l.client,
            l.count(),
            l.dim(),
            l.address,
            x,
            x2,
            gains,
            means,
            shown,
            to,
            sizes,
            c,
            branches,
            mode.forward(),
            dtype,
        );
    }
    s
}
