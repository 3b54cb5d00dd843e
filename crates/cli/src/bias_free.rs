//! Makes a bias-free run from a run: conversion and fine-tuning, for `tickless finetune` and for the
//! `[finetune]` part of a recipe, which `tickless train` carries out after the training.

use crate::new_run::begin;
use crate::progress::Console;
use crate::recipe_paths::{absolute, decisive};
use crate::remedy::stopped;
use crate::shell::quoted;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use tickless::EngineForward;
use tickless_net::recipe::{FinetuneRecipe, Optimiser, Recipe};
use tickless_net::{Network, Weights, fold, spec};
use tickless_train::device::Device;
use tickless_train::progress::Progress;
use tickless_train::run::{Base, Job, Loaded, RunFacts, RunFolder, train};
use tickless_train::strategy::{Steps, by_name};

/// A bias-free run to be made.
#[derive(Debug)]
pub struct BiasFree<'a> {
    /// Epochs, learning rate and norms. Its strategies are those of a recipe; this run has
    /// `strategy`.
    pub how: &'a FinetuneRecipe,
    /// The strategy.
    pub strategy: &'a str,
    /// The new run's folder.
    pub output: PathBuf,
    /// Whether to go on with what the folder holds.
    pub resume: bool,
    /// Whether a stopped training may go on under other conditions.
    pub allow_changed: bool,
    /// The command that makes this run.
    pub command: String,
}

/// The default folder: the run's name with `-<strategy>-finetuned`, or `-converted` without epochs.
pub fn default_folder(from: &Path, strategy: &str, epochs: usize) -> PathBuf {
    let name = from.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned());
    let kind = if epochs == 0 { "converted".to_owned() } else { format!("{strategy}-finetuned") };
    from.with_file_name(format!("{name}-{kind}"))
}

/// The runs that a recipe's `[finetune]` makes from the run in `from`, as (strategy, folder): one
/// for each strategy, or one conversion.
pub fn planned<'a>(how: &'a FinetuneRecipe, from: &Path) -> Vec<(&'a str, PathBuf)> {
    let count = if how.epochs == 0 { 1 } else { how.strategies.len() };
    how.strategies[..count].iter().map(|s| (s.as_str(), default_folder(from, s, how.epochs))).collect()
}

/// The command that makes one of these runs alone.
pub fn command(how: &FinetuneRecipe, from: &Path, strategy: &str, output: &Path) -> String {
    let path = |p: &Path| quoted(&p.display().to_string()).to_string();
    let keep = if how.keep_norm { " --keep-norm" } else { "" };
    format!(
        "tickless finetune {} --strategy {strategy} --epochs {} --learning-rate {}{keep} --output {}",
        path(from),
        how.epochs,
        how.learning_rate,
        path(output)
    )
}

/// Checks a recipe's `[finetune]` before the training begins, because an error after days of
/// training comes too late.
///
/// # Errors
/// If a strategy is unknown or does not fit the steps, the network has no bias-free form, or a
/// folder is taken and the command does not resume.
pub fn check(recipe: &Recipe, network: &Network, weights: &Weights, from: &Path, resume: bool) -> Result<()> {
    let Some(how) = &recipe.finetune else { return Ok(()) };
    for strategy in &how.strategies {
        by_name(strategy, steps(recipe))?;
    }
    fold::deployable(network, weights)?;
    for (_, folder) in planned(how, from) {
        let taken = folder.join("recipe.toml").exists() || folder.join("run.json").exists();
        ensure!(
            resume || !taken,
            "{}: holds a run, and the recipe's `finetune` writes there: `--resume` goes on with it, `--output` names \
             another folder",
            folder.display()
        );
    }
    Ok(())
}

fn steps(recipe: &Recipe) -> Steps {
    let t = &recipe.train;
    Steps { t_min: t.t_min, t_max: t.t_max, samples: t.samples, group: t.group }
}

