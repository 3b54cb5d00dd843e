//! `tickless import FILE.nir --recipe RECIPE`: turns a network of another framework into a run.

use crate::arguments::{Changes, Global};
use crate::interop;
use crate::new_run::{begin, next_step};
use crate::output::{print_json, say};
use crate::progress::Console;
use crate::remedy::stopped;
use crate::shell::command_line;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tickless::EngineForward;
use tickless_net::interop::nir;
use tickless_net::spec;
use tickless_net::{Error, InputKind, Layer, Leak, LeakRule, Node};
use tickless_train::data::{Parts, Source};
use tickless_train::device::device;
use tickless_train::evaluate::{Setting, spike_counts};
use tickless_train::model::Model;
use tickless_train::progress::{Progress, Silent};
use tickless_train::run::{Base, Job, RunFacts, train};

/// Make a run of a NIR graph, to evaluate, simulate, fine-tune and export it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless import net.nir --recipe recipes/nmnist.toml --data ~/data/nmnist --dialect sinabs
  tickless import net.nir --recipe recipes/nmnist.toml --data ~/data/nmnist --json

The graph gives layers and weights, the recipe the data set, T_max and how to evaluate. Frameworks
give the same nodes different spikes, resets and limits. A graph that Tickless exported says what
its neurons are, and some frameworks leave marks that name them; of any other graph, say who wrote
it (`--dialect`). Time constants stay what they are in seconds at every T_max and without a clock;
`--dt` is the step of the framework, by which it weighs inputs. A layer that stays silent on a few
recordings is reported. Next: `tickless simulate`, `tickless parity`.")]
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
    /// The output to keep if the graph has several.
    #[arg(long, value_name = "NAME")]
    output_node: Option<String>,
    /// Folder of the run (default: runs/<name of the graph>).
    #[arg(long, short)]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    #[serde(serialize_with = "crate::shown::path")]
    run: PathBuf,
    layers: usize,
    weights: usize,
    /// The dialect in which the graph was read.
    dialect: &'static str,
    /// The choices and changes that the import made.
    notes: Vec<String>,
    /// Spiking layers that did not fire on the few samples that were tried.
    silent: Vec<String>,
}

/// Samples that are run once to check that all layers fire.
const TRIED: usize = 8;

impl Import {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let dialect = self.dialect.as_deref().map(interop::dialect).transpose()?;
        let mut recipe = self.changes.load(&self.recipe)?;
        let source = Source::open_with(&recipe.data, recipe.seed, console)?;
        let parts = Parts::of(&source, &recipe.data, recipe.seed)?;
        let (shape, kind) = source.input();
        let stem = self.graph.file_stem().map_or_else(|| "nir".into(), |s| s.to_string_lossy().into_owned());
        // A recording has a duration, so time constants are kept in seconds. A step of a static
        // image has none, so the leak is kept per step.
        let leak = if kind == InputKind::Events { LeakRule::Time } else { LeakRule::Step };
        let graph = nir::read(&self.graph)?;
        let (dialect, evidence) = tickless::dialect::dialect_of(&self.graph, &graph, dialect)?;
        let (output, name) = (self.output_node, stem.clone());
        let options = nir::ImportOptions { dialect: Some(dialect), dt: self.dt, name, kind, leak, output };
        let mut imported = nir::import(&graph, &self.graph, &options).map_err(|e| match e {
            Error::NirOutputs { .. } => anyhow!("{e} with `--output-node NAME`"),
            other => other.into(),
        })?;
        if let Some(evidence) = evidence {
            let what =
                format!("read as {} writes it, because {evidence}; `--dialect` says otherwise", dialect.as_str());
            imported.differences.insert(0, nir::Difference { reader: None, places: Vec::new(), what: what.into() });
        }
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
        let path = self.output.unwrap_or_else(|| Path::new("runs").join(&stem));
        let (folder, _) = begin(&path, None, console)?;
        let weights = imported.weights.tensors.values().map(|a| a.data.len()).sum();
        let on = device(&global.device)?;
        let job = Job {
            recipe: &recipe,
            source: &source,
            parts: &parts,
            folder: &folder,
            initial: Some(imported.weights.clone()),
            base: Some(Base { from: self.graph.display().to_string(), strategy: RunFacts::IMPORTED.into() }),
            command: Some(command_line()),
            device: &on,
            allow_changed: false,
            event_driven: Some(&EngineForward),
        };
        let facts = train(job, console).map_err(|e| stopped(e, "start the same command again"))?;
        let layers = imported.network.nodes().len();
        let per_step = |n: &Node| matches!(n.layer, Layer::Neuron(n) if matches!(n.leak, Leak::Step(_)));
        if let (Some(theirs), Some(ours)) = (imported.step_us, facts.step_us)
            && (theirs - ours).abs() > 1e-6 * theirs
            && imported.network.nodes().iter().any(per_step)
        {
            let what = format!(
                "a step lasts {ours:.1} µs here and {theirs:.1} µs in the run that was exported, so a leak per step is \
                 another time constant without a clock; use its data and T_max to have the same"
            );
            imported.differences.push(nir::Difference { reader: None, places: Vec::new(), what: what.into() });
        }
        let notes = imported.differences.iter().map(ToString::to_string).collect();
        let model = Model::new(Arc::new(imported.network.clone()), &imported.weights, &on)?;
        let some = if parts.train.is_empty() { &parts.test } else { &parts.train };
        let ids = &some[..some.len().min(TRIED)];
        let (t_max, step_us, batch) = (facts.t_max, facts.step_us, recipe.eval.batch);
        let tried = ids.len();
        let silent = silent(&model, &Setting { source: &source, ids, t_max, step_us, batch })?;
        let made = Made { run: path, layers, weights, dialect: imported.dialect.as_str(), notes, silent };
        if !made.silent.is_empty() {
            console.warn(&format!(
                "{} never fired in {tried} samples: the graph may be of another dialect or step \
                 (`--dialect`, `--dt`), or the data scaled differently",
                layers_named(&made.silent)
            ));
        }
        if global.json {
            return print_json(&made);
        }
        say!("{layers} layers, {weights} weights from {file} in {}", made.run.display());
        made.notes.iter().for_each(|n| say!("note: {n}"));
        say!("next: {}", next_step(&imported.network, &made.run));
        Ok(())
    }
}

/// The spiking layers that no sample of the setting makes fire, clocked at T_max.
fn silent(model: &Model, setting: &Setting) -> Result<Vec<String>> {
    let counts = spike_counts(model, setting, setting.t_max, LeakRule::Step, &Silent)?;
    let network = model.network();
    let layers = network.spiking().into_iter().zip(&counts.layers);
    let silent = layers.filter(|(_, counts)| counts.iter().all(|c| *c == 0.0));
    Ok(silent.map(|(i, _)| network.nodes()[i].name.clone()).collect())
}

fn layers_named(layers: &[String]) -> String {
    let names: Vec<String> = layers.iter().map(|l| format!("`{l}`")).collect();
    if names.len() == 1 { format!("layer {}", names[0]) } else { format!("layers {}", names.join(", ")) }
}
