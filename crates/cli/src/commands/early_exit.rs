//! `tickless eval RUN --exit RULE`: each sample stops as soon as its answer is certain enough.
//!
//! The temperature of the probabilities is fitted on the validation part. Every row is measured by
//! a run that really stops; its time is compared with passes over all steps at once.

use crate::arguments::{Global, Part, word_parser};
use crate::output::{note, print_json, say};
use crate::progress::Console;
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use tickless::simulate::decisions::FIT_SAMPLES;
use tickless_net::answers::standard_error;
use tickless_net::decision::calibration_error;
use tickless_net::{Confidence, Exit, ExitRule, InputKind, LeakRule};
use tickless_train::data::SampleId;
use tickless_train::evaluate::{OverTime, Setting, early_exit, over_time, time_of_whole_passes};
use tickless_train::model::Model;
use tickless_train::run::Loaded;

/// The options of an early exit.
#[derive(Debug, Args)]
pub struct EarlyExitArgs {
    /// Stop each sample by this rule: confidence (largest probability above α), margin (difference
    /// of the two largest above α), entropy (relative to that of equal probabilities, below α).
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = word_parser(ExitRule::WORDS),
        conflicts_with_all = ["configuration", "calibrate"])]
    exit: Vec<ExitRule>,
    /// The thresholds α, 0 to 1 (default: six for each rule).
    #[arg(long, value_name = "ALPHA", value_delimiter = ',', requires = "exit")]
    alpha: Vec<f64>,
}

/// The result, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Exits {
    part: String,
    samples: usize,
    /// T: the most steps that a sample runs.
    steps: usize,
    leak: LeakRule,
    /// Temperature g of the probabilities softmax(g·mean logits).
    gain: f64,
    /// Number of validation samples that it was fitted on; 0 if the confidence is uncalibrated.
    gain_samples: usize,
    /// Expected calibration error of the answers at T, in percentage points.
    calibration_error: f64,
    /// The same with g = 1.
    calibration_error_at_gain_1: f64,
    /// Percent correct at T.
    accuracy: f64,
    /// Milliseconds per sample of passes over all steps at once.
    ms: f64,
    rows: Vec<Row>,
}

/// The result of one rule and threshold.
#[derive(Debug, Serialize)]
struct Row {
    rule: ExitRule,
    alpha: f64,
    /// Percent correct.
    accuracy: f64,
    /// Its binomial standard error in percentage points.
    standard_error: f64,
    mean_steps: f64,
    /// For each step, the number of samples that stopped after it.
    stopped: Vec<usize>,
    /// Milliseconds per sample.
    ms: f64,
}

impl EarlyExitArgs {
    /// Whether the command line has the option.
    pub fn is_asked_for(&self) -> bool {
        !self.exit.is_empty()
    }

