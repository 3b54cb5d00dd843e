//! `tickless parity RUN`: do all executors give the same spikes, and where not, why.

use super::{Part, RunArgs, print_json, say};
use crate::cli::Global;
use crate::parity::{Options, Pair, Verdict, counts_text, parity, shapes};
use crate::progress::Console;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::PathBuf;
use tickless_net::interop::nir;
use tickless_train::device::device;

/// Compare clocked network, engine, 8-bit engine and exported graph, layer by layer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless parity runs/nmnist-mtt-seed1
  tickless parity runs/nmnist-mtt-seed1 --graph from-sinabs.nir --dialect sinabs
  tickless parity runs/nmnist-mtt-seed1 --counts chip.csv --limit 100 --json
  tickless parity runs/nmnist-mtt-seed1 --write-counts ours.csv

Where two must agree, every spike is compared in order, and the first layer, event and neuron that
differs is named with the likely cause (each usual mistake is made on purpose and run); where they
need not, the difference is measured. The exit code is 2 if any that must agree do not. A file of
counts has the head `recording,layer,channel,y,x,spikes`. Everything event-driven is this simulator's.")]
pub struct ParityCommand {
    #[command(flatten)]
    run: RunArgs,
    /// Which recordings.
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// At most this many recordings (0 for all).
    #[arg(long, default_value_t = 20)]
    limit: usize,
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
    /// Spike counts of another framework or a chip.
    #[arg(long, value_name = "FILE")]
    counts: Option<PathBuf>,
    /// Write the engine's counts in the same form.
    #[arg(long, value_name = "FILE")]
    write_counts: Option<PathBuf>,
}

impl ParityCommand {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let Some(reader) = nir::Reader::from_word(&self.reader) else {
            let known: Vec<&str> = nir::Reader::ALL.iter().map(|r| r.word()).collect();
            bail!("`--reader {}` is not known; give one of {}", self.reader, known.join(", "));
        };
        let dialect = match &self.dialect {
            None => None,
            Some(word) => match nir::Dialect::from_word(word) {
                Some(d) => Some(d),
                None => bail!("`--dialect {word}` is not known; give tickless, plain or the name of a reader"),
            },
        };
        let run = self.run.load()?;
        let ids = self.part.of(&run.parts, self.limit);
        if ids.is_empty() {
            bail!("the {} part of this run is empty", self.part.word());
        }
        let (graph, counts) = (self.graph, self.counts);
        let options = Options { events: self.events, reader, graph, dialect, counts };
        let (result, ours) = parity(&run, &device(&global.device)?, ids, &options, console)?;
        if let Some(file) = &self.write_counts {
            let text = counts_text(&run.network, &shapes(&run.network), &ours);
            tickless_files::write_following(file, text.as_bytes()).with_context(|| file.display().to_string())?;
        }
        if global.json {
            print_json(&result)?;
        } else {
            let (n, part) = (result.recordings, self.part.word());
            say!("{} on {n} {part} recordings, {} events", run.facts.network, result.events);
            let spikes: Vec<String> = result.spikes.iter().map(|(l, n)| format!("{l} {n}")).collect();
            say!("engine: {:.2} % correct; spikes: {}", result.accuracy, spikes.join(", "));
            result.pairs.iter().for_each(show);
        }
        match result.broken() {
            None => Ok(()),
            Some(p) => {
                let (at, why) = (p.first.as_ref().map_or("", |f| f.layer.as_str()), p.cause.as_deref().unwrap_or(""));
                bail!("{} differs from the engine from layer `{at}` on: {why}", p.executor)
            }
        }
    }
}

fn show(p: &Pair) {
    let accuracy = p.accuracy.map_or(String::new(), |a| format!(", {a:.2} % correct"));
    match &p.verdict {
        Verdict::Agree => say!("\nagrees    {}: every spike, in order{accuracy}", p.executor),
        Verdict::AgreeButForRounding => say!("\nagrees    {} (but for rounding at a threshold){accuracy}", p.executor),
        Verdict::Differ => say!("\nDIFFERS   {}{accuracy}", p.executor),
        Verdict::Measured => say!("\nmeasured  {}{accuracy}", p.executor),
        Verdict::NotPossible(why) => say!("\nno        {}: {why}", p.executor),
    }
    if matches!(p.verdict, Verdict::Differ | Verdict::Measured | Verdict::AgreeButForRounding) {
        say!("{:>16}  {:>12}  {:>12}  {:>16}", "layer", "engine", "this", "spike difference");
        for l in &p.layers {
            let d = l.spike_difference.map_or("infinite".into(), |d| format!("{d:.4}"));
            say!("{:>16}  {:>12}  {:>12}  {d:>16}", l.layer, l.reference, l.other);
        }
    }
    if let Some(f) = &p.first {
        let event = match (f.event, f.t_us) {
            (Some(e), Some(t)) => format!(", at input event {e} ({t} µs)"),
            _ => String::new(),
        };
        let [c, y, x] = f.neuron;
        let (layer, recording, ours, other) = (&f.layer, f.recording, f.reference, f.other);
        say!(
            "          first: layer `{layer}`, recording {recording}{event}, neuron (channel {c}, y {y}, x {x}): \
             {ours} spikes here, {other} there"
        );
    }
    if let Some(cause) = &p.cause {
        say!("          likely cause: {cause}");
    }
    for note in &p.notes {
        say!("          known: {note}");
    }
}
