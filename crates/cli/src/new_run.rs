//! The folder of a new run: its default name, its creation, and the command to run next.

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
    // If the recipe's name contains the strategy, it is not repeated.
    let strategy = if stem.contains(strategy.as_str()) { String::new() } else { format!("-{strategy}") };
    PathBuf::from("runs").join(format!("{stem}{strategy}-seed{seed}"))
}

/// Creates the folder of a new run; with `--resume` opens the folder of a started one. The flag
/// returned says whether the run was started before.
///
/// `resume` is the value of the option, or `None` if the command has no such option.
pub fn begin(path: &Path, resume: Option<bool>, console: &Console) -> Result<(RunFolder, bool)> {
    let asked = resume == Some(true);
    if asked && path.join("recipe.toml").is_file() {
        return Ok((RunFolder::open(path)?, true));
    }
    if asked {
        // This happens after a crash before the first file was written.
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

/// Checks that the recipe trains at least one epoch.
pub fn check_epochs(recipe: &Recipe) -> Result<()> {
    if recipe.train.epochs == 0 {
        bail!(
            "`train.epochs` = 0 trains nothing: it is at least 1 (`tickless finetune RUN --epochs 0` converts a run)"
        );
    }
    Ok(())
}

/// The command to run next on a new run: `simulate` if the network can run without a clock on
/// recordings, else `eval`.
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
