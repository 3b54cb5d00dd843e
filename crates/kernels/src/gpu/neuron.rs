//! A neuron layer over all its steps in one kernel. One unit of the device computes one neuron and
//! keeps its membrane in a register.
//!
//! At each step a unit reads the current once and writes the spikes once, and the potentials too if
//! the backward pass will need them. Neighbouring units read neighbouring values. Currents and
//! spikes may be stored in less precision than the membrane, which is f32.

use super::equations::{Constants, Mode, back, constants, settle, spikes};
use super::launch::{Launch, Layout, empty, empty_like};
use crate::operators::NeuronOp;
use burn::tensor::DType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

#[cube(launch, address_type = "dynamic")]
fn spikes_kernel<F: Float>(
    x: &[F],
    s: &mut [F],
    n: usize,
    steps: usize,
    c: Constants,
    #[comptime] mode: Mode,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let mut v = f32::new(0.0);
    for t in 0..steps {
        let at = t * n + ABSOLUTE_POS;
        let u = c.lambda * v + f32::cast_from(x[at]);
        let spike = spikes(u, &c, mode);
        s[at] = F::cast_from(spike);
        v = settle(u, spike, &c, mode);
    }
}

#[cube(launch, address_type = "dynamic")]
fn spikes_and_potentials_kernel<F: Float>(
    x: &[F],
    s: &mut [F],
    potentials: &mut [f32],
    n: usize,
    steps: usize,
    c: Constants,
    #[comptime] mode: Mode,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let mut v = f32::new(0.0);
    for t in 0..steps {
        let at = t * n + ABSOLUTE_POS;
        let u = c.lambda * v + f32::cast_from(x[at]);
        let spike = spikes(u, &c, mode);
        potentials[at] = u;
        s[at] = F::cast_from(spike);
        v = settle(u, spike, &c, mode);
    }
}

#[cube(launch, address_type = "dynamic")]
fn backward_kernel<F: Float>(
    potentials: &[f32],
    gradient: &[F],
    out: &mut [F],
    n: usize,
    steps: usize,
    c: Constants,
    #[comptime] mode: Mode,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let mut g_v = f32::new(0.0);
    for k in 0..steps {
        let at = (steps - 1 - k) * n + ABSOLUTE_POS;
        let g = back(potentials[at], f32::cast_from(gradient[at]), g_v, &c, mode);
        out[at] = F::cast_from(g);
        g_v = c.lambda * g;
    }
}

/// Spikes `[T·B, …]`, in the memory layout of `current`.
pub(super) fn forward(current: CubeTensor, op: NeuronOp) -> CubeTensor {
    let layout = Layout::of(&current);
    let x = layout.arrange(current);
    let s = empty_like(&x);
    let l = Launch::new(&x, x.meta.num_elements() / op.steps);
    if l.units > 0 {
        let (mode, c) = constants(op);
        let (s, dtype) = (s.clone().into_buffer_arg(), l.elem());
        spikes_kernel::launch(
            &l.client,
            l.count(),
            l.dim(),
            l.address,
            x.into_buffer_arg(),
            s,
            l.units,
            op.steps,
            c,
            mode.forward(),
            dtype,
        );
    }
    layout.restore(s)
}

/// Spikes, and the potentials before the spikes, both in the memory layout of `current`.
pub(super) fn forward_and_potentials(current: CubeTensor, op: NeuronOp) -> (CubeTensor, CubeTensor) {
    let layout = Layout::of(&current);
    let x = layout.arrange(current);
    let (s, u) = (empty_like(&x), empty(&x, x.meta.shape().clone(), DType::F32));
    let l = Launch::new(&x, x.meta.num_elements() / op.steps);
    if l.units > 0 {
        let (mode, c) = constants(op);
        let (out, kept) = (s.clone().into_buffer_arg(), u.clone().into_buffer_arg());
        let (x, dtype) = (x.into_buffer_arg(), l.elem());
        spikes_and_potentials_kernel::launch(
            &l.client,
            l.count(),
            l.dim(),
            l.address,
            x,
            out,
            kept,
            l.units,
            op.steps,
            c,
            mode.forward(),
            dtype,
        );
    }
    (layout.restore(s), layout.restore(u))
}

/// Gradient of the current, in the memory layout of `potentials`.
pub(super) fn backward(potentials: CubeTensor, gradient: CubeTensor, op: NeuronOp) -> CubeTensor {
    let layout = Layout::of(&potentials);
    let (u, g) = (layout.arrange(potentials), layout.arrange(gradient));
    let out = empty_like(&g);
    let l = Launch::new(&g, g.meta.num_elements() / op.steps);
    if l.units > 0 {
        let (mode, c) = constants(op);
        let (g, to, dtype) = (g.into_buffer_arg(), out.clone().into_buffer_arg(), l.elem());
        backward_kernel::launch(
            &l.client,
            l.count(),
            l.dim(),
            l.address,
            u.into_buffer_arg(),
            g,
            to,
            l.units,
            op.steps,
            c,
            mode,
            dtype,
        );
    }
    layout.restore(out)
}
