//! `tickless parity RUN`: checks that all executors give the same spikes, and finds the cause if
//! not.

use crate::arguments::{Global, Part, RunArgs};
use crate::interop;
use crate::output::{check_output, percent, print_json, say};
use crate::progress::Console;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::PathBuf;
use tickless::parity::{Cause, Options, Pair, Verdict, counts_text, names_files, parity, shapes};
use tickless_train::device::device;

/// Compare clocked network, engine, 8-bit engine and exported graph, layer by layer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless parity runs/nmnist-mtt-seed1
  tickless parity runs/nmnist-mtt-seed1 --graph from-sinabs.nir --dialect sinabs
  tickless parity runs/nmnist-mtt-seed1 --counts chip.csv --json
  tickless parity runs/nmnist-mtt-seed1 --counts simulator.csv --within 0
  tickless parity runs/nmnist-mtt-seed1 --write-counts ours.csv

Where two must agree, every spike is compared in order, and the first layer, event and neuron that
differs is named with the likely cause (each usual mistake is made on purpose and run); where they
need not, the difference is measured: correlation, and spike difference Σ|s0 − s| / Σ s0. Here s0 is
the side nearer to training (clocked before engine, engine before 8 bit, other readers and chips).
Counts of a chip never equal exactly, so they are measured, unless a usual mistake explains them or
`--within` sets a limit. The exit code is 2 if any that must agree do not.

A file of counts has the head `recording,layer,channel,y,x,spikes`; it names recordings by their
files, and only those are compared, or by number. Everything event-driven is this simulator's.")]
pub struct ParityCommand {
    #[command(flatten)]
    run: RunArgs,
    /// Which recordings.
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// At most this many recordings (0 for all; default: 20, or all that a file of counts names).
    #[arg(long)]
    limit: Option<usize>,
    /// At most this many events of each recording (0 for all).
    #[arg(long, default_value_t = 0)]
    events: usize,
    /// For whom the graph is exported: sinabs, snntorch, spikingjelly or norse.
    #[arg(long, default_value = "sinabs")]
    reader: String,
    /// A NIR graph that must be the same network.
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    /// Whose neurons that graph means: tickless, plain or a reader's name.
    #[arg(long, requires = "graph")]
    dialect: Option<String>,
    /// Duration of a step of that graph in seconds (default: what the dialect's framework assumes).
    #[arg(long, requires = "graph", value_name = "SECONDS")]
    dt: Option<f64>,
    /// Spike counts of another framework or a chip.
    #[arg(long, value_name = "FILE")]
    counts: Option<PathBuf>,
    /// Exit with 2 if these counts differ by more percent than this in any layer.
    #[arg(long, requires = "counts", value_name = "PERCENT")]
    within: Option<f64>,
    /// Write the engine's counts in the same form.
    #[arg(long, value_name = "FILE")]
    write_counts: Option<PathBuf>,
}

