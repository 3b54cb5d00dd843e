//! The recipe: the TOML file in which a user describes the data, the network and the training.
//!
//! Every key except the data set and the network has a default. An unknown key is an error, and the
//! message suggests the nearest known key. A run stores the resolved recipe: every key with its
//! value.
//!
//! ```toml
//! seed = 1
//!
//! [data]
//! set = "nmnist"
//! path = "data/nmnist"
//!
//! [network]
//! name = "nmnist-small"
//! neuron = { model = "lif" }
//!
//! [train]
//! strategy = "mtt"
//! t_max = 10
//! epochs = 40
//! ```

mod data;
mod difference;
mod evaluate;
mod finetune;
mod network;
mod train;

pub use data::{Augment, DataRecipe, Folds};
pub use difference::Difference;
pub use evaluate::{EvalRecipe, LARGEST_STEPS};
pub use finetune::FinetuneRecipe;
pub use network::NetworkRecipe;
pub use train::{Decay, EventDrivenRecipe, LongRecipe, Loss, Optimiser, RatePenaltyRecipe, Select, TrainRecipe};

use crate::error::{Error, Result};
use crate::suggest;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A complete recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Purpose of the run and the expected result; shown in the report.
    #[serde(default)]
    pub purpose: String,
    /// Seed of all random choices: weights, order of samples, temporal configurations,
    /// augmentation.
    #[serde(default = "one")]
    pub seed: u64,
    /// The data set.
    pub data: DataRecipe,
    /// The network.
    pub network: NetworkRecipe,
    /// The training.
    #[serde(default)]
    pub train: TrainRecipe,
    /// The evaluation.
    #[serde(default)]
    pub eval: EvalRecipe,
    /// The phases after the training, if any: conversion to a network without biases and norms, and
    /// fine-tuning. Serialised only if it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finetune: Option<FinetuneRecipe>,
}

fn one() -> u64 {
    1
}

impl Recipe {
    /// Reads a recipe file and applies `overrides` such as `train.epochs=3` to it.
    ///
    /// # Errors
    /// If the file cannot be read or the recipe is invalid; the message names the file, the line
    /// and the key, with a suggestion for an unknown key.
    pub fn load(file: &Path, overrides: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|e| unread(file, e))?;
        Self::parse(&text, file, overrides)
    }

    /// Parses the text of a recipe and applies `overrides`; the messages name `file`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, file: &Path, overrides: &[String]) -> Result<Self> {
        // Without overrides, parse the text directly, because only then an error has a line number.
        let direct = |text: &str| toml::from_str::<Recipe>(text).map_err(|e| explain(file, text, &e));
        let recipe = if overrides.is_empty() {
            direct(text)?
        } else {
            let mut table: toml::Table = toml::from_str(text).map_err(|e| explain(file, text, &e))?;
            for one in overrides {
                set(&mut table, one).map_err(|problem| Error::Recipe { file: file.to_owned(), problem })?;
            }
            // The table with overrides has no line numbers. If the file itself has the same error,
            // report that error with its line.
            toml::Value::Table(table).try_into().map_err(|e: toml::de::Error| match direct(text) {
                Err(in_file) if toml::from_str::<Recipe>(text).is_err_and(|f| f.message() == e.message()) => in_file,
                _ => malformed(
                    file,
                    format!("with the changes `{}`: {}", overrides.join("`, `"), said(&e, &e.to_string())),
                ),
            })?
        };
        recipe.check().map_err(|problem| malformed(file, problem))?;
        Ok(recipe)
    }

    /// The recipe as TOML with the values of all keys, as a run stores it.
    ///
    /// # Errors
    /// If a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| malformed(Path::new("<recipe>"), e.to_string()))
    }

    /// Checks every value that can be checked without the data and the network; `load` and `parse`
    /// call it.
    ///
    /// # Errors
    /// Names the key, the problem with its value, and the allowed values.
    pub fn check(&self) -> std::result::Result<(), String> {
        self.data.check()?;
        self.network.check()?;
        self.train.check()?;
        self.eval.check()?;
        self.finetune.as_ref().map_or(Ok(()), FinetuneRecipe::check)
    }
}

fn malformed(file: &Path, problem: String) -> Error {
    Error::Recipe { file: file.to_owned(), problem }
}

/// Sets `key.path=value` in a table. The value is TOML; if it does not parse, it is a string.
fn set(table: &mut toml::Table, assignment: &str) -> std::result::Result<(), String> {
    let (path, value) = assignment
        .split_once('=')
        .ok_or_else(|| format!("`{assignment}` is not `key=value`, e.g. `train.epochs=3`"))?;
    let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut at = table;
    let mut keys = path.trim().split('.').peekable();
    while let Some(key) = keys.next() {
        if keys.peek().is_none() {
            at.insert(key.to_owned(), value);
            return Ok(());
        }
        let next = at.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = next.as_table_mut().ok_or_else(|| format!("`{key}` in `{path}` is a value, not a table"))?;
    }
    Err(format!("`{assignment}` has no key"))
}

