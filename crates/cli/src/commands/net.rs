//! `tickless net`: lists the built-in networks and the layers, shows and checks networks.

use crate::arguments::Global;
use crate::output::{check_output, print_json, say};
use crate::progress::Console;
use crate::report::graph_svg;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tickless_engine::{CompileOptions, Program};
use tickless_net::init::{InitScheme, initialise};
use tickless_net::interop::speck;
use tickless_net::recipe::{LARGEST_STEPS, Recipe};
use tickless_net::spec::kinds::{self, COMMON, KINDS, Key};
use tickless_net::summary::{LayerSummary, Summary, summary};
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{InputKind, Network, Shape, fold};
use tickless_train::data::published_input;
use tickless_train::footprint::{Footprint, Iteration};
use tickless_train::iteration::optimiser::OptimiserSetting;
use tickless_train::strategy::{self, Steps};

/// What networks and layers there are, and what a network is made of.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless net list
  tickless net show resnet18                          layers, shapes, weights, operations, memory
  tickless net show recipe.toml --svg net.svg         a drawing of the graph
  tickless net show vgg9 --width 0.25 --batch 16 --steps 4
  tickless net check recipe.toml                      is it right, and where can it run?
  tickless net check recipe.toml --event-driven       an error if it cannot run without a clock
  tickless net layers                                 every layer and key, with default and meaning

`check` needs no data. It refuses a recipe with a wrong key, layer or shape, and says whether the
network runs event-driven and on a Speck-class chip, and why not. The memory is an estimate for one
training iteration at T_max in every stage.")]
pub struct Net {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the built-in networks.
    List,
    /// Show a network: layers, shapes, stages, weights, operations and memory.
    Show {
        #[command(flatten)]
        of: Which,
        /// File for a drawing of the graph.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Check a recipe and its network without data.
    Check {
        #[command(flatten)]
        of: Which,
        /// Refuse a network that cannot run event-driven.
        #[arg(long)]
        event_driven: bool,
        /// Refuse a network that does not fit onto a Speck-class chip.
        #[arg(long)]
        chip: bool,
    },
    /// Describe every layer and key, with default and meaning.
    Layers {
        /// Print the table as Markdown.
        #[arg(long)]
        markdown: bool,
    },
}

/// A network, and the training for which its memory is estimated.
#[derive(Debug, Args)]
struct Which {
    /// Name of a built-in network, or the file of a recipe.
    #[arg(value_name = "NAME|RECIPE")]
    network: String,
    /// Change a key of the recipe: `network.norm=true` (several times).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Width of a built-in network: the numbers of channels times this (a recipe states its own).
    #[arg(long, value_name = "FACTOR")]
    width: Option<f64>,
    /// Samples of a batch (default: that of the recipe).
    #[arg(long)]
    batch: Option<usize>,
    /// Time steps of every stage (default: T_max of the recipe).
    #[arg(long)]
    steps: Option<usize>,
}

/// A network with what is known about its training.
struct Loaded {
    network: Network,
    /// The largest iteration of its training.
    iteration: Iteration,
}

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    description: &'static str,
    input: Shape,
    kind: InputKind,
    classes: usize,
    stages: usize,
    parameters: usize,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: Summary,
    /// Estimate for a training iteration, in bytes.
    memory: Memory,
    /// Whether the network runs event-driven, and why not.
    event_driven: Answer,
    /// Whether it fits onto a Speck-class chip, and why not.
    chip: Answer,
}

#[derive(Serialize)]
struct Memory {
    batch: usize,
    steps: usize,
    #[serde(flatten)]
    bytes: Footprint,
    /// The sum of all parts of an iteration.
    total: usize,
    /// The memory of a training, which writes checkpoints.
    with_checkpoint: usize,
}

#[derive(Serialize)]
struct Answer {
    possible: bool,
    /// Whether the norms must be folded first.
    after_folding: bool,
    reasons: Vec<String>,
}

impl Net {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        console.nothing_to_save();
        match self.what {
            What::List => list(global),
            What::Show { of, svg } => show(&of, svg.as_deref(), global),
            What::Check { of, event_driven, chip } => check(&of, event_driven, chip, global),
            What::Layers { markdown } => layers(markdown, global),
        }
    }
}

fn list(global: &Global) -> Result<()> {
    let mut all = Vec::new();
    for e in zoo::entries() {
        let net = zoo::build(e.name, &ZooOptions::default())?;
        all.push(Listed {
            name: e.name,
            description: e.description,
            input: e.input.shape,
            kind: e.input.kind,
            classes: e.classes,
            stages: net.stages(),
            parameters: net.trainable_values(),
        });
    }
    if global.json {
        return print_json(&all);
    }
    for n in all {
        let weights = grouped(n.parameters as u64);
        say!("{:<18} {:>10} weights  {:>2} stages  {:<9} {}", n.name, weights, n.stages, n.input, n.description);
    }
    Ok(())
}

