//! Gradients of a fused layer on a GPU; [`crate::cpu::fused::backward`] derives the equations.

use super::super::equations::{Constants, Mode, back, constants, settle, spikes};
use super::super::launch::{Launch, empty, numbers, vector};
use super::super::time;
use super::{Input, Kinds, Sizes, SizesLaunch, current, map_sums, tables};
use crate::operators::{
    BranchNorm, BranchTensors, Branches, FusedOp, FusedSums, NormParameters, NormSums, Statistics, norm_constants,
    parameter_gradients,
};
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

/// ∂L/∂I of all steps. The kernel recomputes the potentials into `out`, and overwrites each with
/// the gradient after it has read it.
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

/// ∂x[i] = γ/σ·(G[i] − cᵢ·(a + (x − µ)·b)). `table` holds 1/σ, µ, a and b, one row of channels
/// each, then all cᵢ: how often the repeat copies step i.
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

/// The gradient G of every branch and, for branches with a norm, its sums over this part of the
/// batch. All tensors are contiguous.
pub(in super::super) fn sums(
    op: &FusedOp,
    inputs: &[Input],
    statistics: &[Option<Statistics>],
    gradient: CubeTensor,
) -> FusedSums<CubeBackend> {
    let (steps, x) = (op.neuron.steps, &inputs[0].x);
    let n = gradient.meta.num_elements() / steps;
    let currents = empty(&gradient, gradient.meta.shape().clone(), DType::F32);
    let l = Launch::new(&gradient, n);
    if l.units > 0 {
        let (gains, means, shown) = tables(op, inputs, statistics);
        let (mode, c) = constants(op.neuron);
        let sizes = SizesLaunch::new(n, steps, x.meta.shape()[3]);
        let x2 = inputs.get(1).map_or(&gains, |i| &i.x).clone();
        let (x, x2, gains) = (x.clone().into_buffer_arg(), x2.into_buffer_arg(), gains.into_buffer_arg());
        let (g, to, dtype) = (gradient.into_buffer_arg(), currents.clone().into_buffer_arg(), l.elem());
        let branches = Kinds::of(op);
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
    let of_branch = |(k, input): (usize, &Input)| {
        let (branch, x) = (&op.branches[k], &input.x);
        let g = match &branch.repeat {
            Some(map) => time::map(currents.clone(), &map.adjoint()),
            None => currents.clone(),
        };
        let norm = (branch.norm != BranchNorm::None).then(|| {
            let (_, _, mean) = norm_constants(branch.norm, statistics[k].as_ref(), x.meta.shape()[3]);
            let copies = branch.copies(steps).len();
            let (shift, product) = map_sums::products(&g, x, copies, numbers(&x.client, &mean));
            NormSums { shift, product }
        });
        (g, norm)
    };
    let (current, norms) = inputs.iter().enumerate().map(of_branch).unzip();
    FusedSums { current, norms }
}

/// Gradients of the values, γ and β of every branch. `of_batch` holds the sums over the whole
/// batch.
pub(in super::super) fn gradients(
    op: &FusedOp,
    inputs: Vec<Input>,
    statistics: &[Option<Statistics>],
    sums: FusedSums<CubeBackend>,
    of_batch: Vec<Option<NormSums>>,
) -> Branches<CubeBackend> {
    let all = inputs.into_iter().zip(sums.current).zip(sums.norms.into_iter().zip(of_batch)).enumerate();
    Branches::of(all.map(|(k, ((BranchTensors { x, norm }, g), sums))| {
        let (NormParameters::Given { gain, shift }, (Some(own), Some(of_batch))) = (norm, sums) else {
            return BranchTensors { x: cast(g, x.dtype), norm: NormParameters::None };
        };
        let seen = statistics[k].as_ref();
        let [gains, shifts] = parameter_gradients(op.branches[k].norm, seen, &own);
        let of_values = through_norm(op, k, &x, &gain, seen, &of_batch, g);
        let norm = NormParameters::Given { gain: vector(&gain, &gains), shift: vector(&shift, &shifts) };
        BranchTensors { x: of_values, norm }
    }))
}

/// Carries G of branch `k`, which has a norm, back to the gradient of the branch's values.
fn through_norm(
    op: &FusedOp,
    k: usize,
    x: &CubeTensor,
    gain: &CubeTensor,
    seen: Option<&Statistics>,
    of_batch: &NormSums,
    g: CubeTensor,
) -> CubeTensor {
    let (branch, channels) = (&op.branches[k], x.meta.shape()[3]);
    let copies = branch.copies(op.neuron.steps);
    let (inverse, per_value, mean) = norm_constants(branch.norm, seen, channels);
    let mut table: Vec<f32> = inverse.iter().map(|i| *i as f32).collect();
    table.extend_from_slice(&mean);
    table.extend(of_batch.shift.iter().map(|s| (s * per_value) as f32));
    table.extend(of_batch.product.iter().zip(&inverse).map(|(p, i)| (p * i * i * per_value) as f32));
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
    out
}
