//! A neuron as a recipe describes it: the fields that differ from a base neuron.

use crate::error::Error;
use crate::leak::Leak;
use crate::model::{Adaptation, Neuron, Reset, SpikeMode};
use crate::refractory::{During, Period, Refractory};
use crate::surrogate::Surrogate;
use serde::{Deserialize, Serialize};

/// A number, or the word `none`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or \"none\"")]
pub enum NumberOrNone {
    /// A number.
    Number(f32),
    /// The word `none`; [`NeuronSpec::resolve`] refuses any other.
    Word(String),
}

impl NumberOrNone {
    fn new(number: Option<f32>) -> Self {
        number.map_or_else(|| NumberOrNone::Word("none".to_owned()), NumberOrNone::Number)
    }

    fn get(&self, field: &'static str) -> Result<Option<f32>, Error> {
        match self {
            NumberOrNone::Number(n) => Ok(Some(*n)),
            NumberOrNone::Word(w) if w == "none" => Ok(None),
            NumberOrNone::Word(w) => Err(Error::NotANumber { field, word: w.clone() }),
        }
    }
}

/// A refractory period, or the word `none`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a table such as { steps = 0.5 } or { us = 15000, during = \"hold\" }, or \"none\""
)]
pub enum RefractorySpec {
    /// The fields of a period.
    Table(RefractoryTable),
    /// The word `none`; [`NeuronSpec::resolve`] refuses any other.
    Word(String),
}

/// A refractory period as a recipe describes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefractoryTable {
    /// Length ρ in steps at T_max, above 0. Excludes `us`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<f64>,
    /// Length in µs, above 0. Excludes `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub us: Option<f64>,
    /// Behaviour of the membrane: `integrate` (default) or `hold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub during: Option<During>,
}

impl RefractorySpec {
    fn new(refractory: Option<Refractory>) -> Self {
        let Some(Refractory { period, during }) = refractory else { return Self::Word("none".to_owned()) };
        let (steps, us) = match period {
            Period::Steps(rho) => (Some(rho), None),
            Period::Us(us) => (None, Some(us)),
        };
        Self::Table(RefractoryTable { steps, us, during: Some(during) })
    }

    fn get(&self, base: Option<Refractory>) -> Result<Option<Refractory>, Error> {
        let table = match self {
            Self::Table(table) => table,
            Self::Word(w) if w == "none" => return Ok(None),
            Self::Word(w) => return Err(Error::NotAPeriod { word: w.clone() }),
        };
        let period = match (table.steps, table.us) {
            (Some(_), Some(_)) => {
                return Err(Error::Both {
                    first: "refractory.steps",
                    second: "refractory.us",
                    what: "how long the period is",
                });
            }
            (Some(rho), None) => Period::Steps(rho),
            (None, Some(us)) => Period::Us(us),
            (None, None) => base.map(|r| r.period).ok_or(Error::NoPeriodLength)?,
        };
        let during = table.during.or(base.map(|r| r.during)).unwrap_or_default();
        Ok(Some(Refractory { period, during }))
    }
}

/// The fields of a neuron that a recipe changes; [`Neuron`] explains them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuronSpec {
    /// Model that replaces the base neuron: `lif`, `if` (multi-spike), `if-single`, `cuba-lif`,
    /// `adaptive-lif` or `parametric-lif`.
    pub model: Option<String>,
    /// Threshold θ, above 0.
    pub threshold: Option<f32>,
    /// Leak λ of one step at T_max, 0 < λ ≤ 1, or `none`. Excludes `tau_us`.
    pub leak: Option<NumberOrNone>,
    /// The leak as a time constant in µs. Excludes `leak`.
    pub tau_us: Option<f64>,
    /// Whether every layer learns its λ, starting from `leak`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learn_leak: Option<bool>,
    /// Decay λ_s of the synaptic current in one step at T_max, 0 < λ_s < 1, or `none`.
    /// Excludes `synapse_tau_us`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synapse: Option<NumberOrNone>,
    /// Time constant of the synaptic current in µs. Excludes `synapse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synapse_tau_us: Option<f64>,
    /// Amount that a spike adds to the threshold, above 0, or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<NumberOrNone>,
    /// Decay λ_a of this amount in one step at T_max, 0 < λ_a < 1 (default 0.9). Excludes
    /// `adaptation_tau_us`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation_leak: Option<f32>,
    /// Time constant of this amount in µs. Excludes `adaptation_leak`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation_tau_us: Option<f64>,
    /// Refractory period: `{ steps = 0.5 }` (of a step at T_max) or `{ us = 15000 }`, with
    /// `during = "integrate"` (default) or `"hold"`; or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refractory: Option<RefractorySpec>,
    /// Spikes per update: `single` or `multi`.
    pub spikes: Option<SpikeMode>,
    /// Reset: `hard`, `soft`, `soft_delayed` or `soft_repeated`.
    pub reset: Option<Reset>,
    /// Lower limit of the membrane potential, at most 0, or `none`.
    pub v_min: Option<NumberOrNone>,
    /// Whether the neuron fires at u = θ.
    pub fire_at_threshold: Option<bool>,
    /// Whether the gradient ignores the path through the reset.
    pub detach_reset: Option<bool>,
    /// Surrogate gradient: a name in [`Surrogate::KNOWN`].
    pub surrogate: Option<String>,
    /// Width of `single_exponential` (default 0.5, a fraction of θ) and `rectangle` (default 1).
    pub surrogate_width: Option<f32>,
    /// Steepness of `arctangent` (default 2) and `sigmoid` (default 4).
    pub surrogate_alpha: Option<f32>,
    /// Standard deviation of `gaussian` (default 0.5).
    pub surrogate_sigma: Option<f32>,
}