impl Which {
    /// Builds the network. A recipe needs no data: the shape of the input is that of the data set
    /// if every copy of the set has the same, else that of the built-in network.
    fn load(&self) -> Result<Loaded> {
        for (option, value) in [("--batch", self.batch), ("--steps", self.steps)] {
            ensure!(value != Some(0), "`{option}` = 0: it is at least 1");
        }
        if let Some(steps) = self.steps.filter(|t| *t > LARGEST_STEPS) {
            bail!("`--steps` = {steps}: a network runs at most {LARGEST_STEPS} time steps");
        }
        let file = Path::new(&self.network);
        if zoo::entry(&self.network).is_ok() && !file.is_file() {
            ensure!(self.set.is_empty(), "`--set` changes a recipe, and `{}` is a built-in network", self.network);
            let network = zoo::build(&self.network, &ZooOptions { width: self.width, ..ZooOptions::default() })?;
            let (batch, steps) = (self.batch.unwrap_or(16), self.steps.unwrap_or(4));
            let optimiser = OptimiserSetting::sgd(0.9, 0.0);
            let iteration = Iteration { batch, steps, passes: 1, optimiser, recompute: false };
            return Ok(Loaded { network, iteration });
        }
        if file.extension().is_none() && !file.exists() {
            // A word without an extension is a name that was mistyped rather than a file.
            zoo::entry(&self.network)?;
        }
        ensure!(self.width.is_none(), "`--width` is for a built-in network; a recipe takes `--set network.width=0.25`");
        let recipe = Recipe::load(file, &self.set)?;
        let (shape, kind, classes) = input_of(&recipe).with_context(|| self.network.clone())?;
        let network = recipe.network.build(shape, kind, classes).with_context(|| self.network.clone())?;
        let t = &recipe.train;
        let range = Steps { t_min: t.t_min, t_max: t.t_max, samples: t.samples, group: t.group };
        let iteration = Iteration {
            batch: self.batch.unwrap_or(t.batch),
            steps: self.steps.unwrap_or(t.t_max),
            passes: strategy::by_name(&t.strategy, range)?.passes(),
            optimiser: OptimiserSetting::from(t),
            recompute: t.recompute,
        };
        Ok(Loaded { network, iteration })
    }
}

/// Shape and kind of the input and number of classes of a recipe whose data may not be here.
pub(super) fn input_of(recipe: &Recipe) -> Result<(Shape, InputKind, usize)> {
    if let Some(input) = published_input(&recipe.data) {
        return Ok(input);
    }
    let data = &recipe.data;
    let known = zoo::entries().iter().find(|e| e.name == recipe.network.name && recipe.network.layers.is_empty());
    let Some(known) = known else {
        bail!(
            "the shape of the data set `{}` is not known without its files, and its network is no built-in one; train it with `--epochs 0`",
            data.set
        );
    };
    let mut shape = known.input.shape;
    if let Some([width, height]) = data.size.or(data.sensor) {
        (shape.height, shape.width) = (height.into(), width.into());
    }
    Ok((shape, known.input.kind, known.classes))
}

fn describe(loaded: &Loaded) -> Shown {
    let Iteration { batch, steps, .. } = loaded.iteration;
    let bytes = loaded.iteration.footprint(&loaded.network);
    let (event_driven, chip) = deployment(&loaded.network);
    Shown {
        summary: summary(&loaded.network),
        memory: Memory { batch, steps, bytes, total: bytes.iteration(), with_checkpoint: bytes.training() },
        event_driven,
        chip,
    }
}

/// Whether a network runs event-driven, and whether it fits onto a Speck-class chip. A network with
/// norms or biases is judged as it is after folding.
fn deployment(network: &Network) -> (Answer, Answer) {
    let weights = initialise(network, InitScheme::default_for(network), 0);
    let no = |reasons: Vec<String>| Answer { possible: false, after_folding: false, reasons };
    if network.input().kind == InputKind::Image {
        let reason = "its input is a static image; an event-driven run needs recordings".to_owned();
        return (no(vec![reason.clone()]), no(vec![reason]));
    }
    let (folded, weights) = match fold::deployable(network, &weights) {
        Ok(folded) => folded,
        Err(e) => return (no(vec![e.to_string()]), no(vec![e.to_string()])),
    };
    let after_folding = network.check_event_driven().is_err();
    // The duration of a step is known after training; any will do to see whether the layers compile.
    let options = CompileOptions { step_us: Some(1000.0), ..CompileOptions::default() };
    let event_driven = match Program::compile(&folded, &weights, &options) {
        Ok(_) => Answer { possible: true, after_folding, reasons: Vec::new() },
        Err(e) => no(vec![e.to_string()]),
    };
    let fit = speck::fit(&folded, &speck::Chip::speck2e());
    let mut reasons: Vec<String> = fit.all_problems().map(|(layer, problem)| format!("`{layer}`: {problem}")).collect();
    if !fit.fits() && reasons.is_empty() {
        reasons.push("no core is left that is large enough for every layer".to_owned());
    }
    (event_driven, Answer { possible: fit.fits(), after_folding, reasons })
}

