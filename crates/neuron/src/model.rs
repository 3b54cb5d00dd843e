//! The description of a neuron: every choice that affects a spike or a gradient.
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
//! soft reset:    v[t] = u[t] − θ[t]·s[t];  the other forms: [`Reset`]
//! lower limit:   v[t] = max(v[t], v_min)
//! adaptation:    a[t] = λ_a·a[t−1] + β·s[t]
//! refractory:    s[t] = 0 for k − 1 steps after a spike ([`crate::refractory`])
//! ```
//!
//! λ, λ_s and λ_a are the decays in one step at T_max. Under [`LeakRule::Time`], a run at T ≠ T_max
//! uses λ^(T_max/T), and the current of a synapse is multiplied by
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
use crate::leak::{Leak, LeakRule};
use crate::refractory::Refractory;
use crate::surrogate::Surrogate;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tickless_words::words;

/// The number of spikes that a neuron can emit in one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpikeMode {
    /// At most one spike.
    Single,
    /// ⌊u/θ⌋ spikes.
    Multi,
}

words!(serde SpikeMode, "kind of spikes", { Single = "single", Multi = "multi" });

/// The effect of a spike on the membrane potential.
///
/// The last two are those of snnTorch's `Leaky`, where r\[t\] is the number of spikes that the
/// neuron would emit at the potential v\[t−1\] before the step. Its reset to zero needs no form of
/// its own, because a membrane that is set to zero one step late has the same spikes as `Hard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    /// Sets it to zero: v = 0.
    Hard,
    /// Subtracts the threshold: v = u − θ·s.
    Soft,
    /// Subtracts the threshold one step late (`reset_delay = True`): u = λ·v + I − θ·r, v = u.
    SoftDelayed,
    /// Subtracts the threshold at once. If that leaves the membrane above the threshold, subtracts
    /// it again before the next spike and adds it afterwards (`reset_delay = False`):
    /// u = λ·v + I − θ·r, v = u − θ·(s − r). The gradient ignores r.
    SoftRepeated,
}

words!(serde Reset, "reset", {
    Hard = "hard",
    Soft = "soft",
    SoftDelayed = "soft_delayed",
    SoftRepeated = "soft_repeated",
});

impl Reset {
    /// Whether the reset acts in the step of its spike alone, which the fast forms and the engine
    /// require.
    pub fn is_immediate(self) -> bool {
        matches!(self, Reset::Hard | Reset::Soft)
    }
}

/// An adaptive threshold, which rises with each spike and decays.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adaptation {
    /// β: the amount that one spike adds to the threshold.
    pub increment: f32,
    /// Decay of the added amount; never [`Leak::None`] or [`Leak::Learned`].
    pub leak: Leak,
}

/// A neuron: threshold, leak, spikes, reset, lower limit and gradient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Neuron {
    /// Threshold θ.
    pub threshold: f32,
    /// Leak of the membrane potential.
    pub leak: Leak,
    /// Decay of the synaptic current; `None` if inputs act on the membrane directly. Never
    /// [`Leak::None`] or [`Leak::Learned`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synapse: Option<Leak>,
    /// The adaptive threshold; `None` if the threshold is constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<Adaptation>,
    /// The time after a spike in which the neuron cannot fire, if any. Only for single-spike
    /// neurons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refractory: Option<Refractory>,
    /// Number of spikes per update.
    pub spikes: SpikeMode,
    /// Reset after a spike.
    pub reset: Reset,
    /// Lower limit of the membrane potential, applied after the reset.
    pub v_min: Option<f32>,
    /// Whether the neuron fires at u = θ.
    pub fire_at_threshold: bool,
    /// Whether the gradient ignores the path through the reset.
    pub detach_reset: bool,
    /// The surrogate gradient of a spike.
    pub surrogate: Surrogate,
}