impl NeuronSpec {
    /// Returns `base`, or the neuron that `model` names, with the given fields changed.
    ///
    /// # Errors
    /// If a word is unknown, two fields exclude each other, the surrogate or the neuron does not
    /// have a field, or a value is out of range; the message names the field.
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
            refractory: match &self.refractory {
                Some(refractory) => refractory.get(base.refractory)?,
                None => base.refractory,
            },
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
                return Err(Error::Both { first: "leak", second: "tau_us", what: "how it leaks" });
            }
            (Some(leak), None) => leak.get("leak")?.map_or(Leak::None, Leak::Step),
            (None, Some(tau)) => Leak::Time(tau),
            (None, None) => base,
        };
        match (self.learn_leak.unwrap_or(matches!(base, Leak::Learned(_))), leak) {
            (true, Leak::Step(lambda) | Leak::Learned(lambda)) => Ok(Leak::Learned(lambda)),
            (true, _) => Err(Error::LearnedWithoutStart),
            (false, Leak::Learned(lambda)) => Ok(Leak::Step(lambda)),
            (false, leak) => Ok(leak),
        }
    }

    fn synapse(&self, base: Option<Leak>) -> Result<Option<Leak>, Error> {
        match (&self.synapse, self.synapse_tau_us) {
            (Some(_), Some(_)) => {
                Err(Error::Both { first: "synapse", second: "synapse_tau_us", what: "how the current decays" })
            }
            (Some(decay), None) => Ok(decay.get("synapse")?.map(Leak::Step)),
            (None, Some(tau)) => Ok(Some(Leak::Time(tau))),
            (None, None) => Ok(base),
        }
    }

    fn adaptation(&self, base: Option<Adaptation>) -> Result<Option<Adaptation>, Error> {
        let leak = match (self.adaptation_leak, self.adaptation_tau_us) {
            (Some(_), Some(_)) => {
                return Err(Error::Both {
                    first: "adaptation_leak",
                    second: "adaptation_tau_us",
                    what: "how the threshold decays",
                });
            }
            (Some(lambda), None) => Some(Leak::Step(lambda)),
            (None, tau) => tau.map(Leak::Time),
        };
        let increment = match &self.adaptation {
            Some(beta) => beta.get("adaptation")?,
            None => base.map(|a| a.increment),
        };
        match (increment, leak) {
            (None, Some(_)) => Err(Error::NoAdaptation),
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
        let lacks = |f, known| Err(Error::SurrogateParameter { surrogate: name, field: f, known });
        let Some(value) = value else {
            return match given.next() {
                Some((f, _)) => lacks(f, None),
                None => Ok(surrogate),
            };
        };
        for (f, v) in given {
            if f != field {
                return lacks(f, Some(field));
            }
            *value = v;
        }
        if !(*value > 0.0 && value.is_finite()) {
            return Err(Error::out_of_range(field, "above 0", *value));
        }
        Ok(surrogate)
    }

    /// A description with every field set, so [`resolve`](Self::resolve) restores the neuron from
    /// any base.
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
        let constant = |f: &str| value.as_deref().copied().filter(|_| f == field);
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
            refractory: Some(RefractorySpec::new(neuron.refractory)),
            spikes: Some(neuron.spikes),
            reset: Some(neuron.reset),
            v_min: Some(NumberOrNone::new(neuron.v_min)),
            fire_at_threshold: Some(neuron.fire_at_threshold),
            detach_reset: Some(neuron.detach_reset),
            surrogate: Some(name.to_owned()),
            surrogate_width: constant("surrogate_width"),
            surrogate_alpha: constant("surrogate_alpha"),
            surrogate_sigma: constant("surrogate_sigma"),
        }
    }
}
