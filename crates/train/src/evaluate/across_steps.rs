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
    /// Standard error of the accuracy over the samples, in percentage points; missing in results of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// What the answers say class by class, if they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswerStatistics>,
    /// Synaptic operations per sample, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<SynapticOperations>,
}

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
            standard_error: Some(standard_error(correct, samples)),
            answers: None,
            operations: None,
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

/// Runs all samples and keeps their answers. Recordings are cut into as many frames as the first
/// stage has steps.
fn answered(
    model: &Model,
    setting: &Setting<'_>,
    configuration: &[usize],
    leak: LeakRule,
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

/// A copy of the model whose norms are calibrated for a configuration; `None` without a calibration.
fn calibrated(
    model: &Model,
    calibration: Option<&Calibration<'_>>,
    (configuration, leak): (&[usize], LeakRule),
) -> Result<Option<Model>> {
    let Some(calibration) = calibration else { return Ok(None) };
    let mut copy = model.clone();
    calibration.at_configuration(&mut copy, configuration, leak, &Silent)?;
    Ok(Some(copy))
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
    Ok(answers_across_steps(model, setting, plan, 1.0, progress)?.into_iter().map(|a| a.point).collect())
}

/// As [`across_steps`], with the answer to each sample; `gain` is the temperature of their
/// confidence ([`fitted_gain`](super::fitted_gain)).
///
/// # Errors
/// As [`across_steps`].
pub fn answers_across_steps(
    model: &Model,
    setting: &Setting<'_>,
    plan: &StepSweep<'_>,
    gain: f64,
    progress: &dyn Progress,
) -> Result<Vec<Answered>> {
    let image = model.network().input().kind == InputKind::Image;
    let leaks = if image { &[LeakRule::Step][..] } else { &plan.leaks };
    let leaky = model.network().nodes().iter().any(|n| match n.layer {
        tickless_net::Layer::Neuron(n) => n.leaks(),
        _ => false,
    });
    let runs: usize = plan.steps.len() * if leaky { leaks.len() } else { 1 };
    progress.start("evaluate", (runs * setting.ids.len()) as u64, "sample");
    let mut all: Vec<Answered> = Vec::new();
    for (k, &leak) in leaks.iter().enumerate() {
        for &t in &plan.steps {
            // If nothing leaks, the leak rules are the same computation, so the first result is
            // reused.
            let same = (k > 0 && !leaky).then(|| all.iter().find(|a| a.point.steps() == Some(t))).flatten();
            let found = match same {
                Some(a) => Answered { point: Point { leak, ..a.point.clone() }, answers: a.answers.clone() },
                None => {
                    let configuration = vec![t; model.network().stages()];
                    let calibrated = calibrated(model, plan.calibration.as_ref(), (&configuration, leak))?;
                    let model = calibrated.as_ref().unwrap_or(model);
                    let mut found = answered(model, setting, &configuration, leak, gain, progress)?;
                    found.point.configuration = vec![t];
                    found
                }
            };
            all.push(found);
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
    Ok(answers_at(model, setting, (configuration, leak), None, 1.0, progress)?.point)
}

/// As [`at_configuration`], with the answer to each sample; `gain` as in [`answers_across_steps`]. A
/// `calibration` calibrates the norms for the configuration first.
///
/// # Errors
/// As [`across_steps`].
pub fn answers_at(
    model: &Model,
    setting: &Setting<'_>,
    (configuration, leak): (&[usize], LeakRule),
    calibration: Option<&Calibration<'_>>,
    gain: f64,
    progress: &dyn Progress,
) -> Result<Answered> {
    let calibrated = calibrated(model, calibration, (configuration, leak))?;
    let model = calibrated.as_ref().unwrap_or(model);
    progress.start("evaluate", setting.ids.len() as u64, "sample");
    let found = answered(model, setting, configuration, leak, gain, progress)?;
    progress.finish();
    Ok(found)
}