    /// Measures and prints. `what` are the samples, T and the leak rule.
    pub fn run(
        &self,
        run: &Loaded,
        model: &Model,
        part: Part,
        what: (&[SampleId], usize, Option<LeakRule>),
        global: &Global,
        console: &Console,
    ) -> Result<()> {
        if let Some(alpha) = self.alpha.iter().find(|a| !(0.0..=1.0).contains(*a)) {
            bail!("--alpha {alpha}: a threshold lies between 0 and 1, for instance 0.9");
        }
        let (ids, steps, leak) = what;
        let image = run.network.input().kind == InputKind::Image;
        let first = run.recipe.eval.leak.first().copied().unwrap_or(LeakRule::Step);
        let leak = if image { LeakRule::Step } else { leak.unwrap_or(first) };
        let (t_max, step_us, batch) = (run.facts.t_max, run.facts.step_us, run.recipe.eval.batch);
        let setting = |ids| Setting { source: &run.source, ids, t_max, step_us, batch };
        let validation = &run.parts.validation[..run.parts.validation.len().min(FIT_SAMPLES)];
        let gain = match validation {
            [] => 1.0,
            ids => fitted(&over_time(model, &setting(ids), steps, leak, console)?),
        };
        let all = over_time(model, &setting(ids), steps, leak, console)?;
        let error_at = |gain: f64| {
            let exit = Exit { rule: ExitRule::Confidence, alpha: 1.0, gain };
            let answer = |sample: usize| {
                let mean = all.mean(sample, steps - 1);
                (exit.quantity(mean), all.exit_of(sample, &exit).1 == all.labels[sample])
            };
            100.0 * calibration_error((0..all.labels.len()).map(answer))
        };
        let per_sample = |passed: std::time::Duration| passed.as_secs_f64() * 1e3 / ids.len() as f64;
        let mut rows = Vec::new();
        for &rule in &self.exit {
            let alphas = if self.alpha.is_empty() { defaults(rule).to_vec() } else { self.alpha.clone() };
            for alpha in alphas {
                let exit = Exit { rule, alpha, gain };
                let (exited, passed) = early_exit(model, &setting(ids), steps, leak, &exit, console)?;
                let accuracy = exited.accuracy();
                let standard_error = standard_error(exited.correct, exited.samples);
                let (mean_steps, ms) = (exited.mean_steps(), per_sample(passed));
                rows.push(Row { rule, alpha, accuracy, standard_error, mean_steps, stopped: exited.stopped, ms });
            }
        }
        let never = Exit { rule: ExitRule::Confidence, alpha: 1.0, gain };
        let result = Exits {
            part: part.to_string(),
            samples: ids.len(),
            steps,
            leak,
            gain,
            gain_samples: validation.len(),
            calibration_error: error_at(gain),
            calibration_error_at_gain_1: error_at(1.0),
            accuracy: all.exits(&never).accuracy(),
            ms: per_sample(time_of_whole_passes(model, &setting(ids), steps, leak, console)?),
            rows,
        };
        if result.gain_samples == 0 {
            note!(
                "the confidence is uncalibrated, because the run has no validation part: train with `data.validation = \
                 0.1` to get one"
            );
        }
        if global.json {
            return print_json(&result);
        }
        result.show();
        Ok(())
    }
}

/// The temperature fitted on validation samples at their last step.
fn fitted(all: &OverTime) -> f64 {
    let readout = |(sample, label): (usize, &usize)| (all.mean(sample, all.steps - 1).to_vec(), *label);
    let readouts: Vec<(Vec<f32>, usize)> = all.labels.iter().enumerate().map(readout).collect();
    Confidence::fitted(1, &readouts).gain.into()
}

fn defaults(rule: ExitRule) -> [f64; 6] {
    match rule {
        ExitRule::Confidence => [0.5, 0.7, 0.8, 0.9, 0.95, 0.99],
        ExitRule::Margin => [0.2, 0.5, 0.7, 0.8, 0.9, 0.97],
        ExitRule::Entropy => [0.5, 0.3, 0.2, 0.1, 0.05, 0.02],
    }
}

impl Exits {
    fn show(&self) {
        say!(
            "early exit, at most {} steps, leak per {}, {} {} samples",
            self.steps,
            self.leak,
            self.samples,
            self.part
        );
        match self.gain_samples {
            0 => say!(
                "calibration error {:.2} points (uncalibrated: no validation part)",
                self.calibration_error_at_gain_1
            ),
            n => say!(
                "temperature {:.3} (fitted on {n} validation samples): calibration error {:.2} points, without it {:.2}",
                self.gain,
                self.calibration_error,
                self.calibration_error_at_gain_1
            ),
        }
        say!(
            "{:>11} {:>6} {:>15} {:>11} {:>10} {:>9} {:>7}",
            "rule",
            "α",
            "% correct",
            "mean steps",
            "ms/sample",
            "speed-up",
            "ideal"
        );
        for r in &self.rows {
            say!(
                "{:>11} {:>6} {:>15} {:>11.3} {:>10.3} {:>8.2}× {:>6.2}×",
                r.rule,
                r.alpha,
                format!("{:.2} ± {:.2}", r.accuracy, r.standard_error),
                r.mean_steps,
                r.ms,
                self.ms / r.ms,
                self.steps as f64 / r.mean_steps
            );
        }
        say!("{:>11} {:>6} {:>15.2} {:>11} {:>10.3}", "all steps", "", self.accuracy, self.steps, self.ms);
    }
}