impl Answer {
    fn words(&self, what: &str) -> String {
        match (self.possible, self.after_folding) {
            (true, false) => format!("{what}: yes"),
            (true, true) => format!("{what}: yes, after folding (`tickless finetune RUN`)"),
            (false, _) => format!("{what}: no: {}", self.reasons.join("; ")),
        }
    }
}

/// A number of things, `1 stage` or `3 stages`.
fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn show(of: &Which, svg: Option<&Path>, global: &Global) -> Result<()> {
    if let Some(file) = svg {
        check_output("--svg", file)?;
    }
    let loaded = of.load()?;
    let shown = describe(&loaded);
    if let Some(file) = svg {
        let text = graph_svg(&shown.summary)?;
        tickless_files::write_following(file, text.as_bytes()).with_context(|| file.display().to_string())?;
    }
    if global.json {
        return print_json(&shown);
    }
    let s = &shown.summary;
    let what = if s.kind == InputKind::Image { "image" } else { "recording" };
    say!("{}: {what} {}, {}", s.network, s.input, counted(s.stages, "stage"));
    let wide = |pick: fn(&LayerSummary) -> usize, least: usize| s.layers.iter().map(pick).max().unwrap_or(0).max(least);
    let (name, kind) = (wide(|l| l.name.chars().count(), 5), wide(|l| l.kind.len(), 4));
    let detail = wide(|l| l.detail.chars().count(), 6);
    say!(
        "{:<name$}  {:<kind$}  {:<detail$}  {:>5}  {:>11}  {:>10}  {:>14}",
        "layer",
        "kind",
        "detail",
        "stage",
        "output",
        "weights",
        "operations"
    );
    for l in &s.layers {
        let stage = l.stage.map_or_else(String::new, |s| s.to_string());
        let none_if_0 = |n: u64| if n == 0 { String::new() } else { grouped(n) };
        say!(
            "{:<name$}  {:<kind$}  {:<detail$}  {stage:>5}  {:>11}  {:>10}  {:>14}",
            l.name,
            l.kind,
            l.detail,
            l.output.to_string(),
            none_if_0(l.parameters as u64),
            none_if_0(l.operations)
        );
    }
    say!("weights: {}", grouped(s.parameters as u64));
    say!("operations: {} multiply-accumulates a step if every input is active", grouped(s.operations));
    let m = &shown.memory;
    let gb = |bytes: usize| bytes as f64 / 1e9;
    say!(
        "memory of a training iteration, batch {}, T = {}: about {:.2} GB ({:.2} GB with the checkpoint that a training writes)",
        m.batch,
        m.steps,
        gb(m.total),
        gb(m.with_checkpoint)
    );
    say!("{}", shown.event_driven.words("event-driven"));
    say!("{}", shown.chip.words("Speck-class chip"));
    if let Some(file) = svg {
        say!("drawing: {}", file.display());
    }
    Ok(())
}

fn check(of: &Which, event_driven: bool, chip: bool, global: &Global) -> Result<()> {
    let loaded = of.load()?;
    let shown = describe(&loaded);
    if global.json {
        print_json(&shown)?;
    } else {
        let s = &shown.summary;
        let (layers, stages) = (counted(s.layers.len(), "layer"), counted(s.stages, "stage"));
        say!("{}: {layers}, {stages}, {} weights", s.network, grouped(s.parameters as u64));
        say!("{}", shown.event_driven.words("event-driven"));
        say!("{}", shown.chip.words("Speck-class chip"));
    }
    for (asked, answer, what) in
        [(event_driven, &shown.event_driven, "run event-driven"), (chip, &shown.chip, "be on a Speck-class chip")]
    {
        if asked && !answer.possible {
            bail!("network `{}` cannot {what}: {}", shown.summary.network, answer.reasons.join("; "));
        }
    }
    Ok(())
}

fn layers(as_markdown: bool, global: &Global) -> Result<()> {
    if global.json {
        return print_json(&serde_json::json!({ "every_layer": COMMON, "layers": KINDS }));
    }
    if as_markdown {
        say!("{}", kinds::markdown().trim_end());
        return Ok(());
    }
    let keys = |keys: &[Key]| {
        for k in keys {
            say!("  {:<11} {:<20} {}", k.name, format!("({})", k.default), k.meaning);
        }
    };
    say!("every layer");
    keys(COMMON);
    for kind in KINDS {
        say!("");
        say!("{}: {}", kind.name, kind.meaning);
        say!("  event-driven: {}", kind.event_driven);
        keys(kind.keys);
    }
    Ok(())
}

/// A number with commas between thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(d);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let all = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    }
}
