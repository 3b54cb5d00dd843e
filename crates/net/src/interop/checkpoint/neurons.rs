//! The constants of neurons that a checkpoint holds beside its weights: decays, thresholds, lower
//! limits and resets.
//!
//! A learned decay of the network ([`Leak::Learned`]) takes its value λ = sigmoid(d) from the file:
//!
//! ```text
//! SpikingJelly   w            1/τ = sigmoid(w), λ = 1 − 1/τ      d = −w
//! snnTorch       beta         λ = beta                           d = ln(λ/(1 − λ))
//! sinabs         alpha_mem    λ = alpha_mem
//!                tau_mem      λ = exp(−1/tau_mem), in steps
//! ```
//!
//! All other constants are compared with the recipe's, and a difference is said. In the neurons of
//! SpikingJelly (`decay_input`) and sinabs (`norm_input`), the input may decay too, u = λ·v + (1 −
//! λ)·x, which the file does not say; the factor then goes into the weights before the neurons.

use super::dialect::Dialect;
use super::error::refused;
use super::map::Map;
use super::order::uncertain;
use super::state::Checkpoint;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::network::{Network, Node};
use crate::neuron::model::learned_decay;
use crate::neuron::{Leak, Neuron, Reset};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What a checkpoint says of the neurons of a network.
#[derive(Debug, Default)]
pub(super) struct Neurons {
    /// For each node with a learned decay, its trained value, or why there is none.
    pub decays: BTreeMap<usize, std::result::Result<Decay, String>>,
    /// Constants that differ from the recipe's.
    pub differences: Vec<String>,
    /// For each tensor of the file that is a constant of a layer, the node of the layer.
    pub constants: HashMap<usize, usize>,
    /// Nodes whose input decays too, and the factor of their input.
    pub scaled: Vec<(usize, f64)>,
}

/// The trained value of a learned decay.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decay {
    /// Index of its tensor in the file.
    pub index: usize,
    pub value: f32,
}

/// Constants that only modules of neurons have.
const DEFINING: [&str; 7] =
    ["threshold", "beta", "spike_threshold", "min_v_mem", "tau_mem", "alpha_mem", "v_threshold"];

/// SpikingJelly's learned decay. Other modules may have a tensor of this name, so it counts only if
/// it is one number of a module without other weights.
const W: &str = "w";

/// Constants that modules of neurons may have too.
const OTHERS: [&str; 11] = [
    "alpha",
    "alpha_syn",
    "tau_syn",
    "graded_spikes_factor",
    "reset_mechanism_val",
    "v_offset",
    "alpha_adapt",
    "tau_adapt",
    "R",
    "C",
    "time_step",
];

/// The constants that say λ of the membrane.
const DECAYS: [&str; 4] = [W, "beta", "alpha_mem", "tau_mem"];

/// A module of neurons: its path and its constants, as (name, index in the file).
#[derive(Debug, Clone)]
struct Module {
    path: String,
    constants: Vec<(&'static str, usize)>,
}

impl Module {
    fn get(&self, constant: &str) -> Option<usize> {
        self.constants.iter().find(|(c, _)| *c == constant).map(|(_, i)| *i)
    }
}

/// The path of the module of neurons that a tensor belongs to if it is one of its constants.
pub(super) fn module_of<'a>(checkpoint: &Checkpoint, name: &'a str) -> Option<&'a str> {
    let (path, _) = name.rsplit_once('.')?;
    modules(checkpoint).iter().any(|m| m.path == path).then_some(path)
}

/// The modules of neurons of a file, in its order.
fn modules(checkpoint: &Checkpoint) -> Vec<Module> {
    let tensors = checkpoint.tensors();
    let known = |last: &str| {
        let all = DEFINING.iter().chain(&OTHERS).chain([&W]);
        all.copied().find(|c| *c == last)
    };
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<(Module, bool)> = Vec::new();
    for (i, (name, tensor)) in tensors.iter().enumerate() {
        let (path, last) = name.rsplit_once('.').unwrap_or(("", name));
        let at = *places.entry(path).or_insert_with(|| {
            found.push((Module { path: path.to_owned(), constants: Vec::new() }, false));
            found.len() - 1
        });
        let (module, has_weight) = &mut found[at];
        *has_weight |= matches!(last, "weight" | "bias");
        if let Some(constant) = known(last).filter(|c| *c != W || tensor.elements() == 1) {
            module.constants.push((constant, i));
        }
    }
    let is_neuron = |(module, has_weight): &(Module, bool)| {
        let defined = module.constants.iter().any(|(c, _)| DEFINING.contains(c));
        defined || module.get(W).is_some() && !has_weight
    };
    found.into_iter().filter(is_neuron).map(|(module, _)| module).collect()
}

