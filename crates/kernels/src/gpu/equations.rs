//! The equations of a plain neuron in the language of GPU kernels. They repeat
//! [`tickless_neuron::step`] and [`tickless_neuron::surrogate`], and the tests compare the two.
//!
//! Reset, spike mode and surrogate are constant within a layer, so they are compile-time parameters
//! of a kernel.

use crate::operators::NeuronOp;
use burn_cubecl::cubecl::{self, prelude::*};
use std::f32::consts::PI;
use tickless_net::{Reset, SpikeMode, Surrogate};

/// The kind of surrogate. Its constant is an argument of the launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bump {
    Triangle,
    SingleExponential,
    Arctangent,
    Sigmoid,
    FastSigmoid,
    Rectangle,
    Gaussian,
}

/// The properties of a neuron that are fixed when its kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mode {
    multi: bool,
    hard: bool,
    equal: bool,
    detach: bool,
    limited: bool,
    bump: Bump,
}

impl Mode {
    /// Clears the properties that only the backward pass reads, so that neurons with the same
    /// forward equations share a compiled kernel.
    pub(super) fn forward(self) -> Self {
        Self { detach: false, bump: Bump::Triangle, ..self }
    }
}

/// The constants of a neuron, passed to a kernel.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Constants {
    /// λ of one time step.
    pub(super) lambda: f32,
    /// Threshold θ.
    pub(super) theta: f32,
    /// Lower limit of the potential, if the neuron has one; else 0, and no kernel reads it.
    pub(super) v_min: f32,
    /// Width, α or σ of the surrogate.
    pub(super) width: f32,
}

/// Mode and constants of a neuron.
pub(super) fn constants(op: NeuronOp) -> (Mode, ConstantsLaunch) {
    let n = op.neuron;
    let (bump, width) = match n.surrogate {
        Surrogate::Triangle => (Bump::Triangle, 1.0),
        Surrogate::SingleExponential { width } => (Bump::SingleExponential, width * n.threshold),
        Surrogate::Arctangent { alpha } => (Bump::Arctangent, alpha),
        Surrogate::Sigmoid { alpha } => (Bump::Sigmoid, alpha),
        Surrogate::FastSigmoid { alpha } => (Bump::FastSigmoid, alpha),
        Surrogate::Rectangle { width } => (Bump::Rectangle, width),
        Surrogate::Gaussian { sigma } => (Bump::Gaussian, sigma),
    };
    let mode = Mode {
        multi: n.spikes == SpikeMode::Multi,
        hard: n.reset == Reset::Hard,
        equal: n.fire_at_threshold,
        detach: n.detach_reset,
        limited: n.v_min.is_some(),
        bump,
    };
    (mode, ConstantsLaunch::new(op.lambda, n.threshold, n.v_min.unwrap_or(0.0), width))
}

/// Number of spikes that the neuron emits at potential `u`.
#[cube]
pub(super) fn spikes(u: f32, c: &Constants, #[comptime] mode: Mode) -> f32 {
    let fires = if comptime!(mode.equal) { u >= c.theta } else { u > c.theta };
    let count = if comptime!(mode.multi) { (u / c.theta).trunc() } else { f32::new(1.0) };
    select(fires, count, f32::new(0.0))
}

/// Potential after the reset, before the limit.
#[cube]
fn reset(u: f32, s: f32, c: &Constants, #[comptime] mode: Mode) -> f32 {
    if comptime!(mode.hard) { select(s > 0.0, f32::new(0.0), u) } else { u - c.theta * s }
}

/// Potential after the reset and the lower limit.
#[cube]
pub(super) fn settle(u: f32, s: f32, c: &Constants, #[comptime] mode: Mode) -> f32 {
    let r = reset(u, s, c, mode);
    if comptime!(mode.limited) { max(r, c.v_min) } else { r }
}

/// Surrogate derivative ds/du at potential `u`.
#[cube]
fn derivative(u: f32, c: &Constants, #[comptime] mode: Mode) -> f32 {
    let d = u - c.theta;
    let w = c.width;
    if comptime!(mode.bump == Bump::Triangle) {
        max(f32::new(1.0) - d.abs(), f32::new(0.0))
    } else if comptime!(mode.bump == Bump::SingleExponential) {
        (-d.abs() / w).exp() / w
    } else if comptime!(mode.bump == Bump::Arctangent) {
        let z = f32::new(PI / 2.0) * w * d;
        w / 2.0 / (f32::new(1.0) + z * z)
    } else if comptime!(mode.bump == Bump::Sigmoid) {
        let g = f32::new(1.0) / (f32::new(1.0) + (-w * d).exp());
        w * g * (f32::new(1.0) - g)
    } else if comptime!(mode.bump == Bump::FastSigmoid) {
        let z = f32::new(1.0) + w * d.abs();
        f32::new(1.0) / (z * z)
    } else if comptime!(mode.bump == Bump::Rectangle) {
        select(d.abs() < w / 2.0, f32::new(1.0) / w, f32::new(0.0))
    } else {
        let z = d / w;
        (f32::new(-0.5) * z * z).exp() / (w * f32::new((2.0 * PI).sqrt()))
    }
}

/// Gradient of the current at one step, from the gradients of the step's spikes and of the
/// potential after the step.
#[cube]
pub(super) fn back(u: f32, g_s: f32, g_v: f32, c: &Constants, #[comptime] mode: Mode) -> f32 {
    let s = spikes(u, c, mode);
    let g_r = if comptime!(mode.limited) { select(reset(u, s, c, mode) > c.v_min, g_v, f32::new(0.0)) } else { g_v };
    let kept = if comptime!(mode.hard) { select(s > 0.0, f32::new(0.0), g_r) } else { g_r };
    let through = if comptime!(mode.detach) {
        g_s
    } else if comptime!(mode.hard) {
        g_s - g_r * u
    } else {
        g_s - g_r * c.theta
    };
    kept + through * derivative(u, c, mode)
}
