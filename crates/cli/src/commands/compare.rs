//! `tickless compare RECIPE`: trains strategies × seeds or folds and writes one report.

use crate::arguments::{Global, RecipeArgs};
use crate::experiment::Experiment;
use crate::new_run::check_epochs;
use crate::output::{print_json, say};
use crate::progress::Console;
use crate::report as page;
use crate::shell::command_line;
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;
use tickless_train::device::device;

/// Train several strategies, evaluate each at every T and with no clock, and report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless compare recipes/nmnist.toml --data ~/data/nmnist --seeds 1,2,3
  tickless compare recipes/nmnist.toml --data ~/data/nmnist --folds 5
  tickless compare recipes/nmnist.toml --data ~/data/nmnist --strategies sdt,mtt --output runs/two

Strategies, seeds, folds, data, network and folders are checked before the first training.
Started again with the same options it goes on where it stopped; what a run was already
evaluated at is not measured again.")]
pub struct Compare {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Strategies to compare.
    #[arg(long, value_delimiter = ',', default_value = "sdt,nmt,mtt")]
    strategies: Vec<String>,
    /// Seeds (default: the recipe's).
    #[arg(long, value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Cross-validate over training and test part together in this many folds.
    #[arg(long, default_value_t = 0)]
    folds: usize,
    /// Folder of the experiment (default: runs/<recipe>).
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Continue a stopped training even if something that its bits depend on has changed
    /// (recordings, precision, kernels, machine, workers, version); its weights then differ from
    /// those of a training that was never stopped.
    #[arg(long)]
    allow_changed: bool,
}

impl Compare {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let recipe = self.recipe.changes.load(&self.recipe.recipe)?;
        check_epochs(&recipe)?;
        if recipe.finetune.is_some() {
            bail!(
                "{}: `compare` trains one phase, and the recipe has `finetune`: run `tickless train` for each strategy, \
                 or remove that part",
                self.recipe.recipe.display()
            );
        }
        if self.folds == 1 {
            bail!(
                "`--folds` = 1 leaves nothing to train on: give at least 2, or leave it out for the data set's own split"
            );
        }
        let stem =
            self.recipe.recipe.file_stem().map_or_else(|| "compare".into(), |s| s.to_string_lossy().into_owned());
        let experiment = Experiment {
            seeds: if self.seeds.is_empty() { vec![recipe.seed] } else { self.seeds },
            strategies: self.strategies,
            folds: self.folds,
            folder: self.output.unwrap_or_else(|| PathBuf::from("runs").join(&stem)),
            title: format!("Tickless: {stem}"),
            command: command_line(),
            allow_changed: self.allow_changed,
            recipe,
        };
        finish(&experiment, global, console)
    }
}

/// Runs an experiment and prints its tables.
pub fn finish(experiment: &Experiment, global: &Global, console: &Console) -> Result<()> {
    let (data, written) = experiment.run(&device(&global.device)?, console)?;
    if global.json {
        return print_json(&data);
    }
    say!("{}\n{}", page::text::accuracy_table(&data), page::text::work_table(&data).trim_end_matches('\n'));
    say!("page: {}", written.page.display());
    Ok(())
}
