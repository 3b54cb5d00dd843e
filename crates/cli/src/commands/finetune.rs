//! `tickless finetune RUN`: converts a network to one without bias and norm, and fine-tunes it.

use crate::arguments::{Global, RunArgs};
use crate::bias_free::{BiasFree, default_folder};
use crate::new_run::next_step;
use crate::output::{print_json, say};
use crate::progress::Console;
use crate::shell::command_line;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use tickless_net::recipe::FinetuneRecipe;
use tickless_train::device::device;

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
        let from = &self.run.run;
        let how = self.how();
        let output = self.output.unwrap_or_else(|| default_folder(from, &self.strategy, self.epochs));
        let made = BiasFree {
            how: &how,
            strategy: &self.strategy,
            output: output.clone(),
            resume: self.resume,
            allow_changed: self.allow_changed,
            command: command_line(),
        };
        let (facts, network) = made.make(&run, from, &device, console)?;
        if global.json {
            return print_json(&facts);
        }
        say!("bias-free network in {}\nnext: {}", output.display(), next_step(&network, &output));
        Ok(())
    }

    /// The options in the words of a recipe.
    fn how(&self) -> FinetuneRecipe {
        let mut how = FinetuneRecipe::default();
        (how.strategies, how.epochs) = (vec![self.strategy.clone()], self.epochs);
        (how.learning_rate, how.keep_norm) = (self.learning_rate, self.keep_norm);
        how
    }
}
