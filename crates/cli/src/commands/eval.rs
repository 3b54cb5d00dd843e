//! `tickless eval RUN --steps 1..20`: evaluates one set of weights at every T.

use super::answers::show_answers;
use super::cost::show_cost;
use super::early_exit::EarlyExitArgs;
use crate::arguments::{ChoiceArgs, Global, Part, PeriodArg, RunArgs, check_leak, word_parser};
use crate::output::{check_output, print_json, say};
use crate::progress::Console;
use crate::report::{MISSING, with_error};
use crate::results::{Asked, Evaluation, StoredAnswers, count_operations, keep_evaluation, leaks, write_samples};
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use tickless::answers;
use tickless::temperature::fit_samples;
use tickless::tune::measure::measure;
use tickless::tune::{Budget, Measured, Tuning};
use tickless_kernels::Precision;
use tickless_net::LeakRule;
use tickless_net::recipe::LARGEST_STEPS;
use tickless_train::data::SampleId;
use tickless_train::device::device;
use tickless_train::evaluate::{Answered, Setting, activity_and_cost};
use tickless_train::model::{Model, check_configuration};
use tickless_train::run::Loaded;

/// Evaluate a run at many numbers of time steps.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless eval runs/nmnist-mtt-seed1                       at the recipe's steps
  tickless eval runs/nmnist-mtt-seed1 --steps 1..20         ranges include both ends
  tickless eval runs/nmnist-mtt-seed1 --steps 1,2,5..8,200 --leak time
  tickless eval runs/nmnist-mtt-seed1 --configuration 10,3,1   each stage at its own T
  tickless eval runs/nmnist-mtt-seed1 --steps 10,300 --leak time --refractory 0.5
  tickless eval runs/nmnist-mtt-seed1 --json                confusion matrix at every T
  tickless eval runs/nmnist-mtt-seed1 --samples answers.csv   every sample at every T
  tickless eval runs/nmnist-mtt-seed1 --exit confidence          each sample stops when sure enough
  tickless eval runs/nmnist-mtt-seed1 --exit margin,entropy --alpha 0.2,0.5,0.9 --steps 6 -o exits
  tickless eval runs/nmnist-mtt-seed1 --exit margin --samples exits.csv
  tickless eval runs/cifar10-resnet18-mtt-seed1000 --calibrate   batch norm calibrated at every T
  tickless eval runs/cifar10-resnet18-mtt-seed1000 --configuration 4,2,1 --calibrate

Recordings are cut anew into T frames. The leak belongs to the step (`step`, the paper) or to time
(`time`: the time constant stays); both are shown unless one is asked for. The statistics of batch
norm are those of T_max; recordings cut into far fewer frames have more events in each, and want
`--calibrate`.

The confidence of each T and mixed configuration has its own temperature, fitted on the validation
part, which the run keeps; `predict` has the same.

The run keeps what was measured on its whole test part (`eval.json`); a later evaluation at
other T or mixed configurations is added to it, and one at the same T replaces it. If the run
keeps a choice of `tickless tune`, that is measured too, unless an option asks for other settings.")]
pub struct Eval {
    #[command(flatten)]
    run: RunArgs,
    /// Numbers of time steps: 1,2,5..8 (ranges include both ends).
    #[arg(long)]
    steps: Option<String>,
    /// A mixed configuration: one number of steps per stage; may be given often.
    #[arg(long, visible_alias = "mixed", value_name = "T1,T2,..")]
    configuration: Vec<String>,
    /// What the leak belongs to.
    #[arg(long, value_parser = word_parser(LeakRule::WORDS))]
    leak: Option<LeakRule>,
    /// Which samples.
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// At most this many samples (0 for all).
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Calibrate batch norm anew for every T and mixed configuration, on training data cut into as
    /// many frames.
    #[arg(long, conflicts_with = "exit")]
    calibrate: bool,
    /// Run single-spike neurons with this refractory period, in steps of T_max; `none` for no
    /// period. A period of at most 1 step changes a result only if T is above T_max and the leak
    /// belongs to time.
    #[arg(long, value_name = "STEPS")]
    refractory: Option<String>,
    /// Write the answer to each sample at each T as CSV: file, label, class, confidence, right; with
    /// --exit, for each rule and threshold, also the step at which it stopped.
    #[arg(long, value_name = "FILE.csv")]
    samples: Option<PathBuf>,
    #[command(flatten)]
    exits: EarlyExitArgs,
    #[command(flatten)]
    choice: ChoiceArgs,
}

