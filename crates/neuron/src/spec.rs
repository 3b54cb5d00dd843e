//! A neuron as a recipe spells it: what differs from another neuron.

use crate::error::Error;
use crate::model::{Adaptation, Leak, Neuron, Reset, SpikeMode};
use crate::surrogate::Surrogate;
use serde::{Deserialize, Serialize};

/// A number, or the word `none`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number or \"none\"")]
pub enum NumberOrNone {
    /// A number.
    Number(f32),
    /// `none`; any other word is refused by [`NeuronSpec::resolve`].
    Word(String),
}

impl NumberOrNone {
    fn new(number: Option<f32>) -> Self {
        number.map_or_else(|| NumberOrNone::Word("none".to_owned()), NumberOrNone::Number)
    }

    fn get(&self, field: &str) -> Result<Option<f32>, Error> {
        match self {
            NumberOrNone::Number(n) => Ok(Some(*n)),
            NumberOrNone::Word(w) if w == "none" => Ok(None),
            NumberOrNone::Word(w) => Err(Error(format!("`{field}` is a number or \"none\", not \"{w}\""))),
        }
    }
}

/// Which fields of a neuron to change; see [`Neuron`] for their meaning.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuronSpec {
    /// Starts from a known neuron: `lif`, `if` (multi-spike), `if-single`, `cuba-lif`,
    /// `adaptive-lif` or `parametric-lif`.
    pub model: Option<String>,
    /// θ, above 0.
    pub threshold: Option<f32>,
    /// λ of one step at T_max, 0 < λ ≤ 1, or `none`. Excludes `tau_us`.
    pub leak: Option<NumberOrNone>,
    /// The leak as a time constant in µs. Excludes `leak`.
    pub tau_us: Option<f64>,
    /// Whether every layer learns its λ, from `leak` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learn_leak: Option<bool>,
    /// Decay λ_s of the synaptic current in one step at T_max, 0 < λ_s < 1, or `none`.
    /// Excludes `synapse_tau_us`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synapse: Option<NumberOrNone>,
    /// The synaptic current's decay as a time constant in µs. Excludes `synapse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synapse_tau_us: Option<f64>,
    /// What a spike adds to the threshold, above 0, or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<NumberOrNone>,
    /// Decay λ_a of that in one step at T_max, 0 < λ_a < 1 (default 0.9). Excludes
    /// `adaptation_tau_us`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation_leak: Option<f32>,
    /// The same as a time constant in µs. Excludes `adaptation_leak`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation_tau_us: Option<f64>,
    /// `single` or `multi`.
    pub spikes: Option<SpikeMode>,
    /// `hard` or `soft`.
    pub reset: Option<Reset>,
    /// Lower limit of the membrane potential, at most 0, or `none`.
    pub v_min: Option<NumberOrNone>,
    /// Whether u = θ fires.
    pub fire_at_threshold: Option<bool>,
    /// Whether the reset is left out of the gradient.
    pub detach_reset: Option<bool>,
    /// `triangle`, `single_exponential`, `arctangent`, `sigmoid`, `rectangle` or `gaussian`.
    pub surrogate: Option<String>,
    /// `single_exponential` (default 0.5, a fraction of θ), `rectangle` (default 1).
    pub surrogate_width: Option<f32>,
    /// `arctangent` (default 2), `sigmoid` (default 4).
    pub surrogate_alpha: Option<f32>,
    /// `gaussian` (default 0.5).
    pub surrogate_sigma: Option<f32>,
}

impl NeuronSpec {
    /// `base` (or the neuron that `model` names) with the given fields changed.
    ///
    /// # Errors
    /// An unknown word, two fields that say the same, a field that the surrogate or the neuron
    /// does not have, or a value out of range; the message names the field.
    pub fn resolve(&self, base: Neuron) -> Result<Neuron, Error> {
        let base = self.model.as_ref().map_or(Ok(base), |m| m.parse())?;
        let v_min = match &self.v_min {
            Some(v) => v.get("v_min")?,
            None => base.v_min,
        };
        let neuron = Neuron {
            threshold: self.threshold.unwrap_or(base.threshold),
            leak: self.leak(base.leak)?,
            synapse: self.synapse(base.synapse)?,
            adaptation: self.adaptation(base.adaptation)?,
            spikes: self.spikes.unwrap_or(base.spikes),
            reset: self.reset.unwrap_or(base.reset),
            v_min,
            fire_at_threshold: self.fire_at_threshold.unwrap_or(base.fire_at_threshold),
            detach_reset: self.detach_reset.unwrap_or(base.detach_reset),
            surrogate: self.surrogate(base.surrogate)?,
        };
        neuron.check().map(|()| neuron)
    }

