//! One step of a chunk of neurons, forward and back, specialised for the neurons that networks are
//! made of; every other one takes the general rows of [`crate::cpu::neuron`].

use super::Channels;
use crate::cpu::neuron::{CHUNK, backward_row, forward_row};
use crate::cpu::simd::LANES;
use crate::neuron::{Constants, backward, reset, spikes};
use crate::operators::NeuronOp;
use crate::surrogate::derivative;
use tickless_net::{Neuron, Reset, SpikeMode, Surrogate};

/// The clocked LIF of the method: single spike above threshold, hard reset, triangle.
pub(crate) fn is_lif(n: &Neuron) -> bool {
    n.spikes == SpikeMode::Single
        && n.reset == Reset::Hard
        && !n.fire_at_threshold
        && !n.detach_reset
        && n.surrogate == Surrogate::Triangle
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
            *u += c.lambda * *v;
            *s = spikes::<false, false>(*u, c.theta);
            *v = reset::<true>(*u, *s, c.theta).max(c.v_min);
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
                o[l] = lif_back(x[l], d[l], v[l], c);
                v[l] = c.lambda * o[l];
            }
            g_v[at..at + LANES].copy_from_slice(&v);
            out[at..at + LANES].copy_from_slice(&o);
        }
        for i in whole..u.len() {
            out[i] = lif_back(u[i], g[i], g_v[i], c);
            g_v[i] = c.lambda * out[i];
        }
    } else {
        let parts = u.chunks(CHUNK).zip(g.chunks(CHUNK)).zip(g_v.chunks_mut(CHUNK)).zip(out.chunks_mut(CHUNK));
        parts.for_each(|(((u, g), g_v), out)| backward_row(op)(op, u, g, g_v, out));
    }
}

/// [`backward`] of the clocked LIF, without branches.
#[inline(always)]
pub(crate) fn lif_back(u: f32, g: f32, g_v: f32, c: Constants) -> f32 {
    let s = spikes::<false, false>(u, c.theta);
    backward::<true, false>(u, s, derivative(Surrogate::Triangle, u, c.theta), g, g_v, c)
}
