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

use crate::progress::Console;
use anyhow::{Result, bail};
use clap::Args;
use std::io::Write;
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
        Ok(RunFolder::open(&self.run)?.load_with(self.data.as_deref())?)
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
    ///
    /// # Errors
    /// If the path of the data is no text, which a recipe holds.
    pub fn assignments(&self) -> Result<Vec<String>> {
        let mut all = self.set.clone();
        if let Some(path) = &self.data {
            let Some(text) = path.to_str() else {
                bail!(
                    "`--data {path:?}`: a recipe holds text, and this path is not UTF-8; rename it or give a link to it"
                );
            };
            // A JSON string is a TOML string, whatever letters the path has.
            all.push(format!("data.path={}", serde_json::Value::from(text)));
        }
        all.extend(self.epochs.iter().map(|n| format!("train.epochs={n}")));
        Ok(all)
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

/// Prints a line of the result on standard output, as `println!` does.
macro_rules! say {
    ($($words:tt)*) => { $crate::commands::print(format_args!($($words)*)) };
}
pub(crate) use say;

/// Prints a line; where its reader has gone (`tickless eval RUN | head`), ends the program without a word.
pub fn print(line: std::fmt::Arguments<'_>) {
    if let Err(e) = writeln!(std::io::stdout().lock(), "{line}") {
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("error: standard output: {e}");
        std::process::exit(2);
    }
}

/// A share in percent; against a silent reference it is infinite.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", 100.0 * share) } else { "infinite".to_owned() }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// The words of this command line, to be shown as "how to repeat this".
pub fn command_line() -> String {
    // A word that is no text is shown as far as it is.
    let words = std::env::args_os().skip(1).map(|w| w.to_string_lossy().into_owned());
    words.fold("tickless".to_owned(), |line, w| {
        let quoted = if w.contains([' ', '"', '*', '[']) { format!("'{w}'") } else { w };
        format!("{line} {quoted}")
    })
}
