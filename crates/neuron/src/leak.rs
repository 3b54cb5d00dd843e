//! The decay of a variable of the neuron, per step or per time.
//!
//! λ is the factor of one step at T_max. Where the leak belongs to time ([`LeakRule::Time`]), a run
//! at T steps uses λ^(T_max/T), so the time constant τ = −Δ/ln λ is the same at every T.

use serde::{Deserialize, Serialize};
use std::fmt;
use tickless_words::words;

/// The decay of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leak {
    /// No leak (integrate and fire): λ = 1.
    None,
    /// λ of one step at T_max, in (0, 1].
    Step(f32),
    /// A time constant τ in µs: λ = exp(−Δt/τ).
    Time(f64),
    /// λ of one step at T_max, which every layer learns; the value is the initial λ. Only for the
    /// membrane.
    Learned(f32),
}

impl Leak {
    /// λ of one step if a recording that has `t_max` steps in training is run in `steps` steps.
    ///
    /// `step_us` is the duration of one step at `t_max` in µs. Only a time constant needs it; then
    /// the result is `None` if `step_us` is missing. A learned λ has its initial value.
    pub fn lambda(self, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<f32> {
        let stretch = stretch(rule, t_max, steps);
        match self {
            Leak::None => Some(1.0),
            Leak::Step(lambda) | Leak::Learned(lambda) if stretch == 1.0 => Some(lambda),
            Leak::Step(lambda) | Leak::Learned(lambda) => Some(f64::from(lambda).powf(stretch) as f32),
            Leak::Time(tau) => step_us.map(|d| (-d * stretch / tau).exp() as f32),
        }
    }

    /// The time constant in µs, τ = −Δ/ln λ for a step of Δ = `step_us` µs. Infinite without a
    /// leak; `None` if the leak is per step and `step_us` is missing.
    pub fn tau_us(self, step_us: Option<f64>) -> Option<f64> {
        match self {
            Leak::None => Some(f64::INFINITY),
            Leak::Step(lambda) | Leak::Learned(lambda) if lambda >= 1.0 => Some(f64::INFINITY),
            Leak::Step(lambda) | Leak::Learned(lambda) => step_us.map(|d| -d / f64::from(lambda).ln()),
            Leak::Time(tau) => Some(tau),
        }
    }

    /// Whether the variable decays.
    pub fn leaks(self) -> bool {
        match self {
            Leak::None => false,
            Leak::Step(lambda) => lambda < 1.0,
            Leak::Time(tau) => tau.is_finite(),
            Leak::Learned(_) => true,
        }
    }
}

/// The duration of one step at T = `steps`, in steps at T_max = `t_max`.
pub fn stretch(rule: LeakRule, t_max: usize, steps: usize) -> f64 {
    match rule {
        LeakRule::Step => 1.0,
        LeakRule::Time => t_max as f64 / steps as f64,
    }
}

/// The rule for the leak if a recording is divided into T ≠ T_max frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeakRule {
    /// λ is the same at every T (the paper's rule; always used for static images).
    #[default]
    Step,
    /// λ^(T_max/T), which keeps the time constant.
    Time,
}

words!(serde LeakRule, "leak rule", { Step = "step", Time = "time" });

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leak::None => f.write_str("no leak"),
            Leak::Step(lambda) => write!(f, "λ = {lambda}"),
            Leak::Time(tau) => write!(f, "τ = {tau} µs"),
            Leak::Learned(lambda) => write!(f, "λ learned from {lambda}"),
        }
    }
}
