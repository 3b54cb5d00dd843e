//! How the accuracy of a trained run falls if its weights or its inputs change.
//!
//! ```text
//! weights  w + σ·s_l·N(0, 1)     s_l: standard deviation of the weights of layer l
//! input    x + σ·s·N(0, 1)       s: root mean square of the values of the sample; clocked only
//! drop     each event is lost with probability p
//! jitter   each event moves in time by up to J steps of T_max, uniformly in both directions
//! ```
//!
//! Every level is measured with several draws, which depend on the level's index, the draw and the
//! sample alone: two runs get the same changes of the same samples. Clocked at T_max with the leak
//! per step; event-driven in the engine if the network needs no clock. Source of the noise on weights
//! and inputs and of the gradient norms: Du et al., "Temporal Flexibility in Spiking Neural Networks",
//! ICLR 2025, section 4.

use crate::error::stop;
use crate::simulate::{EngineScore, compile, compile_with_weights, possible};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;
use tickless_engine::Session;
use tickless_events::Recording;
use tickless_events::rng::Rng;
use tickless_net::decision::argmax;
use tickless_net::recipe::Augment;
use tickless_net::{InputKind, Weights};
use tickless_train::data::{Batch, BatchRequest, SampleId};
use tickless_train::device::Device;
use tickless_train::evaluate::{Score, Setting, changed_score, gradient_norms};
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;
use tickless_words::words;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disturbance {
    /// Noise on the weights.
    Weights,
    /// Noise on the frames or images.
    Input,
    /// Lost events.
    Drop,
    /// Events at another time.
    Jitter,
}

words!(serde Disturbance, "disturbance", {
    Weights = "weights",
    Input = "input",
    Drop = "drop",
    Jitter = "jitter",
});

impl Disturbance {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Weights, Self::Input, Self::Drop, Self::Jitter];

    /// The levels that are measured unless others are given.
    pub fn levels(self) -> &'static [f64] {
        match self {
            Self::Weights => &[0.05, 0.1, 0.2, 0.4],
            Self::Input => &[0.25, 0.5, 1.0, 2.0],
            Self::Drop => &[0.1, 0.3, 0.5, 0.7],
            Self::Jitter => &[0.25, 0.5, 1.0, 2.0],
        }
    }

    /// What is wrong with a level, if it cannot be.
    pub fn refuse(self, level: f64) -> Option<String> {
        match self {
            _ if !level.is_finite() || level <= 0.0 => {
                Some(format!("{self} {level}: a level is a finite number above 0"))
            }
            Self::Drop if level >= 1.0 => Some(format!("drop {level}: the probability is below 1")),
            Self::Jitter if level > 1000.0 => Some(format!("jitter {level}: at most 1000 steps")),
            _ => None,
        }
    }

    /// Whether images have it too; the others change events.
    fn is_for_images(self) -> bool {
        matches!(self, Self::Weights | Self::Input)
    }
}

/// What to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Disturbances and their levels.
    pub levels: Vec<(Disturbance, f64)>,
    /// Draws of each level.
    pub draws: usize,
    /// Most test samples; 0 for all.
    pub limit: usize,
    /// Most samples of the gradient norms.
    pub gradient_samples: usize,
}

/// The results of one run on its test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Robustness {
    /// The checksum of the weights that were measured.
    pub weights: String,
    /// Number of test samples.
    pub samples: usize,
    /// Number of draws of each level.
    pub draws: usize,
    /// Without a disturbance.
    pub undisturbed: Correct,
    /// One row for each disturbance and level.
    pub rows: Vec<Row>,
    /// ‖∂L/∂w‖₂ and the mean of ‖∂L_i/∂x_i‖₂ at T_max, and the number of samples; missing if they were
    /// not measured.
    pub gradients: Option<Gradients>,
}

/// Numbers of right answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Correct {
    /// Clocked at T_max.
    pub clocked: usize,
    /// Event-driven; `None` if the network needs a clock or the disturbance does not apply to events.
    pub event_driven: Option<usize>,
}

