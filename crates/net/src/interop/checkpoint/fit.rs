//! Assigns the tensors of a checkpoint to the layers of a network.
//!
//! The names decide: those of a user's map first, then those of the dialect that matches the most
//! tensors in name and shape. In a chain of layers the order of the modules decides if no dialect
//! names them ([`super::order`]). What was not assigned is reported with the reason and the nearest
//! names, and nothing else is tried.

use super::dialect::{Dialect, no_names};
use super::error::refused;
use super::map::Map;
use super::neurons::{module_of, neurons};
use super::order::{Ordered, by_order, kind_of};
use super::recurrent_bias::{self, Biases};
use super::scale::scale_input;
use super::state::Checkpoint;
use super::tensor::{Number, Tensor};
use crate::error::{Error, Result};
use crate::layer::{Layer, TensorSpec};
use crate::network::Network;
use crate::suggest;
use crate::weights::{Array, Weights};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use tickless_words::words;

/// How to assign tensors.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct FitOptions {
    /// The dialect of the file's names; `None` for the one that matches the most tensors.
    pub dialect: Option<Dialect>,
    /// Names that the user assigned.
    pub map: Map,
    /// Whether the input of the file's neurons decays too (SpikingJelly's `decay_input`, sinabs'
    /// `norm_input`), u = λ·v + (1 − λ)·x, which the file does not say. `None` refuses a file for
    /// which it matters.
    pub decay_input: Option<bool>,
}

impl FitOptions {
    /// Options with a dialect, if any.
    pub fn new(dialect: Option<Dialect>, map: Map) -> Self {
        Self { dialect, map, decay_input: None }
    }

    /// The same options for a file whose neurons' input decays too, or not.
    #[must_use]
    pub fn with_decay_input(self, decay_input: Option<bool>) -> Self {
        Self { decay_input, ..self }
    }
}

/// A tensor of the network with values.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Match {
    /// Its name in the network.
    pub tensor: String,
    /// Its name in the file.
    pub name: String,
    /// Its shape in both.
    pub shape: Vec<usize>,
    /// The type of its numbers in the file.
    pub number: Number,
}

/// A tensor of the network without values.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Missing {
    /// Its name in the network.
    pub tensor: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The reason: the name that was looked for, both shapes, or the nearest names.
    pub why: String,
}

/// A tensor of the file that no layer uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Unused {
    /// Its name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The reason.
    pub why: String,
    /// Whether it is the state or a constant of a module, which no network loads as a weight.
    pub is_state: bool,
    /// Whether another tensor of its module is used.
    pub of_matched: bool,
    /// Whether the file's network computes something else without it.
    pub effect: Effect,
}

/// Whether a network computes something else without a tensor of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// No: it is a state, a bias of zeros or another name of a tensor that is used.
    None,
    /// The file does not say, because the module may be no part of the network.
    Unknown,
    /// Yes: it is a bias of a module that is used, or a norm.
    Certain,
}

words!(serde Effect, "effect of a tensor", { None = "none", Unknown = "unknown", Certain = "certain" });

/// The result of an assignment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Fit {
    /// The dialect of the names; `None` if no dialect named any tensor.
    pub dialect: Option<Dialect>,
    /// What was removed from the start of each name, for example `module.`.
    pub prefix: String,
    /// Whether the order of the modules decided, because no dialect names them.
    pub by_order: bool,
    /// The place of the state dict in the file, if it has one.
    pub within: Option<String>,
    /// Tensors of the network that got values.
    pub matched: Vec<Match>,
    /// Tensors of the network that got none.
    pub missing: Vec<Missing>,
    /// Tensors of the file that were not used.
    pub unused: Vec<Unused>,
    /// Constants of neurons in the file that differ from those of the network.
    pub differences: Vec<String>,
    /// The values of the matched tensors.
    #[serde(skip)]
    pub weights: Weights,
}