impl ParityCommand {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let reader = interop::reader("--reader", &self.reader)?;
        let dialect = self.dialect.as_deref().map(interop::dialect).transpose()?;
        if let Some(within) = self.within
            && !(within.is_finite() && within >= 0.0)
        {
            bail!("`--within {within}` is not a percentage; give 0 or more");
        }
        if let Some(file) = &self.write_counts {
            check_output("--write-counts", file)?;
        }
        let run = self.run.load()?;
        // A file of counts that names recordings selects them from all; otherwise the first 20
        // suffice.
        let named = self.counts.as_deref().is_some_and(|f| names_files(f).unwrap_or(false));
        let limit = self.limit.unwrap_or(if named { 0 } else { 20 });
        let ids = self.part.of(&run.parts, limit);
        if ids.is_empty() {
            bail!("the {} part of this run is empty", self.part);
        }
        let (graph, counts) = (self.graph, self.counts);
        let within = self.within.map(|percent| percent / 100.0);
        let options = Options { events: self.events, reader, graph, dialect, dt: self.dt, counts, within };
        let (result, ours) = parity(&run, &device(&global.device)?, ids, &options, console)?;
        if let Some(file) = &self.write_counts {
            let text = counts_text(&run.network, &shapes(&run.network), &ours, &result.files);
            tickless_files::write_following(file, text.as_bytes()).with_context(|| file.display().to_string())?;
        }
        if global.json {
            print_json(&result)?;
        } else {
            let (n, part) = (result.recordings, self.part);
            say!("{} on {n} {part} recordings, {} events", run.facts.network, result.events);
            let spikes: Vec<String> = result.spikes.iter().map(|(l, n)| format!("{l} {n}")).collect();
            say!("engine: {:.2} % correct; spikes: {}", result.accuracy, spikes.join(", "));
            result.pairs.iter().for_each(show);
        }
        match result.broken() {
            None => Ok(()),
            Some(p) => {
                let layer = p.first.as_ref().map_or("", |f| f.layer.as_str());
                let cause = p.cause.as_ref().map(in_words).unwrap_or_default();
                bail!("{} differs from the engine from layer `{layer}` on: {cause}", p.executor)
            }
        }
    }
}

/// A cause, with the command that mends it if there is one.
fn in_words(cause: &Cause) -> String {
    let command = if cause.fold { " (`tickless finetune`)" } else { "" };
    format!("{cause}{command}")
}

fn show(p: &Pair) {
    let accuracy = p.accuracy.map_or(String::new(), |a| format!(", {a:.2} % correct"));
    match &p.verdict {
        Verdict::Agree if p.ordered => say!("\nagrees    {}: every spike, in order{accuracy}", p.executor),
        Verdict::Agree => say!("\nagrees    {}: the count of every neuron{accuracy}", p.executor),
        Verdict::AgreeButForRounding => say!("\nagrees    {} (but for rounding at a threshold){accuracy}", p.executor),
        Verdict::Differ => say!("\nDIFFERS   {}{accuracy}", p.executor),
        Verdict::Measured => say!("\nmeasured  {}{accuracy}", p.executor),
        Verdict::NotPossible(why) => say!("\nno        {}: {why}", p.executor),
    }
    if matches!(p.verdict, Verdict::Differ | Verdict::Measured | Verdict::AgreeButForRounding) {
        let (difference, correlation) = ("spike difference", "correlation");
        let (s0, s) = if p.reference == p.executor { ("this (s0)", "engine (s)") } else { ("engine (s0)", "this (s)") };
        say!("{:>16}  {s0:>12}  {s:>12}  {difference:>16}  {correlation:>11}", "layer");
        for l in &p.layers {
            let d = percent(l.spike_difference.unwrap_or(f64::INFINITY));
            let r = l.correlation.map_or("-".into(), |r| format!("{r:.4}"));
            say!("{:>16}  {:>12}  {:>12}  {d:>16}  {r:>11}", l.layer, l.reference, l.other);
        }
    }
    for (what, absent) in [("recordings", &p.absent_recordings), ("layers", &p.absent_layers)] {
        if !absent.is_empty() {
            say!("          not in the file, so not compared: {what} {}", some_of(absent));
        }
    }
    if let Some(f) = &p.first {
        let event = match (f.event, f.t_us) {
            (Some(e), Some(t)) => format!(", at input event {e} ({t} µs)"),
            _ => String::new(),
        };
        let [c, y, x] = f.neuron;
        let (layer, ours, other) = (&f.layer, f.reference, f.other);
        let recording = f.file.clone().unwrap_or_else(|| f.recording.to_string());
        say!(
            "          first: layer `{layer}`, recording {recording}{event}, neuron (channel {c}, y {y}, x {x}): \
             {ours} spikes here, {other} there"
        );
    }
    if let Some(cause) = &p.cause {
        say!("          likely cause: {}", in_words(cause));
    }
    for note in &p.notes {
        say!("          known: {note}");
    }
}

/// The first six of a list, and how many more there are.
fn some_of(all: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = all.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
