//! Groups runs into the rows of a report.
//!
//! A row is a mean, so its runs may differ in seed and fold only. Runs that differ in anything else
//! that affects the results (network, neuron, T_max, epochs, …) are separate rows, named after the
//! difference. Runs that were tested on different samples are refused, because one page cannot
//! compare them.

use crate::recipe_paths::absolute;
use crate::results::Finished;
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tickless_train::run::RunFacts;

/// The runs of one row.
pub struct Group {
    /// The name of the row.
    pub name: String,
    /// SDT, NMT, MTT or another origin of the weights; rows of one strategy share a colour.
    pub strategy: String,
    /// The runs, at least one.
    pub runs: Vec<Finished>,
}

/// The rows of a report.
pub struct Rows {
    /// The rows, in the order in which their first runs were given.
    pub groups: Vec<Group>,
    /// Sentences that a reader needs to compare the rows.
    pub notes: Vec<String>,
}

/// Keys of a recipe in which runs of one row may differ: they change neither weights nor results,
/// or are compared separately.
const FREE: [&str; 11] = [
    "seed",
    "purpose",
    "data.cache",
    "data.folds.fold",
    "eval.steps",
    "eval.leak",
    "eval.batch",
    "eval.energy",
    "train.strategy",
    "train.recompute",
    "train.checkpoint_every",
];
/// Keys that determine on which samples a run is tested.
const TESTED: [&str; 10] = [
    "data.set",
    "data.path",
    "data.seed",
    "data.sensor",
    "data.size",
    "data.test_share",
    "data.train_first",
    "data.test_limit",
    "data.folds.of",
    "data.folds",
];
/// Tables of a recipe that are one property: what a training adds to the passes of its strategy. A
/// row is named after those that it has.
const ADDED: [&str; 3] = ["train.rate_penalty", "train.long", "train.event_driven"];
/// Most differences in the name of a row; the notes list all.
const NAMED: usize = 2;

/// The properties of a run, as recipe keys and values.
type Traits = BTreeMap<String, String>;

/// Groups runs into rows. If `separate`, each run is a row named after its folder.
///
/// # Errors
/// If two runs were tested on different samples, or two are the same training.
pub fn rows(runs: Vec<Finished>, separate: bool) -> Result<Rows> {
    let mut rows: Vec<(String, Traits, Group)> = Vec::new();
    let mut first: Option<(String, Traits)> = None;
    for run in runs {
        let (here, all) = (run.run.folder.path().display().to_string(), traits(&run)?);
        let (there, other) = first.get_or_insert_with(|| (here.clone(), all.clone()));
        if let Some(key) = TESTED.iter().find(|k| all.get(**k) != other.get(**k)) {
            let value = |t: &Traits| t.get(*key).map_or("not given".to_owned(), |v| v.clone());
            bail!(
                "{there} and {here} were tested on different samples (`{key}`: {} and {}): one page compares runs on the \
                 same ones; make a report of each",
                value(other),
                value(&all)
            );
        }
        let label = label(&run.run.facts);
        let trained: Traits = all.into_iter().filter(|(k, _)| !TESTED.contains(&k.as_str())).collect();
        match rows.iter_mut().find(|(l, t, _)| !separate && *l == label && *t == trained) {
            Some((_, _, group)) => {
                if let Some(twin) = group.runs.iter().find(|r| replicate(r) == replicate(&run)) {
                    let (seed, twin) = (run.run.facts.seed, twin.run.folder.path().display());
                    bail!(
                        "{twin} and {here} are the same training (seed {seed}), so their mean would have no meaning: leave \
                         one out, or give `--separate`"
                    );
                }
                group.runs.push(run);
            }
            None => {
                let strategy = run.run.facts.strategy.clone();
                rows.push((label.clone(), trained, Group { name: label, strategy, runs: vec![run] }));
            }
        }
    }
    let notes = if separate { name_by_folder(&mut rows) } else { name_by_difference(&mut rows) };
    Ok(Rows { groups: rows.into_iter().map(|r| r.2).collect(), notes })
}

