//! The neuron's description: every choice that changes a spike or a gradient.
//!
//! With input `x[t]`, synaptic current `i[t]`, membrane potential `u[t]` before and `v[t]` after
//! the spike, and adaptation `a[t]`:
//!
//! ```text
//! current:       i[t] = λ_s·i[t−1] + x[t],  I[t] = c·i[t];   without a synapse I[t] = x[t]
//! membrane:      u[t] = λ·v[t−1] + I[t],  v[−1] = 0
//! threshold:     θ[t] = θ + λ_a·a[t−1];   without adaptation θ[t] = θ
//! single spike:  s[t] = 1 if u[t] > θ[t] (or u[t] ≥ θ[t] where `fire_at_threshold`), else 0
//! multi spike:   s[t] = ⌊u[t]/θ⌋ where u[t] reaches θ, else 0
//! hard reset:    v[t] = 0 where s[t] > 0, else u[t]
//! soft reset:    v[t] = u[t] − θ[t]·s[t]
//! lower limit:   v[t] = max(v[t], v_min)
//! adaptation:    a[t] = λ_a·a[t−1] + β·s[t]
//! ```
//!
//! λ, λ_s and λ_a are the decays of one step at T_max. Where a leak belongs to time
//! ([`LeakRule::Time`]) a run at T ≠ T_max uses λ^(T_max/T), and a synapse's current is scaled by
//!
//! ```text
//! c(T) = (1 − λ_s(T)) / (1 − λ_s(T_max))
//! ```
//!
//! so that one input spike brings the same charge Σ_k c·λ_s^k at every T.
//!
//! Sources: Du et al., "Temporal Flexibility in Spiking Neural Networks", ICLR 2025 (arXiv
//! 2503.17394), section 3 and its released code; sinabs for the multi-spike model; the
//! current-based LIF is NIR's `CubaLIF` (Pedersen et al. 2024); the adaptive threshold is that of
//! Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking neurons",
//! NeurIPS 2018; a learned decay per layer, Fang et al., "Incorporating Learnable Membrane Time
//! Constant", ICCV 2021 (parametric LIF).

use crate::error::Error;
use crate::surrogate::Surrogate;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tickless_words::words;

/// How a variable decays.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leak {
    /// No leak (integrate and fire): λ = 1.
    None,
    /// λ of one step at T_max.
    Step(f32),
    /// A time constant τ in µs: λ = exp(−Δt/τ).
    Time(f64),
    /// λ of one step at T_max, learned by each layer; the value is the one that training starts
    /// from. The membrane's leak only.
    Learned(f32),
}

impl Leak {
    /// λ of one step when a recording of `t_max` steps in training is run in `steps` steps.
    ///
    /// `step_us` is the duration of one step at `t_max`; it is needed only for a time constant
    /// (`None` is returned where it is missing). A learned λ counts with its starting value.
    pub fn lambda(self, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<f32> {
        let stretch = stretch(rule, t_max, steps);
        match self {
            Leak::None => Some(1.0),
            Leak::Step(lambda) | Leak::Learned(lambda) if stretch == 1.0 => Some(lambda),
            Leak::Step(lambda) | Leak::Learned(lambda) => Some(f64::from(lambda).powf(stretch) as f32),
            Leak::Time(tau) => step_us.map(|d| (-d * stretch / tau).exp() as f32),
        }
    }

    /// The time constant τ in µs: τ = −Δ/ln λ for a step of Δ = `step_us` µs; infinite without a
    /// leak, `None` where a leak per step meets no step duration.
    pub fn tau_us(self, step_us: Option<f64>) -> Option<f64> {
        match self {
            Leak::None => Some(f64::INFINITY),
            Leak::Step(lambda) | Leak::Learned(lambda) if lambda >= 1.0 => Some(f64::INFINITY),
            Leak::Step(lambda) | Leak::Learned(lambda) => step_us.map(|d| -d / f64::from(lambda).ln()),
            Leak::Time(tau) => Some(tau),
        }
    }

    /// Whether anything decays at all.
    pub fn leaks(self) -> bool {
        match self {
            Leak::None => false,
            Leak::Step(lambda) => lambda < 1.0,
            Leak::Time(tau) => tau.is_finite(),
            Leak::Learned(_) => true,
        }
    }
}

/// How many steps of T_max one step at T lasts.
pub fn stretch(rule: LeakRule, t_max: usize, steps: usize) -> f64 {
    match rule {
        LeakRule::Step => 1.0,
        LeakRule::Time => t_max as f64 / steps as f64,
    }
}

/// What a leak belongs to when a recording is cut into T ≠ T_max frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeakRule {
    /// λ is kept at every T (the paper; always for static images).
    #[default]
    Step,
    /// λ^(T_max/T), so that the time constant stays what it was.
    Time,
}

words!(serde LeakRule, "leak rule", { Step = "step", Time = "time" });

