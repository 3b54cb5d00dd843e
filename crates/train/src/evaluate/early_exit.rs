//! Early exit at time steps: a sample stops as soon as its answer is certain enough.
//!
//! ```text
//! m_t = (1/t)·Σ_{k ≤ t} logits_k
//! t = the first step at which the rule holds for m_t, else T
//! ```
//!
//! [`tickless_net::Exit`] has the rules. Source: SEENN-I (Li et al., 2023). [`early_exit`] really
//! stops: the samples that are done leave the batch, and the state of the others moves together
//! ([`Stepper`]). [`over_time`] records m_t of every sample at every step once, from which
//! [`OverTime::exits`] computes what any number of rules and thresholds would give;
//! [`over_time_with_operations`] also counts the synaptic operations of each step.

use super::operations::{Counter, Operations};
use super::{Setting, conditions_in_words, leak_of};
use crate::data::prefetch;
use crate::error::{Error, Result};
use crate::model::readout::{largest, time_mean};
use crate::model::{Model, NormMode, Pass, Sequence, Stepper, host};
use crate::progress::Progress;
use crate::seed;
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tickless_net::exit_policy::Example;
use tickless_net::{Exit, ExitPolicy, InputKind, Layer, LeakRule, NodeId};

/// The result of a run with early exit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exited {
    /// Number of samples classified correctly.
    pub correct: usize,
    /// Number of samples.
    pub samples: usize,
    /// For each step, the number of samples that stopped after it.
    pub stopped: Vec<usize>,
    /// Mean synaptic operations of a sample, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Operations>,
}

impl Exited {
    fn new(steps: usize) -> Self {
        Self { stopped: vec![0; steps], ..Self::default() }
    }

    fn add(&mut self, step: usize, right: bool) {
        self.samples += 1;
        self.correct += usize::from(right);
        self.stopped[step] += 1;
    }

    /// Percent correct.
    pub fn accuracy(&self) -> f64 {
        100.0 * self.correct as f64 / self.samples.max(1) as f64
    }

    /// Mean number of steps of a sample.
    pub fn mean_steps(&self) -> f64 {
        let steps: usize = self.stopped.iter().enumerate().map(|(k, n)| (k + 1) * n).sum();
        steps as f64 / self.samples.max(1) as f64
    }
}

/// The mean logits of every sample after every step.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OverTime {
    /// T.
    pub steps: usize,
    /// Number of classes.
    pub classes: usize,
    /// `[sample, step, class]`.
    pub means: Vec<f32>,
    /// The label of each sample.
    pub labels: Vec<usize>,
    /// Synaptic operations of each step, `[sample, step]`; empty if they were not counted.
    pub operations: Vec<Operations>,
}

impl OverTime {
    /// m_t of a sample; `step` counts from 0.
    pub fn mean(&self, sample: usize, step: usize) -> &[f32] {
        &self.means[(sample * self.steps + step) * self.classes..][..self.classes]
    }

    /// The mean logits of samples with these labels.
    ///
    /// # Shapes
    /// `means` `[sample, step, class]`.
    ///
    /// # Panics
    /// If the number of values is not the product of the shape.
    pub fn new(steps: usize, classes: usize, means: Vec<f32>, labels: Vec<usize>) -> Self {
        assert_eq!(means.len(), labels.len() * steps * classes, "one mean for each sample, step and class");
        Self { steps, classes, means, labels, operations: Vec::new() }
    }

    /// The step, from 0, after which a sample stops by this rule, and its class then.
    pub fn exit_of(&self, sample: usize, exit: &Exit) -> (usize, usize) {
        let stops = |&step: &usize| exit.stops(self.mean(sample, step), (step + 1) as f64);
        let step = (0..self.steps).find(stops).unwrap_or(self.steps - 1);
        (step, largest(self.mean(sample, step)))
    }

