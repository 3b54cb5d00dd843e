//! `tickless finetune RUN`: converts a network to one without bias and norm, and fine-tunes it.

use crate::arguments::{Global, RunArgs};
use crate::new_run::{begin, next_step};
use crate::output::{print_json, say};
use crate::progress::Console;
use crate::recipe_paths::{absolute, same};
use crate::remedy::stopped;
use crate::shell::command_line;
use anyhow::{Result, ensure};
use clap::Args;
use std::path::PathBuf;
use tickless::EngineForward;
use tickless_net::recipe::{Optimiser, Recipe};
use tickless_net::{fold, spec};
use tickless_train::device::device;
use tickless_train::progress::Progress;
use tickless_train::run::{Base, Job, RunFolder, train};
use tickless_train::strategy::{Steps, by_name};

/// Remove biases, fold the norm, and fine-tune for chips without a clock.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless finetune runs/nmnist-mtt-seed1                      20 epochs of MTT, bias-free
  tickless finetune runs/nmnist-mtt-seed1 --strategy sdt       the baseline
  tickless finetune runs/nmnist-mtt-seed1 --epochs 0           only convert

A chip without a clock adds no bias at every step, so a deployable network has none: running means
and biases are removed, the norm's scale goes into the weights, then training goes on (SGD without
momentum by default).")]
pub struct Finetune {
    #[command(flatten)]
    run: RunArgs,
    /// mtt or sdt (or nmt).
    #[arg(long, default_value = "mtt")]
    strategy: String,
    /// Passes over the training part; 0 only converts.
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// Keep the norm in evaluation mode with its gain trainable, and fold again at the end.
    #[arg(long)]
    keep_norm: bool,
    /// Folder of the new run (default: the run's name with `-<strategy>-finetuned`; with
    /// `--epochs 0` `-converted`).
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Go on with the checkpoint in the output folder.
    #[arg(long)]
    resume: bool,
    /// Continue a stopped training even if something that its bits depend on has changed
    /// (recordings, precision, kernels, machine, workers, version); its weights then differ from
    /// those of a training that was never stopped.
    #[arg(long)]
    allow_changed: bool,
}

impl Finetune {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let device = device(&global.device)?;
        let run = self.run.load()?;
        let (t_min, t_max) = (run.recipe.train.t_min, run.recipe.train.t_max);
        let (samples, group) = (run.recipe.train.samples, run.recipe.train.group);
        by_name(&self.strategy, Steps { t_min, t_max, samples, group })?;
        let from = &self.run.run;
        let (network, weights) = match self.keep_norm && self.epochs > 0 {
            true => fold::keep_norm(&run.network, &run.weights)?,
            false => fold::deployable(&run.network, &run.weights)?,
        };
        let mut recipe = run.recipe.clone();
        recipe.network.layers = spec::specs_of(&network);
        recipe.network.neuron = None;
        (recipe.network.norm, recipe.network.ttm, recipe.network.classifier_bias) = (None, None, None);
        (recipe.network.input_ttm, recipe.network.width) = (None, None);
        recipe.train.strategy = self.strategy.clone();
        recipe.train.epochs = self.epochs;
        recipe.train.learning_rate = self.learning_rate;
        recipe.train.optimiser = Optimiser::Sgd;
        recipe.train.momentum = 0.0;
        recipe.train.weight_decay = 5e-4;
        recipe.train.warmup_epochs = 0.0;
        recipe.train.freeze_norm = self.keep_norm && self.epochs > 0;
        recipe.check().map_err(|problem| anyhow::anyhow!("{}: {problem}", from.display()))?;
        absolute(&mut recipe)?;
        let name = from.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned());
        let kind = if self.epochs == 0 { "converted".to_owned() } else { format!("{}-finetuned", self.strategy) };
        let path = self.output.unwrap_or_else(|| from.with_file_name(format!("{name}-{kind}")));
        // If the norm is kept during training, it is folded at the end, and `done` is the recipe
        // after that.
        let mut done = recipe.clone();
        if recipe.train.freeze_norm {
            done.network.layers = spec::specs_of(&fold::deployable(&run.network, &run.weights)?.0);
            done.train.freeze_norm = false;
        }
        let (folder, begun) = begin(&path, Some(self.resume), console)?;
        let kept = if begun { Some(folder.recipe()?) } else { None };
        if let Some(kept) = &kept {
            let fits = same(kept, &recipe)? || same(kept, &done)?;
            // A run continues with the data paths that it was started with.
            (recipe.data, done.data) = (kept.data.clone(), kept.data.clone());
            ensure!(fits, "{}: was begun with other options; give the same, or another `--output`", path.display());
        }
        let facts = if kept.as_ref() == Some(&done) && folder.finished()? {
            console.line(&format!("{}: has finished already", path.display()));
            folder.facts()?
        } else {
            let job = Job {
                recipe: &recipe,
                source: &run.source,
                parts: &run.parts,
                folder: &folder,
                initial: Some(weights),
                continues: None,
                base: Some(Base { from: from.display().to_string(), strategy: run.facts.strategy.clone() }),
                command: Some(command_line()),
                device: &device,
                allow_changed: self.allow_changed,
                event_driven: Some(&EngineForward),
            };
            let again = "the same command with `--resume` goes on from there";
            let facts = train(job, console).map_err(|e| stopped(e, again))?;
            if recipe.train.freeze_norm {
                fold_again(&folder, &done)?;
            }
            facts
        };
        if global.json {
            return print_json(&facts);
        }
        say!(
            "bias-free network in {}\nnext: {}",
            path.display(),
            next_step(&fold::deployable(&run.network, &run.weights)?.0, &path)
        );
        Ok(())
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
