//! Finds the refractory period, or the lower limit, at which a run is most accurate in the
//! event-driven engine.
//!
//! A single-spike neuron without a refractory period fires more often in the engine than in the
//! steps it was trained in. The lower limit of a multi-spike neuron applies after every event, in
//! training once a step. [`tune`] therefore tries values on the validation part, first one value
//! for the whole network, then layer by layer. It does not change the weights.

use super::engine_score::EngineScore;
use super::possible;
use crate::error::stop;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;
use tickless_engine::{CompileOptions, Program};
use tickless_net::{Layer, Network, Neuron, Refractory, SpikeMode};
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The refractory periods to try, in steps of T_max; `None` is no period.
pub const PERIODS: [Option<f64>; 5] = [None, Some(0.25), Some(0.5), Some(0.75), Some(1.0)];

/// The lower limits to try, in units of the threshold; `None` is no limit.
pub const LIMITS: [Option<f64>; 6] = [Some(-1.0), Some(-3.0), Some(-5.0), Some(-10.0), Some(-30.0), None];

/// The property of the neurons that tuning changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// The refractory period of single-spike neurons.
    Refractory,
    /// The lower limit of multi-spike neurons.
    LowerLimit,
}

/// The results of one setting on the validation part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// One value per spiking layer: ρ in steps, or the limit divided by θ; `None` for no period or
    /// no limit.
    pub values: Vec<Option<f64>>,
    /// Percent correct.
    pub accuracy: f64,
    /// Mean spikes per recording.
    pub spikes: f64,
    /// Mean synaptic operations per recording.
    pub synaptic_operations: f64,
    /// Whether weights of 8 bit and potentials of 16 bit can hold the lower limits; missing if the
    /// network has no 8-bit form for another reason, for instance a leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eight_bit: Option<bool>,
}

/// The results of all settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The property that was changed.
    pub knob: Knob,
    /// Number of recordings of the validation part.
    pub samples: usize,
    /// All settings; those with one value for the whole network come first.
    pub tried: Vec<Tried>,
    /// Index of the best setting: highest accuracy; of equals, fewest synaptic operations. A
    /// setting that 8 bit cannot hold is never the best.
    pub best: usize,
}

impl Knob {
    /// The property to tune: the lower limit if all neurons are multi-spike, else the period.
    pub fn of(network: &Network) -> Self {
        let multi = |n: &Neuron| n.spikes == SpikeMode::Multi;
        if neurons(network).all(|n| multi(&n)) { Self::LowerLimit } else { Self::Refractory }
    }

    /// The values to try.
    pub fn values(self) -> &'static [Option<f64>] {
        match self {
            Self::Refractory => &PERIODS,
            Self::LowerLimit => &LIMITS,
        }
    }

    /// Returns the network with one value per spiking layer. A layer of the other kind of neuron
    /// stays as it is, and so does a multi-spike layer with a synaptic current, which cannot have a
    /// limit.
    pub fn set(self, network: &Network, values: &[Option<f64>]) -> Network {
        let names: Vec<String> = network.spiking().iter().map(|&i| network.nodes()[i].name.clone()).collect();
        network.map_neurons(|name, n| {
            let value = names.iter().position(|other| *other == name).and_then(|l| values.get(l)).copied();
            let Some(value) = value else { return n };
            match (self, n.spikes) {
                (Self::Refractory, SpikeMode::Single) => {
                    let during = n.refractory.map(|r| r.during).unwrap_or_default();
                    Neuron { refractory: value.map(|rho| Refractory { during, ..Refractory::steps(rho) }), ..n }
                }
                (Self::LowerLimit, SpikeMode::Multi) if n.synapse.is_none() => {
                    Neuron { v_min: value.map(|v| v as f32 * n.threshold), ..n }
                }
                _ => n,
            }
        })
    }
}

/// The neurons of a network's spiking layers.
fn neurons(network: &Network) -> impl Iterator<Item = Neuron> + '_ {
    network.nodes().iter().filter_map(|node| match node.layer {
        Layer::Neuron(n) => Some(n),
        _ => None,
    })
}

/// Whether a single-spike neuron of this network has no refractory period.
pub fn lacks_a_period(network: &Network) -> bool {
    neurons(network).any(|n| n.spikes == SpikeMode::Single && n.refractory.is_none())
}

