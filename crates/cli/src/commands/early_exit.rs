//! `tickless eval RUN --exit RULE` and `simulate RUN --exit RULE`: each sample stops as soon as its
//! answer is certain enough, at time steps or event by event.
//!
//! The temperature of the probabilities and the policy of a learned exit are fitted on the validation
//! part. Every row is measured by a run that really stops; its time is compared with passes over all
//! steps at once.

use crate::arguments::{Global, Part, word_parser};
use crate::output::{check_output_folder, note, print_json, say};
use crate::progress::Console;
use crate::report::{self, ExitLine, ExitPoint, with_error};
use crate::results::{Asked, Row as SampleRow, Spent, write_samples};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use tickless::exits::{exits, exits_of_changed};
use tickless::tune::Measured;
use tickless::tune::measure::{event_driven, stops};
use tickless::{ExitAt, OperatingPoint};
use tickless_engine::Stop;
use tickless_net::answers::standard_error;
use tickless_net::decision::calibration_error;
use tickless_net::{Exit, ExitPolicy, ExitRule, InputKind, LeakRule, Rule};
use tickless_train::data::SampleId;
use tickless_train::evaluate::{Setting, early_exit, fastest, over_time_with_operations, time_of_whole_passes};
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The options of an early exit.
#[derive(Debug, Args)]
pub struct EarlyExitArgs {
    /// Stop each sample by this rule: confidence (largest probability above α), margin (difference
    /// of the two largest above α), entropy (relative to that of equal probabilities, below α), learned
    /// (probability that stopping loses nothing, learned on the validation part, above α).
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = word_parser(ExitRule::WORDS))]
    exit: Vec<ExitRule>,
    /// The thresholds α, 0 to 1 (default: six for each rule).
    #[arg(long, value_name = "ALPHA", value_delimiter = ',', requires = "exit")]
    alpha: Vec<f64>,
    /// Folder for a picture of the exits (`early-exit.svg` and `.png`): accuracy against cost.
    #[arg(long, short, value_name = "FOLDER", requires = "exit")]
    output: Option<PathBuf>,
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
    /// Mean synaptic operations of a sample at T.
    operations: f64,
    /// Milliseconds per sample of passes over all steps at once.
    ms: f64,
    /// The policy of the learned exit, if it is one of the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<ExitPolicy>,
    rows: Vec<Row>,
}

/// The result of one rule and threshold.
#[derive(Debug, Serialize)]
struct Row {
    rule: ExitRule,
    alpha: f64,
    /// Percent correct.
    accuracy: f64,
    /// Its binomial standard error in percentage points; null if all answers are right or all are wrong.
    standard_error: Option<f64>,
    mean_steps: f64,
    /// Mean synaptic operations of a sample.
    operations: f64,
    /// Their estimated energy in nJ (45 nm).
    energy_nj: f64,
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

    /// Checks the thresholds and the folder before the first sample.
    pub fn check(&self) -> Result<()> {
        if let Some(alpha) = self.alpha.iter().find(|a| !(0.0..=1.0).contains(*a)) {
            bail!("--alpha {alpha}: a threshold lies between 0 and 1, for instance 0.9");
        }
        self.output.as_deref().map_or(Ok(()), |folder| check_output_folder("--output", folder))
    }

    /// The exits that the options ask for, rule after rule.
    pub fn exits(&self) -> Vec<ExitAt> {
        let alphas = |rule| if self.alpha.is_empty() { defaults(rule).to_vec() } else { self.alpha.clone() };
        self.exit.iter().flat_map(|&rule| alphas(rule).into_iter().map(move |alpha| ExitAt { rule, alpha })).collect()
    }

    /// Draws the picture if it is asked for: the exits with their results, and the run without one.
    pub fn draw(&self, points: &[(ExitAt, ExitPoint)], whole: ExitPoint, time: &str) -> Result<()> {
        let Some(folder) = &self.output else { return Ok(()) };
        let of = |rule: &ExitRule| points.iter().filter(|(exit, _)| exit.rule == *rule).map(|p| p.1).collect();
        let lines: Vec<ExitLine> =
            self.exit.iter().map(|rule| ExitLine { name: rule.to_string(), points: of(rule) }).collect();
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        for picture in report::write_early_exit(&lines, whole, time, folder)? {
            note!("picture: {}", picture.display());
        }
        Ok(())
    }