/// Reads the constants of the neurons of `network`, whose weights have the names of `dialect` behind
/// `prefix`.
///
/// # Errors
/// If a learned decay meets a layer with another, fixed one; or if the file holds a decay and
/// `decay_input` does not say whether the input decays too.
pub(super) fn neurons(
    checkpoint: &Checkpoint,
    network: &Network,
    file: &Path,
    (map, decay_input): (&Map, Option<bool>),
    (dialect, prefix): (Option<Dialect>, &str),
) -> Result<Neurons> {
    let modules = modules(checkpoint);
    let spiking = network.spiking();
    let mut result = Neurons::default();
    let (assigned, problem) = assign(&modules, checkpoint, network, map, (dialect, prefix));
    let name_of = |i: usize| checkpoint.tensors()[i].0.as_str();
    for (&node, module) in spiking.iter().zip(&assigned) {
        let layer = &network.nodes()[node];
        let Layer::Neuron(neuron) = layer.layer else { continue };
        let learns = matches!(neuron.leak, Leak::Learned(_));
        let Some(module) = module else {
            if learns {
                let why = problem.clone().unwrap_or_else(|| "the file has no module of neurons in this place".into());
                result.decays.insert(node, Err(why));
            }
            continue;
        };
        result.constants.extend(module.constants.iter().map(|(_, i)| (*i, node)));
        let mut decay = None;
        for &(constant, i) in &module.constants {
            let theirs = values(checkpoint, i)?;
            if !DECAYS.contains(&constant) {
                result.differences.extend(difference(constant, name_of(i), &theirs, layer, &neuron));
                continue;
            }
            decay = Some(i);
            let lambdas: Vec<f64> = theirs.iter().map(|v| lambda(constant, *v)).collect();
            let one = lambdas.first().copied().filter(|first| lambdas.iter().all(|l| l.to_bits() == first.to_bits()));
            if learns {
                result
                    .decays
                    .insert(node, learned(constant, name_of(i), &theirs, one).map(|value| Decay { index: i, value }));
            } else if let Some(said) = fixed(constant, name_of(i), &lambdas, layer, &neuron) {
                if constant == W {
                    let problem = format!("{said}; or learn it on: `neuron = {{ model = \"parametric-lif\" }}`");
                    return Err(refused(file, problem));
                }
                result.differences.push(said);
            }
            // snnTorch's `beta` leaves the input as it is.
            if constant != "beta" && lambdas.iter().any(|l| *l < 1.0) {
                match (decay_input, one) {
                    (None, _) => return Err(Error::DecayInput { file: file.to_owned(), name: name_of(i).to_owned() }),
                    (Some(true), Some(lambda)) => result.scaled.push((node, 1.0 - lambda)),
                    (Some(true), None) => {
                        let problem = format!(
                            "`{}` differs from neuron to neuron, and so would the factor of their input",
                            name_of(i)
                        );
                        return Err(refused(file, problem));
                    }
                    (Some(false), _) => {}
                }
            }
        }
        if module.get("spike_threshold").is_some() && module.get("min_v_mem").is_none() && neuron.v_min.is_some() {
            let (path, limit) = (&module.path, neuron.v_min.unwrap_or_default());
            result.differences.push(format!(
                "`{path}` has no lower limit (`min_v_mem`) in the file, layer `{}` has {limit}",
                layer.name
            ));
        }
        if learns && decay.is_none() {
            let path = &module.path;
            result
                .decays
                .insert(node, Err(format!("the file's neurons `{path}` have no decay (`w`, `beta`, `tau_mem`)")));
        }
    }
    if let Some(problem) = problem.filter(|_| !modules.is_empty() && assigned.iter().all(Option::is_none)) {
        let name = name_of(modules[0].constants[0].1);
        result.differences.push(format!("the constants of neurons (`{name}` and others) were not compared: {problem}"));
    }
    Ok(result)
}

