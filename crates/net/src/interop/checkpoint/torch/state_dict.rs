//! Finds the state dict among the values of a pickle.

use super::super::tensor::Tensor;
use super::names::MOST_TENSORS;
use super::value::{Arena, Id, Value};
use std::collections::{HashMap, HashSet};

/// Where state dicts lie in the files of known programs, in order of preference. The first is that
/// of the paper's code.
const USUAL: [&str; 8] =
    ["best_model_state_dict", "model_state_dict", "state_dict", "model", "net", "network", "weights", "params"];

/// Why no state dict was found.
#[derive(Debug)]
pub(super) enum Unfound {
    /// The caller has to choose one of the places that the text lists.
    Choose(String),
    /// The file has none.
    Nothing(String),
}

/// The named tensors of a state dict.
type Named = Vec<(String, Tensor)>;

/// The tensors of a file's state dict and its place in the file. `entry` names the place; without
/// it, the place is the root, the first usual one, or the only one.
///
/// Beside the state dict a file may hold other tensors: the state of an optimiser, the best accuracy.
/// So of several places those count that have a tensor named `weight`, and the root only if no usual
/// place has more tensors.
pub(super) fn find(arena: &Arena<'_>, root: Id, entry: Option<&str>) -> Result<(Named, Option<String>), Unfound> {
    if let Value::Tensor(_) = arena.get(root) {
        let problem = "is a single tensor, not a state dict; save one: torch.save(net.state_dict(), 'new.pt')";
        return Err(Unfound::Nothing(problem.to_owned()));
    }
    let all = state_dicts(arena, root);
    let places = |all: &[(String, Id)]| {
        let shown = |place: &str| if place.is_empty() { "the whole file".to_owned() } else { format!("`{place}`") };
        let names: Vec<String> = all.iter().take(LISTED).map(|(p, _)| shown(p)).collect();
        format!("{}{}", names.join(", "), if all.len() > LISTED { ", …" } else { "" })
    };
    let (place, dict) = match entry {
        Some(entry) => all.iter().find(|(place, _)| place == entry).cloned().ok_or_else(|| {
            Unfound::Choose(format!("has no state dict at `{entry}`; choose one of these: {}", places(&all)))
        })?,
        None => {
            let weighted: Vec<(String, Id)> = all.iter().filter(|(_, d)| has_weight(arena, *d)).cloned().collect();
            let some = if weighted.is_empty() { &all } else { &weighted };
            let usual = USUAL.iter().find_map(|u| some.iter().find(|(p, _)| p == u));
            let root = some.iter().find(|(p, _)| p.is_empty());
            let larger = |(_, a): &(String, Id), (_, b): &(String, Id)| count(arena, *a) > count(arena, *b);
            match (root, usual, &some[..]) {
                (Some(root), Some(usual), _) if larger(usual, root) => usual.clone(),
                (Some(found), ..) | (None, Some(found), _) | (None, None, [found]) => found.clone(),
                (None, None, []) => {
                    let problem = "holds no tensors by name; save them: torch.save(net.state_dict(), 'new.pt')";
                    return Err(Unfound::Nothing(problem.to_owned()));
                }
                (None, None, several) => {
                    let problem = format!("has {} state dicts; choose one: {}", several.len(), places(several));
                    return Err(Unfound::Choose(problem));
                }
            }
        }
    };
    let within = (!place.is_empty()).then_some(place);
    Ok((named(arena, dict).map_err(Unfound::Nothing)?, within))
}

/// The names of the tensors of a dictionary.
fn names<'a>(arena: &Arena<'a>, dict: Id) -> Vec<&'a str> {
    let Value::Dict(items) = arena.get(dict) else { return Vec::new() };
    items
        .iter()
        .filter(|(_, v)| matches!(arena.get(*v), Value::Tensor(_)))
        .filter_map(|(k, _)| arena.text(*k))
        .collect()
}

fn count(arena: &Arena<'_>, dict: Id) -> usize {
    names(arena, dict).len()
}

/// Whether a dictionary has a tensor that modules have: `weight`, or one that is derived from it, such
/// as `weight_g`.
fn has_weight(arena: &Arena<'_>, dict: Id) -> bool {
    names(arena, dict).iter().any(|n| n.rsplit('.').next().is_some_and(|last| last.starts_with("weight")))
}

/// Most places that a message lists.
const LISTED: usize = 12;

/// Longest path to a dictionary; a deeper one is no state dict of any program.
const DEEPEST: usize = 4;

/// Most dictionaries of a dictionary that are searched.
const MOST_PLACES: usize = 10_000;

/// Every dictionary of tensors by name below `root`, with its path, in the order of the file.
fn state_dicts(arena: &Arena<'_>, root: Id) -> Vec<(String, Id)> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(String::new(), root, 0)];
    while let Some((path, id, depth)) = open.pop() {
        let Value::Dict(items) = arena.get(id) else { continue };
        if !seen.insert(id) {
            continue;
        }
        if items.iter().any(|(k, v)| arena.text(*k).is_some() && matches!(arena.get(*v), Value::Tensor(_))) {
            found.push((path.clone(), id));
        }
        if depth == DEEPEST || open.len() > MOST_PLACES {
            continue;
        }
        let nested = items.iter().filter(|(_, v)| matches!(arena.get(*v), Value::Dict(_))).take(MOST_PLACES);
        for (key, value) in nested.collect::<Vec<_>>().into_iter().rev() {
            let key = match arena.get(*key) {
                Value::Text(key) if key.len() <= 256 && path.is_empty() => (*key).to_owned(),
                Value::Text(key) if key.len() <= 256 => format!("{path}.{key}"),
                Value::Int(n) => format!("{path}[{n}]"),
                _ => continue,
            };
            open.push((key, *value, depth + 1));
        }
    }
    found
}

/// The tensors of a dictionary by name; other values of it, such as numbers, are left out. If a name
/// occurs twice, the last one counts, as in Python.
fn named(arena: &Arena<'_>, dict: Id) -> Result<Named, String> {
    let Value::Dict(items) = arena.get(dict) else { return Ok(Vec::new()) };
    let mut at = HashMap::new();
    let mut tensors: Named = Vec::new();
    for (key, value) in items {
        let (Some(name), Value::Tensor(tensor)) = (arena.text(*key), arena.get(*value)) else { continue };
        match at.get(name) {
            Some(&i) => tensors[i] = (name.to_owned(), Tensor::clone(tensor)),
            None if tensors.len() == MOST_TENSORS => {
                return Err(format!("has more than {MOST_TENSORS} tensors"));
            }
            None => {
                at.insert(name, tensors.len());
                tensors.push((name.to_owned(), Tensor::clone(tensor)));
            }
        }
    }
    Ok(tensors)
}