impl Fit {
    /// Whether every tensor of the network got values.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Assigns the tensors of `checkpoint` to the layers of `network`; the messages name `file`.
///
/// # Errors
/// If the map names what file or network do not have; if the given dialect has no names for such a
/// network; if two parts of the file match equally well; if a matched tensor has a value that is not
/// finite; if a learned decay of the file meets a fixed leak of the network; if the file does not say
/// whether the input of its neurons decays too ([`FitOptions::decay_input`]).
pub fn fit(checkpoint: &Checkpoint, network: &Network, file: &Path, options: &FitOptions) -> Result<Fit> {
    let names: Vec<&str> = checkpoint.tensors().iter().map(|(n, _)| n.as_str()).collect();
    let places: HashMap<&str, usize> = names.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    let tensors = network.tensors();
    let mapped = assign_map(&options.map, checkpoint, &names, network)?;
    let mut free = vec![true; names.len()];
    mapped.iter().flatten().for_each(|i| free[*i] = false);
    let open: Vec<bool> = mapped.iter().map(Option::is_none).collect();
    // Other frameworks store a learned decay in other words (`super::neurons`).
    let own = |dialect: Dialect, t: usize| dialect == Dialect::Tickless || tensors[t].2.name != "decay";

    let shapes_agree = |tensor: usize, i: usize| checkpoint.tensors()[i].1.shape() == tensors[tensor].2.shape;
    let score = |assigned: &[Option<usize>]| {
        assigned.iter().enumerate().filter(|(t, i)| i.is_some_and(|i| shapes_agree(*t, i))).count()
    };
    let mut best = Best::default();
    let dialects = options.dialect.map_or(Dialect::ALL.to_vec(), |d| vec![d]);
    let mut named_any = false;
    for &dialect in &dialects {
        let Some(expected) = dialect.names(network) else { continue };
        named_any = true;
        for prefix in prefixes(&names) {
            let look = |(t, name): (usize, &String)| {
                let i = places.get(format!("{prefix}{name}").as_str()).copied();
                i.filter(|i| open[t] && own(dialect, t) && free[*i])
            };
            let assigned: Vec<Option<usize>> = expected.iter().enumerate().map(look).collect();
            let n = score(&assigned);
            // Numbers of modules coincide by chance, so numbers that match only some are no evidence.
            let asked = open.iter().enumerate().filter(|(t, open)| **open && own(dialect, *t)).count();
            let partly = dialect.numbers(network) && n < asked;
            if partly && options.dialect.is_none() {
                continue;
            }
            let expected = expected.iter().map(|n| format!("{prefix}{n}")).collect();
            let found = Assignment { dialect: Some(dialect), prefix, assigned, expected, ordered: None };
            best.consider(found, n, options.dialect.is_some());
        }
    }
    let mut is_chain = false;
    if options.dialect.is_none_or(|d| d != Dialect::Tickless) {
        for prefix in prefixes(&names) {
            let part: Vec<bool> = free.iter().zip(&names).map(|(f, n)| *f && n.starts_with(&prefix)).collect();
            let Some(ordered) = by_order(checkpoint, &part, network, &open) else { break };
            is_chain = true;
            let n = score(&ordered.assigned);
            if n == 0 && best.score == 0 && prefix.is_empty() {
                best.chosen.ordered = Some(ordered);
                continue;
            }
            let assigned = ordered.assigned.clone();
            let (dialect, expected) = (options.dialect, Vec::new());
            best.consider(Assignment { dialect, prefix, assigned, expected, ordered: Some(ordered) }, n, false);
        }
    }
    if let Some(dialect) = options.dialect.filter(|_| !named_any && !is_chain) {
        return Err(no_names(network, dialect));
    }
    if let Some(rival) = &best.rival {
        let problem = format!(
            "the tensors below `{}` and below `{rival}` match equally well; say with a map which of them are meant",
            best.chosen.prefix
        );
        return Err(refused(file, problem));
    }
    let mut best = best.chosen;
    best.assigned.resize(tensors.len(), None);
    report(checkpoint, network, file, options, &mapped, best)
}

/// The assignment that matches the most tensors so far.
#[derive(Default)]
struct Best {
    chosen: Assignment,
    score: usize,
    /// The start of other names that match as many tensors in the same way.
    rival: Option<String>,
}

impl Best {
    /// Takes an assignment that matches `score` tensors if it is better than the best one, or if
    /// there is none and one is `wanted` to explain what does not match.
    fn consider(&mut self, found: Assignment, score: usize, wanted: bool) {
        let best = &self.chosen;
        if score > self.score || wanted && best.expected.is_empty() && self.score == 0 {
            *self = Self { chosen: found, score, rival: None };
        } else if score == self.score
            && score > 0
            && found.dialect == best.dialect
            && found.expected.is_empty() == best.expected.is_empty()
            && !found.prefix.starts_with(&best.prefix)
            && !best.prefix.ends_with(SPIKING)
        {
            self.rival = Some(found.prefix);
        }
    }
}

/// Where sinabs stores the converted network, beside the one that it was converted from.
const SPIKING: &str = "spiking_model.";

/// One way to assign the tensors that the map leaves open.
#[derive(Default)]
struct Assignment {
    dialect: Option<Dialect>,
    prefix: String,
    /// For each tensor of the network, the index in the file of the tensor with its name.
    assigned: Vec<Option<usize>>,
    /// The name that was looked for.
    expected: Vec<String>,
    /// The match by order, if it decided or was tried last.
    ordered: Option<Ordered>,
}

/// What the names may start with: nothing; the leading components that all share, such as `module.`
/// of `DataParallel` and `_orig_mod.` of `torch.compile`; the first component of some, if a file
/// holds several networks or parts.
fn prefixes(names: &[&str]) -> Vec<String> {
    let mut all = vec![String::new()];
    let Some(first) = names.first() else { return all };
    for (end, _) in first.match_indices('.').take(4) {
        let prefix = &first[..=end];
        if !names.iter().all(|n| n.starts_with(prefix)) {
            break;
        }
        all.push(prefix.to_owned());
    }
    let shared = all[all.len() - 1].clone();
    let mut parts: Vec<String> = Vec::new();
    for name in names {
        let Some(end) = name[shared.len()..].find('.') else { continue };
        let part = &name[..=shared.len() + end];
        if parts.last().is_none_or(|p| p != part) && !parts.iter().any(|p| p == part) {
            parts.push(part.to_owned());
        }
        if parts.len() > MOST_PARTS {
            return all;
        }
    }
    if parts.len() > 1 {
        parts.sort_by_key(|p| !p.ends_with(SPIKING));
        all.extend(parts);
    }
    all
}

/// Most parts of a file that are tried one by one.
const MOST_PARTS: usize = 8;

/// For each tensor of the network, the index in the file of the one that the map assigns to it.
fn assign_map(map: &Map, checkpoint: &Checkpoint, names: &[&str], network: &Network) -> Result<Vec<Option<usize>>> {
    let refuse = |problem: String| Err(Error::Checkpoint { file: map.file.clone(), problem });
    let tensors = network.tensors();
    let mut assigned = vec![None; tensors.len()];
    for (theirs, ours) in &map.pairs {
        // The constants of neurons are converted, not copied (`super::neurons`).
        let neurons = ours.strip_suffix(".decay").unwrap_or(ours);
        let of_neurons = network.find(neurons).is_some_and(|n| matches!(network.nodes()[n].layer, Layer::Neuron(_)));
        let inner = format!("{theirs}.");
        let within = || names.iter().find(|n| *n == theirs || n.starts_with(&inner));
        if of_neurons && within().is_some_and(|name| module_of(checkpoint, name).is_some()) {
            continue;
        }
        let mut pairs = Vec::new();
        if let Some(i) = names.iter().position(|n| n == theirs) {
            let Some(t) = tensors.iter().position(|(_, name, _)| name == ours) else {
                let known = tensors.iter().map(|(_, name, _)| name.as_str());
                return refuse(format!("the network has no tensor `{ours}`{}", suggest::hint(ours, known)));
            };
            pairs.push((t, i));
        } else {
            let within: Vec<usize> = (0..names.len())
                .filter(|i| names[*i].strip_prefix(theirs).is_some_and(|r| r.starts_with('.')))
                .collect();
            if within.is_empty() {
                let hint = suggest::hint(theirs, names.iter().take(COMPARED).copied().filter(|n| n.len() <= LONGEST));
                return refuse(format!("the checkpoint has neither a tensor nor a module `{theirs}`{hint}"));
            }
            let Some(node) = network.find(ours) else {
                let known = network.nodes().iter().map(|n| n.name.as_str());
                return refuse(format!("the network has no layer `{ours}`{}", suggest::hint(ours, known)));
            };
            for (t, (_, _, spec)) in tensors.iter().enumerate().filter(|(_, (n, ..))| *n == node) {
                let name = format!("{theirs}.{}", spec.name);
                pairs.extend(within.iter().find(|i| names[**i] == name).map(|i| (t, *i)));
            }
            if pairs.is_empty() {
                return refuse(format!(
                    "module `{theirs}` has no tensor of layer `{ours}`; name the tensors one by one"
                ));
            }
        }
        for (t, i) in pairs {
            if assigned[t].replace(i).is_some_and(|before| before != i) {
                return refuse(format!("`{}` is assigned twice", tensors[t].1));
            }
        }
    }
    Ok(assigned)
}

/// Most names that a nearest one is looked for among.
const COMPARED: usize = 4096;

/// Longest name that is compared with others, because the comparison takes memory in proportion to
/// the product of the lengths.
const LONGEST: usize = 256;

/// Most reasons that list the nearest names.
const EXPLAINED: usize = 64;

fn report(
    checkpoint: &Checkpoint,
    network: &Network,
    file: &Path,
    options: &FitOptions,
    mapped: &[Option<usize>],
    best: Assignment,
) -> Result<Fit> {
    let entries = checkpoint.tensors();
    let tensors = network.tensors();
    let neurons =
        neurons(checkpoint, network, file, (&options.map, options.decay_input), (best.dialect, &best.prefix))?;
    let mut fit = Fit {
        dialect: best.dialect,
        prefix: best.prefix,
        by_order: best.expected.is_empty() && best.assigned.iter().any(Option::is_some),
        within: checkpoint.within().map(str::to_owned),
        matched: Vec::new(),
        missing: Vec::new(),
        unused: Vec::new(),
        differences: neurons.differences,
        weights: Weights::default(),
    };
    // The network's tensor that uses each tensor of the file.
    let mut used: Vec<Option<usize>> = vec![None; entries.len()];
    let found: Vec<Option<usize>> = mapped.iter().zip(&best.assigned).map(|(map, other)| map.or(*other)).collect();
    for (t, i) in found.iter().enumerate() {
        let Some(i) = i.filter(|i| entries[*i].1.shape() == tensors[t].2.shape) else { continue };
        used[i] = Some(t);
        let (name, tensor) = &entries[i];
        let array = checkpoint.array(tensor).map_err(|e| refused(file, format!("tensor `{name}` {e}")))?;
        fit.weights.insert(&tensors[t].1, array);
        let shape = tensor.shape().to_vec();
        fit.matched.push(Match { tensor: tensors[t].1.clone(), name: name.clone(), shape, number: tensor.number() });
    }
    for (t, (node, ours, spec)) in tensors.iter().enumerate().filter(|(t, _)| found[*t].is_none()) {
        let Some(Ok(decay)) = neurons.decays.get(node).filter(|_| spec.name == "decay") else { continue };
        used[decay.index] = Some(t);
        let (name, tensor) = &entries[decay.index];
        fit.weights.insert(ours, Array::new(spec.shape.clone(), vec![decay.value]));
        let shape = spec.shape.clone();
        fit.matched.push(Match { tensor: ours.clone(), name: name.clone(), shape, number: tensor.number() });
    }
    let biases = recurrent_bias::find(checkpoint, network, file, &used)?;
    let no_bias = add(biases, checkpoint, &mut fit, &mut used);
    let left: Vec<&(String, Tensor)> = entries.iter().zip(&used).filter(|(_, u)| u.is_none()).map(|(e, _)| e).collect();
    for (t, (node, ours, spec)) in tensors.iter().enumerate() {
        let why = match found[t] {
            Some(i) if used[i] == Some(t) => continue,
            None if fit.weights.get(ours).is_some() => continue,
            Some(i) => {
                let (name, tensor) = &entries[i];
                format!("`{name}` has shape {:?} in the file, {:?} is needed", tensor.shape(), spec.shape)
            }
            None => {
                let layer = &network.nodes()[*node].layer;
                let order = best.ordered.as_ref().zip(kind_of(layer, spec.name)).and_then(|(o, k)| o.problems.get(&k));
                let expected = best.expected.get(t).unwrap_or(ours);
                let decay = neurons.decays.get(node).filter(|_| spec.name == "decay");
                if let Some(Err(why)) = decay {
                    why.clone()
                } else {
                    let looked = match (order, best.ordered.is_some() && best.expected.is_empty()) {
                        (Some(problem), _) => problem.clone(),
                        (None, true) => format!("the file's module in this place has no `{}`", spec.name),
                        (None, false) => format!("the file has no `{expected}`"),
                    };
                    let near =
                        if fit.missing.len() < EXPLAINED { nearest(expected, spec, &left) } else { String::new() };
                    format!("{looked}{near}")
                }
            }
        };
        fit.missing.push(Missing { tensor: ours.clone(), shape: spec.shape.clone(), why });
    }
    let matched_modules: HashMap<&str, usize> = entries
        .iter()
        .zip(&used)
        .filter_map(|((name, _), t)| Some((name.rsplit_once('.').map_or("", |p| p.0), (*t)?)))
        .collect();
    let used_views: HashMap<&Tensor, &str> =
        entries.iter().zip(&used).filter(|(_, u)| u.is_some()).map(|((name, t), _)| (t, name.as_str())).collect();
    // A norm beside the part of the file that is used belongs to another network.
    let shared = shared_start(&fit.matched).to_owned();
    let norms = norms(entries);
    for (i, (name, tensor)) in entries.iter().enumerate().filter(|(i, _)| used[*i].is_none()) {
        let (path, last) = name.rsplit_once('.').unwrap_or(("", name));
        let constant = neurons.constants.get(&i);
        let is_state = constant.is_some() || STATE.contains(&last);
        let of_matched = matched_modules.contains_key(path);
        let same = used_views.get(tensor).filter(|_| tensor.elements() > 0);
        let norm = norms.get(path).filter(|_| !of_matched && name.starts_with(&shared));
        let is_bias = last == "bias" && of_matched;
        let is_zero = is_bias && is_zero(checkpoint, file, name, tensor)?;
        let why = if let Some(node) = constant {
            format!("a constant of the neurons `{}`, which the recipe states", network.nodes()[*node].name)
        } else if is_state {
            "a state or constant of its module, not a weight".to_owned()
        } else if let Some(other) = same {
            format!("another name of `{other}`")
        } else if found.iter().flatten().any(|i| std::ptr::eq(&entries[*i].1, tensor)) {
            "its shape is not that of its layer".to_owned()
        } else if let Some(why) = no_bias.get(&i) {
            why.clone()
        } else if let Some(kind) = norm {
            (*kind).to_owned()
        } else if let Some(t) = matched_modules.get(path) {
            let layer = &network.nodes()[tensors[*t].0].name;
            match last {
                "bias" => format!("layer `{layer}` has no bias; set `bias = true` in the recipe to use it"),
                _ => format!("layer `{layer}` has no `{last}`"),
            }
        } else {
            let open = fit.missing.iter().filter(|m| m.shape == tensor.shape()).take(3);
            let open: Vec<String> = open.map(|m| format!("`{}`", m.tensor)).collect();
            if open.is_empty() {
                "no layer has this name".to_owned()
            } else {
                format!("no layer has this name; of its shape: {}", open.join(", "))
            }
        };
        let is_state = is_state || same.is_some();
        let effect = match () {
            () if is_state || is_zero => Effect::None,
            () if is_bias || norm.is_some() => Effect::Certain,
            () => Effect::Unknown,
        };
        let (name, shape) = (name.clone(), tensor.shape().to_vec());
        fit.unused.push(Unused { name, shape, why, is_state, of_matched, effect });
    }
    for (node, factor) in neurons.scaled {
        scale_input(network, &mut fit.weights, node, factor)?;
        let layer = &network.nodes()[node].name;
        fit.differences.push(format!(
            "the input of `{layer}` decays too in the file, so the weights before it are multiplied by {factor:.4}; training \
             on keeps that factor if the decay changes"
        ));
    }
    fit.weights.check_values(file)?;
    Ok(fit)
}

/// Adds the biases of recurrent connections to the weights; returns why no layer takes up the others, by
/// their indices in the file.
fn add(biases: Biases, checkpoint: &Checkpoint, fit: &mut Fit, used: &mut [Option<usize>]) -> HashMap<usize, String> {
    for (i, t) in biases.without_effect {
        used[i] = Some(t);
    }
    for bias in biases.taken {
        used[bias.index] = Some(bias.of);
        let (name, tensor) = &checkpoint.tensors()[bias.index];
        fit.differences.push(format!("`{name}` is added to `{}`, because both act in every step", bias.tensor));
        if let Some(own) = fit.weights.tensors.get_mut(&bias.tensor) {
            own.data.iter_mut().zip(&bias.values.data).for_each(|(v, b)| *v += b);
            continue;
        }
        let (shape, number) = (tensor.shape().to_vec(), tensor.number());
        fit.matched.push(Match { tensor: bias.tensor.clone(), name: name.clone(), shape, number });
        fit.weights.insert(&bias.tensor, bias.values);
    }
    biases.left
}

/// The modules of a file that scale each channel, and why each is no layer if none is.
fn norms(entries: &[(String, Tensor)]) -> HashMap<&str, &'static str> {
    let mut all: HashMap<&str, &str> = HashMap::new();
    for (name, tensor) in entries {
        let Some((path, last)) = name.rsplit_once('.') else { continue };
        if last == "running_var" {
            all.insert(path, "a batch norm that no layer of the recipe is; set `norm = true` where it stands");
        } else if last == "weight" && tensor.shape().len() == 1 {
            all.entry(path).or_insert(
                "a factor of each channel (a norm without running statistics, a learned slope) that no layer of the recipe is",
            );
        }
    }
    all
}

