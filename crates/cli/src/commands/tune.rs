//! `tickless tune RUN --budget steps=1.5`: chooses how a run answers, for what an answer may cost.

use crate::arguments::{Global, RunArgs};
use crate::output::{print_json, say};
use crate::progress::Console;
use crate::report::with_error;
use crate::shell::quoted;
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use tickless::OperatingPoint;
use tickless::tune::{Budget, FILE, Measured, Plan, Quantity, Tuning, keep, tune};
use tickless_train::device::device;

/// Choose time steps, early exit, T per stage or the event-driven neurons for a budget.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless tune runs/cifar10-resnet18-mtt-seed1000 --budget steps=1.5
  tickless tune runs/nmnist-mtt-seed1 --budget operations=200000
  tickless tune runs/nmnist-mtt-seed1 --budget energy=180 --clocked      nJ of a sample, estimated
  tickless tune runs/nmnist-mtt-seed1 --budget accuracy=97               as cheap as possible
  tickless tune runs/nmnist-mtt-seed1 --budget ms=0.5 --limit 1000      a measurement

The choice is made on the validation part (`data.validation`), and a run that has none is refused.
The test part is read once, to report the choice. Searched are every T up to T_max, an early
exit by confidence, margin, entropy and a learned policy, one T per stage, and event-driven runs
with the best refractory period or lower limit. `steps` are the mean over samples and stages;
event-driven runs have none. The energy is an estimate (45 nm: 0.9 pJ per accumulate, 4.6 pJ per
multiply-accumulate). The choice is deterministic, except for `ms`; the time of the choice
(`ms_per_sample`) is a measurement.

The run keeps the choice (`tuned.json`): `predict`, `eval`, `simulate` and `export` use it
unless an option says otherwise. Tuning again replaces it.")]
pub struct Tune {
    #[command(flatten)]
    run: RunArgs,
    /// What an answer may cost: steps=, operations=, energy= (nJ), ms=; or how often it must be
    /// right: accuracy= (percent).
    #[arg(long, value_name = "QUANTITY=LIMIT")]
    budget: String,
    /// At most this many validation samples (0 for all).
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Most configurations of one T per stage to measure.
    #[arg(long, default_value_t = 40)]
    mixed: usize,
    /// Only runs with time steps.
    #[arg(long, conflicts_with = "event_driven")]
    clocked: bool,
    /// Only runs without time steps.
    #[arg(long)]
    event_driven: bool,
}

/// The choice, as `--json` prints it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    tuning: &'a Tuning,
    /// Whether the budget is a measurement, which another machine or time may give otherwise.
    measured_time: bool,
    #[serde(serialize_with = "crate::shown::path")]
    file: std::path::PathBuf,
}

impl Tune {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let budget: Budget = self.budget.parse().map_err(|e| anyhow::anyhow!("--budget {e}"))?;
        if self.event_driven && budget.quantity == Quantity::Steps {
            bail!("--budget {budget}: an event-driven run has no steps; give operations= or energy=");
        }
        let run = self.run.load()?;
        if self.event_driven {
            tickless::simulate::possible(&run)?;
        }
        // A search may take hours, and a run that cannot keep its choice is known before.
        drop(run.folder.lock_results()?);
        let mut plan = Plan::new(budget);
        (plan.limit, plan.mixed) = (self.limit, self.mixed);
        (plan.clocked, plan.event_driven) = (!self.event_driven, !self.clocked);
        let tuning = tune(&run, &run.model(&device(&global.device)?)?, &plan, console)?;
        keep(&run, &tuning)?;
        let measured_time = budget.quantity == Quantity::Ms;
        let file = run.folder.file(FILE);
        if global.json {
            return print_json(&Shown { tuning: &tuning, measured_time, file });
        }
        show(&tuning);
        if measured_time {
            say!("the times are measurements of this machine: another time it may choose otherwise");
        }
        say!("the run keeps the choice ({}); `predict`, `eval`, `simulate` and `export` use it", file.display());
        say!("next: tickless predict {} FILE", quoted(&run.folder.path().display().to_string()));
        Ok(())
    }
}

/// Prints the best point of each kind, the choice, and its results on the test part.
fn show(t: &Tuning) {
    let samples = t.chosen.samples;
    say!("budget {}, {} settings measured on {samples} validation samples", t.budget, t.tried.len());
    say!(
        "{:<58} {:>15} {:>8} {:>12} {:>10} {:>8}",
        "best of its kind",
        "% correct",
        "steps",
        "operations",
        "nJ (est.)",
        "ms"
    );
    for kind in KINDS {
        let of_kind = t.tried.iter().filter(|m| kind_of(&m.point) == kind);
        if let Some(m) = of_kind.reduce(|best, m| if t.budget.prefers(m, best) { m } else { best }) {
            let mark = match m.point == t.chosen.point {
                true => " <",
                false if !t.budget.is_met(m) => " beyond the budget",
                false => "",
            };
            say!("{}{mark}", row(m));
        }
    }
    say!("chosen: {}", t.chosen.point);
    say!("on {} test samples:", t.test.samples);
    say!("{}", row(&t.test));
    if let Some(ms) = t.ms_per_sample {
        say!("{ms:.3} ms per sample, measured on this machine");
    }
}

fn row(m: &Measured) -> String {
    let optional = |v: Option<f64>, digits: usize| v.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
    let point = m.point.to_string();
    let accuracy = with_error(m.accuracy, m.standard_error, 2);
    let (steps, ms) = (optional(m.steps, 3), optional(m.ms, 3));
    format!("{point:<58} {accuracy:>15} {steps:>8} {:>12.0} {:>10.2} {ms:>8}", m.operations, m.energy_nj)
}

/// The kinds of operating points, in the order of the table.
const KINDS: [Kind; 5] = [Kind::OneT, Kind::PerStage, Kind::Exit, Kind::EventDriven, Kind::EventDrivenExit];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OneT,
    PerStage,
    Exit,
    EventDriven,
    EventDrivenExit,
}

fn kind_of(point: &OperatingPoint) -> Kind {
    match point {
        OperatingPoint::Clocked { exit: Some(_), .. } => Kind::Exit,
        OperatingPoint::Clocked { configuration, .. } => match configuration.iter().all(|t| *t == configuration[0]) {
            true => Kind::OneT,
            false => Kind::PerStage,
        },
        OperatingPoint::EventDriven { exit: Some(_), .. } => Kind::EventDrivenExit,
        OperatingPoint::EventDriven { .. } => Kind::EventDriven,
    }
}
