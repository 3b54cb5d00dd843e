//! One step of a chunk of neurons, forward and back, specialised for the neurons that networks are
//! made of; every other one takes the general rows of [`crate::cpu::neuron`].

use super::Channels;
use crate::cpu::neuron::{CHUNK, backward_row, forward_row};
use crate::cpu::simd::LANES;
use crate::operators::NeuronOp;
use tickless_net::{Neuron, Surrogate};
use tickless_neuron::step::{Constants, Mode, State, adjoint, step};

/// The clocked LIF of the method: single spike above threshold, hard reset, triangle.
pub(crate) fn is_lif(n: &Neuron) -> bool {
    Mode::of(n) == Mode::LIF && n.surrogate == Surrogate::Triangle
}

/// I ← or += the branch's values.
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

/// v, s ← one step; `current` becomes the potential before the spike.
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

/// Gradient of the current of one step; `g_v` leaves with that for the step before.
#[inline(always)]
pub(crate) fn back(op: NeuronOp, u: &[f32], g: &[f32], g_v: &mut [f32], out: &mut [f32]) {
    let c = Constants::new(&op.neuron, op.lambda);
    if is_lif(&op.neuron) {
        let whole = u.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            // Copies, so that nothing can alias and a block is one register.
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

/// [`adjoint`] of the clocked LIF, without branches: the gradient of the current; `g_v` leaves with
/// that for the step before.
#[inline(always)]
pub(crate) fn lif_back(u: f32, g: f32, g_v: &mut f32, c: Constants) -> f32 {
    let mut state = State::membrane(*g_v);
    let out = adjoint(Mode::LIF, Surrogate::Triangle, &c, &mut state, (&u, &c.theta), g, c.theta);
    *g_v = state.v;
    out
}