    /// Measures and prints. `what` are the samples, T and the leak rule; `is_changed` says that the
    /// network of the run was changed in memory. `file` gets the answer to each sample at each exit.
    pub fn run(
        &self,
        (run, is_changed): (&Loaded, bool),
        model: &Model,
        (part, file): (Part, Option<&Path>),
        what: (&[SampleId], usize, Option<LeakRule>),
        global: &Global,
        console: &Console,
    ) -> Result<()> {
        self.check()?;
        let (ids, steps, leak) = what;
        let image = run.network.input().kind == InputKind::Image;
        let first = run.recipe.eval.leak.first().copied().unwrap_or(LeakRule::Step);
        let leak = if image { LeakRule::Step } else { leak.unwrap_or(first) };
        let (t_max, step_us, batch) = (run.facts.t_max, run.facts.step_us, run.recipe.eval.batch);
        let setting = Setting { source: &run.source, ids, t_max, step_us, batch };
        let point = OperatingPoint::steps(&run.network, steps, leak);
        let fit = if is_changed { exits_of_changed } else { exits };
        let found = fit(run, model, &point, &self.exits(), console)?;
        let gain = found.temperature.gain;
        let all = over_time_with_operations(model, &setting, steps, leak, console)?;
        let error_at = |gain: f64| {
            let exit = Exit { rule: Rule::Confidence, alpha: 1.0, gain };
            let answer = |sample: usize| {
                let mean = all.mean(sample, steps - 1);
                (exit.quantity(mean, steps as f64), all.exit_of(sample, &exit).1 == all.labels[sample])
            };
            100.0 * calibration_error((0..all.labels.len()).map(answer))
        };
        let per_sample = |passed: std::time::Duration| passed.as_secs_f64() * 1e3 / ids.len() as f64;
        let mut rows = Vec::new();
        for &(ExitAt { rule, alpha }, exit) in &found.all {
            let (exited, passed) = fastest(|| early_exit(model, &setting, steps, leak, &exit, console))?;
            let accuracy = exited.accuracy();
            let standard_error = standard_error(exited.correct, exited.samples);
            let (mean_steps, ms) = (exited.mean_steps(), per_sample(passed));
            let counted = all.exits(&exit).operations.unwrap_or_default();
            let (operations, energy_nj) = (counted.total(), counted.energy_nj());
            let stopped = exited.stopped;
            rows.push(Row { rule, alpha, accuracy, standard_error, mean_steps, operations, energy_nj, stopped, ms });
        }
        let every_step = vec![steps; run.network.stages()];
        let pass = || time_of_whole_passes(model, &setting, &every_step, leak, console).map(|passed| ((), passed));
        let ms = per_sample(fastest(pass)?.1);
        let never = Exit { rule: Rule::Confidence, alpha: 1.0, gain };
        let whole = all.exits(&never);
        if let Some(file) = file {
            let configuration = [steps];
            let row = |exit: &Exit, sample: usize| {
                let (step, class) = all.exit_of(sample, exit);
                let mean = all.mean(sample, step);
                let confidence = never.quantity(mean, 0.0);
                let held = exit.stops(mean, (step + 1) as f64);
                let stopped = Some((Spent::Steps(step + 1), held));
                SampleRow { label: all.labels[sample], class, confidence, stopped }
            };
            let of_exit = |(at, exit): &(ExitAt, Exit)| Asked {
                configuration: &configuration,
                leak: Some(leak),
                exit: Some(*at),
                rows: (0..ids.len()).map(|sample| row(exit, sample)).collect(),
            };
            write_samples(file, run, ids, &found.all.iter().map(of_exit).collect::<Vec<_>>())?;
        }
        let result = Exits {
            part: part.to_string(),
            samples: ids.len(),
            steps,
            leak,
            gain,
            gain_samples: found.temperature.samples,
            calibration_error: error_at(gain),
            calibration_error_at_gain_1: error_at(1.0),
            accuracy: whole.accuracy(),
            operations: whole.operations.unwrap_or_default().total(),
            ms,
            policy: found.policy,
            rows,
        };
        if result.gain_samples == 0 {
            note!("{UNCALIBRATED}");
        }
        let point = |r: &Row| ExitPoint {
            time: r.mean_steps,
            operations: r.operations,
            accuracy: r.accuracy,
            standard_error: r.standard_error,
        };
        let points: Vec<(ExitAt, ExitPoint)> =
            result.rows.iter().map(|r| (ExitAt { rule: r.rule, alpha: r.alpha }, point(r))).collect();
        let whole = ExitPoint {
            time: steps as f64,
            operations: result.operations,
            accuracy: result.accuracy,
            standard_error: None,
        };
        self.draw(&points, whole, "mean time steps")?;
        if global.json {
            return print_json(&result);
        }
        result.show();
        Ok(())
    }
}

/// The result of event-driven exits, as `--json` prints it.
#[derive(Debug, Serialize)]
struct EventExits {
    part: String,
    samples: usize,
    /// Temperature g of the probabilities softmax(g·Σ/T_max).
    gain: f64,
    /// Number of validation recordings that it was fitted on; 0 if the confidence is uncalibrated.
    gain_samples: usize,
    /// The policy of the learned exit, if it is one of the rules; its time is in µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<ExitPolicy>,
    /// One entry per rule and threshold.
    rows: Vec<Measured>,
    /// The run to the end of each recording.
    whole: Measured,
}

