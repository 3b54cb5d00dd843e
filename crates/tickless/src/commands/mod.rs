//! One file per subcommand. Each parses, calls a library, prints.

pub mod asynchrony;
pub mod calibrate;
pub mod compare;
pub mod data;
pub mod demo;
pub mod eval;
pub mod export;
pub mod fetch;
pub mod finetune;
pub mod import;
pub mod parity;
pub mod report;
pub mod simulate;
pub mod train;

pub(crate) use crate::output::{print_json, say};
use crate::progress::Console;
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};
use tickless_net::recipe::Recipe;
use tickless_train::data::{Parts, SampleId};
use tickless_train::progress::Progress;
use tickless_train::run::{Loaded, RunFolder};

/// The recipe of a command and the changes made to it on the command line.
#[derive(Debug, Clone, Args)]
pub struct RecipeArgs {
    /// Recipe file (TOML).
    pub recipe: PathBuf,
    #[command(flatten)]
    pub changes: Changes,
}

/// The finished run of a command.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Run folder.
    pub run: PathBuf,
    /// Folder or zip of the data set, if it is no longer where the recipe says.
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
}

impl RunArgs {
    /// Opens it.
    pub fn load(&self) -> Result<Loaded> {
        let run = RunFolder::open(&self.run)?.load_with(self.data.as_deref())?;
        run.warnings.iter().for_each(|w| crate::output::note!("warning: {w}"));
        Ok(run)
    }
}

/// Changes to a recipe.
#[derive(Debug, Clone, Args)]
pub struct Changes {
    /// Change a key of the recipe; may be given often.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder or zip of the data set (`data.path`).
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Passes over the training part (`train.epochs`).
    #[arg(long)]
    pub epochs: Option<usize>,
}

impl Changes {
    /// As `key=value`.
    pub fn assignments(&self) -> Vec<String> {
        let mut all = self.set.clone();
        // A JSON string is a TOML string, whatever letters the path has.
        all.extend(self.data.iter().map(|p| format!("data.path={}", serde_json::Value::from(p.display().to_string()))));
        all.extend(self.epochs.iter().map(|n| format!("train.epochs={n}")));
        all
    }
}

/// Which samples of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The training part.
    Train,
    /// The part that chooses an epoch.
    Validation,
    /// The part that is reported.
    Test,
}

impl Part {
    /// Its samples, at most `limit` of them (0 for all).
    pub fn of(self, parts: &Parts, limit: usize) -> &[SampleId] {
        let all = match self {
            Part::Train => &parts.train,
            Part::Validation => &parts.validation,
            Part::Test => &parts.test,
        };
        &all[..if limit == 0 { all.len() } else { limit.min(all.len()) }]
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

/// The default folder of a run: `runs/<recipe>-<strategy>-seed<seed>`.
pub fn run_folder(file: &Path, recipe: &Recipe) -> PathBuf {
    let stem = file.file_stem().map_or_else(|| "run".into(), |s| s.to_string_lossy().into_owned());
    let (strategy, seed) = (&recipe.train.strategy, recipe.seed);
    // A recipe named after its strategy does not say it twice.
    let strategy = if stem.contains(strategy.as_str()) { String::new() } else { format!("-{strategy}") };
    PathBuf::from("runs").join(format!("{stem}{strategy}-seed{seed}"))
}

/// The folder of a new run, or with `resume` of one that was begun; and whether it was begun.
pub fn begin(path: &Path, resume: bool, console: &Console) -> Result<(RunFolder, bool)> {
    if resume && path.join("recipe.toml").is_file() {
        return Ok((RunFolder::open(path)?, true));
    }
    if resume {
        // As after a crash before the first file was written.
        console.line(&format!("{}: no run yet, it begins at the beginning", path.display()));
    }
    Ok((RunFolder::create(path)?, false))
}

/// Says how to go on after Ctrl-C.
pub fn stopped(e: tickless_train::Error, how: &str) -> anyhow::Error {
    match e {
        tickless_train::Error::Stopped { .. } => anyhow::anyhow!("{e}: {how}"),
        tickless_train::Error::ConditionsChanged { .. } => {
            anyhow::anyhow!("{e}: restore them, or go on all the same with `--allow-changed`")
        }
        other => other.into(),
    }
}

/// A recipe to be trained.
pub fn check_epochs(recipe: &Recipe) -> Result<()> {
    if recipe.train.epochs == 0 {
        anyhow::bail!(
            "`train.epochs` = 0 trains nothing: it is at least 1 (`tickless finetune RUN --epochs 0` converts a run)"
        );
    }
    Ok(())
}

/// The words of this command line, to be shown as "how to repeat this".
pub fn command_line() -> String {
    let mut words = std::env::args().skip(1);
    words.by_ref().fold("tickless".to_owned(), |line, w| {
        let quoted = if w.contains([' ', '"', '*', '[']) { format!("'{w}'") } else { w };
        format!("{line} {quoted}")
    })
}
