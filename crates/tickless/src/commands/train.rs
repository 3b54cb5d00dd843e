//! `tickless train RECIPE`: one training, in a folder, resumable.

use super::{RecipeArgs, begin, check_epochs, print_json, run_folder, say, stopped};
use crate::cli::Global;
use crate::progress::Console;
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;
use tickless_net::recipe::Recipe;
use tickless_train::data::{Parts, Source};
use tickless_train::device::device;
use tickless_train::progress::Progress;
use tickless_train::run::{Job, train};

/// Train a network as a recipe says.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless train recipes/nmnist.toml --data ~/data/nmnist
  tickless train recipes/nmnist.toml --set train.strategy=sdt --set seed=2
  tickless train recipes/nmnist.toml --epochs 5 --output runs/short
  tickless train recipes/nmnist.toml --resume        go on after Ctrl-C or a crash

Strategies: sdt (one number of steps), nmt (one random number an iteration), mtt (a random number
for every stage). Ctrl-C stops at the next step and keeps a checkpoint.")]
pub struct Train {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Folder of the run (default: runs/<recipe>-<strategy>-seed<seed>).
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Go on with the checkpoint in the folder; the weights end up as if it had never stopped.
    #[arg(long)]
    resume: bool,
}

impl Train {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let device = device(&global.device)?;
        let given = Recipe::load(&self.recipe.recipe, &self.recipe.changes.assignments())?;
        let path = self.output.unwrap_or_else(|| run_folder(&self.recipe.recipe, &given));
        check_epochs(&given)?;
        let (folder, begun) = begin(&path, self.resume, console)?;
        if begun && folder.recipe()? != given {
            bail!(
                "{}: was begun with another recipe; resume with the same recipe and options, or start anew with `--output`",
                path.display()
            );
        }
        let facts = if begun && folder.finished() {
            console.line(&format!("{}: has finished already", path.display()));
            folder.facts()?
        } else {
            let source = Source::open_with(&given.data, given.seed, console)?;
            let parts = Parts::of(&source, &given.data, given.seed)?;
            let job = Job {
                recipe: &given,
                source: &source,
                parts: &parts,
                folder: &folder,
                initial: None,
                base: None,
                device: &device,
            };
            train(job, console).map_err(|e| stopped(e, "the same command with `--resume` goes on from there"))?
        };
        if global.json {
            return print_json(&facts);
        }
        if let Some(last) = folder.metrics()?.last() {
            say!("{} epochs, loss {:.4}, training accuracy {:.2} %", last.epoch, last.train_loss, last.train_accuracy);
        }
        say!("weights in {}\nnext: tickless eval {}", folder.file("weights.safetensors").display(), path.display());
        Ok(())
    }
}
