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
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use tickless_net::recipe::Recipe;
use tickless_net::{InputKind, Network};
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
    /// The recipe in a file with these changes, its data's places as absolute paths.
    pub fn load(&self, file: &Path) -> Result<Recipe> {
        let mut recipe = Recipe::load(file, &self.assignments()?)?;
        absolute(&mut recipe)?;
        Ok(recipe)
    }

    /// As `key=value`.
    ///
    /// # Errors
    /// If the path of the data is no text, which a recipe holds.
    fn assignments(&self) -> Result<Vec<String>> {
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

/// Makes the places of a recipe's data absolute, because a run must find them from any folder that it is used in later.
pub fn absolute(recipe: &mut Recipe) -> Result<()> {
    for path in [&mut recipe.data.path, &mut recipe.data.cache].into_iter().flatten() {
        *path = std::path::absolute(&*path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Whether a run's kept recipe is the given one; runs of older versions kept relative paths of data.
pub fn same(kept: &Recipe, given: &Recipe) -> Result<bool> {
    let mut kept = kept.clone();
    absolute(&mut kept)?;
    Ok(kept == *given)
}

/// Refuses a file that could not be written at the end of a long command: its folder must be there.
pub fn check_output(option: &str, file: &Path) -> Result<()> {
    let shown = file.display();
    anyhow::ensure!(!file.is_dir(), "`{option} {shown}` is a folder; name a file");
    match file.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => {
            bail!("`{option} {shown}`: there is no folder {}; make it, or name another file", folder.display())
        }
        _ => Ok(()),
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

/// The folder of a new run, or with `--resume` of one that was begun; and whether it was begun.
///
/// `resume` is the option, none of a command that has no such option.
pub fn begin(path: &Path, resume: Option<bool>, console: &Console) -> Result<(RunFolder, bool)> {
    let asked = resume == Some(true);
    if asked && path.join("recipe.toml").is_file() {
        return Ok((RunFolder::open(path)?, true));
    }
    if asked {
        // As after a crash before the first file was written.
        console.line(&format!("{}: no run yet, it begins at the beginning", path.display()));
    }
    let hint = match resume {
        Some(_) => "`--resume` goes on with it, `--output` names another folder",
        None => "name another folder with `--output`",
    };
    let held = path.join("recipe.toml").exists() || path.join("run.json").exists();
    let folder = RunFolder::create(path).map_err(|e| if held { anyhow::anyhow!("{e}: {hint}") } else { e.into() })?;
    Ok((folder, false))
}

/// The command that a new run is used with next: a network that needs a clock, or images, cannot be simulated.
pub fn next_step(network: &Network, folder: &Path) -> String {
    let run = quoted(&folder.display().to_string());
    match network.check_event_driven() {
        _ if network.input().kind == InputKind::Image => format!("tickless eval {run}"),
        Ok(()) => format!("tickless simulate {run}"),
        Err(tickless_net::Error::NotEventDriven { .. }) => {
            format!("tickless eval {run}, or tickless finetune {run} --epochs 0 to run it without a clock")
        }
        Err(_) => format!("tickless eval {run}"),
    }
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
        bail!(
            "`train.epochs` = 0 trains nothing: it is at least 1 (`tickless finetune RUN --epochs 0` converts a run)"
        );
    }
    Ok(())
}

/// The words of this command line, to be shown as "how to repeat this".
pub fn command_line() -> String {
    std::env::args_os().skip(1).fold("tickless".to_owned(), |line, w| line + " " + &quoted(&w.to_string_lossy()))
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A share in percent; against a silent reference it is infinite.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", 100.0 * share) } else { "infinite".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_a_quoted_word_back_as_it_was() {
        for (word, said) in [("a/b-1.toml", "a/b-1.toml"), ("", "''"), ("eval.steps=[1, 2]", "'eval.steps=[1, 2]'")] {
            assert_eq!(quoted(word), said);
        }
        for word in ["it's", "$(x)", "a;b", "{of=3,fold=0}", "~/x", "a\"b", "*"] {
            let said = quoted(word);
            assert!(said.starts_with('\'') && said.ends_with('\''), "{said}");
            assert_eq!(said[1..said.len() - 1].replace("'\\''", "'"), word);
        }
    }
}