impl BiasFree<'_> {
    /// Makes the run from `run`, whose folder is `from`; returns its facts and network.
    ///
    /// # Errors
    /// If the network has no bias-free form, the folder holds another run, the user stops, or the
    /// training fails.
    pub fn make(self, run: &Loaded, from: &Path, device: &Device, console: &Console) -> Result<(RunFacts, Network)> {
        by_name(self.strategy, steps(&run.recipe))?;
        let keeps = self.how.keep_norm && self.how.epochs > 0;
        let deployable = fold::deployable(&run.network, &run.weights)?;
        let (network, weights) = match keeps {
            true => fold::keep_norm(&run.network, &run.weights)?,
            false => deployable.clone(),
        };
        let mut recipe = self.recipe(run, &network)?;
        recipe.check().map_err(|problem| anyhow::anyhow!("{}: {problem}", from.display()))?;
        // If the norm is kept during training, it is folded at the end, and `done` is the recipe
        // after that.
        let mut done = recipe.clone();
        if keeps {
            done.network.layers = spec::specs_of(&deployable.0);
            done.train.freeze_norm = false;
        }
        let path = &self.output;
        let (folder, begun) = begin(path, Some(self.resume), console)?;
        let kept = if begun { Some(folder.recipe()?) } else { None };
        if let Some(kept) = &kept {
            let finished = folder.finished()?;
            let differing = decisive(kept, &recipe, finished)?;
            let fits = differing.is_empty() || decisive(kept, &done, finished)?.is_empty();
            let (run, keys) = (path.display(), differing.join("; "));
            ensure!(fits, "{run}: was begun with other options ({keys}); give the same, or another `--output`");
            if finished {
                // The paths may be relative, as an earlier version stored them.
                (recipe.data, done.data) = (kept.data.clone(), kept.data.clone());
            }
        }
        if kept.as_ref() == Some(&done) && folder.finished()? {
            console.line(&format!("{}: has finished already", path.display()));
            return Ok((folder.facts()?, deployable.0));
        }
        let job = Job {
            recipe: &recipe,
            source: &run.source,
            parts: &run.parts,
            folder: &folder,
            initial: Some(weights),
            continues: None,
            base: Some(Base { from: from.display().to_string(), strategy: run.facts.strategy.clone() }),
            command: Some(self.command),
            device,
            allow_changed: self.allow_changed,
            event_driven: Some(&EngineForward),
        };
        let facts =
            train(job, console).map_err(|e| stopped(e, "the same command with `--resume` goes on from there"))?;
        if keeps {
            fold_again(&folder, &done)?;
        }
        Ok((facts, deployable.0))
    }

    /// The recipe of the new run.
    fn recipe(&self, run: &Loaded, network: &Network) -> Result<Recipe> {
        let mut recipe = run.recipe.clone();
        recipe.finetune = None;
        recipe.network.layers = spec::specs_of(network);
        recipe.network.neuron = None;
        (recipe.network.norm, recipe.network.ttm, recipe.network.classifier_bias) = (None, None, None);
        (recipe.network.input_ttm, recipe.network.width) = (None, None);
        recipe.train.strategy = self.strategy.to_owned();
        recipe.train.epochs = self.how.epochs;
        recipe.train.learning_rate = self.how.learning_rate;
        recipe.train.optimiser = Optimiser::Sgd;
        recipe.train.momentum = 0.0;
        recipe.train.weight_decay = 5e-4;
        recipe.train.warmup_epochs = 0.0;
        recipe.train.freeze_norm = self.how.keep_norm && self.how.epochs > 0;
        absolute(&mut recipe)?;
        Ok(recipe)
    }
}

/// The second fold: moves the gain that the norm has learned into the weights and removes the norm.
fn fold_again(folder: &RunFolder, done: &Recipe) -> Result<()> {
    let run = folder.load()?;
    let (_, weights) = fold::deployable(&run.network, &run.weights)?;
    folder.write_weights(&weights)?;
    // The recipe is written last: until then the run does not count as finished, so `--resume`
    // repeats this function.
    folder.write_facts(&run.facts, done)?;
    Ok(folder.write_recipe(done)?)
}
