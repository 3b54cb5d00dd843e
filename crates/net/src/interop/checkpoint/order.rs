//! Matching by order: the k-th convolution of a file is the k-th of a chain of layers, and likewise
//! linear layers, norms and recurrent connections.
//!
//! A `Sequential` numbers its modules, and other networks define theirs in the order of use, but
//! neither says which layer a module is. A kind of layer is therefore matched only if file and
//! network have equally many, and if the file's order is certain ([`uncertain`]).

use super::state::Checkpoint;
use crate::layer::{Layer, RecurrentKind};
use crate::network::Network;
use std::collections::BTreeMap;

/// The kinds of modules that are matched with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Conv,
    Linear,
    Norm,
    Recurrent,
}

impl Kind {
    fn plural(self) -> &'static str {
        match self {
            Kind::Conv => "convolutions",
            Kind::Linear => "linear layers",
            Kind::Norm => "norms",
            Kind::Recurrent => "recurrent connections",
        }
    }
}

/// A match by order: for each tensor of the network, the index of its tensor in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ordered {
    pub assigned: Vec<Option<usize>>,
    /// Why a kind of layer was not matched.
    pub problems: BTreeMap<Kind, String>,
}

/// The kind of the network's layer that has this tensor.
pub(super) fn kind_of(layer: &Layer, tensor: &str) -> Option<Kind> {
    match layer {
        _ if tensor == "recurrent" => Some(Kind::Recurrent),
        Layer::Conv(_) => Some(Kind::Conv),
        Layer::Linear(_) => Some(Kind::Linear),
        Layer::Norm(_) => Some(Kind::Norm),
        _ => None,
    }
}

/// Matches the tensors of `checkpoint` that are `free` with those of a chain of layers; `None` if
/// the network has branches.
pub(super) fn by_order(checkpoint: &Checkpoint, free: &[bool], network: &Network, open: &[bool]) -> Option<Ordered> {
    if network.nodes().iter().any(|n| n.from.len() > 1) {
        return None;
    }
    let theirs = modules(checkpoint, free);
    let tensors = network.tensors();
    let mut result = Ordered { assigned: vec![None; tensors.len()], ..Ordered::default() };
    for kind in [Kind::Conv, Kind::Linear, Kind::Norm, Kind::Recurrent] {
        let mut ours: Vec<usize> = tensors
            .iter()
            .zip(open)
            .filter(|((node, _, spec), open)| **open && kind_of(&network.nodes()[*node].layer, spec.name) == Some(kind))
            .map(|((node, ..), _)| *node)
            .collect();
        ours.dedup();
        let mut found: Vec<&Module> = theirs.iter().filter(|m| m.kind == kind).collect();
        if ours.is_empty() {
            continue;
        }
        if ours.len() != found.len() {
            // A module that a network holds twice, such as in a `Sequential` of its members, has two names.
            let alone = distinct(&found, checkpoint);
            found = if alone.len() == ours.len() { alone } else { found };
        }
        if ours.len() != found.len() {
            let problem = format!(
                "the file has {} {}, the network {}, so their order does not say which is which{}",
                found.len(),
                kind.plural(),
                ours.len(),
                derived(checkpoint, free)
            );
            result.problems.insert(kind, problem);
            continue;
        }
        let paths: Vec<&str> = found.iter().map(|m| m.path.as_str()).collect();
        if let Some(problem) = uncertain(&paths, checkpoint.is_ordered()) {
            result.problems.insert(kind, problem);
            continue;
        }
        for (slot, (node, _, spec)) in result.assigned.iter_mut().zip(&tensors) {
            let layer = &network.nodes()[*node];
            if kind_of(&layer.layer, spec.name) != Some(kind) {
                continue;
            }
            let Some(k) = ours.iter().position(|n| n == node) else { continue };
            let tensor = match (spec.name, layer.recurrent.map(|r| r.kind)) {
                ("recurrent", Some(RecurrentKind::OneToOne)) => "V",
                ("recurrent", _) => "weight",
                (name, _) => name,
            };
            *slot = found[k].tensors.iter().find(|(name, _)| name == tensor).map(|(_, i)| *i);
        }
    }
    Some(result)
}