/// Tries all settings on the first `limit` recordings (0 for all) of the run's validation part.
///
/// # Errors
/// [`Error::NoValidation`] if the run has no validation part. Also if the network needs a clock, a
/// recording cannot be decoded, or the user stops.
pub fn tune(run: &Loaded, limit: usize, progress: &dyn Progress, cancel: &AtomicBool) -> Result<Tuned> {
    possible(run)?;
    let all = &run.parts.validation;
    let ids = &all[..if limit == 0 { all.len() } else { limit.min(all.len()) }];
    if ids.is_empty() {
        return Err(Error::no_validation(run));
    }
    let knob = Knob::of(&run.network);
    let layers = run.network.spiking().len();
    let options = CompileOptions { step_us: run.facts.step_us, ..CompileOptions::default() };
    let small = CompileOptions { quantised: true, ..options };
    let holds =
        |values: &[Option<f64>]| Program::compile(&knob.set(&run.network, values), &run.weights, &small).is_ok();
    // The highest limit fits if any does.
    let has_8_bit_form = knob == Knob::LowerLimit && holds(&vec![LIMITS[0]; layers]);
    let try_values = |values: Vec<Option<f64>>| -> Result<Tried> {
        stop(progress)?;
        let program = Program::compile(&knob.set(&run.network, &values), &run.weights, &options)?;
        let s = EngineScore::measure(run, &program, ids, progress, cancel)?;
        let EngineScore { accuracy, spikes, synaptic_operations, .. } = s;
        let eight_bit = has_8_bit_form.then(|| holds(&values));
        Ok(Tried { values, accuracy, spikes, synaptic_operations, eight_bit })
    };
    let runs = knob.values().len() + if layers > 1 { layers * (knob.values().len() - 1) } else { 0 };
    progress.start("validation", (runs * ids.len()) as u64, "recording");
    let mut tried = Vec::new();
    for value in knob.values() {
        tried.push(try_values(vec![*value; layers])?);
    }
    let mut best = best_of(&tried);
    for layer in 0..if layers > 1 { layers } else { 0 } {
        let from = tried[best].values.clone();
        for value in knob.values().iter().filter(|v| **v != from[layer]) {
            let mut values = from.clone();
            values[layer] = *value;
            tried.push(try_values(values)?);
        }
        best = best_of(&tried);
    }
    progress.finish();
    Ok(Tuned { knob, samples: ids.len(), tried, best })
}

/// Index of the highest accuracy among the settings that 8 bit can hold, if the network has an 8-bit
/// form; of equals, of the fewest synaptic operations; of those, the first.
fn best_of(tried: &[Tried]) -> usize {
    let better = |a: &Tried, b: &Tried| {
        a.accuracy > b.accuracy || (a.accuracy == b.accuracy && a.synaptic_operations < b.synaptic_operations)
    };
    let held = (0..tried.len()).filter(|k| tried[*k].eight_bit != Some(false));
    held.reduce(|best, k| if better(&tried[k], &tried[best]) { k } else { best }).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::{Conv, InputKind, NetworkBuilder, Shape};

    fn network(first: Neuron, second: Neuron) -> Network {
        let mut b = NetworkBuilder::new("two", Shape::new(2, 4, 4), InputKind::Events);
        let at = b.conv(b.input(), Conv::c3(2));
        let at = b.neuron(at, first);
        let at = b.conv(at, Conv::c3(2));
        let at = b.neuron(at, second);
        b.linear(at, 2, false);
        b.build().unwrap()
    }

    #[test]
    fn a_layer_gets_its_own_value_and_neurons_of_the_other_kind_stay() {
        let (single, multi) = (Neuron::lif(), Neuron { threshold: 2.0, ..Neuron::if_multi() });
        let both = network(single, multi);
        assert_eq!(Knob::of(&both), Knob::Refractory);
        assert!(lacks_a_period(&both) && !lacks_a_period(&network(multi, multi)));
        let set = Knob::Refractory.set(&both, &[Some(0.5), Some(0.5)]);
        let expected = network(Neuron { refractory: Some(Refractory::steps(0.5)), ..single }, multi);
        assert_eq!(set, expected);
        assert_eq!(Knob::Refractory.set(&set, &[None, None]), both);
        let limits = Knob::LowerLimit.set(&network(multi, multi), &[Some(-3.0), None]);
        let limit = |v_min| Neuron { v_min, ..multi };
        assert_eq!(limits, network(limit(Some(-6.0)), limit(None)), "a limit is in units of the threshold");
    }

    #[test]
    fn the_best_is_the_most_correct_and_of_equals_the_cheapest() {
        let tried = |accuracy, synaptic_operations| Tried {
            values: vec![],
            accuracy,
            spikes: 0.0,
            synaptic_operations,
            eight_bit: None,
        };
        assert_eq!(
            best_of(&[tried(50.0, 1.0), tried(60.0, 9.0), tried(60.0, 8.0), tried(60.0, 8.0), tried(40.0, 0.0)]),
            2
        );
        let held = |accuracy, held| Tried { eight_bit: Some(held), ..tried(accuracy, 1.0) };
        assert_eq!(
            best_of(&[held(50.0, true), held(60.0, false), held(55.0, true)]),
            2,
            "8 bit cannot hold the second"
        );
    }
}
