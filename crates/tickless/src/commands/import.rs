//! `tickless import FILE.nir --recipe RECIPE`: a network of another framework becomes a run.

use super::{Changes, begin, print_json, run_folder, say, stopped};
use crate::cli::Global;
use crate::progress::Console;
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use tickless_net::interop::nir;
use tickless_net::recipe::Recipe;
use tickless_net::spec;
use tickless_train::data::{Parts, Source};
use tickless_train::device::device;
use tickless_train::run::{Job, train};

/// Make a run of a NIR graph, to evaluate, simulate, fine-tune and export it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless import net.nir --recipe recipes/nmnist.toml --data ../nmnist --dialect sinabs
  tickless import net.nir --recipe recipes/nmnist.toml --output runs/theirs --json

The graph gives layers and weights, the recipe the data set, T_max and how to evaluate. A graph that
Tickless exported says what its neurons are; of any other, say who wrote it (`--dialect`): frameworks
give the same nodes different spikes, resets and limits. Next: `tickless simulate`, `tickless parity`.")]
pub struct Import {
    /// The graph.
    graph: PathBuf,
    /// Recipe whose data set and settings are used.
    #[arg(long)]
    recipe: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Whose neurons the graph means: tickless, sinabs, snntorch, spikingjelly, norse or plain.
    #[arg(long)]
    dialect: Option<String>,
    /// Duration of a step in seconds (default: what the dialect's framework assumes).
    #[arg(long)]
    dt: Option<f64>,
    /// Folder of the run (default: the graph's name in `runs`).
    #[arg(long, short)]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    #[serde(serialize_with = "crate::shown::path")]
    run: PathBuf,
    layers: usize,
    weights: usize,
    /// What had to be chosen or changed.
    notes: Vec<String>,
}

impl Import {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let dialect = match &self.dialect {
            None => None,
            Some(word) => match nir::Dialect::from_word(word) {
                Some(d) => Some(d),
                None => bail!("`--dialect {word}` is not known; give tickless, plain or the name of a reader"),
            },
        };
        let mut recipe = Recipe::load(&self.recipe, &self.changes.assignments()?)?;
        let source = Source::open_with(&recipe.data, recipe.seed, console)?;
        let parts = Parts::of(&source, &recipe.data, recipe.seed)?;
        let (shape, kind) = source.input();
        let stem = self.graph.file_stem().map_or_else(|| "nir".into(), |s| s.to_string_lossy().into_owned());
        let options = nir::ImportOptions { dialect, dt: self.dt, name: stem, kind };
        let imported = nir::import(&nir::read(&self.graph)?, &self.graph, &options)?;
        let (file, has) = (self.graph.display(), imported.network.input().shape);
        if has != shape {
            bail!(
                "{file} takes {has}, data set `{}` gives {shape}; scale recordings with `data.size`",
                recipe.data.set
            );
        }
        recipe.network = Default::default();
        recipe.network.name = imported.network.name().to_owned();
        recipe.network.layers = spec::specs_of(&imported.network);
        recipe.train.epochs = 0;
        let path = self.output.unwrap_or_else(|| run_folder(&self.graph, &recipe));
        let (folder, _) = begin(&path, false, console)?;
        let weights = imported.weights.tensors.values().map(|a| a.data.len()).sum();
        let job = Job {
            recipe: &recipe,
            source: &source,
            parts: &parts,
            folder: &folder,
            initial: Some(imported.weights),
            base: Some(self.graph.display().to_string()),
            device: &device(&global.device)?,
        };
        train(job, console).map_err(|e| stopped(e, "start the same command again"))?;
        let layers = imported.network.nodes().len();
        let notes = imported.differences.iter().map(ToString::to_string).collect();
        let made = Made { run: path, layers, weights, notes };
        if global.json {
            return print_json(&made);
        }
        say!("{layers} layers, {weights} weights from {file} in {}", made.run.display());
        made.notes.iter().for_each(|n| say!("note: {n}"));
        say!("next: tickless simulate {}", made.run.display());
        Ok(())
    }
}
