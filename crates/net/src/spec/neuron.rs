//! A neuron as a recipe spells it: what differs from another neuron.

use crate::neuron::{Leak, Neuron, Reset, SpikeMode, Surrogate};
use crate::suggest;
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

    fn get(&self, field: &str) -> Result<Option<f32>, String> {
        match self {
            NumberOrNone::Number(n) => Ok(Some(*n)),
            NumberOrNone::Word(w) if w == "none" => Ok(None),
            NumberOrNone::Word(w) => Err(format!("`{field}` is a number or \"none\", not \"{w}\"")),
        }
    }
}

/// Which fields of a neuron to change; see [`Neuron`] for their meaning.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuronSpec {
    /// Starts from a known neuron: `lif`, `if` (multi-spike) or `if-single`.
    pub model: Option<String>,
    /// θ, above 0.
    pub threshold: Option<f32>,
    /// λ of one step at T_max, 0 < λ ≤ 1, or `none`. Excludes `tau_us`.
    pub leak: Option<NumberOrNone>,
    /// The leak as a time constant in µs. Excludes `leak`.
    pub tau_us: Option<f64>,
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

const MODELS: [(&str, Neuron); 3] =
    [("lif", Neuron::lif()), ("if", Neuron::if_multi()), ("if-single", Neuron::if_single())];

const SURROGATES: [(&str, Surrogate); 6] = [
    ("triangle", Surrogate::Triangle),
    ("single_exponential", Surrogate::SingleExponential { width: 0.5 }),
    ("arctangent", Surrogate::Arctangent { alpha: 2.0 }),
    ("sigmoid", Surrogate::Sigmoid { alpha: 4.0 }),
    ("rectangle", Surrogate::Rectangle { width: 1.0 }),
    ("gaussian", Surrogate::Gaussian { sigma: 0.5 }),
];

fn named<T: Copy>(what: &str, name: &str, known: &[(&'static str, T)]) -> Result<T, String> {
    known.iter().find(|k| k.0 == name).map(|k| k.1).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|k| k.0).collect();
        let hint = suggest::hint(name, names.iter().copied());
        format!("unknown {what} `{name}`{hint}; known: {}", names.join(", "))
    })
}

impl NeuronSpec {
    /// `base` (or the neuron that `model` names) with the given fields changed.
    ///
    /// # Errors
    /// An unknown word, two leaks at once, a surrogate's field that it does not have, or a value
    /// out of range; the message names the field.
    pub fn resolve(&self, base: Neuron) -> Result<Neuron, String> {
        let base = self.model.as_ref().map_or(Ok(base), |m| named("neuron model", m, &MODELS))?;
        let leak = match (&self.leak, self.tau_us) {
            (Some(_), Some(_)) => return Err("`leak` and `tau_us` both say how it leaks; give one".to_owned()),
            (Some(leak), None) => leak.get("leak")?.map_or(Leak::None, Leak::Step),
            (None, Some(tau)) => Leak::Time(tau),
            (None, None) => base.leak,
        };
        let v_min = match &self.v_min {
            Some(v) => v.get("v_min")?,
            None => base.v_min,
        };
        let neuron = Neuron {
            threshold: self.threshold.unwrap_or(base.threshold),
            leak,
            spikes: self.spikes.unwrap_or(base.spikes),
            reset: self.reset.unwrap_or(base.reset),
            v_min,
            fire_at_threshold: self.fire_at_threshold.unwrap_or(base.fire_at_threshold),
            detach_reset: self.detach_reset.unwrap_or(base.detach_reset),
            surrogate: self.surrogate(base.surrogate)?,
        };
        check(&neuron).map(|()| neuron)
    }

    fn surrogate(&self, base: Surrogate) -> Result<Surrogate, String> {
        let mut surrogate = self.surrogate.as_ref().map_or(Ok(base), |s| named("surrogate", s, &SURROGATES))?;
        let (name, field, value) = parameter(&mut surrogate);
        let given = [
            ("surrogate_width", self.surrogate_width),
            ("surrogate_alpha", self.surrogate_alpha),
            ("surrogate_sigma", self.surrogate_sigma),
        ];
        let mut given = given.into_iter().filter_map(|(f, v)| Some((f, v?)));
        let Some(value) = value else {
            return match given.next() {
                Some((f, _)) => Err(format!("the surrogate `{name}` has no `{f}`")),
                None => Ok(surrogate),
            };
        };
        for (f, v) in given {
            if f != field {
                return Err(format!("the surrogate `{name}` has no `{f}`; it has `{field}`"));
            }
            *value = v;
        }
        if !(*value > 0.0 && value.is_finite()) {
            return Err(format!("`{field}` must be above 0, got {value}"));
        }
        Ok(surrogate)
    }

    /// The neuron fully spelled: [`resolve`](Self::resolve) gives it back whatever the base.
    pub fn from_neuron(neuron: &Neuron) -> Self {
        let (leak, tau_us) = match neuron.leak {
            Leak::None => (Some(NumberOrNone::new(None)), None),
            Leak::Step(lambda) => (Some(NumberOrNone::Number(lambda)), None),
            Leak::Time(tau) => (None, Some(tau)),
        };
        let mut surrogate = neuron.surrogate;
        let (name, field, value) = parameter(&mut surrogate);
        let of = |f: &str| value.as_deref().copied().filter(|_| f == field);
        Self {
            model: None,
            threshold: Some(neuron.threshold),
            leak,
            tau_us,
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

/// The surrogate's word, the field of its one parameter, and the parameter.
fn parameter(surrogate: &mut Surrogate) -> (&'static str, &'static str, Option<&mut f32>) {
    match surrogate {
        Surrogate::Triangle => ("triangle", "", None),
        Surrogate::SingleExponential { width } => ("single_exponential", "surrogate_width", Some(width)),
        Surrogate::Arctangent { alpha } => ("arctangent", "surrogate_alpha", Some(alpha)),
        Surrogate::Sigmoid { alpha } => ("sigmoid", "surrogate_alpha", Some(alpha)),
        Surrogate::Rectangle { width } => ("rectangle", "surrogate_width", Some(width)),
        Surrogate::Gaussian { sigma } => ("gaussian", "surrogate_sigma", Some(sigma)),
    }
}

fn check(neuron: &Neuron) -> Result<(), String> {
    if !(neuron.threshold > 0.0 && neuron.threshold.is_finite()) {
        return Err(format!("`threshold` must be above 0, got {}", neuron.threshold));
    }
    match neuron.leak {
        Leak::Step(lambda) if !(lambda > 0.0 && lambda <= 1.0) => {
            return Err(format!("`leak` must be above 0 and at most 1, got {lambda}"));
        }
        Leak::Time(tau) if tau.is_nan() || tau <= 0.0 => {
            return Err(format!("`tau_us` must be above 0, got {tau}"));
        }
        _ => {}
    }
    match neuron.v_min {
        Some(v) if !(v <= 0.0 && v.is_finite()) => Err(format!("`v_min` must be at most 0 or \"none\", got {v}")),
        _ => Ok(()),
    }
}
