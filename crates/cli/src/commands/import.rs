//! `tickless import FILE --recipe RECIPE`: turns a network of another framework into a run, from a
//! NIR graph or from a checkpoint.

use super::net::input_of;
use crate::arguments::{Changes, Global};
use crate::checkpoint::{self, Matching};
use crate::from_relu::{self, FromRelu};
use crate::interop;
use crate::new_run::{begin, next_step};
use crate::output::{print_json, say};
use crate::progress::Console;
use crate::remedy::stopped;
use crate::shell::command_line;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tickless::EngineForward;
use tickless_net::interop::checkpoint::{Fit, recognises};
use tickless_net::interop::nir;
use tickless_net::spec;
use tickless_net::{Error, InputKind, Layer, Leak, LeakRule, Node};
use tickless_train::data::{Parts, Source};
use tickless_train::device::device;
use tickless_train::evaluate::{Setting, spike_counts};
use tickless_train::model::Model;
use tickless_train::progress::{Progress, Silent};
use tickless_train::run::{Base, Job, RunFacts, train};

/// Make a run of a NIR graph or a checkpoint, to evaluate, simulate, fine-tune and export it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless import net.nir --recipe recipes/nmnist.toml --data ~/data/nmnist --dialect sinabs
  tickless import net.nir --recipe recipes/nmnist.toml --data ~/data/nmnist --json
  tickless import two.nir --recipe shd.toml --input-node left --output-node word
  tickless import resnet18.pth --recipe mine.toml --dry-run               what matches what?
  tickless import net.pt --recipe mine.toml --map names.toml --entry model
  tickless import relu.pt --recipe spiking.toml --from-relu --balance 99.9      a ReLU network

A graph gives layers and weights, and the recipe the data set, T_max and how to evaluate. Frameworks
give the same nodes different spikes, resets and limits. A graph that Tickless exported says what
its neurons are, and some frameworks leave marks that name them; of any other graph, say who wrote
it (`--dialect`). Time constants stay what they are in seconds at every T_max and without a clock;
`--dt` is the step of the framework, by which it weighs inputs. A layer that stays silent on a few
recordings is reported. Next: `tickless simulate`, `tickless parity`.