/// What to do if a weight of the file is computed from several tensors, as weight norm, spectral norm
/// and pruning do; empty if none is.
fn derived(checkpoint: &Checkpoint, free: &[bool]) -> String {
    const PARTS: [&str; 5] =
        [".weight_g", ".weight_v", ".weight_orig", ".weight_mask", ".parametrizations.weight.original0"];
    let names = checkpoint.tensors().iter().zip(free).filter(|(_, free)| **free).map(|((name, _), _)| name);
    let Some(name) = names.into_iter().find(|name| PARTS.iter().any(|part| name.ends_with(part))) else {
        return String::new();
    };
    format!(
        "; `{name}` is a part of a weight: make it one tensor there (parametrize.remove_parametrizations, \
         remove_weight_norm, prune.remove) and save again"
    )
}

/// The modules whose tensors are not those of an earlier one.
fn distinct<'a>(modules: &[&'a Module], checkpoint: &Checkpoint) -> Vec<&'a Module> {
    let view = |i: usize| &checkpoint.tensors()[i].1;
    let equal = |a: &Module, b: &Module| {
        a.tensors.len() == b.tensors.len()
            && a.tensors.iter().zip(&b.tensors).all(|((n, i), (m, j))| n == m && view(*i) == view(*j))
    };
    let mut alone: Vec<&Module> = Vec::new();
    for module in modules.iter().take(MOST_COMPARED) {
        if !alone.iter().any(|other| equal(other, module)) {
            alone.push(module);
        }
    }
    alone
}

/// Most modules that are compared with each other.
const MOST_COMPARED: usize = 1024;

/// A module of a file with weights.
struct Module {
    path: String,
    kind: Kind,
    /// Names of its tensors, without the path, and their indices in the file.
    tensors: Vec<(String, usize)>,
}

/// The modules of a file: in its order, or sorted by the numbers in their names if it has none.
fn modules(checkpoint: &Checkpoint, free: &[bool]) -> Vec<Module> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<(&str, Vec<(String, usize)>)> = Vec::new();
    for (i, (name, _)) in checkpoint.tensors().iter().enumerate().filter(|(i, _)| free[*i]) {
        let (path, tensor) = name.rsplit_once('.').unwrap_or(("", name));
        let at = *places.entry(path).or_insert_with(|| {
            groups.push((path, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push((tensor.to_owned(), i));
    }
    if !checkpoint.is_ordered() {
        groups.sort_by_key(|(path, _)| parts(path));
    }
    let rank = |i: usize| checkpoint.tensors()[i].1.shape().len();
    let found = groups.into_iter().filter_map(|(path, tensors)| {
        let has = |name: &str| tensors.iter().find(|(n, _)| n == name).map(|(_, i)| *i);
        let kind = match (path.rsplit('.').next(), has("weight").map(rank)) {
            // `recurrent` of snnTorch, `rec_connect` of sinabs.
            (Some("recurrent" | "rec_connect"), Some(2)) => Kind::Recurrent,
            (Some("recurrent"), _) if has("V").is_some() => Kind::Recurrent,
            (_, Some(4)) => Kind::Conv,
            (_, Some(2)) => Kind::Linear,
            (_, Some(1)) => Kind::Norm,
            _ => return None,
        };
        Some(Module { path: path.to_owned(), kind, tensors })
    });
    found.collect()
}

/// Why the order of these modules is not certain, if it is not. Modules whose names differ in
/// numbers only are ordered by them; others by the order of the file, if it has one.
pub(super) fn uncertain(paths: &[&str], ordered: bool) -> Option<String> {
    let numbered = |path: &&str| parts(path).into_iter().map(|p| p.0).collect::<Vec<_>>();
    let alike = paths.windows(2).all(|w| numbered(&w[0]) == numbered(&w[1]));
    match (alike, ordered) {
        (true, _) if paths.windows(2).all(|w| parts(w[0]) < parts(w[1])) => None,
        (true, _) => Some("the numbers in the names and the order of the file contradict each other".into()),
        (false, true) => None,
        (false, false) => Some("the file sorts its tensors by name, which is not the order of its modules".into()),
    }
}

/// The parts of a path: the text before each number, and the number.
fn parts(path: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut digits = String::new();
    for c in path.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            parts.push((std::mem::take(&mut text), digits.parse().unwrap_or(u64::MAX)));
            digits.clear();
        }
        text.push(c);
    }
    parts.push((text, 0));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_order_names_and_other_names_need_the_order_of_the_file() {
        assert!(parts("net.10") > parts("net.9"));
        assert_eq!(uncertain(&["0", "2", "10"], false), None);
        assert_eq!(uncertain(&["stem", "middle"], true), None);
        assert!(uncertain(&["middle", "stem"], false).unwrap().contains("sorts"));
        assert!(uncertain(&["conv2", "conv1"], true).unwrap().contains("contradict"));
    }
}