    fn leak(&self, base: Leak) -> Result<Leak, Error> {
        let leak = match (&self.leak, self.tau_us) {
            (Some(_), Some(_)) => {
                return Err(Error("`leak` and `tau_us` both say how it leaks; give one".to_owned()));
            }
            (Some(leak), None) => leak.get("leak")?.map_or(Leak::None, Leak::Step),
            (None, Some(tau)) => Leak::Time(tau),
            (None, None) => base,
        };
        match (self.learn_leak.unwrap_or(matches!(base, Leak::Learned(_))), leak) {
            (true, Leak::Step(lambda) | Leak::Learned(lambda)) => Ok(Leak::Learned(lambda)),
            (true, _) => Err(Error(
                "a learned leak starts from a λ per step: give `leak = 0.5`, or `learn_leak = false`".to_owned(),
            )),
            (false, Leak::Learned(lambda)) => Ok(Leak::Step(lambda)),
            (false, leak) => Ok(leak),
        }
    }

    fn synapse(&self, base: Option<Leak>) -> Result<Option<Leak>, Error> {
        match (&self.synapse, self.synapse_tau_us) {
            (Some(_), Some(_)) => {
                Err(Error("`synapse` and `synapse_tau_us` both say how the current decays; give one".to_owned()))
            }
            (Some(decay), None) => Ok(decay.get("synapse")?.map(Leak::Step)),
            (None, Some(tau)) => Ok(Some(Leak::Time(tau))),
            (None, None) => Ok(base),
        }
    }

    fn adaptation(&self, base: Option<Adaptation>) -> Result<Option<Adaptation>, Error> {
        let leak = match (self.adaptation_leak, self.adaptation_tau_us) {
            (Some(_), Some(_)) => {
                return Err(Error(
                    "`adaptation_leak` and `adaptation_tau_us` both say how the threshold decays; give one".to_owned(),
                ));
            }
            (Some(lambda), None) => Some(Leak::Step(lambda)),
            (None, tau) => tau.map(Leak::Time),
        };
        let increment = match &self.adaptation {
            Some(beta) => beta.get("adaptation")?,
            None => base.map(|a| a.increment),
        };
        match (increment, leak) {
            (None, Some(_)) => Err(Error(
                "`adaptation_leak` and `adaptation_tau_us` need `adaptation`, what a spike adds to the threshold"
                    .to_owned(),
            )),
            (None, None) => Ok(None),
            (Some(increment), leak) => {
                let usual = base.map_or(Leak::Step(0.9), |a| a.leak);
                Ok(Some(Adaptation { increment, leak: leak.unwrap_or(usual) }))
            }
        }
    }

    fn surrogate(&self, base: Surrogate) -> Result<Surrogate, Error> {
        let mut surrogate = self.surrogate.as_ref().map_or(Ok(base), |s| s.parse())?;
        let (name, field, value) = surrogate.parameter();
        let given = [
            ("surrogate_width", self.surrogate_width),
            ("surrogate_alpha", self.surrogate_alpha),
            ("surrogate_sigma", self.surrogate_sigma),
        ];
        let mut given = given.into_iter().filter_map(|(f, v)| Some((f, v?)));
        let Some(value) = value else {
            return match given.next() {
                Some((f, _)) => Err(Error(format!("the surrogate `{name}` has no `{f}`"))),
                None => Ok(surrogate),
            };
        };
        for (f, v) in given {
            if f != field {
                return Err(Error(format!("the surrogate `{name}` has no `{f}`; it has `{field}`")));
            }
            *value = v;
        }
        if !(*value > 0.0 && value.is_finite()) {
            return Err(Error(format!("`{field}` must be above 0, got {value}")));
        }
        Ok(surrogate)
    }

    /// The neuron fully spelled: [`resolve`](Self::resolve) gives it back whatever the base.
    pub fn from_neuron(neuron: &Neuron) -> Self {
        let number = |leak: Leak| match leak {
            Leak::Step(lambda) | Leak::Learned(lambda) => (Some(lambda), None),
            Leak::Time(tau) => (None, Some(tau)),
            Leak::None => (None, None),
        };
        let (lambda, tau_us) = number(neuron.leak);
        let leak = tau_us.is_none().then(|| NumberOrNone::new(lambda));
        let (decay, synapse_tau_us) = neuron.synapse.map_or((None, None), number);
        let (adaptation_leak, adaptation_tau_us) = neuron.adaptation.map_or((None, None), |a| number(a.leak));
        let mut surrogate = neuron.surrogate;
        let (name, field, value) = surrogate.parameter();
        let of = |f: &str| value.as_deref().copied().filter(|_| f == field);
        Self {
            model: None,
            threshold: Some(neuron.threshold),
            leak,
            tau_us,
            learn_leak: Some(matches!(neuron.leak, Leak::Learned(_))),
            synapse: synapse_tau_us.is_none().then(|| NumberOrNone::new(decay)),
            synapse_tau_us,
            adaptation: Some(NumberOrNone::new(neuron.adaptation.map(|a| a.increment))),
            adaptation_leak,
            adaptation_tau_us,
            spikes: Some(neuron.spikes),
            reset: Some(neuron.reset),
            v_min: Some(NumberOrNone::new(neuron.v_min)),
            fire_at_threshold: Some(neuron.fire_at_threshold),
            detach_reset: Some(neuron.detach_reset),
            surrogate: Some(name.to_owned()),
            surrogate_width: of("surrogate_width"),
            surrogate_alpha: of("surrogate_alpha"),
            surrogate_sigma: of("surrogate_sigma"),
        }
    }
}