A checkpoint (PyTorch's .pt and .pth, safetensors) gives weights, and the recipe the network. No
code of the file runs. Names of known dialects are matched without help: the paper's code, ResNet
and VGG of torchvision and SpikingJelly, `Sequential` of torch, snnTorch and sinabs, and Tickless.
`--map` names the others. What did not match is listed with the reason; without `--dry-run` it is an
error.

With `--from-relu` the checkpoint is of a network with ReLU, and the recipe has neurons in these
places (IF, reset by subtraction). Norms are folded, and weights and thresholds are balanced by the
largest activations of training samples, so that the rates of the spikes are the activations. A
membrane starts at 0, which makes a rate after T steps smaller by less than 1/T. Next: `tickless
eval`, or `tickless finetune` to train on and to run it without a clock.")]
pub struct Import {
    /// The graph or checkpoint.
    file: PathBuf,
    /// Recipe whose data set and settings are used, and for a checkpoint its network.
    #[arg(long)]
    recipe: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Who wrote the file. A graph: tickless, sinabs, snntorch, spikingjelly, norse or plain. A
    /// checkpoint: tickless, paper, torchvision, spikingjelly, sequential, snntorch or sinabs
    /// (default: the one that matches the most tensors).
    #[arg(long)]
    dialect: Option<String>,
    /// Duration of a step in seconds (default: what the dialect's framework assumes). Graphs only.
    #[arg(long)]
    dt: Option<f64>,
    /// The input to keep if the graph has several; the others count as silent.
    #[arg(long, value_name = "NAME")]
    input_node: Option<String>,
    /// The output to keep if the graph has several.
    #[arg(long, value_name = "NAME")]
    output_node: Option<String>,
    #[command(flatten)]
    matching: Matching,
    #[command(flatten)]
    from_relu: FromRelu,
    /// Only show what of a checkpoint matches; make no run. Needs no data if the data set says its
    /// shape.
    #[arg(long)]
    dry_run: bool,
    /// Folder of the run (default: runs/<name of the file>).
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

/// What a checkpoint gave.
#[derive(Serialize)]
struct Matched<'a> {
    /// The run; none after `--dry-run`.
    #[serde(serialize_with = "shown_path", skip_serializing_if = "Option::is_none")]
    run: Option<&'a Path>,
    #[serde(flatten)]
    fit: &'a Fit,
    /// The activations by which a network with rectifiers was balanced.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<from_relu::Report>,
}

fn shown_path<S: serde::Serializer>(path: &Option<&Path>, to: S) -> std::result::Result<S::Ok, S::Error> {
    crate::shown::path(path.unwrap_or(Path::new("")), to)
}

/// Samples that are run once to check that all layers fire.
const TRIED: usize = 8;

impl Import {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        if is_checkpoint(&self.file)? {
            return self.weights(global, console);
        }
        self.graph(global, console)
    }

    /// Makes a run of the recipe's network with the weights of a checkpoint.
    fn weights(self, global: &Global, console: &Console) -> Result<()> {
        let file = self.file;
        let doors = [("--input-node", &self.input_node), ("--output-node", &self.output_node)];
        let doors = doors.map(|(option, name)| (option, name.is_some()));
        for (option, given) in [("--dt", self.dt.is_some())].into_iter().chain(doors) {
            if given {
                bail!("`{option}` is for a NIR graph, and {} is a checkpoint", file.display());
            }
        }
        let dialect = self.dialect.as_deref().map(checkpoint::dialect).transpose()?;
        let mut recipe = self.changes.load(&self.recipe)?;
        if self.dry_run {
            let (shape, kind, classes) = match input_of(&recipe) {
                Ok(known) => known,
                Err(_) => {
                    let source = Source::open_with(&recipe.data, recipe.seed, console)?;
                    let (shape, kind) = source.input();
                    (shape, kind, source.dataset().classes())
                }
            };
            let network = recipe.network.build(shape, kind, classes)?;
            let fit = self.matching.fit(&file, &network, dialect)?;
            if global.json {
                print_json(&Matched { run: None, fit: &fit, balance: None })?;
            } else {
                checkpoint::print_table(&fit, &file);
            }
            if self.from_relu.wanted() {
                self.from_relu.check(&network, &fit, &file)?;
            }
            return Ok(());
        }
        let source = Source::open_with(&recipe.data, recipe.seed, console)?;
        let parts = Parts::of(&source, &recipe.data, recipe.seed)?;
        let (shape, kind) = source.input();
        let network = recipe.network.build(shape, kind, source.dataset().classes())?;
        let fit = self.matching.fit(&file, &network, dialect)?;
        if !global.json {
            checkpoint::print_table(&fit, &file);
        }
        checkpoint::check_complete(&fit, &file, &self.recipe)?;
        let device = device(&global.device)?;
        let (mut network, mut weights, mut balance) = (network, fit.weights.clone(), None);
        if self.from_relu.wanted() {
            self.from_relu.check(&network, &fit, &file)?;
            let from = (&recipe, &source, &parts);
            let (balanced, report) = self.from_relu.convert(&network, &weights, from, &device, console)?;
            recipe.network = Default::default();
            recipe.network.name = balanced.network.name().to_owned();
            recipe.network.layers = spec::specs_of(&balanced.network);
            (network, weights, balance) = (balanced.network, balanced.weights, Some(report));
        }
        fit.differences.iter().for_each(|d| console.warn(d));
        checkpoint::left_out(&fit).iter().for_each(|w| console.warn(w));
        recipe.train.epochs = 0;
        let stem = file.file_stem().map_or_else(|| "checkpoint".into(), |s| s.to_string_lossy().into_owned());
        let path = self.output.unwrap_or_else(|| Path::new("runs").join(&stem));
        let (folder, _) = begin(&path, None, console)?;
        let job = Job {
            recipe: &recipe,
            source: &source,
            parts: &parts,
            folder: &folder,
            initial: Some(weights),
            continues: None,
            base: Some(Base { from: file.display().to_string(), strategy: RunFacts::IMPORTED.into() }),
            command: Some(command_line()),
            device: &device,
            allow_changed: false,
            event_driven: Some(&EngineForward),
        };
        train(job, console).map_err(|e| stopped(e, "start the same command again"))?;
        if let Some(report) = &balance {
            folder.write_json(from_relu::FILE, report)?;
        }
        if global.json {
            return print_json(&Matched { run: Some(&path), fit: &fit, balance });
        }
        balance.iter().for_each(from_relu::Report::print);
        say!("run: {}", path.display());
        say!("next: {}", next_step(&network, &path));
        Ok(())
    }

    /// Makes a run of a NIR graph.
    fn graph(self, global: &Global, console: &Console) -> Result<()> {
        if self.dry_run || self.matching.given() {
            bail!(
                "`--decay-input`, `--dry-run`, `--map` and `--entry` are for a checkpoint, and {} is none; a graph names its \
                 layers itself",
                self.file.display()
            );
        }
        if self.from_relu.wanted() {
            bail!(
                "`--from-relu` is for a checkpoint, and {} is a graph, whose neurons spike already",
                self.file.display()
            );
        }
        let dialect = self.dialect.as_deref().map(interop::dialect).transpose()?;
        let mut recipe = self.changes.load(&self.recipe)?;
        let source = Source::open_with(&recipe.data, recipe.seed, console)?;
        let parts = Parts::of(&source, &recipe.data, recipe.seed)?;
        let (shape, kind) = source.input();
        let stem = self.file.file_stem().map_or_else(|| "nir".into(), |s| s.to_string_lossy().into_owned());
        // A recording has a duration, so time constants are kept in seconds. A step of a static
        // image has none, so the leak is kept per step.
        let leak = if kind == InputKind::Events { LeakRule::Time } else { LeakRule::Step };
        let graph = nir::read(&self.file)?;
        let (dialect, evidence) = tickless::dialect::dialect_of(&self.file, &graph, dialect)?;
        let (input, output, name) = (self.input_node, self.output_node, stem.clone());
        let step_us = match kind {
            InputKind::Events if graph.has_currents() => {
                Some(source.mean_span_us(&parts.train, &Silent)?.0 / recipe.train.t_max as f64)
            }
            _ => None,
        };
        let options =
            nir::ImportOptions { dialect: Some(dialect), dt: self.dt, name, kind, leak, step_us, input, output };
        let mut imported = nir::import(&graph, &self.file, &options).map_err(|e| match e {
            Error::NirDoors { kind, .. } => anyhow!("{e} with `--{kind}-node NAME`"),
            other => other.into(),
        })?;
        if let Some(evidence) = evidence {
            let what =
                format!("read as {} writes it, because {evidence}; `--dialect` says otherwise", dialect.as_str());
            imported.differences.insert(0, nir::Difference { reader: None, places: Vec::new(), what: what.into() });
        }
        let (file, has) = (self.file.display(), imported.network.input().shape);
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
            continues: None,
            base: Some(Base { from: self.file.display().to_string(), strategy: RunFacts::IMPORTED.into() }),
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

/// Whether a file is a checkpoint, by its content, or else by its extension.
fn is_checkpoint(file: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let opened = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    opened.take(START).read_to_end(&mut start).with_context(|| file.display().to_string())?;
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    Ok(recognises(&start) || ["pt", "pth", "safetensors"].contains(&extension))
}

/// First bytes of a file that decide on its kind.
const START: u64 = 512;

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