/// The results of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// What was changed.
    pub disturbance: Disturbance,
    /// By how much.
    pub level: f64,
    /// Each draw.
    pub draws: Vec<Correct>,
}

/// The sizes of the gradients of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Gradients {
    /// Of the weights.
    pub weights: f64,
    /// Of the inputs.
    pub inputs: f64,
    /// Number of samples.
    pub samples: usize,
}

impl Robustness {
    /// The row of a disturbance and level, if it was measured.
    pub fn row(&self, disturbance: Disturbance, level: f64) -> Option<&Row> {
        self.rows.iter().find(|r| r.disturbance == disturbance && r.level == level)
    }

    /// Checks that the counts can be; the error completes "the file …".
    ///
    /// # Errors
    /// If a count is above the number of samples, a row lacks a draw, or a value is not finite.
    pub fn check(&self) -> std::result::Result<(), String> {
        let possible = |c: &Correct| c.clocked <= self.samples && c.event_driven.is_none_or(|n| n <= self.samples);
        let rows = self.rows.iter().all(|r| r.draws.len() == self.draws && r.draws.iter().all(possible));
        let gradients = self.gradients.is_none_or(|g| g.weights.is_finite() && g.inputs.is_finite());
        if possible(&self.undisturbed) && rows && gradients { Ok(()) } else { Err("has results that cannot be".into()) }
    }

    /// Measures what `plan` asks for and `kept` lacks; `kept` of other weights, samples or draws is
    /// dropped. `step` is called with the results so far after each level, so that the caller can
    /// store them.
    ///
    /// # Errors
    /// If a sample cannot be decoded, the user stops, or `step` fails.
    pub fn measure(
        run: &mut Loaded,
        device: &Device,
        plan: &Plan,
        kept: Option<Self>,
        progress: &dyn Progress,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&Loaded, &Self) -> Result<()>,
    ) -> Result<Self> {
        let all = &run.parts.test;
        let ids: Vec<SampleId> = all[..if plan.limit == 0 { all.len() } else { plan.limit.min(all.len()) }].to_vec();
        if ids.is_empty() {
            return Err(Error::NoRecordings);
        }
        let fits = |k: &Self| (k.weights == run.checksum, k.samples, k.draws) == (true, ids.len(), plan.draws);
        let mut found = match kept.filter(fits) {
            Some(kept) => kept,
            None => Self {
                weights: run.checksum.clone(),
                samples: ids.len(),
                draws: plan.draws,
                undisturbed: weights(run, device, &ids, &run.weights, progress, cancel)?,
                rows: Vec::new(),
                gradients: None,
            },
        };
        for &(disturbance, level) in &plan.levels {
            let image = run.network.input().kind == InputKind::Image;
            if found.row(disturbance, level).is_some() || (image && !disturbance.is_for_images()) {
                continue;
            }
            stop(progress)?;
            let mut draws = Vec::new();
            for draw in 0..plan.draws as u64 {
                draws.push(match disturbance {
                    Disturbance::Weights => {
                        let noisy = noisy(&run.weights, level, draw);
                        weights(run, device, &ids, &noisy, progress, cancel)?
                    }
                    Disturbance::Input => input(run, device, &ids, (level, draw), progress)?,
                    Disturbance::Drop | Disturbance::Jitter => {
                        events(run, device, &ids, (disturbance, level, draw), progress)?
                    }
                });
            }
            found.rows.push(Row { disturbance, level, draws });
            step(run, &found)?;
        }
        if found.gradients.is_none() && plan.gradient_samples > 0 {
            let ids = &ids[..ids.len().min(plan.gradient_samples)];
            let model = run.model(device)?;
            let norms = gradient_norms(&model, &setting(run, ids), progress)?;
            found.gradients = Some(Gradients { weights: norms.weights, inputs: norms.inputs, samples: ids.len() });
            step(run, &found)?;
        }
        Ok(found)
    }
}