impl Neuron {
    /// The models that a recipe can name.
    pub const KNOWN: [(&'static str, Neuron); 6] = [
        ("lif", Neuron::lif()),
        ("if", Neuron::if_multi()),
        ("if-single", Neuron::if_single()),
        ("cuba-lif", Neuron::cuba_lif()),
        ("adaptive-lif", Neuron::adaptive_lif()),
        ("parametric-lif", Neuron::parametric_lif()),
    ];

    /// The leaky integrate-and-fire neuron of the clocked experiments: λ = 0.5, θ = 1, fires only
    /// above θ, one spike, hard reset, triangle surrogate, gradient through the reset.
    pub const fn lif() -> Self {
        Self {
            threshold: 1.0,
            leak: Leak::Step(0.5),
            synapse: None,
            adaptation: None,
            refractory: None,
            spikes: SpikeMode::Single,
            reset: Reset::Hard,
            v_min: None,
            fire_at_threshold: false,
            detach_reset: false,
            surrogate: Surrogate::Triangle,
        }
    }

    /// The multi-spike integrate-and-fire neuron of the event-driven experiments: θ = 1, fires
    /// at u = θ too, soft reset, lower limit −1, single-exponential surrogate.
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

    /// A single-spike integrate-and-fire neuron with hard reset, for ablations.
    pub const fn if_single() -> Self {
        Self { leak: Leak::None, ..Self::lif() }
    }

    /// The current-based LIF: [`lif`](Self::lif) with a synaptic current that decays by λ_s = 0.5.
    pub const fn cuba_lif() -> Self {
        Self { synapse: Some(Leak::Step(0.5)), ..Self::lif() }
    }

    /// The adaptive LIF: [`lif`](Self::lif) with a threshold to which each spike adds β = 0.2 and
    /// which decays with λ_a = 0.9.
    pub const fn adaptive_lif() -> Self {
        Self { adaptation: Some(Adaptation { increment: 0.2, leak: Leak::Step(0.9) }), ..Self::lif() }
    }

    /// The parametric LIF: [`lif`](Self::lif) whose λ every layer learns, starting from 0.5.
    pub const fn parametric_lif() -> Self {
        Self { leak: Leak::Learned(0.5), ..Self::lif() }
    }

    /// Whether the membrane potential is the neuron's only state, its reset acts at once
    /// ([`Reset::is_immediate`]), and its λ is not learned. The
    /// fused training kernels, the engine's vector kernels and the 8-bit form require this. A
    /// refractory period adds state; a fast kernel that supports it, or that runs without dead
    /// steps, checks [`without_refractory`](Self::without_refractory) instead.
    pub fn is_plain(&self) -> bool {
        self.synapse.is_none()
            && self.adaptation.is_none()
            && self.refractory.is_none()
            && self.reset.is_immediate()
            && !matches!(self.leak, Leak::Learned(_))
    }

    /// The same neuron without its refractory period.
    #[must_use]
    pub fn without_refractory(self) -> Self {
        Self { refractory: None, ..self }
    }

    /// k, the smallest number of steps between two spikes ([`Refractory::interval`]); 1 without a
    /// refractory period, `None` if the period is in µs and `step_us` is missing.
    pub fn interval(&self, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<usize> {
        self.refractory.map_or(Some(1), |r| r.interval(rule, t_max, steps, step_us))
    }

    /// Whether the neuron can fire without an input, because its current charges the membrane or
    /// its threshold falls.
    pub fn fires_by_itself(&self) -> bool {
        self.synapse.is_some() || self.adaptation.is_some()
    }

    /// [`Leak::lambda`] of the membrane.
    pub fn lambda(&self, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<f32> {
        self.leak.lambda(rule, t_max, steps, step_us)
    }

    /// [`Leak::tau_us`] of the membrane.
    pub fn tau_us(&self, step_us: Option<f64>) -> Option<f64> {
        self.leak.tau_us(step_us)
    }

    /// Whether any of the neuron's variables decays.
    pub fn leaks(&self) -> bool {
        self.leak.leaks() || self.synapse.is_some() || self.adaptation.is_some()
    }

    /// Replaces a learned leak by a leak per step of λ = sigmoid(`decay`), where `decay` is the
    /// value of the trained tensor. Any other leak stays.
    pub fn with_learned(self, decay: f32) -> Self {
        match self.leak {
            Leak::Learned(_) => Self { leak: Leak::Step(learned_lambda(decay)), ..self },
            _ => self,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// If a value is out of range or two choices exclude each other; the message names the recipe's
    /// field.
    pub fn check(&self) -> Result<(), Error> {
        if !(self.threshold > 0.0 && self.threshold.is_finite()) {
            return Err(Error::out_of_range("threshold", "above 0", self.threshold));
        }
        match self.leak {
            Leak::Step(lambda) if !(lambda > 0.0 && lambda <= 1.0) => {
                return Err(Error::out_of_range("leak", "above 0 and at most 1", lambda));
            }
            Leak::Learned(lambda) if !(lambda > 0.0 && lambda < 1.0) => {
                return Err(Error::LearnedStart { value: lambda.to_string() });
            }
            Leak::Time(tau) if tau.is_nan() || tau <= 0.0 => {
                return Err(Error::out_of_range("tau_us", "above 0", tau));
            }
            _ => {}
        }
        if !self.reset.is_immediate() && (self.adaptation.is_some() || self.refractory.is_some()) {
            let part = if self.adaptation.is_some() { "adaptation" } else { "refractory" };
            return Err(Error::LateReset { reset: self.reset.as_str(), part });
        }
        if self.reset == Reset::SoftRepeated && self.v_min.is_some() {
            return Err(Error::LateReset { reset: self.reset.as_str(), part: "v_min" });
        }
        if let Some(v) = self.v_min.filter(|v| !(*v <= 0.0 && v.is_finite())) {
            return Err(Error::out_of_range("v_min", "at most 0 or \"none\"", v));
        }
        if let Some(leak) = self.synapse {
            check_decay(leak, "synapse", "synapse_tau_us")?;
            if self.v_min.is_some() {
                return Err(Error::LimitWithSynapse);
            }
        }
        if let Some(Adaptation { increment, leak }) = self.adaptation {
            check_decay(leak, "adaptation_leak", "adaptation_tau_us")?;
            if !(increment > 0.0 && increment.is_finite()) {
                return Err(Error::out_of_range("adaptation", "above 0 or \"none\"", increment));
            }
            if self.spikes == SpikeMode::Multi {
                return Err(Error::AdaptiveMultiSpike);
            }
        }
        if let Some(refractory) = self.refractory {
            refractory.check()?;
            if self.spikes == SpikeMode::Multi {
                return Err(Error::RefractoryMultiSpike);
            }
        }
        Ok(())
    }
}

/// λ of a learned leak: the sigmoid of the trained value, so λ is always between 0 and 1.
pub fn learned_lambda(decay: f32) -> f32 {
    // Exclude 0 and 1, because they have no time constant.
    (1.0 / (1.0 + (-f64::from(decay)).exp())).clamp(1e-6, 1.0 - 1e-6) as f32
}

/// The trained value for a given λ: the inverse of [`learned_lambda`].
pub fn learned_decay(lambda: f32) -> f32 {
    let l = f64::from(lambda);
    (l / (1.0 - l)).ln() as f32
}

fn check_decay(leak: Leak, step: &'static str, time: &'static str) -> Result<(), Error> {
    match leak {
        Leak::Step(lambda) if lambda > 0.0 && lambda < 1.0 => Ok(()),
        Leak::Time(tau) if tau > 0.0 && tau.is_finite() => Ok(()),
        Leak::Step(lambda) => Err(Error::out_of_range(step, "above 0 and below 1", lambda)),
        Leak::Time(tau) => Err(Error::out_of_range(time, "above 0", tau)),
        Leak::None | Leak::Learned(_) => Err(Error::NoDecay { step, time }),
    }
}

impl FromStr for Neuron {
    type Err = Error;

    /// Parses the name of a model in [`Neuron::KNOWN`].
    fn from_str(word: &str) -> Result<Self, Error> {
        Ok(tickless_words::find("neuron model", word, &Self::KNOWN)?)
    }
}

impl fmt::Display for Neuron {
    /// Describes the neuron in words, for reports.
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
        f.write_str(match self.reset {
            Reset::Hard => ", hard reset",
            Reset::Soft => ", soft reset",
            Reset::SoftDelayed => ", soft reset one step late",
            Reset::SoftRepeated => ", soft reset, repeated if above θ",
        })?;
        self.v_min.map_or(Ok(()), |v| write!(f, ", v_min = {v}"))?;
        self.refractory.map_or(Ok(()), |r| write!(f, ", {r}"))
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
    fn a_reset_in_the_next_step_has_no_period_no_adaptation_and_if_repeated_no_limit() {
        for reset in [Reset::SoftDelayed, Reset::SoftRepeated] {
            let n = Neuron { reset, v_min: None, ..Neuron::lif() };
            n.check().unwrap();
            let refused = |part| Err(Error::LateReset { reset: reset.as_str(), part });
            assert_eq!(Neuron { refractory: Some(Refractory::steps(0.5)), ..n }.check(), refused("refractory"));
            assert_eq!(Neuron { adaptation: Neuron::adaptive_lif().adaptation, ..n }.check(), refused("adaptation"));
            let limited = Neuron { v_min: Some(-1.0), ..n }.check();
            assert_eq!(limited, if reset == Reset::SoftRepeated { refused("v_min") } else { Ok(()) });
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
        assert!(!["synapse", "adaptation", "refractory"].iter().any(|w| text.contains(w)), "{text}");
        assert_eq!(serde_json::from_str::<Neuron>(&text).unwrap(), Neuron::lif());
    }

    #[test]
    fn a_refractory_period_is_serialised_shown_and_checked() {
        let n = Neuron { refractory: Some(Refractory::steps(0.5)), ..Neuron::lif() };
        let text = serde_json::to_string(&n).unwrap();
        assert!(text.contains(r#""refractory":{"steps":0.5,"during":"integrate"}"#), "{text}");
        assert_eq!(serde_json::from_str::<Neuron>(&text).unwrap(), n);
        assert!(n.to_string().ends_with(&format!(", {}", Refractory::steps(0.5))), "{n}");
        assert!(!n.is_plain() && n.without_refractory() == Neuron::lif());
        n.check().unwrap();
        let e = Neuron { refractory: n.refractory, ..Neuron::if_multi() }.check();
        assert_eq!(e, Err(Error::RefractoryMultiSpike));
        for rho in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let e = Neuron { refractory: Some(Refractory::steps(rho)), ..n }.check();
            assert_eq!(e, Err(Error::PeriodLength { unit: "steps", value: rho.to_string() }));
        }
    }
}