/// Formats an error of the parser in one line: place, problem and suggestion.
fn explain(file: &Path, text: &str, e: &toml::de::Error) -> Error {
    let line = e.span().map(|s| text[..s.start.min(text.len())].matches('\n').count() + 1);
    let place = line.map(|l| format!("line {l}: ")).unwrap_or_default();
    malformed(file, format!("{place}{}", said(e, e.message())))
}

/// The parser's message (`text`) in one line, followed by a suggestion.
fn said(e: &toml::de::Error, text: &str) -> String {
    format!("{}{}", text.trim().replace('\n', " "), meant(e.message()))
}

/// Converts an error of reading a recipe file to a message with a remedy.
fn unread(file: &Path, e: std::io::Error) -> Error {
    let holds_run = file.join("recipe.toml").is_file();
    match e.kind() {
        std::io::ErrorKind::NotFound => Error::NoRecipe { file: file.to_owned() },
        _ if holds_run => Error::RunAsRecipe { folder: file.to_owned() },
        _ if file.is_dir() => malformed(file, "is a folder, not a recipe; give a TOML file".into()),
        _ => Error::io(file, e),
    }
}

/// From serde's "unknown field `x`, expected one of `a`, `b`", suggests the nearest of `a` and `b`.
/// Returns an empty string for other errors and for an unknown word, which has its own suggestion.
fn meant(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    match words.next() {
        Some(word) if message.starts_with("unknown") && !message.contains("; known: ") => suggest::hint(word, words),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[data]\nset = \"digits-dvs\"\n[network]\nname = \"demo\"\n";

    fn parse(text: &str, overrides: &[&str]) -> Result<Recipe> {
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        Recipe::parse(text, Path::new("r.toml"), &overrides)
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_a_suggestion() {
        let e = parse(&format!("{SMALL}[train]\nepoch = 3\n"), &[]).unwrap_err().to_string();
        assert!(e.starts_with("r.toml: line 6: ") && e.contains("`epoch`"), "{e}");
        assert!(e.ends_with("`epochs`?"), "{e}");
    }

    #[test]
    fn a_resolved_recipe_reads_back_as_itself() {
        let r = parse(SMALL, &["train.strategy=nmt", "train.t_max=6", "data.validation=0.1"]).unwrap();
        assert_eq!((r.train.strategy.as_str(), r.train.t_max), ("nmt", 6));
        assert_eq!(parse(&r.to_toml().unwrap(), &[]).unwrap(), r);
    }

    #[test]
    fn steps_that_cannot_be_are_refused() {
        for (set, word) in [("train.t_max=0", "t_max"), ("train.t_min=0", "t_min"), ("eval.steps=[0]", "steps")] {
            let e = parse(SMALL, &[set]).unwrap_err().to_string();
            assert!(e.contains(word), "{set}: {e}");
        }
        let e = parse(SMALL, &["train.t_min=8", "train.t_max=4"]).unwrap_err().to_string();
        assert!(e.contains("t_min") && e.contains("greater"), "{e}");
    }

    #[test]
    fn data_settings_that_cannot_be_are_refused_and_the_others_kept() {
        for (set, what) in [
            ("data.sensor=[0, 5]", "`data.sensor` = [0, 5]: width and height are at least 1"),
            ("data.test_share=1.0", "`data.test_share` = 1: give a share between 0 and 1"),
            ("data.test_share=nan", "`data.test_share` = NaN"),
            ("data.train_first=0", "`data.train_first` = 0"),
            ("data.augment.drop=1.0", "`data.augment.drop` = 1: give a probability from 0 to below 1"),
            ("data.augment.polarity=-0.5", "`data.augment.polarity` = -0.5"),
            ("data.augment.jitter_px=-1.0", "`data.augment.jitter_px` = -1: give a deviation from 0"),
            ("data.augment.jitter_us=inf", "`data.augment.jitter_us` = inf"),
            ("data.augment.jitter_steps=-0.5", "`data.augment.jitter_steps` = -0.5: give a number of steps from 0"),
            ("data.augment.jitter_steps=nan", "`data.augment.jitter_steps` = NaN"),
            ("data.sensors=[3, 5]", "did you mean `sensor`?"),
        ] {
            let e = parse(SMALL, &[set]).unwrap_err().to_string();
            assert!(e.contains(what), "{set}: {e}");
        }
        let e = parse(SMALL, &["data.train_first=900", "data.test_share=0.1"]).unwrap_err().to_string();
        assert!(e.contains("`data.test_share`") && e.contains("`data.train_first`"), "{e}");
        assert!(!parse(SMALL, &[]).unwrap().to_toml().unwrap().contains("jitter_steps"));
        let set = [
            "data.sensor=[128, 128]",
            "data.test_share=0.25",
            "data.cache=\"/c\"",
            "data.augment.drop=0.1",
            "data.augment.jitter_steps=0.5",
        ];
        let r = parse(SMALL, &set).unwrap();
        assert_eq!((r.data.sensor, r.data.test_share, r.data.augment.drop), (Some([128, 128]), Some(0.25), 0.1));
        assert_eq!(parse(&r.to_toml().unwrap(), &[]).unwrap(), r);
    }

    #[test]
    fn extensions_of_a_training_that_cannot_be_are_refused_and_the_others_kept() {
        for (set, what) in [
            ("train.rate_penalty.weight=-1.0", "`train.rate_penalty.weight` = -1: give a number that is not negative"),
            ("train.rate_penalty.weight=nan", "`train.rate_penalty.weight` = NaN"),
            (
                "train.rate_penalty={ weight = 1.0, share = 0.0 }",
                "`train.rate_penalty.share` = 0: give a share above 0",
            ),
            ("train.rate_penalty={ weight = 1.0, share = 1.0 }", "`train.rate_penalty.share` = 1"),
            ("train.rate_penalty={ weight = 1.0, shares = 0.3 }", "did you mean `share`?"),
            ("train.rate_penalty.share=0.3", "missing field `weight`"),
            ("train.long.times=1", "`train.long.times` = 1: give 2 to 1000 times `train.t_max` = 10"),
            ("train.long.times=1001", "`train.long.times` = 1001"),
            ("train.long={ times = 3, every = 0 }", "`train.long.every` = 0"),
            ("train.long={ times = 3, distill = -1.0 }", "`train.long.distill` = -1: give a number"),
            ("train.long={ times = 3, distil = 1.0 }", "did you mean `distill`?"),
            ("train.long.every=2", "missing field `times`"),
            ("train.event_driven.every=0", "`train.event_driven.every` = 0"),
            ("train.event_driven.replace=1", "did you mean `replaces`?"),
        ] {
            let e = parse(SMALL, &[set]).unwrap_err().to_string();
            assert!(e.contains(what), "{set}: {e}");
        }
        let set = ["train.rate_penalty.weight=2.0", "train.long.times=3", "train.event_driven={}"];
        let r = parse(SMALL, &set).unwrap();
        assert_eq!(r.train.rate_penalty.map(|p| (p.weight, p.share)), Some((2.0, 0.5)));
        assert_eq!(r.train.long, Some(LongRecipe { times: 3, every: 1, replaces: 0, distill: 0.0 }));
        assert_eq!(r.train.event_driven, Some(EventDrivenRecipe { every: 1, replaces: 0 }));
        assert_eq!(parse(&r.to_toml().unwrap(), &[]).unwrap(), r);
        let plain = parse(SMALL, &[]).unwrap().to_toml().unwrap();
        for key in ["rate_penalty", "long", "event_driven"] {
            assert!(!plain.contains(key), "a version that does not know the key can resume: {plain}");
        }
    }

    #[test]
    fn phases_after_the_training_that_cannot_be_are_refused_and_the_others_kept() {
        for (set, what) in [
            ("finetune.strategies=[]", "`finetune.strategies` is empty"),
            ("finetune.strategies=[\"sdt\", \"sdt\"]", "`finetune.strategies` has `sdt` twice"),
            ("finetune.learning_rate=0.0", "`finetune.learning_rate` = 0: give a number above 0"),
            ("finetune.learning_rate=nan", "`finetune.learning_rate` = NaN"),
            ("finetune.epoch=3", "did you mean `epochs`?"),
        ] {
            let e = parse(SMALL, &[set]).unwrap_err().to_string();
            assert!(e.contains(what), "{set}: {e}");
        }
        let r = parse(SMALL, &["finetune={}"]).unwrap();
        let how = r.finetune.as_ref().unwrap();
        assert_eq!((how.strategies.as_slice(), how.epochs, how.keep_norm), (&["mtt".to_owned()][..], 20, false));
        assert_eq!(parse(&r.to_toml().unwrap(), &[]).unwrap(), r);
        assert!(!parse(SMALL, &[]).unwrap().to_toml().unwrap().contains("finetune"));
    }

    #[test]
    fn every_truncation_and_every_changed_byte_of_a_recipe_never_panics() {
        let full = parse(SMALL, &[]).unwrap().to_toml().unwrap();
        for n in 0..full.len() {
            let _ = parse(&full[..n], &[]);
            let mut bytes = full.clone().into_bytes();
            bytes[n] ^= 5;
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = parse(&text, &[]);
            }
        }
    }
}
