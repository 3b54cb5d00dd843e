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
use tickless_net::{InputKind, LeakRule};

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
}

impl Point {
    pub(super) fn of(configuration: Vec<usize>, leak: LeakRule, s: Score) -> Self {
        Self { configuration, leak, accuracy: s.accuracy(), loss: s.loss(), correct: s.correct, samples: s.samples }
    }

    /// T, if all stages ran at the same number of steps.
    pub fn steps(&self) -> Option<usize> {
        let first = *self.configuration.first()?;
        self.configuration.iter().all(|t| *t == first).then_some(first)
    }
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
    let leaky = model.network().nodes().iter().any(|n| match n.layer {
        tickless_net::Layer::Neuron(n) => n.leaks(),
        _ => false,
    });
    let runs: usize = plan.steps.len() * if leaky { leaks.len() } else { 1 };
    progress.start("evaluate", (runs * setting.ids.len()) as u64, "sample");
    let mut points: Vec<Point> = Vec::new();
    for (k, &leak) in leaks.iter().enumerate() {
        for &t in &plan.steps {
            // If nothing leaks, the leak rules are the same computation, so the first result is
            // reused.
            let same = (k > 0 && !leaky).then(|| points.iter().find(|p| p.steps() == Some(t))).flatten();
            let point = match same {
                Some(p) => Point { leak, ..p.clone() },
                None => {
                    let configuration = vec![t; model.network().stages()];
                    let mut calibrated = None;
                    if let Some(c) = &plan.calibration {
                        c.at(calibrated.insert(model.clone()), t, leak, &Silent)?;
                    }
                    let model = calibrated.as_ref().unwrap_or(model);
                    let score = setting.run(model, t, &configuration, leak, progress, None)?;
                    Point::of(vec![t], leak, score)
                }
            };
            points.push(point);
        }
    }
    progress.finish();
    Ok(points)
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
    let frames = configuration.first().copied().unwrap_or(1);
    let score = setting.run(model, frames, configuration, leak, progress, None)?;
    progress.finish();
    Ok(Point::of(configuration.to_vec(), leak, score))
}