fn setting<'a>(run: &'a Loaded, ids: &'a [SampleId]) -> Setting<'a> {
    let (t_max, step_us, batch) = (run.facts.t_max, run.facts.step_us, run.recipe.eval.batch);
    Setting { source: &run.source, ids, t_max, step_us, batch }
}

/// The generator of one use.
fn generator(draw: u64, number: u64) -> Rng {
    Rng::new(Rng::new(0x0b5e_55ed, draw).next_u64(), number)
}

/// A normally distributed number (Box and Muller).
fn normal(rng: &mut Rng) -> f32 {
    let unit = |rng: &mut Rng| ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let (u, v) = (unit(rng), unit(rng));
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}

/// Weights with noise. Biases, norms and leaks stay, because their size does not compare with that of
/// weights.
fn noisy(weights: &Weights, level: f64, draw: u64) -> Weights {
    let mut noisy = weights.clone();
    let is_weight =
        |name: &str, dimensions: usize| dimensions > 1 && (name.ends_with(".weight") || name.ends_with(".recurrent"));
    for (k, (name, array)) in noisy.tensors.iter_mut().enumerate() {
        if !is_weight(name, array.shape.len()) {
            continue;
        }
        let n = array.data.len().max(1) as f64;
        let mean = array.data.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let variance = array.data.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
        let size = (level * variance.sqrt()) as f32;
        let mut rng = generator(draw, k as u64);
        array.data.iter_mut().for_each(|v| *v += size * normal(&mut rng));
    }
    noisy
}

/// Right answers with these weights.
fn weights(
    run: &Loaded,
    device: &Device,
    ids: &[SampleId],
    weights: &Weights,
    progress: &dyn Progress,
    cancel: &AtomicBool,
) -> Result<Correct> {
    let model = Model::new(run.network.clone(), weights, device)?;
    let request = BatchRequest::frames(run.facts.t_max, None);
    progress.start("noise on weights", ids.len() as u64, "sample");
    let score = changed_score(&model, &setting(run, ids), request, &mut |_, _| Ok(()), progress)?;
    progress.finish();
    let event_driven = match possible(run) {
        Err(_) => None,
        Ok(()) => {
            let program = compile_with_weights(run, weights)?;
            progress.start("event-driven", ids.len() as u64, "recording");
            let score = EngineScore::measure(run, &program, ids, progress, cancel)?;
            progress.finish();
            Some(score.correct)
        }
    };
    Ok(Correct { clocked: score.correct, event_driven })
}

/// Right answers with noise on frames or images.
fn input(
    run: &Loaded,
    device: &Device,
    ids: &[SampleId],
    (level, draw): (f64, u64),
    progress: &dyn Progress,
) -> Result<Correct> {
    let model = run.model(device)?;
    let mut change = |ids: &[SampleId], batch: &mut Batch| {
        let [t, b, c, h, w] = batch.shape;
        let values = c * h * w;
        for (k, id) in ids.iter().enumerate() {
            let mut rng = generator(draw, (id.split as u64) << 40 | id.index as u64);
            let places = |t: usize| (t * b + k) * values..(t * b + k + 1) * values;
            let squares = |t: usize| batch.values[places(t)].iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            let size = (0..t).map(squares).sum::<f64>() / (t * values).max(1) as f64;
            let size = (level * size.sqrt()) as f32;
            for t in 0..t {
                batch.values[places(t)].iter_mut().for_each(|v| *v += size * normal(&mut rng));
            }
        }
        Ok(())
    };
    progress.start("noise on inputs", ids.len() as u64, "sample");
    let request = BatchRequest::frames(run.facts.t_max, None);
    let score = changed_score(&model, &setting(run, ids), request, &mut change, progress)?;
    progress.finish();
    Ok(Correct { clocked: score.correct, event_driven: None })
}