/// Seed and fold, which distinguish the runs of a row.
fn replicate(f: &Finished) -> (u64, Option<usize>) {
    (f.run.facts.seed, f.run.recipe.data.folds.map(|f| f.fold))
}

/// The name of a row before differences are added.
fn label(facts: &RunFacts) -> String {
    let of = facts.base_strategy.as_deref().map_or(String::new(), |s| format!(" from {s}"));
    match (&facts.base, facts.iterations) {
        (None, _) => facts.strategy.clone(),
        (Some(_), 0) if facts.strategy == RunFacts::IMPORTED => facts.strategy.clone(),
        (Some(_), 0) => format!("{}, converted", facts.strategy),
        (Some(_), _) => format!("{}, fine-tuned{of}", facts.strategy),
    }
}

/// All properties of a run that affect its weights or results.
fn traits(f: &Finished) -> Result<Traits> {
    let mut recipe = f.run.recipe.clone();
    absolute(&mut recipe)?;
    let mut all = Traits::new();
    flatten("", &serde_json::to_value(&recipe)?, &mut all);
    // A free table is free with all its keys.
    let free =
        |k: &str| FREE.iter().any(|f| k.strip_prefix(f).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
    all.retain(|k, _| !free(k));
    let facts = &f.run.facts;
    if facts.strategy == RunFacts::IMPORTED {
        all.insert("graph".into(), facts.base.clone().unwrap_or_default());
    }
    Ok(all)
}

/// Flattens `{a: {b: 1}}` to `a.b` = 1. Lists and the tables of [`ADDED`] are values.
fn flatten(path: &str, value: &Value, all: &mut Traits) {
    match value {
        Value::Object(map) if ADDED.contains(&path) => {
            let given = map.iter().filter(|(_, value)| value.as_f64() != Some(0.0));
            let words: Vec<String> = given.map(|(key, value)| format!("{key} {value}")).collect();
            all.insert(path.to_owned(), words.join(", "));
        }
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, all);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(all.insert(path.to_owned(), text.clone())),
        other => drop(all.insert(path.to_owned(), other.to_string())),
    }
}

/// Names each row after its run's folder, with as much of the path as makes it unique. Returns the
/// notes.
fn name_by_folder(rows: &mut [(String, Traits, Group)]) -> Vec<String> {
    let paths: Vec<Vec<String>> = rows
        .iter()
        .map(|(_, _, g)| {
            let path = g.runs[0].run.folder.path();
            path.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect()
        })
        .collect();
    let tail = |path: &[String], n: usize| path[path.len().saturating_sub(n)..].join("/");
    for (k, (_, _, group)) in rows.iter_mut().enumerate() {
        let alone = |n: &usize| paths.iter().enumerate().all(|(j, p)| j == k || tail(p, *n) != tail(&paths[k], *n));
        let n = (1..=paths[k].len()).find(alone).unwrap_or(paths[k].len());
        group.name = tail(&paths[k], n);
    }
    differences(rows)
}

/// Names rows of the same label after their differences. Returns the notes.
fn name_by_difference(rows: &mut [(String, Traits, Group)]) -> Vec<String> {
    for k in 0..rows.len() {
        let same: Vec<&Traits> = rows.iter().filter(|r| r.0 == rows[k].0).map(|r| &r.1).collect();
        let keys = differing(&same);
        let own = &rows[k].1;
        let keys: Vec<&String> =
            keys.into_iter().filter(|k| own.contains_key(*k) || !ADDED.contains(&k.as_str())).collect();
        let setting = |key: &&String| format!("{} {}", short(key), brief(key, own.get(*key)));
        let words: Vec<String> = keys.iter().take(NAMED).map(setting).collect();
        if !words.is_empty() {
            let more = if keys.len() > NAMED { ", …" } else { "" };
            rows[k].2.name = format!("{}, {}{more}", rows[k].0, words.join(", "));
        }
    }
    // Rows whose names are still equal are numbered.
    for k in 1..rows.len() {
        let before = rows[..k].iter().filter(|r| r.2.name.split(" #").next() == Some(&rows[k].2.name)).count();
        if before > 0 {
            rows[k].2.name += &format!(" #{}", before + 1);
        }
    }
    differences(rows)
}