impl EarlyExitArgs {
    /// Measures event-driven exits at `point` and prints them. `file` gets the answer to each recording
    /// at each exit.
    pub fn run_event_driven(
        &self,
        run: &Loaded,
        model: &Model,
        (part, ids, file): (Part, &[SampleId], Option<&Path>),
        point: &OperatingPoint,
        global: &Global,
        console: &Console,
    ) -> Result<()> {
        let found = exits(run, model, point, &self.exits(), console)?;
        let (temperature, policy) = (found.temperature, found.policy);
        console.start("early exit", ids.len() as u64, "recording");
        let stops = stops(run, ids, point, (&found.all, temperature), console)?;
        console.finish();
        if let Some(file) = file {
            let row = |k: usize, (stops, label): &(Vec<Stop>, usize)| {
                let Stop { decision, reached, .. } = stops[k];
                let spent = Spent::Events { us: decision.us, events: decision.events };
                let (class, confidence) = (decision.class, decision.confidence);
                SampleRow { label: *label, class, confidence, stopped: Some((spent, reached)) }
            };
            let of_exit = |(k, (at, _)): (usize, &(ExitAt, Exit))| Asked {
                configuration: &[],
                leak: None,
                exit: Some(*at),
                rows: stops.iter().map(|s| row(k, s)).collect(),
            };
            write_samples(file, run, ids, &found.all.iter().enumerate().map(of_exit).collect::<Vec<_>>())?;
        }
        let mut rows = event_driven(point, &found.all, &stops);
        let Some(whole) = rows.pop() else { bail!("there is no recording to run") };
        let ms = |m: &Measured| m.us.unwrap_or_default() / 1e3;
        let drawn = |m: &Measured| ExitPoint {
            time: ms(m),
            operations: m.operations,
            accuracy: m.accuracy,
            standard_error: m.standard_error,
        };
        let points: Vec<(ExitAt, ExitPoint)> =
            found.all.iter().map(|exit| exit.0).zip(rows.iter().map(drawn)).collect();
        self.draw(&points, drawn(&whole), "mean ms since the first event")?;
        let (gain, gain_samples) = (temperature.gain, temperature.samples);
        if !temperature.is_calibrated() {
            note!("{UNCALIBRATED}");
        }
        if global.json {
            let (part, samples) = (part.to_string(), ids.len());
            return print_json(&EventExits { part, samples, gain, gain_samples, policy, rows, whole });
        }
        say!("early exit, {point}, {} {part} recordings", ids.len());
        match gain_samples {
            0 => say!("uncalibrated: no validation part"),
            n => say!("temperature {gain:.3} (fitted on {n} validation recordings)"),
        }
        say!("{:>11} {:>6} {:>15} {:>10} {:>10} {:>12}", "rule", "α", "% correct", "mean ms", "events", "operations");
        let line = |rule: String, alpha: String, m: &Measured| {
            let accuracy = with_error(m.accuracy, m.standard_error, 2);
            let (ms, events) = (ms(m), m.events.unwrap_or_default());
            say!("{rule:>11} {alpha:>6} {accuracy:>15} {ms:>10.1} {events:>10.0} {:>12.0}", m.operations);
        };
        found.all.iter().zip(&rows).for_each(|((exit, _), m)| line(exit.rule.to_string(), exit.alpha.to_string(), m));
        line("to the end".into(), String::new(), &whole);
        Ok(())
    }
}

/// Said if a run has no validation part to fit the temperature on.
pub const UNCALIBRATED: &str = "the confidence is uncalibrated, because the run has no validation part: train with \
                            `data.validation = 0.1` to get one";

fn defaults(rule: ExitRule) -> [f64; 6] {
    match rule {
        ExitRule::Confidence => [0.5, 0.7, 0.8, 0.9, 0.95, 0.99],
        ExitRule::Margin => [0.2, 0.5, 0.7, 0.8, 0.9, 0.97],
        ExitRule::Entropy => [0.5, 0.3, 0.2, 0.1, 0.05, 0.02],
        ExitRule::Learned => [0.8, 0.9, 0.95, 0.97, 0.99, 0.995],
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
            "{:>11} {:>6} {:>15} {:>11} {:>12} {:>10} {:>9} {:>7}",
            "rule",
            "α",
            "% correct",
            "mean steps",
            "operations",
            "ms/sample",
            "speed-up",
            "ideal"
        );
        for r in &self.rows {
            say!(
                "{:>11} {:>6} {:>15} {:>11.3} {:>12.0} {:>10.3} {:>8.2}× {:>6.2}×",
                r.rule,
                r.alpha,
                with_error(r.accuracy, r.standard_error, 2),
                r.mean_steps,
                r.operations,
                r.ms,
                self.ms / r.ms,
                self.steps as f64 / r.mean_steps
            );
        }
        let (accuracy, steps, operations, ms) = (self.accuracy, self.steps, self.operations, self.ms);
        say!("{:>11} {:>6} {accuracy:>15.2} {steps:>11} {operations:>12.0} {ms:>10.3}", "all steps", "");
    }
}
