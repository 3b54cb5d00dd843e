//! Evaluation of one set of weights at many numbers of time steps.

mod across_steps;
mod activity;
pub mod calibrate;
mod changed;
mod cost;
mod early_exit;
mod gain;
mod operations;
mod rectified;

pub use across_steps::{
    Answered, Point, StepSweep, TemperatureOf, across_steps, answers_at, at_configuration, calibrated,
};
pub use activity::{LayerActivity, SpikeCounts, activity, point_and_activity, spike_counts};
pub use changed::{Change, GradientNorms, changed_score, gradient_norms};
pub use cost::{CostCounter, activity_and_cost};
pub use early_exit::{
    Exited, OverTime, early_exit, fastest, over_time, over_time_with_operations, time_of_whole_passes,
};
pub use gain::fitted_gain;
pub use operations::{Operations, point_and_operations, synaptic_operations};
pub use rectified::{Activations, BalanceData, LEAST_PERCENTILE, rectified_activations};

use crate::data::{SampleId, Source, prefetch};
use crate::error::{Error, Result};
use crate::model::readout::{largest, time_mean};
use crate::model::{Model, NormMode, Observer, Pass, Sequence};
use crate::progress::Progress;
use crate::seed;
use tickless_net::{InputKind, LeakRule, NodeId};

/// Counts of correct predictions and the sum of the losses.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// Samples whose largest time-mean logit is the label's.
    pub correct: usize,
    /// Number of samples.
    pub samples: usize,
    /// Sum over samples of the cross-entropy of the time-mean logits.
    pub loss_sum: f64,
}

impl Score {
    /// Percent correct.
    pub fn accuracy(&self) -> f64 {
        100.0 * self.correct as f64 / self.samples.max(1) as f64
    }

    /// Mean loss.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.samples.max(1) as f64
    }

    /// Adds the scores of a batch: time-mean logits `[B·C]` and B labels.
    pub fn add(&mut self, logits: &[f32], labels: &[usize]) {
        let classes = logits.len() / labels.len().max(1);
        for (row, &label) in logits.chunks(classes.max(1)).zip(labels) {
            self.samples += 1;
            self.correct += usize::from(largest(row) == label);
            // In f64, because the difference of two large logits may overflow f32.
            let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let sum: f64 = row.iter().map(|&v| (f64::from(v) - max).exp()).sum();
            self.loss_sum += sum.ln() - (f64::from(row[label]) - max);
        }
    }
}

/// The samples and settings of one evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The samples' data set.
    pub source: &'a Source,
    /// The samples to run.
    pub ids: &'a [SampleId],
    /// The number of steps T_max at which one step leaks by λ.
    pub t_max: usize,
    /// Duration of a step at T_max in µs.
    pub step_us: Option<f64>,
    /// Largest number of samples per batch.
    pub batch: usize,
}

/// The leak rule of an evaluation: a static image has no duration, so its leak is always per step.
fn leak_of(model: &Model, leak: LeakRule) -> LeakRule {
    match model.network().input().kind {
        InputKind::Image => LeakRule::Step,
        InputKind::Events => leak,
    }
}

/// Describes an evaluation for messages: `T = 5, leak per time`.
fn conditions_in_words(configuration: &[usize], leak: LeakRule) -> String {
    let first = configuration.first().copied().unwrap_or(1);
    let steps = match configuration.iter().all(|t| *t == first) {
        true => first.to_string(),
        false => configuration.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
    };
    format!("T = {steps}, leak per {leak}")
}

/// Called with the batch's samples and the input of the network, then with each node and its output.
/// A pass without an observer is faster, because kernels may fuse nodes.
type Observe<'a> = &'a mut (dyn FnMut(&[SampleId], NodeId, &Sequence) + Send);

/// Called with the time-mean logits `[B·C]` and the B labels of each batch.
type EachBatch<'a> = &'a mut dyn FnMut(&[f32], &[usize]);

impl Setting<'_> {
    /// Number of samples per batch at this number of steps. Long sequences run in smaller batches,
    /// which bounds the memory and leaves the result the same.
    fn batch_at(&self, steps: usize) -> usize {
        self.batch.min(2000 / steps.max(1)).max(1)
    }

    /// Runs all samples at one temporal configuration; recordings are cut into `frames` frames.
    fn run(
        &self,
        model: &Model,
        frames: usize,
        configuration: &[usize],
        leak: LeakRule,
        progress: &dyn Progress,
        observe: Option<Observe<'_>>,
    ) -> Result<Score> {
        self.run_each(model, (frames, configuration, leak), progress, observe, &mut |_, _| {})
    }

    /// As [`run`](Self::run), and gives the logits of each batch to `each`.
    fn run_each(
        &self,
        model: &Model,
        (frames, configuration, leak): (usize, &[usize], LeakRule),
        progress: &dyn Progress,
        mut observe: Option<Observe<'_>>,
        each: EachBatch<'_>,
    ) -> Result<Score> {
        let leak = leak_of(model, leak);
        let pass = Pass { configuration, norm: NormMode::Running, leak, t_max: self.t_max, step_us: self.step_us };
        let size = self.batch_at(configuration.iter().copied().max().unwrap_or(1).max(frames));
        let constants = model.constants();
        let mut score = Score::default();
        let mut done = 0;
        let conditions = conditions_in_words(configuration, leak);
        prefetch(self.source, self.ids, size, false, frames, None, |k, batch| {
            let ids = &self.ids[done..done + batch.labels.len()];
            done += ids.len();
            let (input, labels) = batch.into_sequence(model.device());
            if let Some(observe) = observe.as_deref_mut() {
                observe(ids, NodeId::Input, &input);
            }
            let mut see =
                observe.as_deref_mut().map(|observe| move |i: usize, s: &Sequence| observe(ids, NodeId::Node(i), s));
            let observer = see.as_mut().map(|see| see as Observer<'_>);
            let mut rng = seed::rng(0, "evaluation", k as u64);
            let out = model.forward(&constants, input, &pass, &mut rng, observer)?;
            let logits = time_mean(out.logits);
            if let Some(&value) = logits.iter().find(|v| !v.is_finite()) {
                return Err(Error::ResultNotFinite { what: format!("a logit at {conditions}"), value });
            }
            score.add(&logits, &labels);
            each(&logits, &labels);
            progress.advance(labels.len() as u64, &format!("{conditions}  {:.1} %", score.accuracy()));
            if progress.cancelled() {
                return Err(Error::Cancelled { task: "the evaluation" });
            }
            Ok(())
        })?;
        Ok(score)
    }
}
