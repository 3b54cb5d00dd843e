//! `tickless simulate RUN`: the same weights with no clock.

use super::{Part, RunArgs, print_json, say};
use crate::cli::Global;
use crate::progress::Console;
use crate::simulate::decisions::Decisions;
use crate::simulate::simulate;
use anyhow::{Result, bail};
use clap::Args;
use tickless_train::device::device;

/// Run a trained network event by event, with no time steps.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless simulate runs/nmnist-mtt-seed1
  tickless simulate runs/nmnist-mtt-seed1 --limit 100 --json

A network with a bias or batch norm cannot run so; `tickless finetune RUN --epochs 0` removes them.
All numbers are this simulator's, none a chip's.")]
pub struct Simulate {
    #[command(flatten)]
    run: RunArgs,
    /// Which recordings.
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// At most this many recordings (0 for all).
    #[arg(long, default_value_t = 0)]
    limit: usize,
}

impl Simulate {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let run = self.run.load()?;
        let folder = &run.folder;
        let model = run.model(&device(&global.device)?)?;
        let ids = self.part.of(&run.parts, self.limit);
        if ids.is_empty() {
            bail!("the {} part of this run is empty", self.part.word());
        }
        let s = simulate(&run, &model, ids, console, console.stop_flag())?;
        if self.part == Part::Test && self.limit == 0 {
            folder.write_json("simulate.json", &s)?;
        }
        if global.json {
            return print_json(&s);
        }
        say!("{} event by event on {} {} recordings (simulator)", run.facts.network, s.samples, self.part.word());
        say!("correct              {:>12.2} %", s.accuracy);
        say!("events               {:>12.1} per recording", s.events);
        say!("synaptic operations  {:>12.0} per recording", s.synaptic_operations);
        say!("{:>16}  {:>8}  {:>14}  {:>24}", "layer", "neurons", "spikes/record.", "spike difference to T_max");
        for (l, (_, d)) in s.layers.iter().zip(&s.spike_difference) {
            say!("{:>16}  {:>8}  {:>14.1}  {:>24.4}", l.layer, l.neurons, l.spikes, d);
        }
        match (&s.quantised, &s.quantised_refused) {
            (Some(q), _) => {
                let d: Vec<String> = q.spike_difference.iter().map(|(l, d)| format!("{l} {d:.4}")).collect();
                say!(
                    "8-bit weights, 16-bit potentials: {:.2} % correct, spike difference to float: {}",
                    q.accuracy,
                    d.join(", ")
                );
            }
            (None, Some(why)) => say!("not possible in 8 bit: {why}"),
            (None, None) => {}
        }
        if let Some(d) = &s.decisions {
            curves(d);
        }
        for layer in &s.silent {
            say!("warning: layer `{layer}` never fired");
        }
        Ok(())
    }
}

/// The moments of decision as tables.
fn curves(d: &Decisions) {
    let c = &d.curve;
    say!("{:>16}  {:>10}  |  {:>16}  {:>10}", "after ms", "% correct", "after events", "% correct");
    // Every second point is enough to read; the JSON has all.
    for k in (0..c.time.len().max(c.events.len())).skip(1).step_by(2) {
        let time = c.time.get(k).map(|p| (format!("{:.1}", p.us as f64 / 1000.0), format!("{:.2}", p.accuracy)));
        let events = c.events.get(k).map(|p| (p.events.to_string(), format!("{:.2}", p.accuracy)));
        let ((us, a), (n, b)) = (time.unwrap_or_default(), events.unwrap_or_default());
        say!("{us:>16}  {a:>10}  |  {n:>16}  {b:>10}");
    }
    let fitted = match d.gain_samples {
        0 => "no validation part to fit it on (`data.validation`)".to_owned(),
        n => format!("fitted on {n} validation recordings"),
    };
    say!("early exit at a confidence of softmax(g·Σ/T_max), g = {:.3}, {fitted}:", d.gain);
    say!("{:>16}  {:>10}  {:>10}  {:>10}  {:>10}", "confidence", "% correct", "mean ms", "events", "% reached");
    for e in &c.exits {
        let ms = e.us / 1000.0;
        say!("{:>16}  {:>10.2}  {ms:>10.1}  {:>10.0}  {:>10.1}", e.confidence, e.accuracy, e.events, e.reached);
    }
}