/// How many spikes one update may emit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpikeMode {
    /// At most one.
    Single,
    /// ⌊u/θ⌋.
    Multi,
}

words!(serde SpikeMode, "kind of spikes", { Single = "single", Multi = "multi" });

/// What a spike does to the membrane potential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// v = 0.
    Hard,
    /// v = u − θ·s.
    Soft,
}

words!(serde Reset, "reset", { Hard = "hard", Soft = "soft" });

/// A threshold that grows with each spike and decays.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adaptation {
    /// β: what one spike adds to the threshold.
    pub increment: f32,
    /// How that decays; never [`Leak::None`] or [`Leak::Learned`].
    pub leak: Leak,
}

/// A neuron: threshold, leak, spike, reset, lower limit and how it is differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Neuron {
    /// Threshold θ.
    pub threshold: f32,
    /// Leak of the membrane potential.
    pub leak: Leak,
    /// Decay of the synaptic current; `None` where an input acts on the membrane at once. Never
    /// [`Leak::None`] or [`Leak::Learned`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synapse: Option<Leak>,
    /// The adaptive threshold, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<Adaptation>,
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
    /// The models that recipes name.
    pub const KNOWN: [(&'static str, Neuron); 6] = [
        ("lif", Neuron::lif()),
        ("if", Neuron::if_multi()),
        ("if-single", Neuron::if_single()),
        ("cuba-lif", Neuron::cuba_lif()),
        ("adaptive-lif", Neuron::adaptive_lif()),
        ("parametric-lif", Neuron::parametric_lif()),
    ];

    /// Leaky integrate and fire of the time-stepped experiments: λ = 0.5, θ = 1, strict,
    /// one spike, hard reset, triangle surrogate, reset differentiated.
    pub const fn lif() -> Self {
        Self {
            threshold: 1.0,
            leak: Leak::Step(0.5),
            synapse: None,
            adaptation: None,
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
            leak: Leak::None,
            spikes: SpikeMode::Multi,
            reset: Reset::Soft,
            v_min: Some(-1.0),
            fire_at_threshold: true,
            surrogate: Surrogate::SingleExponential { width: 0.5 },
            ..Self::lif()
        }
    }

    /// Single-spike integrate and fire with hard reset (ablation).
    pub const fn if_single() -> Self {
        Self { leak: Leak::None, ..Self::lif() }
    }

    /// Current-based LIF: as [`lif`](Self::lif), with a synaptic current of λ_s = 0.5.
    pub const fn cuba_lif() -> Self {
        Self { synapse: Some(Leak::Step(0.5)), ..Self::lif() }
    }

    /// Adaptive LIF: as [`lif`](Self::lif); each spike adds β = 0.2 to the threshold, which
    /// decays with λ_a = 0.9.
    pub const fn adaptive_lif() -> Self {
        Self { adaptation: Some(Adaptation { increment: 0.2, leak: Leak::Step(0.9) }), ..Self::lif() }
    }

    /// Parametric LIF: as [`lif`](Self::lif); every layer learns its λ, from 0.5 on.
    pub const fn parametric_lif() -> Self {
        Self { leak: Leak::Learned(0.5), ..Self::lif() }
    }

    /// Whether its state is the membrane potential alone and its constants are fixed: the
    /// condition of the fused training kernels, of the engine's vector kernels, of the 8-bit form
    /// and of the Speck exporter.
    pub fn is_plain(&self) -> bool {
        self.synapse.is_none() && self.adaptation.is_none() && !matches!(self.leak, Leak::Learned(_))
    }

    /// [`Leak::lambda`] of the membrane.
    pub fn lambda(&self, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<f32> {
        self.leak.lambda(rule, t_max, steps, step_us)
    }

    /// [`Leak::tau_us`] of the membrane.
    pub fn tau_us(&self, step_us: Option<f64>) -> Option<f64> {
        self.leak.tau_us(step_us)
    }

    /// Whether any of its variables decays, so that the [`LeakRule`] matters.
    pub fn leaks(&self) -> bool {
        self.leak.leaks() || self.synapse.is_some() || self.adaptation.is_some()
    }

    /// The leak that a learned λ makes: `decay` is the trained tensor's value, λ = sigmoid(decay).
    /// Every other leak stays.
    pub fn with_learned(self, decay: f32) -> Self {
        match self.leak {
            Leak::Learned(_) => Self { leak: Leak::Step(learned_lambda(decay)), ..self },
            _ => self,
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// If a value is out of range or two choices exclude each other; names the recipe's field.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |problem: String| Err(Error(problem));
        if !(self.threshold > 0.0 && self.threshold.is_finite()) {
            return wrong(format!("`threshold` must be above 0, got {}", self.threshold));
        }
        match self.leak {
            Leak::Step(lambda) if !(lambda > 0.0 && lambda <= 1.0) => {
                return wrong(format!("`leak` must be above 0 and at most 1, got {lambda}"));
            }
            Leak::Learned(lambda) if !(lambda > 0.0 && lambda < 1.0) => {
                return wrong(format!("a learned `leak` must start above 0 and below 1, got {lambda}"));
            }
            Leak::Time(tau) if tau.is_nan() || tau <= 0.0 => {
                return wrong(format!("`tau_us` must be above 0, got {tau}"));
            }
            _ => {}
        }
        if let Some(v) = self.v_min.filter(|v| !(*v <= 0.0 && v.is_finite())) {
            return wrong(format!("`v_min` must be at most 0 or \"none\", got {v}"));
        }
        if let Some(leak) = self.synapse {
            check_decay(leak, "synapse", "synapse_tau_us")?;
            if self.v_min.is_some() {
                return wrong(
                    "a neuron with a synaptic current has no lower limit; give `v_min = \"none\"` or `synapse = \"none\"`"
                        .to_owned(),
                );
            }
        }
        if let Some(Adaptation { increment, leak }) = self.adaptation {
            check_decay(leak, "adaptation_leak", "adaptation_tau_us")?;
            if !(increment > 0.0 && increment.is_finite()) {
                return wrong(format!("`adaptation` must be above 0 or \"none\", got {increment}"));
            }
            if self.spikes == SpikeMode::Multi {
                return wrong(
                    "a neuron with an adaptive threshold emits one spike a step; give `spikes = \"single\"` or `adaptation = \"none\"`"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }
}

/// λ of a learned leak: the sigmoid of the trained value, so that it stays between 0 and 1.
pub fn learned_lambda(decay: f32) -> f32 {
    // Neither 0 nor 1, which have no time constant.
    (1.0 / (1.0 + (-f64::from(decay)).exp())).clamp(1e-6, 1.0 - 1e-6) as f32
}

/// The trained value that makes this λ: the inverse of [`learned_lambda`].
pub fn learned_decay(lambda: f32) -> f32 {
    let l = f64::from(lambda);
    (l / (1.0 - l)).ln() as f32
}

fn check_decay(leak: Leak, step: &str, time: &str) -> Result<(), Error> {
    let problem = match leak {
        Leak::Step(lambda) if lambda > 0.0 && lambda < 1.0 => return Ok(()),
        Leak::Time(tau) if tau > 0.0 && tau.is_finite() => return Ok(()),
        Leak::Step(lambda) => format!("`{step}` must be above 0 and below 1, got {lambda}"),
        Leak::Time(tau) => format!("`{time}` must be above 0, got {tau}"),
        Leak::None | Leak::Learned(_) => format!("needs `{step}` or `{time}`"),
    };
    Err(Error(problem))
}

impl FromStr for Neuron {
    type Err = Error;

    /// The model that a recipe's word names.
    fn from_str(word: &str) -> Result<Self, Error> {
        Ok(tickless_words::find("neuron model", word, &Self::KNOWN)?)
    }
}

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

impl fmt::Display for Neuron {
    /// The neuron in words, for reports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leak {
            Leak::None => f.write_str("IF")?,
            leak => write!(f, "LIF, {leak}")?,
        }
        if let Some(leak) = self.synapse {
            write!(f, ", synaptic current ({leak})")?;
        }
        write!(f, ", θ = {}", self.threshold)?;
        if let Some(Adaptation { increment, leak }) = self.adaptation {
            write!(f, " + {increment} a spike ({leak})")?;
        }
        f.write_str(if self.spikes == SpikeMode::Multi { ", multi-spike" } else { ", single spike" })?;
        f.write_str(if self.reset == Reset::Hard { ", hard reset" } else { ", soft reset" })?;
        self.v_min.map_or(Ok(()), |v| write!(f, ", v_min = {v}"))
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

    #[test]
    fn every_known_model_is_a_neuron() {
        for (word, neuron) in Neuron::KNOWN {
            neuron.check().unwrap();
            assert_eq!(word.parse::<Neuron>().unwrap(), neuron);
        }
    }

    #[test]
    fn a_learned_decay_is_the_inverse_of_its_lambda() {
        for lambda in [0.01f32, 0.5, 0.9, 0.999] {
            assert!((learned_lambda(learned_decay(lambda)) - lambda).abs() < 1e-6);
        }
        assert!(learned_lambda(f32::MAX) < 1.0 && learned_lambda(f32::MIN) > 0.0);
    }

    #[test]
    fn a_plain_neuron_is_serialised_without_the_fields_it_lacks() {
        let text = serde_json::to_string(&Neuron::lif()).unwrap();
        assert!(!text.contains("synapse") && !text.contains("adaptation"), "{text}");
        assert_eq!(serde_json::from_str::<Neuron>(&text).unwrap(), Neuron::lif());
    }
}