    /// The policy that is learned from these samples, whose probabilities have the temperature
    /// `gain`: each step but the last is an example ([`exit_policy`](tickless_net::exit_policy)).
    pub fn policy(&self, gain: f64) -> ExitPolicy {
        let span = self.steps as f64;
        let mut examples = Vec::new();
        for (sample, &label) in self.labels.iter().enumerate() {
            let right = |step: usize| largest(self.mean(sample, step)) == label;
            let right_at_end = right(self.steps - 1);
            for step in 0..self.steps - 1 {
                let values = self.mean(sample, step).iter().map(|v| f64::from(*v));
                let good = right(step) || !right_at_end;
                examples.push(Example::new(values, gain, ((step + 1) as f64, span), good));
            }
        }
        ExitPolicy::fitted(span, &examples)
    }

    /// The result of a run that stops by this rule.
    pub fn exits(&self, exit: &Exit) -> Exited {
        let mut all = Exited::new(self.steps);
        let mut operations = Operations::default();
        for (sample, &label) in self.labels.iter().enumerate() {
            let (step, class) = self.exit_of(sample, exit);
            all.add(step, class == label);
            if let Some(of_steps) = self.operations.get(sample * self.steps..).filter(|o| !o.is_empty()) {
                of_steps[..=step].iter().for_each(|o| operations += *o);
            }
        }
        all.operations = (!self.operations.is_empty()).then(|| operations.per(self.labels.len()));
        all
    }
}

/// The sum of the logits of each sample that still runs.
struct Sums {
    sums: Vec<f32>,
    classes: usize,
}

impl Sums {
    fn add(&mut self, logits: Tensor<2>) {
        self.classes = logits.dims()[1];
        let logits: Vec<f32> = host(&logits.reshape([-1]));
        match self.sums.is_empty() {
            true => self.sums = logits,
            false => self.sums.iter_mut().zip(logits).for_each(|(sum, v)| *sum += v),
        }
    }

    /// m_t of each sample.
    fn means(&self, step: usize) -> impl Iterator<Item = Vec<f32>> {
        let count = (step + 1) as f32;
        self.sums.chunks(self.classes.max(1)).map(move |sums| sums.iter().map(|v| v / count).collect())
    }

    fn keep(&mut self, samples: &[usize]) {
        let rows = samples.iter().flat_map(|s| self.sums[s * self.classes..][..self.classes].to_vec());
        self.sums = rows.collect();
    }
}

/// Runs every sample until the rule holds, at most `steps` steps. Returns the result and the time
/// that the steps took, without the time to load the samples.
///
/// # Errors
/// As [`across_steps`](super::across_steps).
pub fn early_exit(
    model: &Model,
    setting: &Setting<'_>,
    steps: usize,
    leak: LeakRule,
    exit: &Exit,
    progress: &dyn Progress,
) -> Result<(Exited, Duration)> {
    let mut all = Exited::new(steps);
    let passed = stepwise(model, setting, steps, leak, progress, None, |step, (_, mean), label| {
        let stops = step + 1 == steps || exit.stops(mean, (step + 1) as f64);
        if stops {
            all.add(step, largest(mean) == label);
        }
        stops
    })?;
    Ok((all, passed))
}

/// Repeats a timed pass until half a second is measured, at most four times, and returns the result
/// with the shortest time. A pass over few samples takes milliseconds, of which the threads that load
/// the next samples take a changing share.
///
/// # Errors
/// The first error of `pass`.
pub fn fastest<R, E>(
    mut pass: impl FnMut() -> std::result::Result<(R, Duration), E>,
) -> std::result::Result<(R, Duration), E> {
    const ENOUGH: Duration = Duration::from_millis(500);
    const REPEATS: usize = 4;
    let mut best = pass()?;
    let mut measured = best.1;
    for _ in 1..REPEATS {
        if measured >= ENOUGH {
            break;
        }
        let next = pass()?;
        measured += next.1;
        if next.1 < best.1 {
            best = next;
        }
    }
    Ok(best)
}