/// The evaluation, with the results of the setting that `tickless tune` has chosen.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    #[serde(skip_serializing_if = "Option::is_none")]
    tuned: Option<TunedPoint>,
}

/// A chosen setting on the evaluated samples.
#[derive(Serialize)]
struct TunedPoint {
    budget: Budget,
    #[serde(flatten)]
    measured: Measured,
}

impl Eval {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let configurations = self.configuration.iter().map(|text| steps(text)).collect::<Result<Vec<_>>>()?;
        let asked = self.steps.as_ref().map(|text| steps(text)).transpose()?;
        if let Some(file) = &self.samples {
            check_output("--samples", file)?;
        }
        let mut run = self.run.load()?;
        if let Some(word) = &self.refractory {
            PeriodArg::parse(word)?.apply(&mut run)?;
        }
        for c in &configurations {
            check_configuration(&run.network, c)?;
        }
        check_leak(&run, self.leak)?;
        let model = run.model(&device(&global.device)?)?;
        let ids = self.part.of(&run.parts, self.limit);
        if ids.is_empty() {
            bail!("the {} part of this run is empty", self.part);
        }
        let (t_max, step_us, batch) = (run.facts.t_max, run.facts.step_us, run.recipe.eval.batch);
        let setting = Setting { source: &run.source, ids, t_max, step_us, batch };
        if self.calibrate && model.running.is_empty() {
            bail!("network `{}` has no batch norm: leave out `--calibrate`", run.facts.network);
        }
        if self.exits.is_asked_for() {
            let steps = match (asked.as_deref(), &configurations[..]) {
                (None, []) => t_max,
                (Some([steps]), []) => *steps,
                (None, [equal]) if equal.iter().all(|t| *t == equal[0]) => equal[0],
                (_, []) => bail!("an early exit has one largest T: give one number to --steps"),
                _ => bail!(
                    "an early exit stops all stages at the same step, so they need the same number of steps: give \
                     --steps T without --configuration"
                ),
            };
            let changed = self.refractory.is_some();
            let (what, shown) = ((ids, steps, self.leak), (self.part, self.samples.as_deref()));
            return self.exits.run((&run, changed), &model, shown, what, global, console);
        }
        let calibration = self.calibrate.then(|| run.calibration(None));
        let wanted = self.leak.map_or_else(|| run.recipe.eval.leak.clone(), |leak| vec![leak]);
        let leaks = leaks(run.network.input().kind, &wanted);
        let mut settings: Vec<(Vec<usize>, LeakRule)> =
            configurations.iter().flat_map(|c| leaks.iter().map(|leak| (c.clone(), *leak))).collect();
        if self.configuration.is_empty() || asked.is_some() {
            let mut steps = asked.unwrap_or_else(|| run.recipe.eval.steps.clone());
            let mut seen = std::collections::HashSet::new();
            steps.retain(|t| seen.insert(*t));
            settings.extend(leaks.iter().flat_map(|leak| steps.iter().map(|t| (vec![*t], *leak))));
        }
        let how = (self.refractory.is_some(), calibration.as_ref());
        let mut all = answers(&run, &model, ids, &settings, how, console)?;
        if let Some(file) = &self.samples {
            write_samples(file, &run, ids, &all.iter().map(asked_of).collect::<Vec<_>>())?;
        }
        if !self.calibrate {
            count_operations(&model, &setting, &mut all, console)?;
        }
        let cost = activity_and_cost(&model, &setting, t_max, LeakRule::Step, console)?;
        let points = all.iter().map(|a| a.point.clone()).collect();
        let result = Evaluation::of(&run, &model, self.part, points, cost, fit_samples(&run).len());
        let tuned = self.tuned(&run, &model, ids, console)?;
        // The run keeps its results only for the whole test part at full precision; other results
        // are only printed.
        if result.is_whole(&run) && !self.calibrate && self.refractory.is_none() {
            keep_evaluation(&run, result.clone(), StoredAnswers::of(&run, &all), console)?;
        }
        if global.json {
            return print_json(&Shown { evaluation: &result, tuned });
        }
        say!(
            "{} on {} {} samples{} ({}, T_max {t_max})",
            run.facts.network,
            of_all(ids.len(), self.part.of(&run.parts, 0).len()),
            self.part,
            if model.precision() == Precision::F32 { String::new() } else { format!(" at {}", model.precision()) },
            run.facts.origin()
        );
        say!(
            "{:>16}  {:>6}  {:>10}  {:>6}  {:>14}  {:>17}  {:>8}",
            "T",
            "leak",
            "% correct",
            "±",
            "% in the top 5",
            "calibration error",
            "loss"
        );
        for p in &result.points {
            let t: Vec<String> = p.configuration.iter().map(usize::to_string).collect();
            let top = p.answers.as_ref().and_then(|a| a.top5);
            let top = top.map_or(MISSING.to_owned(), |s| with_error(s.accuracy, s.standard_error, 2));
            let error = p.answers.as_ref().map_or(f64::NAN, |a| a.calibration.expected_calibration_error);
            let sure = p.standard_error.map_or(MISSING.to_owned(), |e| format!("{e:.2}"));
            say!(
                "{:>16}  {:>6}  {:>10.2}  {sure:>6}  {top:>14}  {error:>17.2}  {:>8.4}",
                t.join(","),
                p.leak,
                p.accuracy,
                p.loss
            );
        }
        if let Some((point, answers)) = result.shown_point(t_max).and_then(|p| Some((p, p.answers.as_ref()?))) {
            let t: Vec<String> = point.configuration.iter().map(usize::to_string).collect();
            show_answers(&format!("T = {}", t.join(",")), &result.class_names, answers, result.gain_samples);
        }
        if let Some(TunedPoint { budget, measured }) = &tuned {
            let accuracy = with_error(measured.accuracy, measured.standard_error, 2);
            say!("chosen by `tune` for {budget}: {}", measured.point);
            say!("  {accuracy} % correct, {:.0} synaptic operations", measured.operations);
        }
        say!("{:>16}  {:>8}  {:>22}", "layer", "neurons", "spikes/neuron at T_max");
        for l in &result.activity {
            say!("{:>16}  {:>8}  {:>22.4}{}", l.layer, l.neurons, l.rate(), if l.silent() { "  SILENT" } else { "" });
        }
        if let Some(cost) = &result.neurobench {
            show_cost(t_max, cost, &result.energy);
        }
        Ok(())
    }
}

