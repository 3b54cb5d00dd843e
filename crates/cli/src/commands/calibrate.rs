//! `tickless calibrate RUN`: recomputes the batch-norm statistics that inference uses.

use crate::arguments::{Global, RunArgs};
use crate::output::{print_json, say};
use crate::progress::Console;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use tickless::{temperature, tune};
use tickless_net::LeakRule;
use tickless_train::device::device;
use tickless_train::progress::Progress;

/// Recompute a run's batch-norm statistics at T_max.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless calibrate runs/cifar10-resnet18-mtt-seed1000
  tickless calibrate runs/cifar10-resnet18-mtt-seed1000 --batches 50

Training does this at its end; use it after changing weights or with more batches.")]
pub struct Calibrate {
    #[command(flatten)]
    run: RunArgs,
    /// Training batches (default: the recipe's `eval.calibration_batches`).
    #[arg(long)]
    batches: Option<usize>,
}

#[derive(Serialize)]
struct Done {
    norms: usize,
    batches: usize,
    steps: usize,
}

impl Calibrate {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let run = self.run.load()?;
        let folder = &run.folder;
        let mut model = run.model(&device(&global.device)?)?;
        let norms = model.running.len();
        if norms == 0 {
            bail!("network `{}` has no batch norm: there is nothing to calibrate", run.facts.network);
        }
        let calibration = run.calibration(self.batches);
        if calibration.batches == 0 {
            bail!("`--batches` is at least 1");
        }
        let (batches, t_max) = (calibration.batches, run.facts.t_max);
        calibration.at(&mut model, t_max, LeakRule::Step, console)?;
        let weights = model.weights();
        if weights != run.weights {
            // Results that were measured with the old statistics are removed, because they do not
            // hold for the new ones.
            for name in ["eval.json", "simulate.json", "asynchrony.json", temperature::FILE, tune::FILE] {
                let file = folder.file(name);
                if file.is_file() {
                    std::fs::remove_file(&file).with_context(|| file.display().to_string())?;
                    console.line(&format!("{}: removed, it belongs to the old statistics", file.display()));
                }
            }
        }
        folder.write_weights(&weights)?;
        let done = Done { norms, batches, steps: t_max };
        if global.json {
            return print_json(&done);
        }
        say!(
            "{norms} norms calibrated on {batches} batches at T = {t_max}; weights written to {}",
            folder.file("weights.safetensors").display()
        );
        Ok(())
    }
}
