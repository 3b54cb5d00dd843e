//! The neuron's equations, once, as scalar functions: every kernel is made of these.
//!
//! ```text
//! u[t] = λ·v[t−1] + I[t]          (charge)
//! s[t] = spikes(u[t])             (fire)
//! r[t] = u[t]·[s = 0]  or  u[t] − θ·s[t]   (hard or soft reset)
//! v[t] = max(r[t], v_min)         (limit)
//! ```
//!
//! Backward (back-propagation through time), with g_s the gradient that reaches the spike, g_v
//! the one that reaches `v[t]` from step t+1, and s' the surrogate derivative at `u[t]`:
//!
//! ```text
//! g_r = g_v·[r > v_min]
//! g_u = g_r·∂r/∂u + (g_s + g_r·∂r/∂s)·s'      ∂r/∂s = −u (hard) or −θ (soft); 0 if detached
//! g_I[t] = g_u,  g_v[t−1] = λ·g_u
//! ```
//!
//! Source: Du et al. (ICLR 2025) for the reset path that is differentiated; sinabs for the
//! multi-spike neuron and its lower limit.

use tickless_net::{Neuron, Reset, SpikeMode};

/// The constants of a neuron in the form the kernels use.
#[derive(Debug, Clone, Copy)]
pub struct Constants {
    /// λ of one step.
    pub lambda: f32,
    /// θ.
    pub theta: f32,
    /// Lower limit; −∞ where there is none.
    pub v_min: f32,
}

impl Constants {
    /// Of this neuron at this λ.
    pub fn new(neuron: &Neuron, lambda: f32) -> Self {
        Self { lambda, theta: neuron.threshold, v_min: neuron.v_min.unwrap_or(f32::NEG_INFINITY) }
    }
}

/// Number of spikes at potential `u`.
#[inline(always)]
pub fn spikes<const MULTI: bool, const EQUAL: bool>(u: f32, theta: f32) -> f32 {
    let fires = if EQUAL { u >= theta } else { u > theta };
    if !fires {
        0.0
    } else if MULTI {
        (u / theta).trunc()
    } else {
        1.0
    }
}

/// Potential after the reset, before the limit.
#[inline(always)]
pub fn reset<const HARD: bool>(u: f32, s: f32, theta: f32) -> f32 {
    if !HARD {
        u - theta * s
    } else if s > 0.0 {
        0.0
    } else {
        u
    }
}

/// Gradient of the current at one step, from `g_s` and `g_v`; see the module's equations.
#[inline(always)]
pub fn backward<const HARD: bool, const DETACH: bool>(
    u: f32,
    s: f32,
    derivative: f32,
    g_s: f32,
    g_v: f32,
    c: Constants,
) -> f32 {
    let r = reset::<HARD>(u, s, c.theta);
    let g_r = if r > c.v_min { g_v } else { 0.0 };
    let (dr_du, dr_ds) = if HARD { (if s > 0.0 { 0.0 } else { 1.0 }, -u) } else { (1.0, -c.theta) };
    let through_reset = if DETACH { 0.0 } else { g_r * dr_ds };
    g_r * dr_du + (g_s + through_reset) * derivative
}

/// One step of one neuron, for code that is not hot: (spikes, potential before, potential after).
pub fn step(neuron: &Neuron, lambda: f32, v: f32, current: f32) -> (f32, f32, f32) {
    let c = Constants::new(neuron, lambda);
    let u = c.lambda * v + current;
    let s = match (neuron.spikes, neuron.fire_at_threshold) {
        (SpikeMode::Multi, true) => spikes::<true, true>(u, c.theta),
        (SpikeMode::Multi, false) => spikes::<true, false>(u, c.theta),
        (SpikeMode::Single, true) => spikes::<false, true>(u, c.theta),
        (SpikeMode::Single, false) => spikes::<false, false>(u, c.theta),
    };
    let r = match neuron.reset {
        Reset::Hard => reset::<true>(u, s, c.theta),
        Reset::Soft => reset::<false>(u, s, c.theta),
    };
    (s, u, r.max(c.v_min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_current_of_3_2_makes_a_multi_spike_neuron_fire_three_times() {
        let (s, _, v) = step(&Neuron::if_multi(), 1.0, 0.0, 3.2);
        assert_eq!(s, 3.0);
        assert!((v - 0.2).abs() < 1e-6);
    }

    #[test]
    fn equality_fires_only_where_the_description_says_so() {
        assert_eq!(step(&Neuron::lif(), 0.5, 0.0, 1.0).0, 0.0);
        assert_eq!(step(&Neuron::if_multi(), 1.0, 0.0, 1.0).0, 1.0);
    }

    #[test]
    fn the_lower_limit_holds_after_any_current() {
        assert_eq!(step(&Neuron::if_multi(), 1.0, 0.0, -7.0).2, -1.0);
    }
}