/// A note for each key, other than the strategy, in which the rows differ.
fn differences(rows: &[(String, Traits, Group)]) -> Vec<String> {
    let all: Vec<&Traits> = rows.iter().map(|r| &r.1).collect();
    let note = |key: String| {
        let values: Vec<String> =
            rows.iter().map(|(_, t, g)| format!("{} {}", g.name, brief(&key, t.get(&key)))).collect();
        format!("Rows differ in more than the strategy: {key} ({}).", values.join("; "))
    };
    differing(&all).into_iter().cloned().map(note).collect()
}

/// The keys whose values differ, the most telling first.
fn differing<'a>(all: &[&'a Traits]) -> Vec<&'a String> {
    let keys: BTreeSet<&String> = all.iter().flat_map(|t| t.keys()).collect();
    // The network's name and T_max explain more than the keys that follow from them.
    let rank = |key: &&String| match key.as_str() {
        "network.name" => 0,
        "train.t_max" => 1,
        k if k.starts_with("network.neuron") || ADDED.contains(&k) => 2,
        k if k.starts_with("network") => 4,
        _ => 3,
    };
    let mut found: Vec<&String> =
        keys.into_iter().filter(|k| all.iter().any(|t| t.get(*k) != all[0].get(*k))).collect();
    found.sort_by_key(rank);
    found
}

/// A key as a name shows it.
fn short(key: &str) -> &str {
    match key {
        "network.name" => "network",
        "train.t_max" => "T_max",
        _ => key.split_once('.').map_or(key, |(_, rest)| rest),
    }
}

/// A value of this key as a name shows it.
fn brief(key: &str, value: Option<&String>) -> String {
    match value {
        None if ADDED.contains(&key) => "none".into(),
        None => "default".into(),
        Some(v) if ADDED.contains(&key) => v.clone(),
        Some(v) if v.chars().count() <= 24 => v.clone(),
        Some(v) => format!("{}…", v.chars().take(23).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits_of(pairs: &[(&str, &str)]) -> Traits {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_recipe_becomes_keys_and_values() {
        let mut all = Traits::new();
        let value = serde_json::json!({"train": {"t_max": 4, "leak": "step"}, "data": {"size": [3, 4], "path": null}});
        flatten("", &value, &mut all);
        assert_eq!(all, traits_of(&[("train.t_max", "4"), ("train.leak", "step"), ("data.size", "[3,4]")]));
    }

    #[test]
    fn what_a_training_adds_is_one_property_and_comes_before_what_follows_from_it() {
        let group = |train: serde_json::Value| {
            let mut all = Traits::new();
            flatten("", &serde_json::json!({ "train": train }), &mut all);
            all
        };
        let long = serde_json::json!({"times": 3, "every": 4, "replaces": 3, "distill": 0.0});
        let with = group(serde_json::json!({"epochs": 33, "long": long}));
        let plain = group(serde_json::json!({"epochs": 40, "long": null}));
        assert_eq!(with["train.long"], "every 4, replaces 3, times 3");
        let keys = differing(&[&plain, &with]);
        assert_eq!(keys, ["train.long", "train.epochs"]);
        assert_eq!(brief(keys[0], with.get(keys[0])), "every 4, replaces 3, times 3");
        assert_eq!([brief(keys[0], plain.get(keys[0])), brief("train.epochs", None)], ["none", "default"]);
    }

    #[test]
    fn what_says_most_is_named_first() {
        let a =
            traits_of(&[("network.layers", "[]"), ("train.epochs", "3"), ("train.t_max", "4"), ("network.name", "a")]);
        let b =
            traits_of(&[("network.layers", "[1]"), ("train.epochs", "5"), ("train.t_max", "6"), ("network.name", "a")]);
        assert_eq!(differing(&[&a, &b]), ["train.t_max", "train.epochs", "network.layers"]);
        assert!(differing(&[&a, &a]).is_empty() && differing(&[]).is_empty());
        assert_eq!(
            [short("network.name"), short("train.t_max"), short("train.epochs")],
            ["network", "T_max", "epochs"]
        );
    }
}
