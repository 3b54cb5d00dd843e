//! `tickless study`: measures of finished runs. `no-clock` measures what a refractory period, or
//! another lower limit, does to accuracy and spikes, with and without a clock; `chip.rs` and
//! `robustness.rs` have the other two.

use super::chip::ChipArgs;
use super::robustness::RobustnessArgs;
use super::studied_runs::{MeasuredRow, StudiedRuns, measured};
use crate::arguments::Global;
use crate::gather::{Interval, mean};
use crate::output::{check_output_folder, print_json, say};
use crate::progress::Console;
use crate::report::{self, NoClockLine, NoClockPoint};
use crate::results::{Finished, stored};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tickless::simulate::no_clock::{NoClock, Plan, Row};
use tickless::simulate::possible;
use tickless::simulate::tune::Knob;
use tickless_net::recipe::LARGEST_STEPS;
use tickless_train::device::{Device, device};
use tickless_train::run::RunFolder;

/// Measure a property of finished runs: the loss without a clock, or the distance to a chip.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless compare recipes/studies/no-clock.toml --data ~/data/nmnist --folds 5 --seeds 1,2,3
  tickless study no-clock runs/no-clock/*-fold* -o runs/no-clock/study
  tickless study no-clock runs/no-clock/*-fold* --steps 1,10,100,300,1000 --json
  tickless study chip runs/cnn_sinabs --counts speck_counts.csv -o runs/cnn_sinabs/chip
  tickless study chip runs/cnn_sinabs --counts speck_counts.csv --published docs/chip-nmnist.csv --steps 10,300
  tickless study robustness runs/nmnist-sdt-seed1 runs/nmnist-mtt-seed1 -o robustness

`no-clock` and `robustness`: every run keeps what was measured (`no-clock.json` and
`robustness.json`), so the same command continues where it was stopped. `chip`: which settings of
the engine (8 bit, lower limit, order, service time, queue, jitter) come nearest to spikes that
were measured on a chip; docs/chip.md has an example. The weights do not change. All event-driven
numbers are this simulator's; only the counts and accuracies that you give are a chip's.")]
pub struct Study {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Refractory periods of single-spike neurons (lower limits of multi-spike ones), event-driven
    /// and at every T.
    NoClock(NoClockArgs),
    /// The engine's spikes beside those measured on a chip, for every setting of the engine, and
    /// accuracies event-driven and clocked.
    Chip(ChipArgs),
    /// Noise on weights and inputs, lost and moved events, and gradient norms.
    Robustness(RobustnessArgs),
}

#[derive(Debug, Args)]
struct NoClockArgs {
    #[command(flatten)]
    runs: StudiedRuns,
    /// Values: periods in steps of T_max (default: none,0.25,0.5,0.75,1), or limits in thresholds
    /// (default: -1,-3,-5,-10,-30,none).
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    values: Vec<String>,
    /// Numbers of steps to run clocked, with the leak per time, besides T_max.
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10,100,300")]
    steps: Vec<usize>,
    /// The values that run clocked at all these steps (default: the first and the last value).
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    clocked: Vec<String>,
    /// Folder for the table (`no-clock.json`) and the picture; without it they are not written.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// The study of all runs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Studied {
    knob: Knob,
    t_max: usize,
    groups: Vec<GroupResult>,
}

/// The results of one row of runs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct GroupResult {
    name: String,
    strategy: String,
    runs: usize,
    /// The value with the highest mean accuracy on the validation parts (of equals, the one with
    /// the fewest synaptic operations); missing if a run has no validation part.
    chosen: Option<Value>,
    values: Vec<ValueResult>,
}

/// A value; a period or limit that is absent is `none`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Value(Option<f64>);

/// A mean over runs, and the standard error of the mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Mean {
    mean: f64,
    standard_error: Option<f64>,
}

/// The results of one value, means over the runs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ValueResult {
    value: Value,
    event_driven: Mean,
    validation: Option<Mean>,
    quantised: Option<Mean>,
    clocked_at_t_max: Mean,
    /// Percentage points from clocked at T_max to event-driven, both with this value, paired.
    lost: Interval,
    /// The same for 8 bit.
    lost_quantised: Option<Interval>,
    spikes: f64,
    synaptic_operations: f64,
    clocked: Vec<ClockedMean>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ClockedMean {
    steps: usize,
    accuracy: Mean,
    spikes: f64,
}

impl Study {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        match self.what {
            What::NoClock(args) => args.run(global, console),
            What::Chip(args) => args.run(global, console),
            What::Robustness(args) => args.run(global, console),
        }
    }
}

impl NoClockArgs {
    fn run(self, global: &Global, console: &Console) -> Result<()> {
        if let Some(t) = self.steps.iter().find(|t| !(1..=LARGEST_STEPS).contains(*t)) {
            bail!("--steps {t}: a network runs 1 to {LARGEST_STEPS} time steps");
        }
        if let Some(folder) = &self.output {
            check_output_folder("--output", folder)?;
        }
        let mut groups = self.runs.open(console)?;
        groups.iter().flat_map(|g| &g.runs).try_for_each(|f| possible(&f.run))?;
        let all = || groups.iter().flat_map(|g| &g.runs).map(|f| &f.run);
        let Some(first) = all().next() else { bail!("there is no run to study") };
        let (knob, t_max) = (Knob::of(&first.network), first.facts.t_max);
        ensure!(
            all().all(|r| Knob::of(&r.network) == knob && r.facts.t_max == t_max),
            "the runs differ in T_max or in the kind of neuron (single-spike, multi-spike): study them apart"
        );
        let plan = self.plan(knob)?;
        let device = device(&global.device)?;
        let rows = measured(&mut groups, console, |f| measure(f, &device, &plan, console))?;
        let results = rows.iter().map(|row| group_result(row, t_max, &plan)).collect::<Result<_>>()?;
        let studied = Studied { knob, t_max, groups: results };
        let pictures = match &self.output {
            Some(folder) => write(&studied, &plan, folder)?,
            None => Vec::new(),
        };
        if global.json {
            return print_json(&studied);
        }
        studied.show();
        if let Some(svg) = pictures.first() {
            say!("picture: {}", svg.display());
        }
        Ok(())
    }

    fn plan(&self, knob: Knob) -> Result<Plan> {
        let parse = |words: &[String]| words.iter().map(|w| value(knob, w)).collect::<Result<Vec<_>>>();
        let values = if self.values.is_empty() { knob.values().to_vec() } else { parse(&self.values)? };
        let clocked = match self.clocked.as_slice() {
            [] => values.first().into_iter().chain(values.last()).copied().collect(),
            words => parse(words)?,
        };
        if let Some(v) = clocked.iter().find(|v| !values.contains(v)) {
            bail!("--clocked {}: is not one of the values; add it to --values", Value(*v));
        }
        let mut steps = self.steps.clone();
        steps.sort_unstable();
        steps.dedup();
        Ok(Plan { values, steps, clocked })
    }
}

/// Parses a value of `--values` and `--clocked`.
fn value(knob: Knob, word: &str) -> Result<Option<f64>> {
    let word = word.trim();
    if word == "none" {
        return Ok(None);
    }
    match (knob, word.parse::<f64>()) {
        (Knob::Refractory, Ok(v)) if v > 0.0 && v.is_finite() => Ok(Some(v)),
        (Knob::LowerLimit, Ok(v)) if v <= 0.0 && v.is_finite() => Ok(Some(v)),
        (Knob::Refractory, _) => {
            bail!("`{word}` is no refractory period: give steps above 0, for instance 0.5, or none")
        }
        (Knob::LowerLimit, _) => {
            bail!("`{word}` is no lower limit: give thresholds of at most 0, for instance -30, or none")
        }
    }
}

/// Measures what a run lacks and stores it in the run's folder.
fn measure(f: &mut Finished, device: &Device, plan: &Plan, console: &Console) -> Result<NoClock> {
    let kept = stored::no_clock(&f.run)?;
    let mut store = |run: &tickless_train::run::Loaded, found: &NoClock| -> tickless::Result<()> {
        let _lock = run.folder.lock_results()?;
        Ok(run.folder.write_result(stored::NO_CLOCK, found)?)
    };
    Ok(NoClock::measure(&mut f.run, device, plan, kept, console, console.stop_flag(), &mut store)?)
}

fn group_result(row: &MeasuredRow<NoClock>, t_max: usize, plan: &Plan) -> Result<GroupResult> {
    let MeasuredRow { name, strategy, runs } = row;
    let over = |values: &[f64]| {
        let (mean, standard_error) = mean(values);
        Mean { mean, standard_error }
    };
    let mut values = Vec::new();
    for &value in &plan.values {
        let rows: Vec<&Row> = runs.iter().filter_map(|r| r.row(value)).collect();
        let each = |f: &dyn Fn(&Row) -> Option<f64>| -> Option<Vec<f64>> { rows.iter().map(|r| f(r)).collect() };
        let at = |r: &Row, steps: usize| r.clocked.iter().find(|c| c.steps == steps).map(|c| c.accuracy);
        let event_driven: Vec<f64> = rows.iter().map(|r| r.event_driven.accuracy).collect();
        let quantised = each(&|r| r.quantised.map(|q| q.accuracy));
        let Some(clocked) = each(&|r| at(r, t_max)) else { bail!("{name}: a run lacks its result at T = {t_max}") };
        let lost = |results: &[f64]| Interval::of(&clocked.iter().zip(results).map(|(c, e)| c - e).collect::<Vec<_>>());
        let mut all_steps: Vec<usize> = plan.steps.clone();
        all_steps.push(t_max);
        all_steps.sort_unstable();
        all_steps.dedup();
        let mut means = Vec::new();
        for steps in all_steps {
            let point = |r: &Row| r.clocked.iter().find(|c| c.steps == steps).cloned();
            let Some(points) = rows.iter().map(|r| point(r)).collect::<Option<Vec<_>>>() else { continue };
            means.push(ClockedMean {
                steps,
                accuracy: over(&points.iter().map(|p| p.accuracy).collect::<Vec<_>>()),
                spikes: mean(&points.iter().map(|p| p.spikes).collect::<Vec<_>>()).0,
            });
        }
        values.push(ValueResult {
            value: Value(value),
            event_driven: over(&event_driven),
            validation: each(&|r| r.validation.map(|v| v.accuracy)).map(|v| over(&v)),
            lost: lost(&event_driven),
            lost_quantised: quantised.as_deref().map(lost),
            quantised: quantised.map(|q| over(&q)),
            clocked_at_t_max: over(&clocked),
            spikes: mean(&rows.iter().map(|r| r.event_driven.spikes).collect::<Vec<_>>()).0,
            synaptic_operations: mean(&rows.iter().map(|r| r.event_driven.synaptic_operations).collect::<Vec<_>>()).0,
            clocked: means,
        });
    }
    let validated: Option<Vec<(Value, f64, f64)>> =
        values.iter().map(|v| Some((v.value, v.validation?.mean, v.synaptic_operations))).collect();
    let better = |a: &(Value, f64, f64), b: &(Value, f64, f64)| a.1 > b.1 || (a.1 == b.1 && a.2 < b.2);
    let chosen = validated.and_then(|all| all.into_iter().reduce(|best, v| if better(&v, &best) { v } else { best }));
    Ok(GroupResult {
        name: name.clone(),
        strategy: strategy.clone(),
        runs: runs.len(),
        chosen: chosen.map(|c| c.0),
        values,
    })
}

/// Writes the table and the picture; returns the files of the picture.
fn write(studied: &Studied, plan: &Plan, folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    RunFolder::at(folder).write_json(stored::NO_CLOCK, studied)?;
    let mut lines = Vec::new();
    for g in &studied.groups {
        for v in g.values.iter().filter(|v| plan.clocked.contains(&v.value.0)) {
            let points = v.clocked.iter().map(|c| NoClockPoint {
                steps: Some(c.steps),
                accuracy: c.accuracy.mean,
                standard_error: c.accuracy.standard_error,
                spikes: c.spikes,
            });
            let end = NoClockPoint {
                steps: None,
                accuracy: v.event_driven.mean,
                standard_error: v.event_driven.standard_error,
                spikes: v.spikes,
            };
            lines.push(NoClockLine {
                name: g.name.clone(),
                strategy: g.strategy.clone(),
                value: studied.words(v.value),
                points: points.chain([end]).collect(),
            });
        }
    }
    Ok(report::write_no_clock(&lines, studied.t_max, folder)?)
}

impl Studied {
    /// A value in words.
    fn words(&self, value: Value) -> String {
        match (self.knob, value.0) {
            (Knob::Refractory, None) => "no refractory period".into(),
            (Knob::Refractory, Some(v)) => format!("refractory period {v} step{}", if v == 1.0 { "" } else { "s" }),
            (Knob::LowerLimit, None) => "no lower limit".into(),
            (Knob::LowerLimit, Some(v)) => format!("lower limit {v} θ"),
        }
    }

    fn show(&self) {
        let t = self.t_max;
        let what = match self.knob {
            Knob::Refractory => "refractory period in steps of T_max",
            Knob::LowerLimit => "lower limit in thresholds",
        };
        for g in &self.groups {
            say!("{}: {}, {what} (event-driven: simulator)", g.name, runs(g.runs));
            let clocked = format!("clocked T = {t}");
            say!(
                "{:>8} {clocked:>16} {:>14} {:>22} {:>14} {:>14} {:>12} {:>16}",
                "value",
                "event-driven",
                "lost, 95 % interval",
                "validation",
                "8 bit",
                "spikes",
                "synaptic ops"
            );
            for v in &g.values {
                let mark = if g.chosen == Some(v.value) { " < chosen on the validation part" } else { "" };
                let shown = |m: Option<Mean>| m.map_or("–".to_owned(), with_error);
                let word = v.value.to_string();
                say!(
                    "{word:>8} {:>16} {:>14} {:>22} {:>14} {:>14} {:>12.0} {:>16.0}{mark}",
                    with_error(v.clocked_at_t_max),
                    with_error(v.event_driven),
                    interval(v.lost),
                    shown(v.validation),
                    shown(v.quantised),
                    v.spikes,
                    v.synaptic_operations
                );
            }
            for v in g.values.iter().filter(|v| v.clocked.len() > 1) {
                say!("  {}, clocked with the leak per time:", self.words(v.value));
                for c in &v.clocked {
                    say!("{:>8} {:>16} {:>12.0} spikes", format!("T = {}", c.steps), with_error(c.accuracy), c.spikes);
                }
            }
            if g.chosen.is_none() {
                say!("no value is chosen, because a run has no validation part (`data.validation`)");
            }
        }
    }
}

fn runs(n: usize) -> String {
    if n == 1 { "1 run".to_owned() } else { format!("{n} runs") }
}

fn with_error(m: Mean) -> String {
    match m.standard_error {
        Some(e) => format!("{:.2} ± {e:.2}", m.mean),
        None => format!("{:.2}", m.mean),
    }
}

fn interval(i: Interval) -> String {
    match i.half_width {
        Some(w) => format!("{:+.2} ({:+.2}..{:+.2})", i.mean, i.mean - w, i.mean + w),
        None => format!("{:+.2}", i.mean),
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(v) => write!(f, "{v}"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_str("none"),
            Some(v) => serializer.serialize_f64(v),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(v) => Ok(Self(Some(v))),
            Written::Word(w) if w == "none" => Ok(Self(None)),
            Written::Word(w) => Err(serde::de::Error::custom(format!("`{w}` is no value of a study"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(validation: [f64; 2], test: [f64; 2]) -> NoClock {
        let score = |accuracy: f64, operations: f64| serde_json::json!({"accuracy": accuracy, "correct": 1, "samples": 2, "spikes": 3.0, "synaptic_operations": operations});
        let row = |k: usize, value: serde_json::Value| {
            serde_json::json!({
                "value": value, "event_driven": score(test[k], 9.0 - k as f64), "validation": score(validation[k], 1.0),
                "quantised": null,
                "clocked": [{"steps": 4, "accuracy": 90.0, "correct": 1, "samples": 2, "spikes": 5.0}],
            })
        };
        let json = serde_json::json!({
            "knob": "refractory", "weights": "w", "rows": [row(0, serde_json::Value::Null), row(1, 0.5.into())],
        });
        serde_json::from_value(json).unwrap()
    }

    fn row(runs: Vec<NoClock>) -> MeasuredRow<NoClock> {
        MeasuredRow { name: "MTT".into(), strategy: "MTT".into(), runs }
    }

    fn plan() -> Plan {
        Plan { values: vec![None, Some(0.5)], steps: vec![1], clocked: vec![] }
    }

    #[test]
    fn the_value_is_chosen_on_the_validation_part_and_of_equals_the_cheapest_wins() {
        let chosen = |runs: Vec<NoClock>| group_result(&row(runs), 4, &plan()).unwrap().chosen.unwrap().0;
        assert_eq!(chosen(vec![run([80.0, 70.0], [10.0, 99.0])]), None, "the test part is not asked");
        let two = vec![run([80.0, 70.0], [0.0; 2]), run([50.0, 70.0], [0.0; 2])];
        assert_eq!(chosen(two), Some(0.5), "means over runs");
        assert_eq!(chosen(vec![run([80.0, 80.0], [0.0; 2])]), Some(0.5));
    }

    #[test]
    fn the_loss_is_paired_over_runs_and_a_run_without_its_clocked_result_is_named() {
        let two = || row(vec![run([0.0; 2], [80.0, 90.0]), run([0.0; 2], [84.0, 89.0])]);
        let g = group_result(&two(), 4, &plan()).unwrap();
        assert_eq!(g.values[0].lost.mean, 8.0);
        assert_eq!((g.values[1].lost.mean, g.values[1].lost.pairs), (0.5, 2));
        assert!(group_result(&two(), 5, &plan()).is_err());
    }

    #[test]
    fn values_are_periods_or_limits_and_nothing_else() {
        assert_eq!(value(Knob::Refractory, "0.5").unwrap(), Some(0.5));
        assert_eq!(value(Knob::LowerLimit, " -30").unwrap(), Some(-30.0));
        assert_eq!(value(Knob::Refractory, "none").unwrap(), None);
        for (knob, word) in
            [(Knob::Refractory, "-1"), (Knob::Refractory, "0"), (Knob::LowerLimit, "2"), (Knob::LowerLimit, "nan")]
        {
            assert!(value(knob, word).is_err(), "{word}");
        }
    }
}