/// The leading components that the names of all matched tensors share, with the dot after them.
fn shared_start(matched: &[Match]) -> &str {
    let Some(first) = matched.first().map(|m| m.name.as_str()) else { return "" };
    let ends = first.match_indices('.').map(|(end, _)| &first[..=end]);
    ends.take_while(|start| matched.iter().all(|m| m.name.starts_with(start))).last().unwrap_or("")
}

/// Whether all values of a tensor are 0.
fn is_zero(checkpoint: &Checkpoint, file: &Path, name: &str, tensor: &Tensor) -> Result<bool> {
    let array = checkpoint.array(tensor).map_err(|e| refused(file, format!("tensor `{name}` {e}")))?;
    Ok(array.data.iter().all(|v| *v == 0.0))
}

/// Names of buffers that frameworks save beside weights: counters, membranes, constants of neurons.
const STATE: [&str; 20] = [
    "num_batches_tracked",
    "v_mem",
    "i_syn",
    "activations",
    "mem",
    "syn",
    "spk",
    "v",
    "graded_spikes_factor",
    "reset_mechanism_val",
    "threshold",
    "spike_threshold",
    "min_v_mem",
    "beta",
    "alpha",
    "alpha_mem",
    "alpha_syn",
    "tau_mem",
    "tau_syn",
    "n_spikes_in",
];

/// `; nearest: …` with the names of the same shape and the most similar name, or nothing.
fn nearest(expected: &str, spec: &TensorSpec, left: &[&(String, Tensor)]) -> String {
    let some = || left.iter().take(COMPARED).filter(|(name, _)| name.len() <= LONGEST);
    let mut near: Vec<&(String, Tensor)> =
        some().filter(|(_, tensor)| tensor.shape() == spec.shape).take(3).copied().collect();
    if let Some(word) = suggest::nearest(expected, some().map(|(n, _)| n.as_str()))
        && let Some(entry) = left.iter().find(|(n, _)| n == word)
        && !near.iter().any(|(n, _)| n == word)
    {
        near.insert(0, entry);
    }
    let near: Vec<String> = near.iter().map(|(n, t)| format!("`{n}` {:?}", t.shape())).collect();
    if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) }
}
