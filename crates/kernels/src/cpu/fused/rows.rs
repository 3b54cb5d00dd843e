//! One step of a chunk of neurons, forward and backward. The clocked LIF, the usual neuron, has
//! loops of its own; any other neuron uses the general rows of [`crate::cpu::neuron`].

use super::Channels;
use crate::cpu::neuron::{CHUNK, backward_row, forward_row};
use crate::cpu::simd::LANES;
use crate::operators::NeuronOp;
use tickless_net::{Neuron, Surrogate};
use tickless_neuron::step::{Constants, Mode, State, adjoint, step};

/// Whether this is the clocked LIF of the method: a single spike above the threshold, hard reset
/// and the triangle surrogate.
pub(crate) fn is_lif(n: &Neuron) -> bool {
    Mode::of(n) == Mode::LIF && n.surrogate == Surrogate::Triangle
}

/// Writes the branch's values after its norm to `current` if it is the first branch, else adds
/// them.
#[inline(always)]
pub(crate) fn charge(current: &mut [f32], x: &[f32], channels: Option<&Channels>, first: bool) {
    match (channels, first) {
        (None, true) => current.copy_from_slice(x),
        (None, false) => current.iter_mut().zip(x).for_each(|(i, x)| *i += x),
        (Some(c), _) => {
            let params = c.mean.iter().zip(&c.scale).zip(&c.shift);
            let each = current.iter_mut().zip(x).zip(params);
            match first {
                true => each.for_each(|((i, x), ((m, s), b))| *i = (x - m) * s + b),
                false => each.for_each(|((i, x), ((m, s), b))| *i += (x - m) * s + b),
            }
        }
    }
}

/// One step: updates `v` and `s`, and replaces `current` by the potential before the spike.
#[inline(always)]
pub(crate) fn fire(op: NeuronOp, current: &mut [f32], v: &mut [f32], s: &mut [f32], scratch: &mut [f32]) {
    let c = Constants::new(&op.neuron, op.lambda);
    if is_lif(&op.neuron) {
        for ((u, v), s) in current.iter_mut().zip(v.iter_mut()).zip(s.iter_mut()) {
            let mut state = State::membrane(*v);
            let fired = step(Mode::LIF, &c, &mut state, *u);
            (*u, *s, *v) = (fired.u, fired.spikes, state.v);
        }
    } else {
        let scratch = &mut scratch[..current.len()];
        forward_row(op)(op, current, v, s, scratch);
        current.copy_from_slice(scratch);
    }
}

/// Gradient of the current at one step. Replaces the gradient of the potential after the step in
/// `g_v` by that of the potential before it.
#[inline(always)]
pub(crate) fn back(op: NeuronOp, u: &[f32], g: &[f32], g_v: &mut [f32], out: &mut [f32]) {
    let c = Constants::new(&op.neuron, op.lambda);
    if is_lif(&op.neuron) {
        let whole = u.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            // Copying to arrays excludes aliasing, so the compiler keeps a block in one register.
            let (mut v, mut o) = ([0.0f32; LANES], [0.0f32; LANES]);
            let (mut x, mut d) = (v, v);
            v.copy_from_slice(&g_v[at..at + LANES]);
            x.copy_from_slice(&u[at..at + LANES]);
            d.copy_from_slice(&g[at..at + LANES]);
            for l in 0..LANES {
                o[l] = lif_back(x[l], d[l], &mut v[l], c);
            }
            g_v[at..at + LANES].copy_from_slice(&v);
            out[at..at + LANES].copy_from_slice(&o);
        }
        for i in whole..u.len() {
            out[i] = lif_back(u[i], g[i], &mut g_v[i], c);
        }
    } else {
        let parts = u.chunks(CHUNK).zip(g.chunks(CHUNK)).zip(g_v.chunks_mut(CHUNK)).zip(out.chunks_mut(CHUNK));
        parts.for_each(|(((u, g), g_v), out)| backward_row(op)(op, u, g, g_v, out));
    }
}

/// [`adjoint`] of the clocked LIF without branch instructions: the gradient of the current. Updates
/// `g_v` as [`back`] does.
#[inline(always)]
pub(crate) fn lif_back(u: f32, g: f32, g_v: &mut f32, c: Constants) -> f32 {
    let mut state = State::membrane(*g_v);
    let out = adjoint(Mode::LIF, Surrogate::Triangle, &c, &mut state, (&u, &c.theta), g, c.theta);
    *g_v = state.v;
    out
}