impl Eval {
    /// The results of the chosen setting, if the run keeps a choice and no option asks for another
    /// setting.
    fn tuned(&self, run: &Loaded, model: &Model, ids: &[SampleId], console: &Console) -> Result<Option<TunedPoint>> {
        let asked = self.steps.is_some() || !self.configuration.is_empty() || self.leak.is_some();
        if asked || self.calibrate || self.refractory.is_some() {
            return Ok(None);
        }
        let Some(Tuning { budget, chosen, .. }) = self.choice.kept(run)? else { return Ok(None) };
        let measured = measure(run, model, ids, &chosen.point, console)?;
        Ok(Some(TunedPoint { budget, measured }))
    }
}

/// The answers at one configuration, for a table of samples.
fn asked_of(a: &Answered) -> Asked<'_> {
    Asked::of(&a.point.configuration, Some(a.point.leak), &a.answers)
}

/// `40`, or `7 of 40` if not all.
fn of_all(some: usize, all: usize) -> String {
    if some == all { all.to_string() } else { format!("{some} of {all}") }
}

/// Parses `1,2,5..8` as a list; ranges include both ends.
pub(super) fn steps(text: &str) -> Result<Vec<usize>> {
    let number = |s: &str| match s.trim().parse::<usize>() {
        Ok(0) => bail!("T = 0 in `{text}`: a network runs at least 1 time step"),
        Ok(n) if n > LARGEST_STEPS => bail!("T = {n} in `{text}`: a network runs at most {LARGEST_STEPS} time steps"),
        Ok(n) => Ok(n),
        Err(_) => bail!("`{s}` in `{text}` is not a number of time steps; write e.g. 1,2,5..8"),
    };
    let mut all = Vec::new();
    for word in text.split(',') {
        match word.split_once("..") {
            Some((a, b)) => {
                let (a, b) = (number(a)?, number(b.trim_start_matches('='))?);
                if a > b {
                    bail!("the range `{word}` is empty: {a} is greater than {b}");
                }
                all.extend(a..=b);
            }
            None => all.push(number(word)?),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn ranges_include_both_ends_and_nonsense_is_named() {
        assert_eq!(steps("1,3..5,20").unwrap(), [1, 3, 4, 5, 20]);
        for bad in ["0", "5..3", "x", "1..", ""] {
            assert!(steps(bad).is_err(), "{bad}");
        }
    }
}