/// The module of each spiking layer: by the user's map, by its name in the dialect, or by order if
/// names assign none; and why the order assigns none.
fn assign(
    modules: &[Module],
    checkpoint: &Checkpoint,
    network: &Network,
    map: &Map,
    (dialect, prefix): (Option<Dialect>, &str),
) -> (Vec<Option<Module>>, Option<String>) {
    let spiking = network.spiking();
    let by_path = |path: &str| modules.iter().find(|m| m.path == path).cloned();
    let names = dialect.and_then(|d| d.modules(network));
    let mapped = |name: &str| {
        let pair = map.pairs.iter().find(|(_, ours)| ours.strip_suffix(".decay").unwrap_or(ours) == name);
        pair.and_then(|(theirs, _)| by_path(theirs).or_else(|| by_path(theirs.rsplit_once('.')?.0)))
    };
    let of = |&i: &usize| {
        let named = || names.as_ref().map(|n| n[i].as_str()).filter(|n| !n.is_empty());
        mapped(&network.nodes()[i].name).or_else(|| by_path(&format!("{prefix}{}", named()?)))
    };
    let assigned: Vec<Option<Module>> = spiking.iter().map(of).collect();
    if assigned.iter().any(Option::is_some) {
        return (assigned, None);
    }
    let all: Vec<&Module> = modules.iter().filter(|m| m.path.starts_with(prefix)).collect();
    if all.is_empty() {
        return (assigned, Some("the file has no constants of neurons".into()));
    }
    if all.len() != spiking.len() {
        let problem = format!(
            "the file has {} modules of neurons, the network {} spiking layers, so their order does not say which is which",
            all.len(),
            spiking.len()
        );
        return (assigned, Some(problem));
    }
    let paths: Vec<&str> = all.iter().map(|m| m.path.as_str()).collect();
    match uncertain(&paths, checkpoint.is_ordered()) {
        Some(problem) => (assigned, Some(problem)),
        None => (all.into_iter().cloned().map(Some).collect(), None),
    }
}

fn values(checkpoint: &Checkpoint, i: usize) -> Result<Vec<f32>> {
    let (name, tensor) = &checkpoint.tensors()[i];
    let refuse =
        |problem: String| Error::Checkpoint { file: Default::default(), problem: format!("tensor `{name}` {problem}") };
    Ok(checkpoint.array(tensor).map_err(refuse)?.data)
}

/// λ of one step that a constant says.
fn lambda(constant: &str, value: f32) -> f64 {
    let v = f64::from(value);
    match constant {
        W => 1.0 / (1.0 + v.exp()),
        "tau_mem" | "tau_syn" => (-1.0 / v).exp(),
        // snnTorch clamps it at each step.
        "beta" | "alpha" => v.clamp(0.0, 1.0),
        _ => v,
    }
}

/// The trained value of a learned decay; `one` is its λ if all neurons have the same.
fn learned(constant: &str, name: &str, theirs: &[f32], one: Option<f64>) -> std::result::Result<f32, String> {
    let Some(lambda) = one else { return Err(format!("`{name}` has {}, and a layer has one decay", shown(theirs))) };
    if !(lambda > 0.0 && lambda < 1.0) {
        return Err(format!(
            "`{name}` is λ = {lambda}, and a learned decay is between 0 and 1; if nothing decays, set `leak = \"none\"`"
        ));
    }
    Ok(if constant == W { -theirs[0] } else { learned_decay(lambda as f32) })
}

