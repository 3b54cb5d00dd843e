//! The folder of a new run: its default name, its making, and the command that goes on with it.

use crate::progress::Console;
use crate::shell::quoted;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use tickless_net::recipe::Recipe;
use tickless_net::{InputKind, Network};
use tickless_train::progress::Progress;
use tickless_train::run::RunFolder;

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

/// A recipe to be trained.
pub fn check_epochs(recipe: &Recipe) -> Result<()> {
    if recipe.train.epochs == 0 {
        bail!(
            "`train.epochs` = 0 trains nothing: it is at least 1 (`tickless finetune RUN --epochs 0` converts a run)"
        );
    }
    Ok(())
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
