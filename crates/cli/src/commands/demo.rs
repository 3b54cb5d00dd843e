//! `tickless demo`: the whole method on embedded data, in a minute or two.

use super::compare::finish;
use crate::arguments::Global;
use crate::experiment::Experiment;
use crate::new_run::check_epochs;
use crate::progress::Console;
use crate::recipe_paths::absolute;
use crate::shell::command_line;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use tickless_net::recipe::Recipe;
use tickless_train::device::device;

/// The recipe of the demo.
const RECIPE: &str = include_str!("../../../../recipes/demo.toml");

/// Train three ways on embedded event data, run each at every T and with no clock, and show it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless demo                 one seed, a minute or two on two cores
  tickless demo --seeds 3       the mean over three seeds
  tickless demo --json          the whole report as JSON

The data: 1,797 real 8×8 handwritten digits, upscaled and shown to a simulated event camera.
Started again it shows what it has; `--fresh` trains anew.")]
pub struct Demo {
    /// Number of seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Folder of the runs and the report.
    #[arg(long, short, default_value = "runs/demo")]
    output: PathBuf,
    /// Delete what an earlier demo left in the folder.
    #[arg(long)]
    fresh: bool,
    /// Change a key of the recipe; may be given often.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Continue a stopped training even if something that its bits depend on has changed
    /// (recordings, precision, kernels, machine, workers, version); its weights then differ from
    /// those of a training that was never stopped.
    #[arg(long)]
    allow_changed: bool,
}

impl Demo {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        if self.seeds == 0 {
            bail!("`--seeds` is at least 1");
        }
        let mut recipe = Recipe::parse(RECIPE, Path::new("demo.toml"), &self.set)?;
        absolute(&mut recipe)?;
        check_epochs(&recipe)?;
        let experiment = Experiment {
            recipe,
            strategies: ["sdt", "nmt", "mtt"].map(String::from).to_vec(),
            seeds: (0..self.seeds).collect(),
            folds: 0,
            folder: self.output.clone(),
            title: "Tickless demo: one set of weights at every number of time steps, and at none".into(),
            command: command_line(),
            allow_changed: self.allow_changed,
        };
        if self.fresh {
            // An earlier demo is deleted only if this one can start.
            experiment.check_plans(console)?;
            device(&global.device)?;
            clear(&self.output)?;
        }
        finish(&experiment, global, console)
    }
}

/// Deletes the runs and the report that a demo wrote, finished or not, and nothing else.
fn clear(folder: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let is_report = path.join("report.html").is_file() && path.ends_with("report");
        let done = if path.join("recipe.toml").is_file() || is_report {
            std::fs::remove_dir_all(&path)
        } else if path.ends_with("report.json") {
            std::fs::remove_file(&path)
        } else {
            Ok(())
        };
        done.with_context(|| path.display().to_string())?;
    }
    Ok(())
}