/// How the decays of a file differ from the fixed leak of a layer, if they do.
fn fixed(constant: &str, name: &str, lambdas: &[f64], layer: &Node, neuron: &Neuron) -> Option<String> {
    let ours = match neuron.leak {
        Leak::Step(lambda) => lambda,
        Leak::None => 1.0,
        Leak::Time(tau) => {
            let layer = &layer.name;
            return lambdas.iter().any(|l| *l != 1.0).then(|| {
                format!(
                    "`{name}` is a decay per step in the file, layer `{layer}` has a leak of {tau} µs: compare them"
                )
            });
        }
        Leak::Learned(_) => return None,
    };
    let theirs: Vec<f32> = lambdas.iter().map(|l| *l as f32).collect();
    differs(&theirs, &[ours]).then(|| {
        let is = if matches!(constant, "beta" | "alpha_mem") { "is" } else { "is λ =" };
        let (theirs, layer) = (shown(&theirs), &layer.name);
        format!("`{name}` {is} {theirs} in the file, layer `{layer}` has {ours}")
    })
}

/// How a constant other than λ differs from that of a layer, if it does.
fn difference(constant: &str, name: &str, theirs: &[f32], layer: &Node, neuron: &Neuron) -> Option<String> {
    let said =
        |ours: &str| Some(format!("`{name}` is {} in the file, layer `{}` has {ours}", shown(theirs), layer.name));
    let none = || "none".to_owned();
    match constant {
        "threshold" | "spike_threshold" | "v_threshold" => {
            let ours = layer.thresholds.clone().unwrap_or_else(|| vec![neuron.threshold]);
            if differs(theirs, &ours) { said(&shown(&ours)) } else { None }
        }
        "min_v_mem" => {
            let equal = neuron.v_min.is_some_and(|v| !differs(theirs, &[v]));
            if equal { None } else { said(&neuron.v_min.map_or_else(none, |v| v.to_string())) }
        }
        "alpha" | "alpha_syn" | "tau_syn" => {
            let lambdas: Vec<f32> = theirs.iter().map(|v| lambda(constant, *v) as f32).collect();
            match neuron.synapse {
                Some(Leak::Step(ours)) if !differs(&lambdas, &[ours]) => None,
                Some(Leak::Step(ours)) => said(&format!("a synaptic current with λ = {ours}")),
                Some(_) => said("a synaptic current with a time constant: compare them"),
                None => said("no synaptic current"),
            }
        }
        "graded_spikes_factor" if differs(theirs, &[1.0]) => {
            said("spikes of size 1; multiply the weights that read them")
        }
        "reset_mechanism_val" => match (theirs, neuron.reset) {
            ([0.0], Reset::Soft | Reset::SoftDelayed | Reset::SoftRepeated) | ([1.0], Reset::Hard) => None,
            ([0.0], _) => Some(format!(
                "`{name}` subtracts the threshold, layer `{}` has the reset `{}`",
                layer.name, neuron.reset
            )),
            ([1.0], _) => {
                Some(format!("`{name}` resets to zero, layer `{}` has the reset `{}`", layer.name, neuron.reset))
            }
            _ => Some(format!("`{name}` resets nothing, layer `{}` has the reset `{}`", layer.name, neuron.reset)),
        },
        "v_offset" if differs(theirs, &[0.0]) => said("no offset; add it to the bias before"),
        "alpha_adapt" | "tau_adapt" if neuron.adaptation.is_none() => said("a constant threshold"),
        "R" | "C" | "time_step" => said("no such constant: Lapicque's neuron scales its input by R·(1 − beta)"),
        _ => None,
    }
}

/// Whether values differ from ours; a single value stands for all.
fn differs(theirs: &[f32], ours: &[f32]) -> bool {
    let equal = |a: f32, b: f32| a == b || (a - b).abs() <= 1e-6 * b.abs();
    let apart = |a: f32, b: f32| !equal(a, b);
    match (theirs, ours) {
        (_, [one]) => theirs.iter().any(|v| apart(*v, *one)),
        ([one], _) => ours.iter().any(|v| apart(*one, *v)),
        _ => theirs.len() != ours.len() || theirs.iter().zip(ours).any(|(a, b)| apart(*a, *b)),
    }
}

/// A value, or how many there are and their range.
fn shown(values: &[f32]) -> String {
    let (low, high) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    match values {
        [] => "nothing".to_owned(),
        [one] => one.to_string(),
        _ if low == high => low.to_string(),
        _ => format!("{} values from {low} to {high}", values.len()),
    }
}
