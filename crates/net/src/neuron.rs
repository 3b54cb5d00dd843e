//! The neuron's description: every choice that changes a spike or a gradient.
//!
//! With input current `I[t]`, membrane potential `u[t]` before and `v[t]` after the spike:
//!
//! ```text
//! u[t] = λ·v[t−1] + I[t],  v[−1] = 0
//! single spike:  s[t] = 1 if u[t] > θ (or u[t] ≥ θ where `fire_at_threshold`), else 0
//! multi spike:   s[t] = ⌊u[t]/θ⌋ where u[t] reaches θ, else 0
//! hard reset:    v[t] = 0 where s[t] > 0, else u[t]
//! soft reset:    v[t] = u[t] − θ·s[t]
//! lower limit:   v[t] = max(v[t], v_min)
//! ```
//!
//! Source: Du et al., "Temporal Flexibility in Spiking Neural Networks", ICLR 2025
//! (arXiv 2503.17394), section 3 and its released code; sinabs for the multi-spike model.

use serde::{Deserialize, Serialize};

/// How the membrane potential leaks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leak {
    /// No leak (integrate and fire): λ = 1.
    None,
    /// λ of one step at T_max.
    Step(f32),
    /// A time constant τ in µs: λ = exp(−Δt/τ).
    Time(f64),
}

/// What a leak belongs to when a recording is cut into T ≠ T_max frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum LeakRule {
    /// λ is kept at every T (the paper; always for static images).
    #[default]
    Step,
    /// λ^(T_max/T), so that the time constant stays what it was.
    Time,
}

/// How many spikes one update may emit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpikeMode {
    /// At most one.
    Single,
    /// ⌊u/θ⌋.
    Multi,
}

/// What a spike does to the membrane potential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// v = 0.
    Hard,
    /// v = u − θ·s.
    Soft,
}

/// The derivative that stands in for that of the step function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Surrogate {
    /// max(0, 1 − |u − θ|).
    Triangle,
    /// exp(−|u − θ|/(w·θ)) / (w·θ), w = `width`.
    SingleExponential {
        /// Width in thresholds (sinabs: 0.5).
        width: f32,
    },
    /// α/2 / (1 + (π/2·α·(u − θ))²).
    Arctangent {
        /// Steepness (SpikingJelly: 2).
        alpha: f32,
    },
    /// α·g·(1 − g), g = sigmoid(α·(u − θ)).
    Sigmoid {
        /// Steepness (SpikingJelly: 4).
        alpha: f32,
    },
    /// 1/w where |u − θ| < w/2, else 0.
    Rectangle {
        /// Full width.
        width: f32,
    },
    /// Normal density of u − θ with standard deviation σ.
    Gaussian {
        /// Standard deviation.
        sigma: f32,
    },
}

/// A neuron: threshold, leak, spike, reset, lower limit and how it is differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Neuron {
    /// Threshold θ.
    pub threshold: f32,
    /// Leak.
    pub leak: Leak,
    /// Spikes per update.
    pub spikes: SpikeMode,
    /// Reset after a spike.
    pub reset: Reset,
    /// Lower limit of the membrane potential, applied after the reset.
    pub v_min: Option<f32>,
    /// Whether u = θ fires.
    pub fire_at_threshold: bool,
    /// Whether the reset path is left out of the gradient.
    pub detach_reset: bool,
    /// Surrogate gradient.
    pub surrogate: Surrogate,
}

impl Neuron {
    /// Leaky integrate and fire of the time-stepped experiments: λ = 0.5, θ = 1, strict,
    /// one spike, hard reset, triangle surrogate, reset differentiated.
    pub const fn lif() -> Self {
        Self {
            threshold: 1.0,
            leak: Leak::Step(0.5),
            spikes: SpikeMode::Single,
            reset: Reset::Hard,
            v_min: None,
            fire_at_threshold: false,
            detach_reset: false,
            surrogate: Surrogate::Triangle,
        }
    }

    /// Multi-spike integrate and fire of the event-driven experiments: θ = 1, fires at
    /// equality, soft reset, lower limit −1, single-exponential surrogate.
    pub const fn if_multi() -> Self {
        Self {
            threshold: 1.0,
            leak: Leak::None,
            spikes: SpikeMode::Multi,
            reset: Reset::Soft,
            v_min: Some(-1.0),
            fire_at_threshold: true,
            detach_reset: false,
            surrogate: Surrogate::SingleExponential { width: 0.5 },
        }
    }

    /// Single-spike integrate and fire with hard reset (ablation).
    pub const fn if_single() -> Self {
        Self { leak: Leak::None, ..Self::lif() }
    }

    /// λ of one step when a recording of `t_max` steps in training is run in `steps` steps.
    ///
    /// `step_us` is the duration of one step at `t_max`; it is needed only for a leak that is
    /// given as a time constant (`None` is returned where it is missing).
    pub fn lambda(&self, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<f32> {
        let stretch = match rule {
            LeakRule::Step => 1.0,
            LeakRule::Time => t_max as f64 / steps as f64,
        };
        match self.leak {
            Leak::None => Some(1.0),
            Leak::Step(lambda) if stretch == 1.0 => Some(lambda),
            Leak::Step(lambda) => Some(f64::from(lambda).powf(stretch) as f32),
            Leak::Time(tau) => step_us.map(|d| (-d * stretch / tau).exp() as f32),
        }
    }

    /// The time constant τ in µs: τ = −Δ/ln λ for a step of Δ = `step_us` µs; infinite without
    /// a leak, `None` where a leak per step meets no step duration.
    pub fn tau_us(&self, step_us: Option<f64>) -> Option<f64> {
        match self.leak {
            Leak::None => Some(f64::INFINITY),
            Leak::Step(lambda) if lambda >= 1.0 => Some(f64::INFINITY),
            Leak::Step(lambda) => step_us.map(|d| -d / f64::from(lambda).ln()),
            Leak::Time(tau) => Some(tau),
        }
    }

    /// Whether the membrane potential decays at all.
    pub fn leaks(&self) -> bool {
        match self.leak {
            Leak::None => false,
            Leak::Step(lambda) => lambda < 1.0,
            Leak::Time(tau) => tau.is_finite(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leak_per_time_keeps_the_time_constant() {
        let n = Neuron::lif();
        for steps in [1, 2, 5, 10, 100] {
            let lambda = n.lambda(LeakRule::Time, 10, steps, None).unwrap();
            let step_us = 300_000.0 / steps as f64;
            let tau = -step_us / f64::from(lambda).ln();
            assert!((tau / n.tau_us(Some(30_000.0)).unwrap() - 1.0).abs() < 1e-3, "T={steps}: {tau}");
        }
    }

    #[test]
    fn leak_per_step_is_the_same_at_every_t() {
        assert_eq!(Neuron::lif().lambda(LeakRule::Step, 10, 100, None), Some(0.5));
        assert_eq!(Neuron::if_multi().lambda(LeakRule::Time, 10, 100, None), Some(1.0));
    }
}
