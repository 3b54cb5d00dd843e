//! Accuracy of one set of weights at every T, and at mixed per-stage T.
//!
//! A static image is shown T times. A recording is cut into T frames; at a mixed configuration
//! (t₁ … t_G) into t₁ frames. The caller chooses the leak rules: λ per step or λ^(T_max/T).

use super::{Score, Setting};
use crate::error::Result;
use crate::evaluate::calibrate::Calibration;
use crate::model::Model;
use crate::progress::{Progress, Silent};
use serde::{Deserialize, Serialize};
use tickless_net::answers::standard_error;
use tickless_net::neurobench::SynapticOperations;
use tickless_net::{AnswerStatistics, Answers, InputKind, LeakRule};
use tickless_words::words;

/// The numbers of steps and leak rules to evaluate.
#[derive(Debug, Clone)]
pub struct StepSweep<'a> {
    /// Numbers of steps.
    pub steps: Vec<usize>,
    /// Leak rules; a static image runs with [`LeakRule::Step`] only.
    pub leaks: Vec<LeakRule>,
    /// If given, calibrates the norms for each T; if `None`, every T uses the model's statistics.
    pub calibration: Option<Calibration<'a>>,
}

/// Accuracy at one number of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps of each stage; one entry if all are equal.
    pub configuration: Vec<usize>,
    /// Leak rule of the evaluation.
    pub leak: LeakRule,
    /// Percent correct.
    pub accuracy: f64,
    /// Mean cross-entropy of the time-mean of the logits.
    pub loss: f64,
    /// Number of samples classified correctly.
    pub correct: usize,
    /// Number of samples.
    pub samples: usize,
    /// Standard error of the accuracy over the samples, in percentage points; missing if all answers
    /// are right or all are wrong, and in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// What the answers say class by class, if they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswerStatistics>,
    /// Synaptic operations per sample, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<SynapticOperations>,
    /// The setting at which the temperature of the answers' confidence was fitted.
    #[serde(default)]
    pub temperature_of: TemperatureOf,
}

/// The setting at which a temperature was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TemperatureOf {
    /// The setting that answered.
    Setting,
    /// T_max with the leak per step, whatever the setting that answered: results of earlier versions.
    #[default]
    TMax,
}

words!(serde TemperatureOf, "setting of a temperature", { Setting = "setting", TMax = "t_max" });

impl Point {
    pub(super) fn of(configuration: Vec<usize>, leak: LeakRule, s: Score) -> Self {
        let (correct, samples) = (s.correct, s.samples);
        Self {
            configuration,
            leak,
            accuracy: s.accuracy(),
            loss: s.loss(),
            correct,
            samples,
            standard_error: standard_error(correct, samples),
            answers: None,
            operations: None,
            temperature_of: TemperatureOf::Setting,
        }
    }

    /// T, if all stages ran at the same number of steps.
    pub fn steps(&self) -> Option<usize> {
        let first = *self.configuration.first()?;
        self.configuration.iter().all(|t| *t == first).then_some(first)
    }
}

/// The answers to all samples at one configuration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answered {
    /// The accuracy, with the statistics of the answers.
    pub point: Point,
    /// The answer to each sample, in the order of the setting.
    pub answers: Answers,
}

/// A copy of the model whose norms are calibrated for a configuration.
///
/// # Errors
/// As [`Calibration::at`].
pub fn calibrated(
    model: &Model,
    calibration: &Calibration<'_>,
    (configuration, leak): (&[usize], LeakRule),
) -> Result<Model> {
    let mut copy = model.clone();
    calibration.at_configuration(&mut copy, configuration, leak, &Silent)?;
    Ok(copy)
}

/// Accuracy at every T of the plan, in the plan's order, one leak rule after another.
///
/// # Errors
/// If a sample cannot be decoded, a T does not fit the network, a logit is not finite, or the user
/// stops.
pub fn across_steps(
    model: &Model,
    setting: &Setting<'_>,
    plan: &StepSweep<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Point>> {
    let image = model.network().input().kind == InputKind::Image;
    let leaks = if image { &[LeakRule::Step][..] } else { &plan.leaks };
    progress.start("evaluate", (plan.steps.len() * leaks.len() * setting.ids.len()) as u64, "sample");
    let mut all: Vec<Point> = Vec::new();
    for (k, &leak) in leaks.iter().enumerate() {
        for &t in &plan.steps {
            let configuration = vec![t; model.network().stages()];
            // If the leak rules are the same computation, the first result is reused.
            let same = k > 0 && !model.network().depends_on_leak_rule(setting.t_max, &configuration);
            let point = match same.then(|| all.iter().find(|p| p.steps() == Some(t))).flatten() {
                Some(point) => {
                    progress.advance(setting.ids.len() as u64, "");
                    Point { leak, ..point.clone() }
                }
                None => {
                    let at = (&configuration[..], leak);
                    let copy = plan.calibration.as_ref().map(|c| calibrated(model, c, at)).transpose()?;
                    let point = answers_at(copy.as_ref().unwrap_or(model), setting, at, 1.0, progress)?.point;
                    Point { configuration: vec![t], ..point }
                }
            };
            all.push(point);
        }
    }
    progress.finish();
    Ok(all)
}

/// Accuracy at one mixed configuration (one number of steps per stage).
///
/// # Errors
/// As [`across_steps`].
pub fn at_configuration(
    model: &Model,
    setting: &Setting<'_>,
    configuration: &[usize],
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<Point> {
    progress.start("evaluate", setting.ids.len() as u64, "sample");
    let found = answers_at(model, setting, (configuration, leak), 1.0, progress)?;
    progress.finish();
    Ok(found.point)
}

/// The answer to each sample at one number of steps per stage, within a task that the caller has
/// begun. Recordings are cut into as many frames as the first stage has steps. `gain` is the
/// temperature of the confidences, which was fitted at this setting ([`fitted_gain`]).
///
/// [`fitted_gain`]: super::fitted_gain
///
/// # Errors
/// As [`across_steps`].
pub fn answers_at(
    model: &Model,
    setting: &Setting<'_>,
    (configuration, leak): (&[usize], LeakRule),
    gain: f64,
    progress: &dyn Progress,
) -> Result<Answered> {
    let frames = configuration.first().copied().unwrap_or(1);
    let mut answers = Answers::new(model.network().output().len(), gain);
    let mut keep = |logits: &[f32], labels: &[usize]| {
        logits.chunks(answers.classes.max(1)).zip(labels).for_each(|(values, label)| answers.push(values, *label));
    };
    let score = setting.run_each(model, (frames, configuration, leak), progress, None, &mut keep)?;
    let point = Point::of(configuration.to_vec(), leak, score);
    Ok(Answered { point: Point { answers: Some(answers.statistics()), ..point }, answers })
}
