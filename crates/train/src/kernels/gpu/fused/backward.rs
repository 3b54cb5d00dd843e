//! Gradients of a fused layer; the equations stand in [`crate::kernels::fused::backward`].

use super::super::equations::{Constants, Mode, back, constants, settle, spikes};
use super::super::launch::{Launch, empty, numbers};
use super::super::time;
use super::{Branches, Input, Sizes, SizesLaunch, current, sums, tables};
use crate::kernels::fused::backward::sum_over;
use crate::kernels::fused::{BranchNorm, FusedOp, Statistics, inverse_deviation};
use burn::tensor::DType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::kernel::cast;
use burn_cubecl::ops::numeric::zeros;
use burn_cubecl::tensor::CubeTensor;

/// ∂L/∂I of all steps. The potentials are computed again and stand in `out` until they have been used.
#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "what two branches have")]
fn current_kernel<F: Float>(
    x: &[F],
    x2: &[F],
    gains: &[f32],
    means: &[f32],
    shown: &[u32],
    gradient: &[F],
    out: &mut [f32],
    p: Sizes,
    c: Constants,
    #[comptime] branches: Branches,
    #[comptime] mode: Mode,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= p.n {
        terminate!();
    }
    let mut v = f32::new(0.0);
    for t in 0..p.steps {
        let u = current(t, x, x2, gains, means, shown, &p, branches) + c.lambda * v;
        out[t * p.n + ABSOLUTE_POS] = u;
        v = settle(u, spikes(u, &c, mode), &c, mode);
    }
    let mut g_v = f32::new(0.0);
    for k in 0..p.steps {
        let at = (p.steps - 1 - k) * p.n + ABSOLUTE_POS;
        let g = back(out[at], f32::cast_from(gradient[at]), g_v, &c, mode);
        out[at] = g;
        g_v = c.lambda * g;
    }
}

/// ∂x[i] = γ/σ·(G[i] − cᵢ·(a + (x − µ)·b)), with 1/σ, µ, a and b for each channel in `table`, then all cᵢ.
#[cube(launch, address_type = "dynamic")]
fn norm_kernel<F: Float>(
    g: &[f32],
    x: &[F],
    gain: &[f32],
    table: &[f32],
    out: &mut [F],
    n: usize,
    channels: usize,
    units: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let copies = table[4 * channels + ABSOLUTE_POS / n];
    let d = f32::cast_from(x[ABSOLUTE_POS]) - table[channels + c];
    let through = copies * (table[2 * channels + c] + d * table[3 * channels + c]);
    out[ABSOLUTE_POS] = F::cast_from(gain[c] * table[c] * (g[ABSOLUTE_POS] - through));
}

/// Gradients of values, γ and β of every branch; all tensors without gaps.
pub(in super::super) fn gradients(
    op: &FusedOp,
    inputs: &[Input],
    statistics: &[Option<Statistics>],
    gradient: CubeTensor,
) -> Vec<Input> {
    let (steps, x) = (op.neuron.steps, &inputs[0].0);
    let n = gradient.meta.num_elements() / steps;
    let currents = empty(&gradient, gradient.meta.shape().clone(), DType::F32);
    let l = Launch::new(&gradient, n);
    if l.units > 0 {
        let (gains, means, shown) = tables(op, inputs, statistics);
        let (mode, c) = constants(op.neuron);
        let sizes = SizesLaunch::new(n, steps, x.meta.shape()[3]);
        let x2 = inputs.get(1).map_or(&gains, |i| &i.0).clone();
        let (x, x2, gains) = (x.clone().into_buffer_arg(), x2.into_buffer_arg(), gains.into_buffer_arg());
        let (g, to, dtype) = (gradient.into_buffer_arg(), currents.clone().into_buffer_arg(), l.elem());
        let branches = Branches::of(op);
        current_kernel::launch(
            &l.client,
            l.count(),
            l.dim(),
            l.address,
            x,
            x2,
            gains,
            means,
            shown,
            g,
            to,
            sizes,
            c,
            branches,
            mode,
            dtype,
        );
    }
    let branch = |(k, input): (usize, &Input)| {
        let g = match &op.branches[k].repeat {
            Some(map) => time::map(currents.clone(), &map.adjoint()),
            None => currents.clone(),
        };
        through_norm(op, k, input, statistics[k].as_ref(), g)
    };
    inputs.iter().enumerate().map(branch).collect()
}

/// From G of branch `k` to the gradients of its tensors.
fn through_norm(op: &FusedOp, k: usize, (x, gain, shift): &Input, seen: Option<&Statistics>, g: CubeTensor) -> Input {
    let (branch, channels) = (&op.branches[k], x.meta.shape()[3]);
    let nothing = |t: &CubeTensor| zeros(t.device.clone(), t.meta.shape().clone(), t.dtype);
    if branch.norm == BranchNorm::None {
        return (cast(g, x.dtype), nothing(gain), nothing(shift));
    }
    let copies = branch.copies(op.neuron.steps);
    // Without statistics of the batch nothing flows through them.
    let (inverse, per_value, mean) = match (seen, branch.norm) {
        (Some(s), BranchNorm::Batch(eps)) => {
            let inverse: Vec<f64> = s.variance.iter().map(|v| f64::from(inverse_deviation(*v, eps))).collect();
            (inverse, 1.0 / s.count as f64, s.mean.clone())
        }
        _ => (vec![1.0; channels], 0.0, vec![0.0; channels]),
    };
    let (mut sum, mut product) = sums::products(&g, x, copies.len(), numbers(&x.client, &mean));
    let gains: Vec<f32> = product.iter().zip(&inverse).map(|(p, i)| (p * i) as f32).collect();
    let shifts: Vec<f32> = sum.iter().map(|v| *v as f32).collect();
    if matches!(branch.norm, BranchNorm::Batch(_)) {
        sum_over(&op.ranks, &mut sum, &mut product);
    }
    let mut table: Vec<f32> = inverse.iter().map(|i| *i as f32).collect();
    table.extend_from_slice(&mean);
    table.extend(sum.iter().map(|s| (s * per_value) as f32));
    table.extend(product.iter().zip(&inverse).map(|(p, i)| (p * i * i * per_value) as f32));
    table.extend(copies.iter().map(|c| *c as f32));
    let out = empty(x, x.meta.shape().clone(), x.dtype);
    let l = Launch::new(x, x.meta.num_elements());
    if l.units > 0 {
        let n = l.units / copies.len();
        let (from, table, dtype) = (x.clone().into_buffer_arg(), numbers(&l.client, &table), l.elem());
        let (g, gain, to) = (g.into_buffer_arg(), gain.clone().into_buffer_arg(), out.clone().into_buffer_arg());
        norm_kernel::launch(
            &l.client,
            l.count(),
            l.dim(),
            l.address,
            g,
            from,
            gain,
            table,
            to,
            n,
            channels,
            l.units,
            dtype,
        );
    }
    let on_device = |values: Vec<f32>, like: &CubeTensor| {
        let handle = like.client.create_from_slice(bytemuck::cast_slice(&values));
        let shape = like.meta.shape().clone();
        CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, DType::F32)
    };
    (out, on_device(gains, gain), on_device(shifts, shift))
}