/// Runs every sample for all `steps` steps and records its mean logits.
///
/// # Errors
/// As [`early_exit`].
pub fn over_time(
    model: &Model,
    setting: &Setting<'_>,
    steps: usize,
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<OverTime> {
    record(model, setting, (steps, leak), progress, None)
}

/// As [`over_time`], and counts the synaptic operations of each step, which takes longer.
///
/// # Errors
/// As [`early_exit`].
pub fn over_time_with_operations(
    model: &Model,
    setting: &Setting<'_>,
    steps: usize,
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<OverTime> {
    let configuration = vec![steps; model.network().stages()];
    let (t_max, step_us) = (setting.t_max, setting.step_us);
    let of_leak = leak_of(model, leak);
    // Each step is a pass of its own, which reads a map once.
    let pass = Pass { configuration: &configuration, norm: NormMode::Running, leak: of_leak, t_max, step_us };
    let counter = Counter::new(model, &pass).step_by_step();
    let mut operations = vec![Operations::default(); setting.ids.len() * steps];
    // The nodes before the first neuron give the same values of an image at every step, and the run
    // computes them at the first one only.
    let image = model.network().input().kind == InputKind::Image;
    let neuron = |n: &tickless_net::Node| matches!(n.layer, Layer::Neuron(_));
    let first = model.network().nodes().iter().position(neuron).unwrap_or(0);
    let count = &mut |step: usize, samples: &[usize], node: NodeId, s: &Sequence| {
        let again = image && step == 0 && !matches!(node, NodeId::Node(i) if i >= first);
        counter.count(node, s, |after, row, n| {
            for at in (step + after..steps).take(if again { steps } else { 1 }) {
                operations[samples[row] * steps + at] += n;
            }
        });
    };
    let all = record(model, setting, (steps, leak), progress, Some(count))?;
    Ok(OverTime { operations, ..all })
}

fn record(
    model: &Model,
    setting: &Setting<'_>,
    (steps, leak): (usize, LeakRule),
    progress: &dyn Progress,
    observe: Option<ObserveStep<'_>>,
) -> Result<OverTime> {
    let classes = model.network().output().len();
    let samples = setting.ids.len();
    let mut all = OverTime::new(steps, classes, vec![0.0; samples * steps * classes], vec![0; samples]);
    stepwise(model, setting, steps, leak, progress, observe, |step, (sample, mean), label| {
        all.means[(sample * steps + step) * classes..][..classes].copy_from_slice(mean);
        all.labels[sample] = label;
        false
    })?;
    Ok(all)
}

/// Called with the step, the samples of the step's rows, and the network's input or a node with its
/// output.
type ObserveStep<'a> = &'a mut (dyn FnMut(usize, &[usize], NodeId, &Sequence) + Send);

/// The time that passes over all steps at once take, without the time to load the samples, for
/// comparison with [`early_exit`]. `configuration` has a number of steps for each stage.
///
/// # Errors
/// As [`across_steps`](super::across_steps).
pub fn time_of_whole_passes(
    model: &Model,
    setting: &Setting<'_>,
    configuration: &[usize],
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<Duration> {
    let (t_max, step_us) = (setting.t_max, setting.step_us);
    let constants = model.constants();
    timed(model, setting, configuration, "all steps", progress, |batch, input, _| {
        let leak = leak_of(model, leak);
        let pass = Pass { configuration, norm: NormMode::Running, leak, t_max, step_us };
        let mut rng = seed::rng(0, "evaluation", batch as u64);
        time_mean(model.forward(&constants, input, &pass, &mut rng, None)?.logits);
        Ok(())
    })
}

/// Runs all samples step by step. After each step `stops` gets the step, from 0, the sample's index
/// in the setting with its mean logits, and its label; it tells whether the sample is done. Returns
/// the time that the steps took.
fn stepwise(
    model: &Model,
    setting: &Setting<'_>,
    steps: usize,
    leak: LeakRule,
    progress: &dyn Progress,
    mut observe: Option<ObserveStep<'_>>,
    mut stops: impl FnMut(usize, (usize, &[f32]), usize) -> bool,
) -> Result<Duration> {
    let leak = leak_of(model, leak);
    let image = model.network().input().kind == InputKind::Image;
    let mut done = 0;
    timed(model, setting, &[steps], "early exit", progress, |_, input, labels| {
        let frames = Frames::new(input, image);
        let mut stepper = Stepper::new(model, steps, leak, setting.t_max, setting.step_us);
        let mut sums = Sums { sums: Vec::new(), classes: 0 };
        let mut running: Vec<usize> = (0..labels.len()).collect();
        for step in 0..steps {
            let frame = frames.of(step, &running);
            sums.add(match observe.as_deref_mut() {
                None => stepper.step(frame)?,
                Some(observe) => {
                    let samples: Vec<usize> = running.iter().map(|sample| done + sample).collect();
                    if step == 0 || !image {
                        observe(step, &samples, NodeId::Input, &Sequence::new(frame.clone(), 1));
                    }
                    stepper.step_observed(frame, &mut |i, s| observe(step, &samples, NodeId::Node(i), s))?
                }
            });
            let mut kept = Vec::new();
            for (row, mean) in sums.means(step).enumerate() {
                let sample = running[row];
                if let Some(&value) = mean.iter().find(|v| !v.is_finite()) {
                    let what = format!("a logit at {}", conditions_in_words(&[steps], leak));
                    return Err(Error::ResultNotFinite { what, value });
                }
                if !stops(step, (done + sample, &mean), labels[sample]) {
                    kept.push(row);
                }
            }
            if kept.is_empty() {
                break;
            }
            if kept.len() < running.len() {
                stepper.keep(&kept);
                sums.keep(&kept);
                running = kept.iter().map(|&row| running[row]).collect();
            }
        }
        done += labels.len();
        Ok(())
    })
}

/// Calls `run` with each batch: its number, its input and its labels. Returns the time that the
/// calls took, without the time to load the samples.
fn timed(
    model: &Model,
    setting: &Setting<'_>,
    configuration: &[usize],
    task: &str,
    progress: &dyn Progress,
    mut run: impl FnMut(usize, Sequence, &[usize]) -> Result<()>,
) -> Result<Duration> {
    let mut passed = Duration::ZERO;
    let frames = configuration.first().copied().unwrap_or(1);
    let most = configuration.iter().copied().max().unwrap_or(1);
    progress.start(task, setting.ids.len() as u64, "sample");
    prefetch(setting.source, setting.ids, setting.batch_at(most), false, frames, None, |k, batch| {
        let (input, labels) = batch.into_sequence(model.device());
        let begun = Instant::now();
        run(k, input, &labels)?;
        passed += begun.elapsed();
        progress.advance(labels.len() as u64, &format!("at most {most} steps"));
        if progress.cancelled() {
            return Err(Error::Cancelled { task: "the evaluation" });
        }
        Ok(())
    })?;
    progress.finish();
    Ok(passed)
}

/// The frames of a batch, `[T·B, C, H, W]`, or its images.
struct Frames {
    all: Tensor<4>,
    batch: usize,
    image: bool,
}

impl Frames {
    fn new(input: Sequence, image: bool) -> Self {
        Self { batch: input.batch(), all: input.tensor(), image }
    }

    /// The frames of these samples at a step.
    fn of(&self, step: usize, samples: &[usize]) -> Tensor<4> {
        let first = if self.image { 0 } else { step * self.batch };
        let frame = self.all.clone().narrow(0, first, self.batch);
        if samples.len() == self.batch {
            return frame;
        }
        let indices: Vec<i64> = samples.iter().map(|s| *s as i64).collect();
        let indices = TensorData::new(indices, [samples.len()]);
        frame.select(0, Tensor::<1, Int>::from_data(indices, &self.all.device()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_pass_is_timed_four_times_and_a_long_one_once() {
        for (times, expected) in [(vec![10, 5, 7, 6, 1], (1, 4)), (vec![300, 250, 1], (1, 2)), (vec![500, 1], (0, 1))] {
            let mut passes = 0;
            let (best, time) = fastest(|| {
                passes += 1;
                Ok::<_, std::convert::Infallible>((passes - 1, Duration::from_millis(times[passes - 1])))
            })
            .unwrap();
            assert_eq!((best, passes), expected, "{times:?}");
            assert_eq!(time, Duration::from_millis(times[best]));
        }
    }
}
