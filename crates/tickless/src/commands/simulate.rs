//! `tickless simulate RUN`: the same weights with no clock.

use super::{Part, RunArgs, print_json, say};
use crate::cli::Global;
use crate::progress::Console;
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
        for layer in &s.silent {
            say!("warning: layer `{layer}` never fired");
        }
        Ok(())
    }
}