/// Right answers with lost or moved events. The engine gets the same recordings as the frames.
fn events(
    run: &mut Loaded,
    device: &Device,
    ids: &[SampleId],
    (disturbance, level, draw): (Disturbance, f64, u64),
    progress: &dyn Progress,
) -> Result<Correct> {
    let change = match disturbance {
        Disturbance::Drop => Augment { drop: level as f32, ..Augment::default() },
        _ => Augment { jitter_steps: level as f32, ..Augment::default() },
    };
    let own = run.source.replace_augment(change);
    let measured = changed_events(run, device, ids, draw, progress);
    run.source.replace_augment(own);
    measured
}

fn changed_events(
    run: &Loaded,
    device: &Device,
    ids: &[SampleId],
    draw: u64,
    progress: &dyn Progress,
) -> Result<Correct> {
    let model = run.model(device)?;
    let program = possible(run).is_ok().then(|| compile(run)).transpose()?;
    let (mut right, mut failed) = (0, None);
    let mut engine = |_: &[SampleId], batch: &mut Batch| {
        let Some(program) = program.as_ref().filter(|_| failed.is_none()) else { return Ok(()) };
        let answer = |session: &mut Session, (recording, label): (&std::sync::Arc<Recording>, &usize)| {
            session.reset();
            session.feed(recording)?;
            let class = argmax(session.logits().iter().map(|v| f64::from(*v))).0;
            Ok(usize::from(class == *label))
        };
        let all: tickless_engine::Result<Vec<usize>> =
            batch.recordings.par_iter().zip(&batch.labels).map_init(|| Session::new(program), answer).collect();
        match all {
            Ok(all) => right += all.into_iter().sum::<usize>(),
            Err(e) => failed = Some(e),
        }
        Ok(())
    };
    let mut request = BatchRequest::frames(run.facts.t_max, Some((0x0b5e_55ed, draw)));
    request.recordings = program.is_some();
    progress.start("changed events", ids.len() as u64, "recording");
    let score: Score = changed_score(&model, &setting(run, ids), request, &mut engine, progress)?;
    progress.finish();
    match failed {
        Some(e) => Err(e.into()),
        None => Ok(Correct { clocked: score.correct, event_driven: program.is_some().then_some(right) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::Array;

    #[test]
    fn noise_has_the_relative_size_of_its_level_and_leaves_biases() {
        let mut weights = Weights::default();
        let data: Vec<f32> = (0..10_000).map(|k| if k % 2 == 0 { 2.0 } else { -2.0 }).collect();
        weights.insert("conv1.weight", Array::new(vec![100, 100], data.clone()));
        weights.insert("conv1.bias", Array::new(vec![3], vec![1.0, 2.0, 3.0]));
        let noisy = noisy(&weights, 0.1, 0);
        let moved: Vec<f64> =
            noisy.tensors["conv1.weight"].data.iter().zip(&data).map(|(a, b)| f64::from(a - b)).collect();
        let size = (moved.iter().map(|d| d * d).sum::<f64>() / moved.len() as f64).sqrt();
        // 2 is the standard deviation of the weights.
        assert!((size - 0.2).abs() < 0.01, "{size}");
        assert!(moved.iter().sum::<f64>().abs() / 10_000.0 < 0.01);
        assert_eq!(noisy.tensors["conv1.bias"], weights.tensors["conv1.bias"]);
        assert_eq!(noisy.tensors["conv1.weight"], super::noisy(&weights, 0.1, 0).tensors["conv1.weight"]);
        assert_ne!(noisy.tensors["conv1.weight"], super::noisy(&weights, 0.1, 1).tensors["conv1.weight"]);
    }

    #[test]
    fn levels_that_cannot_be_are_refused() {
        for (d, level) in [(Disturbance::Weights, 0.0), (Disturbance::Drop, 1.0), (Disturbance::Jitter, f64::NAN)] {
            assert!(d.refuse(level).is_some(), "{d} {level}");
        }
        for d in Disturbance::ALL {
            assert!(d.levels().iter().all(|l| d.refuse(*l).is_none()), "{d}");
        }
    }
}
